"""Sections 5.1 to 5.1.3 in concrete numbers: an explicit network, expanded and trained step by step."""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture.contents import STATEMENTS
from derive.lecture.small_network import (
    MOVED,
    OTHER_TARGETS,
    PARAMETERS,
    RATE,
    START,
    TARGETS,
    TEST_INPUTS,
    TRAINING_INPUTS,
    along,
    descended,
    gradient,
    jacobian,
    network,
    outputs,
    squares,
    tangent,
    tangent_model,
)

_SETTING = "a network of one hidden unit with 4 parameters, 3 training inputs"
_DISPLACEMENT = MOVED - START


def _quartic(f: sp.Matrix) -> sp.Expr:
    """Return a loss that is no square."""
    return sum((y - t) ** 4 for y, t in zip(f, TARGETS, strict=True)) / 4


def _quartic_gradient(at: sp.Matrix) -> sp.Matrix:
    """Return the gradient of that loss by the outputs of the linear model."""
    linear = outputs(TRAINING_INPUTS, START) + jacobian(TRAINING_INPUTS, START) * (at - START)
    return sp.Matrix([(y - t) ** 3 for y, t in zip(linear, TARGETS, strict=True)])


def expansion() -> tuple[Exhibit, ...]:
    """Return the network expanded along a line of parameters."""
    start = outputs(TEST_INPUTS, START)
    right = start + jacobian(TEST_INPUTS, START) * _DISPLACEMENT
    return (
        Exhibit(
            setting="a network of one hidden unit with 4 parameters, 2 inputs, expanded along a line of parameters",
            left=start + along(TEST_INPUTS, START, _DISPLACEMENT),
            right=right,
            wrong={
                "the Jacobian is that of the moved parameters": lambda: (
                    start + jacobian(TEST_INPUTS, MOVED) * _DISPLACEMENT
                ),
                "the displacement is θ₀ - θ_t": lambda: start - jacobian(TEST_INPUTS, START) * _DISPLACEMENT,
                "the initial outputs are missing": lambda: right - start,
                "it is the network itself": lambda: outputs(TEST_INPUTS, MOVED),
            },
        ),
    )


def constants() -> tuple[Exhibit, ...]:
    """Return what training leaves of Jacobian and initial outputs."""

    def derivatives(at: sp.Matrix) -> sp.Matrix:
        columns = (tangent_model(TEST_INPUTS, START, at + sp.eye(4).col(p)) for p in range(4))
        return sp.Matrix.hstack(*(column - tangent_model(TEST_INPUTS, START, at) for column in columns))

    moved = descended(squares(), START, 1)
    return (
        Exhibit(
            setting="the Jacobian of the linear model after a step of training, 2 inputs",
            left=derivatives(moved),
            right=jacobian(TEST_INPUTS, START),
            wrong={"it is that of the network after the step": lambda: jacobian(TEST_INPUTS, moved)},
        ),
        Exhibit(
            setting="the linear model after a step of training, less the Jacobian times the displacement",
            left=tangent_model(TEST_INPUTS, START, moved) - derivatives(moved) * (moved - START),
            right=outputs(TEST_INPUTS, START),
            wrong={"it is the output of the network after the step": lambda: outputs(TEST_INPUTS, moved)},
        ),
    )


def _second_step() -> Exhibit:
    """Return the change of the parameters in the second step of gradient descent."""
    first = descended(squares(), START, 1)
    j = jacobian(TRAINING_INPUTS, START)
    residual = outputs(TRAINING_INPUTS, START) + j * (first - START) - TARGETS
    return Exhibit(
        setting=f"{_SETTING}: the second step of gradient descent, η = {RATE}",
        left=descended(squares(), START, 2) - first,
        right=-RATE * j.T * residual,
        wrong={
            "the Jacobian is that of the network after the first step": lambda: (
                -RATE * jacobian(TRAINING_INPUTS, first).T * residual
            ),
            "the learning rate is missing": lambda: -j.T * residual,
            "the transpose is missing": lambda: -RATE * j * residual,
            "the step ascends": lambda: RATE * j.T * residual,
        },
    )


def _left_by_steps(factor: sp.Expr, steps: int) -> sp.Expr:
    """Return what steps of gradient descent leave of one residual, step by step."""
    left = sp.S.One
    for _ in range(steps):
        left = left - factor * left
    return left


