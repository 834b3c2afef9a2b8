"""Section 5.1: gradient flow of the linearized network (eqs 64-74).

With ``J = grad f_0(X)``, ``Theta = J J^T`` and the loss ``1/2 |f(X) - Y|^2`` (a sum), gradient flow of the linear
model is ``d/dt omega = -eta J^T (f_t(X) - Y)``. Source: Lee et al. 2019 (arXiv:1902.06720), section 2.2.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Observable, Printed, Status
from derive.lecture.training import (
    F0,
    F0_TEST,
    F_TEST,
    OMEGA,
    F,
    Training,
    Y,
    change,
    kernel,
    parameter_training,
    rate,
)
from derive.notation import eigenvalue, learning_rate, time
from derive.operators import (
    JACOBIAN_T,
    OUTPUTS,
    PARAMETERS,
    TEST,
    THETA_HAT,
    TRAINING,
    Letter,
    Operator,
    function_of_theta,
    slot,
    word,
)
from derive.rules.descent import as_steps_grow, before_descent, solve_recurrence, sum_changes
from derive.rules.spectral import (
    as_time_grows,
    at_time_zero,
    definition,
    gram,
    integrate_rate,
    name_product,
    positive_definite,
    range_of_jacobian,
    solve_mode,
    substitute_theorem,
)
from derive.theorem import Theorem, reflexivity

JX = Letter("J(x)", TEST, PARAMETERS, r"J(x)")
F_RATE, OMEGA_RATE = rate(F), rate(OMEGA)
THETA_XX = kernel("Theta", THETA_HAT, TEST, TRAINING, belongs_to=THETA_HAT)

LINEARIZED, LINEARIZED_DESCENT = (
    parameter_training(
        f"{training} of the linearized network on the loss 1/2 |f(X) - Y|^2",
        changed,
        letters=((F_TEST, word(F0_TEST) + word(JX) @ word(OMEGA)),),
        products=((JX, JACOBIAN_T, THETA_XX),),
    )
    for training, changed in (("gradient flow", rate), ("gradient descent", change))
)
"""Eqs 64 and 65: the linear model at training and other inputs, and gradient flow, or descent, of its parameters."""


FLOW = Training(LINEARIZED, rate, solve_mode, integrate_rate, at_time_zero, as_time_grows)
DESCENT = Training(LINEARIZED_DESCENT, change, solve_recurrence, sum_changes, before_descent, as_steps_grow)


@cache
def output_rate(by: Training = FLOW) -> Theorem:
    """Return eq 70: the rate of the outputs on the training set."""
    theorem = reflexivity(word(by.changed(F)), by.model).by(definition, by.changed(F))
    return theorem.by(definition, by.changed(OMEGA)).by(gram)


@cache
def training_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 71 with the factors in the order that fits: the outputs on the training set."""
    return by.solve(output_rate(by), word(F), word(Y), word(F0))


@cache
def parameters(by: Training = FLOW) -> Theorem:
    """Return eq 72: the displacement of the parameters, without an inverse."""
    changed = reflexivity(word(by.changed(OMEGA)), by.model).by(definition, by.changed(OMEGA))
    return by.accumulate(changed.by(substitute_theorem, training_outputs(by)), word(OMEGA))


@cache
def test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 73: the prediction at any input."""
    theorem = reflexivity(word(F_TEST), by.model).by(definition, F_TEST)
    return theorem.by(substitute_theorem, parameters(by)).by(name_product, JX, JACOBIAN_T)


@cache
def initial_test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 73a: the prediction starts at the output of the network."""
    return test_outputs(by).by(by.begin)


@cache
def final_training_outputs(by: Training = FLOW) -> Theorem:
    """Return the end of eq 71 for any Theta: targets on its range, the initial outputs on its kernel."""
    return training_outputs(by).by(by.end)


@cache
def final_test_outputs(by: Training = FLOW) -> Theorem:
    """Return eq 74 for any Theta: the limit of the prediction, with the inverse on the range only."""
    return test_outputs(by).by(range_of_jacobian).by(by.end)


@cache
def interpolation() -> Theorem:
    """Return the end of eq 71 for positive definite Theta: the targets."""
    return final_training_outputs().by(positive_definite)


def printed_training_outputs() -> Operator:
    """Return eq 71 in the printed order, residual before exponential.

    Raises:
        IllTyped: always; the shapes do not fit.
    """
    return word(Y) + (word(F0) - word(Y)) @ _of_theta(sp.exp(-learning_rate * eigenvalue * time))


def printed_output_rate() -> Operator:
    """Return the difference of both sides of the first line of eq 70 as printed, with the kernel at the test input.

    Raises:
        IllTyped: always; one side has a row per training input, the other a row per test input.
    """
    difference: Operator = word(F_RATE) + learning_rate * (word(THETA_XX) @ (word(F) - word(Y)))
    return difference


def _of_theta(function: sp.Expr) -> Operator:
    return function_of_theta(function, eigenvalue)


def _decay(rate: sp.Expr | int = 1) -> sp.Expr:
    return sp.exp(-rate * learning_rate * eigenvalue * time)


def _residual() -> Operator:
    return word(F0) - word(Y)


def _training_statement(decay: sp.Expr) -> Operator:
    return word(Y) + _of_theta(decay) @ _residual()


