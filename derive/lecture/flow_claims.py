"""The statements of section 5.1.4 on gradient flow of the linearized network, typed by hand, with wrong variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Observable, Printed, Status
from derive.lecture import flow_exhibits, linearized
from derive.lecture.linearized import F_RATE, THETA_XX
from derive.lecture.trained_ensembles import prior
from derive.lecture.training import F0, F0_TEST, F, Y
from derive.notation import eigenvalue, learning_rate, time
from derive.operators import (
    JACOBIAN_T,
    OUTPUTS,
    TEST,
    TRAINING,
    Letter,
    Operator,
    function_of_theta,
    slot,
    word,
)
from derive.theorem import Theorem

HALF = sp.Rational(1, 2)


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


def _interpolation(weight: sp.Expr, of_targets: sp.Expr | None = None) -> Operator:
    """Return the outputs between start and targets, with the weight of the start in each mode."""
    rest = 1 - weight if of_targets is None else of_targets
    return _of_theta(weight) @ word(F0) + _of_theta(rest) @ word(Y)


def _parameter_statement(function: sp.Expr) -> Operator:
    return -1 * (word(JACOBIAN_T) @ (_of_theta(function) @ _residual()))


def _test_statement(function: sp.Expr, kernel: Letter = THETA_XX) -> Operator:
    return word(F0_TEST) - word(kernel) @ (_of_theta(function) @ _residual())


def _final_statement(sign: int = 1, initial: int = 1, kernel: Letter = THETA_XX) -> Operator:
    """Return eq 74, with the inverse on the range of Theta."""
    inverse = Operator(TRAINING, TRAINING, [((), (1 / slot(0), sp.S.Zero))])
    step = word(kernel) @ (inverse @ (word(Y) - initial * word(F0)))
    return word(F0_TEST) + sign * step


def _ends(on_range: Letter, on_kernel: Letter) -> Operator:
    """Return one matrix on the range of Theta and another on its kernel."""
    pieces = ((on_range,), (sp.S.One, sp.S.Zero)), ((on_kernel,), (sp.S.Zero, sp.S.One))
    return Operator(TRAINING, OUTPUTS, pieces)


def _flow_mutants(of: Callable[[sp.Expr], Operator], through: Callable[[sp.Expr], sp.Expr]) -> tuple[Mutant, ...]:
    """Return wrong variants of a statement that is built from the decay of a mode."""
    return (
        Mutant("the exponent has the wrong sign", of(through(_decay(-1)))),
        Mutant("there is a 2 in the exponent", of(through(_decay(2)))),
        Mutant("there is a ½ in the exponent", of(through(_decay(HALF)))),
        Mutant("the exponent is 2 % too large", of(through(_decay(sp.Rational(51, 50))))),
        Mutant("the exponent does not grow with time", of(through(sp.exp(-learning_rate * eigenvalue)))),
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
        section="5.1.4",
        equation=number if number.isdigit() else "",
        theorem=theorem,
        statement=statement,
        observable=Observable.FLOW,
        **rest,
    )


_GRADIENT_FLOW = "training is gradient flow, in which the learning rate only scales time, not steps of gradient descent"
_INVERTIBLE = "as printed, with an inverse, Θ̂ on the training set must be positive definite; as stated here it need not"


def _rate(factor: sp.Expr | int = 1) -> Operator:
    rate: Operator = -factor * learning_rate * (_of_theta(eigenvalue) @ (word(F) - word(Y)))
    return rate


CLAIMS = (
    _claim(
        "70",
        "The outputs on the training set decay with rate ηΘ towards the targets",
        linearized.output_rate,
        _rate,
        kind=Kind.IDENTITY,
        status=Status.TYPO,
        rests_on=("eq69",),
        mutants=lambda: (
            Mutant("the loss without its 1/2", _rate(2)),
            Mutant("the loss is a mean over two training inputs, not a sum", _rate(HALF)),
            Mutant("the gradient ascends", _rate(-1)),
            Mutant("Θ is missing", -learning_rate * (word(F) - word(Y))),
        ),
        printed=Printed(
            latex=r"-\eta\, \hat{\Theta}(x, \mathcal{X}) \left(f_{t}^{\mathrm{lin}}(\mathcal{X}) - \mathcal{Y}\right)",
            correction="the kernel is that of the training set with itself, as in the second line",
            evaluate=printed_output_rate,
            why="the first line keeps the test input of eq 69: it has a row per test input, its left side one per "
            "training input",
        ),
    ),
    _claim(
        "71",
        "The outputs on the training set, with the exponential before the residual",
        linearized.training_outputs,
        lambda: _training_statement(_decay()),
        kind=Kind.IDENTITY,
        status=Status.TYPO,
        rests_on=("eq70",),
        unstated=(_GRADIENT_FLOW,),
        mutants=lambda: (
            *_flow_mutants(_training_statement, lambda decay: decay),
            Mutant("the targets are missing", _of_theta(_decay()) @ _residual()),
        ),
        exhibits=flow_exhibits.ordered,
        printed=Printed(
            latex=r"\mathcal{Y} + \left(f_{0}(\mathcal{X}) - \mathcal{Y}\right) e^{-\eta \hat{\Theta} t}",
            correction="the exponential multiplies the residual from the left, as in eqs 72 and 73",
            evaluate=printed_training_outputs,
            why="a column for each output cannot be multiplied by a square matrix from the right; only where numbers "
            "are kept as rows does the order work",
        ),
    ),
    _claim(
        "71a",
        "Training starts at the outputs of the network",
        linearized.initial_training_outputs,
        lambda: word(F0),
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        rests_on=("eq71",),
        mutants=lambda: (
            Mutant("it starts at the targets", word(Y)),
            Mutant("it starts at the residual", _residual()),
            Mutant("2 % too large", sp.Rational(51, 50) * word(F0)),
        ),
    ),
    _claim(
        "71b",
        "At infinite time: the targets on the range of Θ, the initial outputs on its kernel",
        linearized.final_training_outputs,
        lambda: _ends(Y, F0),
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq71",),
        unstated=("the outputs end at the targets if Θ̂ on the training set is positive definite, and only then",),
        mutants=lambda: (
            Mutant("the targets also on the kernel of Θ", word(Y)),
            Mutant("the initial outputs remain", word(F0)),
            Mutant("range and kernel are exchanged", _ends(F0, Y)),
        ),
        exhibits=flow_exhibits.singular,
        unsampled="a limit of time, for every network: nothing is averaged",
    ),
    _claim(
        "71c",
        "In every eigenvector of Θ the outputs go from start to targets, each at its own speed; single outputs may not",
        linearized.training_outputs,
        lambda: _interpolation(_decay()),
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        rests_on=("eq71",),
        unstated=(
            "the weights of start and targets are functions of Θ̂: an output of its own may leave the interval between "
            "its start and its target, and the way is no straight line",
            _GRADIENT_FLOW,
        ),
        mutants=lambda: (
            Mutant("a straight way: one weight for all eigenvectors", _interpolation(sp.exp(-learning_rate * time))),
            Mutant("the weights are exchanged", _interpolation(1 - _decay())),
            Mutant("the weights do not add up to 1", _interpolation(_decay(), 1 - _decay(2))),
        ),
        exhibits=flow_exhibits.overshooting,
    ),
    _claim(
        "72",
        "The displacement of the parameters, for any Θ, without an inverse",
        linearized.parameters,
        lambda: _parameter_statement(_integrated(_decay())),
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        rests_on=("eq71",),
        unstated=(_INVERTIBLE, _GRADIENT_FLOW),
        mutants=lambda: (
            *_flow_mutants(_parameter_statement, _integrated),
            Mutant("Θ stands for its inverse", _parameter_statement(eigenvalue * (1 - _decay()))),
        ),
        exhibits=flow_exhibits.moved_parameters,
    ),
    _claim(
        "73",
        "The prediction at any input, for any Θ, without an inverse",
        linearized.test_outputs,
        lambda: _test_statement(_integrated(_decay())),
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        rests_on=("eq64", "eq72"),
        unstated=(_INVERTIBLE, _GRADIENT_FLOW),
        mutants=lambda: (
            *_flow_mutants(_test_statement, _integrated),
            Mutant("Θ is not inverted", _test_statement(1 - _decay())),
            Mutant("K stands for Θ at the test input", _test_statement(_integrated(_decay()), prior(TEST, TRAINING))),
            Mutant(
                "the initial output at the input is missing", _test_statement(_integrated(_decay())) - word(F0_TEST)
            ),
        ),
        exhibits=flow_exhibits.predicted,
    ),
    _claim(
        "73a",
        "The prediction starts at the output of the network at initialization, at any input",
        linearized.initial_test_outputs,
        lambda: word(F0_TEST),
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        rests_on=("eq73",),
        mutants=lambda: (
            Mutant("it starts where it ends", _final_statement()),
            Mutant("it starts at what the targets predict", _final_statement() - word(F0_TEST)),
            Mutant("2 % too large", sp.Rational(51, 50) * word(F0_TEST)),
        ),
    ),
    _claim(
        "74",
        "The prediction at infinite time, for any Θ",
        linearized.final_test_outputs,
        _final_statement,
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        rests_on=("eq73",),
        unstated=(_INVERTIBLE,),
        mutants=lambda: (
            Mutant("the correction has the wrong sign", _final_statement(sign=-1)),
            Mutant("the initial outputs on the training set are dropped", _final_statement(initial=0)),
            Mutant("the initial outputs on the training set are added", _final_statement(initial=-1)),
            Mutant("the initial output at the input is missing", _final_statement() - word(F0_TEST)),
            Mutant("K stands for Θ at the test input", _final_statement(kernel=prior(TEST, TRAINING))),
            Mutant("Θ is not inverted", _test_statement(sp.S.One)),
        ),
        unsampled="a limit of time, for every network: nothing is averaged",
    ),
)