def _one_mode(rate: sp.Expr, steps: int) -> Exhibit:
    """Return what steps of gradient descent leave of a residual where Theta is 1; as printed it is the flow's."""
    return Exhibit(
        setting=f"Θ = 1, η = {rate}, t = {steps}: what training leaves of a residual",
        left=_left_by_steps(rate, steps),
        right=(1 - rate) ** steps,
        wrong={"one step less": lambda: (1 - rate) ** (steps - 1)},
        printed=lambda: sp.exp(-rate * steps),
    )


def steps() -> tuple[Exhibit, ...]:
    """Return what steps of gradient descent leave, and what the flow would."""
    rates = [sp.Rational(1, 10 * 2**n) for n in range(4)]
    return (
        _one_mode(sp.Rational(1, 2), 2),
        _one_mode(sp.Rational(5, 2), 10),
        _second_step(),
        Exhibit(
            setting="Θ = 1, η t = 2: by how much flow exceeds descent, for η = 1/10, 1/20, 1/40, 1/80",
            left=sp.Matrix([[sp.exp(-2) - _left_by_steps(rate, int(2 / rate)) for rate in rates]]),
            right=sp.Matrix([[sp.exp(-2) - (1 - rate) ** (2 / rate) for rate in rates]]),
            wrong={"flow and descent agree": lambda: sp.zeros(1, 4)},
        ),
    )


def chain_rule() -> tuple[Exhibit, ...]:
    """Return the gradient of a loss that is no square."""
    right = jacobian(TRAINING_INPUTS, START).T * _quartic_gradient(MOVED)
    return (
        Exhibit(
            setting=f"{_SETTING}, the loss 1/4 Σ (f - y)⁴, away from initialization",
            left=gradient(lambda at: _quartic(tangent_model(TRAINING_INPUTS, START, at)), MOVED),
            right=right,
            wrong={
                "the Jacobian is that of the moved parameters": lambda: (
                    jacobian(TRAINING_INPUTS, MOVED).T * _quartic_gradient(MOVED)
                ),
                "the kernel stands for the Jacobian": lambda: (
                    tangent(TRAINING_INPUTS, TRAINING_INPUTS, START) * _quartic_gradient(MOVED)
                ),
                "the Jacobian is that at the test inputs": lambda: (
                    jacobian(TEST_INPUTS, START).T * _quartic_gradient(MOVED)
                ),
                "the loss is taken at the network": lambda: (
                    jacobian(TRAINING_INPUTS, START).T
                    * (outputs(TRAINING_INPUTS, MOVED) - TARGETS).applyfunc(lambda r: r**3)
                ),
            },
        ),
    )


def what_moves() -> tuple[Exhibit, ...]:
    """Return what the displacement of the parameters depends on."""
    j, kernel = jacobian(TRAINING_INPUTS, START), tangent(TRAINING_INPUTS, TRAINING_INPUTS, START)
    more = (*TRAINING_INPUTS, *TEST_INPUTS)
    known = sp.Matrix.vstack(TARGETS, sp.zeros(len(TEST_INPUTS), 1))
    left = descended(squares(), START, 2) - descended(squares(OTHER_TARGETS), START, 2)
    return (
        Exhibit(
            setting=f"{_SETTING}: difference of the parameters after 2 steps with two sets of targets",
            left=left,
            right=RATE * j.T * (2 * sp.eye(3) - RATE * kernel) * (TARGETS - OTHER_TARGETS),
            wrong={
                "the displacement does not depend on the targets": lambda: sp.zeros(4, 1),
                "test inputs, with targets 0, take part in training": lambda: (
                    descended(squares(known), START, 2, more) - descended(squares(OTHER_TARGETS), START, 2)
                ),
            },
        ),
    )