def _parameter_statement(function: sp.Expr) -> Operator:
    return -1 * (word(JACOBIAN_T) @ (_of_theta(function) @ _residual()))


def _test_statement(function: sp.Expr) -> Operator:
    return word(F0_TEST) - word(THETA_XX) @ (_of_theta(function) @ _residual())


def _final_statement(sign: int = 1, initial: int = 1) -> Operator:
    """Return eq 74, with the inverse on the range of Theta."""
    inverse = Operator(TRAINING, TRAINING, [((), (1 / slot(0), sp.S.Zero))])
    step = word(THETA_XX) @ (inverse @ (word(Y) - initial * word(F0)))
    return word(F0_TEST) + sign * step


def _flow_mutants(of: Callable[[sp.Expr], Operator], through: Callable[[sp.Expr], sp.Expr]) -> tuple[Mutant, ...]:
    """Return wrong variants of a statement that is built from the decay of a mode."""
    return (
        Mutant("the exponent has the wrong sign", of(through(_decay(-1)))),
        Mutant("the exponent is doubled", of(through(_decay(2)))),
        Mutant("the exponent is 2 % too large", of(through(_decay(sp.Rational(51, 50))))),
        Mutant("the learning rate is missing", of(through(sp.exp(-eigenvalue * time)))),
        Mutant("the residual has the wrong sign", -1 * of(through(_decay()))),
    )


def _integrated(decay: sp.Expr) -> sp.Expr:
    return (1 - decay) / eigenvalue


def _claim(
    number: str, title: str, theorem: Callable[[], Theorem], statement: Callable[[], Operator], **rest: Any
) -> Claim:
    return Claim(
        id=f"eq{number}",
        title=title,
        section="5.1",
        equation=number,
        theorem=theorem,
        statement=statement,
        observable=Observable.FLOW,
        **rest,
    )


CLAIMS = (
    _claim(
        "70",
        "The outputs on the training set decay with rate ηΘ towards the targets",
        output_rate,
        lambda: -learning_rate * (_of_theta(eigenvalue) @ (word(F) - word(Y))),
        kind=Kind.IDENTITY,
        status=Status.TYPO,
        mutants=lambda: (
            Mutant("the loss without its 1/2", -2 * learning_rate * (_of_theta(eigenvalue) @ (word(F) - word(Y)))),
            Mutant("the gradient ascends", learning_rate * (_of_theta(eigenvalue) @ (word(F) - word(Y)))),
            Mutant("Θ is missing", -learning_rate * (word(F) - word(Y))),
        ),
        printed=Printed(
            latex=r"-\eta\, \hat{\Theta}(x, \mathcal{X}) \left(f_{t}^{\mathrm{lin}}(\mathcal{X}) - \mathcal{Y}\right)",
            correction="the kernel is that of the training set with itself",
            evaluate=printed_output_rate,
        ),
    ),
    _claim(
        "71",
        "The outputs on the training set, with the exponential before the residual",
        training_outputs,
        lambda: _training_statement(_decay()),
        kind=Kind.IDENTITY,
        status=Status.TYPO,
        rests_on=("eq70",),
        mutants=lambda: (
            *_flow_mutants(_training_statement, lambda decay: decay),
            Mutant("the targets are missing", _of_theta(_decay()) @ _residual()),
        ),
        printed=Printed(
            latex=r"\mathcal{Y} + \left(f_{0}(\mathcal{X}) - \mathcal{Y}\right) e^{-\eta \hat{\Theta} t}",
            correction="the exponential multiplies the residual from the left",
            evaluate=printed_training_outputs,
        ),
    ),
    _claim(
        "72",
        "The displacement of the parameters, for any Θ, without an inverse",
        parameters,
        lambda: _parameter_statement(_integrated(_decay())),
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        rests_on=("eq71",),
        mutants=lambda: _flow_mutants(_parameter_statement, _integrated),
    ),
    _claim(
        "73",
        "The prediction at any input, for any Θ, without an inverse",
        test_outputs,
        lambda: _test_statement(_integrated(_decay())),
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        rests_on=("eq72",),
        mutants=lambda: (
            *_flow_mutants(_test_statement, _integrated),
            Mutant(
                "the initial output at the input is missing", _test_statement(_integrated(_decay())) - word(F0_TEST)
            ),
        ),
    ),
    _claim(
        "71b",
        "At infinite time: the targets on the range of Θ, the initial outputs on its kernel",
        final_training_outputs,
        lambda: Operator(TRAINING, OUTPUTS, [((Y,), (sp.S.One, sp.S.Zero)), ((F0,), (sp.S.Zero, sp.S.One))]),
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq71",),
        mutants=lambda: (
            Mutant("the targets also on the kernel of Θ", word(Y)),
            Mutant("the initial outputs remain", word(F0)),
        ),
    ),
    _claim(
        "74",
        "The prediction at infinite time, for any Θ",
        final_test_outputs,
        _final_statement,
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq73",),
        mutants=lambda: (
            Mutant("the correction has the wrong sign", _final_statement(sign=-1)),
            Mutant("the initial outputs on the training set are dropped", _final_statement(initial=0)),
            Mutant("the initial output at the input is missing", _final_statement() - word(F0_TEST)),
        ),
    ),
)
