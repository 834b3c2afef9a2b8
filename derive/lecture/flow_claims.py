"""The statements of section 5.1.4 on gradient flow of the linearized network, typed by hand, with wrong variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Observable, Printed, Status
from derive.exhibit import Exhibit
from derive.lecture import linearized
from derive.lecture.linearized import F_RATE, THETA_XX
from derive.lecture.small_network import (
    DIGITS,
    RATE,
    START,
    TARGETS,
    TEST_INPUTS,
    TIME,
    TRAINING_INPUTS,
    exponential,
    flowed,
    jacobian,
    outputs,
    slope,
    tangent,
)
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


_KERNEL = sp.Matrix([[2, 1], [1, 2]])
_TURN = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2)
"""A kernel on two training inputs with eigenvalues 3 and 1, and its eigenvectors."""


def _ordered() -> tuple[Exhibit, ...]:
    start, targets = sp.Matrix([3, 0]), sp.Matrix([1, -2])
    decay = exponential(-HALF * _KERNEL)
    modes = _TURN * sp.diag(sp.exp(-3 * HALF), sp.exp(-HALF)) * _TURN.T
    return (
        Exhibit(
            setting="Θ = [[2, 1], [1, 2]], f₀(X) = (3, 0), Y = (1, -2), η t = 1/2",
            left=targets + decay * (start - targets),
            right=targets + modes * (start - targets),
            wrong={
                "the residual stands before the exponential": lambda: targets + (start - targets) * modes,
                "the exponential is taken entry by entry": lambda: (
                    targets + (-HALF * _KERNEL).applyfunc(sp.exp) * (start - targets)
                ),
            },
            digits=DIGITS,
        ),
    )


def _singular() -> tuple[Exhibit, ...]:
    kernel, start, targets = sp.ones(2, 2), sp.Matrix([HALF, sp.Rational(1, 5)]), sp.Matrix([1, -1])
    silent = sp.Matrix(sp.Matrix.hstack(*kernel.nullspace()))
    silent = silent * (silent.T * silent).inv() * silent.T
    return (
        Exhibit(
            setting="one input twice, Θ = [[1, 1], [1, 1]], with targets 1 and -1, f₀(X) = (1/2, 1/5), η t = 100",
            left=targets + exponential(-100 * kernel) * (start - targets),
            right=targets + silent * (start - targets),
            wrong={
                "the outputs end at the targets although Θ is singular": lambda: targets,
                "the outputs on the kernel of Θ end at 0": lambda: targets - silent * targets,
            },
            digits=DIGITS,
        ),
    )


def _overshooting() -> tuple[Exhibit, ...]:
    kernel, start = sp.Matrix([[1, sp.Rational(9, 10)], [sp.Rational(9, 10), 1]]), sp.Matrix([1, 0])
    times = HALF, sp.S.One, sp.Integer(2), sp.Integer(5)
    slow, fast = ([sp.exp(-t * x) for t in times] for x in (sp.Rational(1, 10), sp.Rational(19, 10)))
    return (
        Exhibit(
            setting="Θ = [[1, 0.9], [0.9, 1]], f₀(X) = (1, 0), Y = (0, 0): the second output at η t = 1/2, 1, 2, 5",
            left=sp.Matrix([[(exponential(-t * kernel) * start)[1] for t in times]]),
            right=sp.Matrix([[(y - x) / 2 for x, y in zip(slow, fast, strict=True)]]),
            wrong={
                "each output stays between its start and its target": lambda: sp.zeros(1, 4),
            },
            digits=DIGITS,
        ),
        Exhibit(
            setting="the same: the coefficients on the eigenvectors (1, 1) and (1, -1) at η t = 1/2",
            left=_TURN * exponential(-HALF * kernel) * start,
            right=sp.Matrix([fast[0], slow[0]]) / sp.sqrt(2),
            wrong={
                "all coefficients go at the same speed": lambda: sp.Matrix([slow[0], slow[0]]) / sp.sqrt(2),
                "the coefficients go at each other's speed": lambda: sp.Matrix([slow[0], fast[0]]) / sp.sqrt(2),
            },
            digits=DIGITS,
        ),
    )


_SETTING = "a network of one hidden unit, 4 parameters, 3 training inputs"
_DOUBLED = 2 * TIME


def _moved_parameters() -> tuple[Exhibit, ...]:
    j, kernel = jacobian(TRAINING_INPUTS, START), tangent(TRAINING_INPUTS, TRAINING_INPUTS, START)
    residual = outputs(TRAINING_INPUTS, START) - TARGETS
    return (
        Exhibit(
            setting=f"{_SETTING}, η t = {RATE * TIME}",
            left=flowed(START),
            right=-j.T * slope(kernel) * residual,
            wrong={
                "the Jacobian is that at the test inputs": lambda: (
                    -jacobian(TEST_INPUTS, START).T * slope(kernel) * residual
                ),
                "Θ stands for its inverse": lambda: -j.T * kernel * kernel * slope(kernel) * residual,
                "there is a 2 in the exponent": lambda: -j.T * slope(kernel, _DOUBLED) * residual,
                "the minus sign is missing": lambda: j.T * slope(kernel) * residual,
            },
            digits=DIGITS,
        ),
    )


def _predicted() -> tuple[Exhibit, ...]:
    kernel, cross = (tangent(x, TRAINING_INPUTS, START) for x in (TRAINING_INPUTS, TEST_INPUTS))
    residual, start = outputs(TRAINING_INPUTS, START) - TARGETS, outputs(TEST_INPUTS, START)
    return (
        Exhibit(
            setting=f"{_SETTING}, 2 test inputs, η t = {RATE * TIME}",
            left=start + jacobian(TEST_INPUTS, START) * flowed(START),
            right=start - cross * slope(kernel) * residual,
            wrong={
                "the kernel of test and training inputs is transposed": lambda: (
                    start - cross.T * slope(kernel) * residual
                ),
                "the correction is added": lambda: start + cross * slope(kernel) * residual,
                "Θ is not inverted": lambda: start - cross * kernel * slope(kernel) * residual,
            },
            digits=DIGITS,
        ),
    )


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
        exhibits=_ordered,
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
        exhibits=_singular,
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
        exhibits=_overshooting,
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
        exhibits=_moved_parameters,
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
        exhibits=_predicted,
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
    ),
)