def shapes() -> tuple[Exhibit, ...]:
    """Return the shape of the Jacobian, of one output and of two."""
    w, b = PARAMETERS[:2]
    two = sp.Matrix([sp.Symbol("u") * (w * x + b) for x in TEST_INPUTS])
    both = sp.Matrix.vstack(network(TEST_INPUTS), two).jacobian(sp.Matrix([*PARAMETERS, sp.Symbol("u")]))
    return (
        Exhibit(
            setting=f"{_SETTING}: rows and columns of the Jacobian",
            left=sp.Matrix([network(TRAINING_INPUTS).jacobian(PARAMETERS).shape]),
            right=sp.Matrix([[len(TRAINING_INPUTS), len(PARAMETERS)]]),
            wrong={"it has a row for each parameter": lambda: sp.Matrix([[len(PARAMETERS), len(TRAINING_INPUTS)]])},
        ),
        Exhibit(
            setting="2 outputs of one hidden unit with 5 parameters, 2 inputs: rows and columns of the Jacobian",
            left=sp.Matrix([both.shape]),
            right=sp.Matrix([[2 * len(TEST_INPUTS), 5]]),
            wrong={"several outputs need no more rows": lambda: sp.Matrix([[len(TEST_INPUTS), 5]])},
        ),
    )


def _rank_one_terms(at: sp.Matrix) -> sp.Matrix:
    """Return the sum over parameters of the derivatives by each, times their transpose."""
    columns = [along(TRAINING_INPUTS, at, sp.eye(4).col(p)) for p in range(4)]
    terms = (column * column.T for column in columns)
    return sum(terms, sp.zeros(3, 3))


def gram() -> tuple[Exhibit, ...]:
    """Return the Gram matrix elsewhere."""
    j = jacobian(TRAINING_INPUTS, MOVED)
    return (
        Exhibit(
            setting=f"{_SETTING}, away from initialization",
            left=_rank_one_terms(MOVED),
            right=j * j.T,
            wrong={
                "the Jacobian is transposed: a row for each parameter": lambda: j.T * j,
                "the transpose is missing": lambda: j * j,
                "the last parameter is left out": lambda: j[:, :3] * j[:, :3].T,
            },
        ),
    )


def gram_at_start() -> tuple[Exhibit, ...]:
    """Return the Gram matrix at initialization."""
    j = jacobian(TRAINING_INPUTS, START)
    return (
        Exhibit(
            setting=f"{_SETTING}, at initialization",
            left=_rank_one_terms(START),
            right=j * j.T,
            wrong={
                "the parameters are those during training": lambda: tangent(TRAINING_INPUTS, TRAINING_INPUTS, MOVED)
            },
        ),
    )


def rate_of_prediction() -> tuple[Exhibit, ...]:
    """Return the velocity of predictions."""
    force = _quartic_gradient(MOVED)
    velocity = -RATE * gradient(lambda at: _quartic(tangent_model(TRAINING_INPUTS, START, at)), MOVED)
    later, now = (tangent_model(TEST_INPUTS, START, MOVED + t * velocity) for t in (1, 0))
    return (
        Exhibit(
            setting=f"{_SETTING}, 2 test inputs, the loss 1/4 Σ (f - y)⁴, away from initialization, η = {RATE}",
            left=later - now,
            right=-RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, START) * force,
            wrong={
                "the kernel is that of the training set with itself": lambda: (
                    -RATE * tangent(TRAINING_INPUTS, TRAINING_INPUTS, START) * force
                ),
                "the kernel is that of the moved parameters": lambda: (
                    -RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, MOVED) * force
                ),
                "the minus sign is missing": lambda: RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, START) * force,
            },
        ),
    )


_LAST_NUMBER = 81


def numbers() -> tuple[Exhibit, ...]:
    """Return which numbers of equations occur."""
    digits = (key.removeprefix("eq").split("-")[0].rstrip("abc") for key in STATEMENTS if key.startswith("eq"))
    occurring = {int(number) for number in digits} - {_MISSING}
    return (
        Exhibit(
            setting="the numbers of the equations that statements of the lecture are listed under: how many there are",
            left=sp.Integer(len(occurring)),
            right=sp.Integer(_LAST_NUMBER - 1),
            wrong={"two numbers are missing": lambda: sp.Integer(_LAST_NUMBER - 2)},
            printed=lambda: sp.Integer(_LAST_NUMBER),
        ),
        Exhibit(
            setting="the sum of 1 to 81, less the sum of those numbers",
            left=sp.Integer(sum(range(1, _LAST_NUMBER + 1)) - sum(occurring)),
            right=sp.Integer(_MISSING),
            wrong={"67 is missing": lambda: sp.Integer(67), "69 is missing": lambda: sp.Integer(69)},
        ),
    )


_MISSING = 68
