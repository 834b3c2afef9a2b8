"""Section 5.2 in concrete numbers: networks of finite width over their initialization, and conditioning on targets."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import sympy as sp

from derive.exhibit import Exhibit
from derive.instances import normal_moment
from derive.lecture.small_network import (
    DIGITS,
    OTHER_START,
    RATE,
    START,
    TARGETS,
    TEST_INPUTS,
    TIME,
    TRAINING_INPUTS,
    Inputs,
    flowed,
    jacobian,
    outputs,
    slope,
    tangent,
)

_STARTS = START, OTHER_START


def _trained(start: sp.Matrix) -> sp.Matrix:
    """Return the outputs of the linear model at the test inputs after training."""
    return outputs(TEST_INPUTS, start) + jacobian(TEST_INPUTS, start) * flowed(start)


def _response(start: sp.Matrix, time: sp.Expr = TIME) -> sp.Matrix:
    """Return what training makes of the targets, by the tangent kernel of one network."""
    cross, kernel = (tangent(inputs, TRAINING_INPUTS, start) for inputs in (TEST_INPUTS, TRAINING_INPUTS))
    return cross * slope(kernel, time) * TARGETS


def _average(values: list[sp.Matrix]) -> sp.Matrix:
    return sum(values, sp.zeros(*values[0].shape)) / len(values)


def mean_over_initialization() -> tuple[Exhibit, ...]:
    """Return the mean over a law of four networks: two, each with both signs of its last layer."""
    signs = sp.diag(1, 1, -1, -1)
    return (
        Exhibit(
            setting=f"four equally likely networks of one hidden unit, two and those with the last layer reversed, "
            f"2 test inputs, η t = {RATE * TIME}: the mean of the trained outputs",
            left=_average([_trained(sign * start) for start in _STARTS for sign in (sp.eye(4), signs)]),
            right=_average([_response(start) for start in _STARTS]),
            wrong={
                "the kernel is that of the second network": lambda: _response(OTHER_START),
                "the initial outputs of one network stay": lambda: _average([_trained(start) for start in _STARTS]),
                "there is a 2 in the exponent": lambda: _average([_response(start, 2 * TIME) for start in _STARTS]),
            },
            printed=lambda: _response(START),
            digits=DIGITS,
        ),
    )


def four_terms() -> tuple[Exhibit, ...]:
    """Return the covariance at two test inputs, from that of all initial outputs and from its four terms."""
    everywhere = (*TEST_INPUTS, *TRAINING_INPUTS)
    prior, training = tangent(everywhere, everywhere, OTHER_START), slice(2, 5)
    weights = tangent(TEST_INPUTS, TRAINING_INPUTS, START) * slope(tangent(TRAINING_INPUTS, TRAINING_INPUTS, START))
    linear = sp.Matrix.hstack(sp.eye(2), -weights)
    between, inner = prior[:2, training] * weights.T, weights * prior[training, training] * weights.T

    def terms(first: int, second: int) -> sp.Matrix:
        return prior[:2, :2] + inner + first * between + second * between.T

    return (
        Exhibit(
            setting="3 training and 2 test inputs, one kernel as Θ and another as K: the covariance after training",
            left=linear * prior * linear.T,
            right=terms(-1, -1),
            wrong={
                "one cross term twice, the other not at all: invisible at one test input": lambda: terms(-2, 0),
                "the cross terms are added": lambda: terms(1, 1),
                "the cross terms are dropped": lambda: terms(0, 0),
            },
            digits=DIGITS,
        ),
    )


_HIDDEN = 2
_INPUTS: Inputs = (sp.Integer(1), sp.Integer(-2), sp.Rational(1, 2))
"""A test input and two training inputs."""


def _unit(x: sp.Expr, j: int) -> sp.Expr:
    """Return the square of a hidden unit, the activation here, as a polynomial in its parameters."""
    w, b = sp.symbols(f"w{j} b{j}")
    return (w * x + b / 2) ** 2


def _normal_mean(polynomial: sp.Expr) -> sp.Expr:
    """Return the mean of a polynomial in independent standard normals."""
    terms = sp.Poly(polynomial).terms()
    return sum((c * sp.prod([normal_moment(n) for n in powers]) for powers, c in terms), sp.S.Zero)


def _first_kernel(x: sp.Expr, y: sp.Expr) -> sp.Expr:
    return x * y + sp.Rational(1, 4)


def _kernel_of_squares(x: sp.Expr, y: sp.Expr, bias: int = 1) -> sp.Expr:
    """Return the NNGP kernel of one hidden layer with squares as activation, by Isserlis' theorem."""
    a, b, c = _first_kernel(x, x), _first_kernel(y, y), _first_kernel(x, y)
    return a * b + 2 * c**2 + bias * sp.Rational(1, 4)


def _blocks(entry: Callable[[sp.Expr, sp.Expr], sp.Expr]) -> sp.Matrix:
    return sp.Matrix(3, 3, lambda i, j: entry(_INPUTS[i], _INPUTS[j]))


def second_moments() -> tuple[Exhibit, ...]:
    """Return all blocks of the second moments of the outputs of one hidden layer of two units, exact at this width."""

    def output(x: sp.Expr) -> sp.Expr:
        units = sum((sp.Symbol(f"v{j}") * _unit(x, j) for j in range(_HIDDEN)), sp.S.Zero)
        return units / sp.sqrt(_HIDDEN) + sp.Symbol("c") / 2

    def derivatives(x: sp.Expr, y: sp.Expr) -> sp.Expr:
        """Return the tangent kernel: that of the last layer and the part inherited from the first."""
        return _kernel_of_squares(x, y) + 4 * _first_kernel(x, y) ** 2

    return (
        Exhibit(
            setting="one hidden layer of 2 units, the activation z², σ_b = 1/2: second moments of the outputs at a "
            "test input 1 and training inputs -2 and 1/2",
            left=_blocks(lambda x, y: _normal_mean(sp.expand(output(x) * output(y)))),
            right=_blocks(_kernel_of_squares),
            wrong={
                "Θ stands for K": lambda: _blocks(derivatives),
                "the outputs are not centred: 1 is added to their mean": lambda: (
                    _blocks(_kernel_of_squares) + sp.ones(3, 3)
                ),
                "the bias is missing": lambda: _blocks(lambda x, y: _kernel_of_squares(x, y, bias=0)),
            },
        ),
    )


def shrinking_variance() -> tuple[Exhibit, ...]:
    """Return the variance of the empirical kernel of one hidden layer of 1, 2 and 3 units."""
    x, y = _INPUTS[:2]
    a, b, c = _first_kernel(x, x), _first_kernel(y, y), _first_kernel(x, y)
    of_one = 9 * a**2 * b**2 + 72 * a * b * c**2 + 24 * c**4 - (a * b + 2 * c**2) ** 2
    widths = (1, 2, 3)

    def variance(width: int) -> sp.Expr:
        kernel = sum((_unit(x, j) * _unit(y, j) for j in range(width)), sp.S.Zero) / width
        return _normal_mean(sp.expand(kernel**2)) - _normal_mean(sp.expand(kernel)) ** 2

    return (
        Exhibit(
            setting="one hidden layer, the activation z²: variance of the empirical NNGP kernel for 1, 2 and 3 units",
            left=sp.Matrix([[variance(width) for width in widths]]),
            right=sp.Matrix([[of_one / width for width in widths]]),
            wrong={
                "it does not shrink with the width": lambda: sp.Matrix([[of_one for _ in widths]]),
                "it shrinks like 1/N²": lambda: sp.Matrix([[of_one / width**2 for width in widths]]),
                "products of features are summed, not averaged, as in standard parameterization": lambda: sp.Matrix(
                    [[of_one * width for width in widths]]
                ),
            },
        ),
    )


def last_layer() -> tuple[Exhibit, ...]:
    """Return a network of two units in which only the last layer has moved, and a network in which both have."""

    def output(x: sp.Expr, first: sp.Matrix, last: sp.Matrix) -> sp.Expr:
        units = [(first[j] * x + first[2 + j] / 2) ** 2 for j in range(2)]
        return sum((last[j] * units[j] for j in range(2)), sp.S.Zero) / sp.sqrt(2) + last[2] / 2

    first, moved_first = sp.Matrix([1, -2, 3, 1]), sp.Matrix([2, -1, 3, 0])
    start, moved = sp.Matrix([1, 2, -1]), sp.Matrix([-1, 3, sp.Rational(1, 2)])

    def features(x: sp.Expr, scale: sp.Expr) -> list[sp.Expr]:
        return [*((scale * (first[j] * x + first[2 + j] / 2) ** 2) for j in range(2)), sp.Rational(1, 2)]

    def rows(scale: sp.Expr) -> sp.Matrix:
        return sp.Matrix([features(x, scale) for x in TEST_INPUTS])

    before = sp.Matrix([output(x, first, start) for x in TEST_INPUTS])
    return (
        Exhibit(
            setting="two hidden units, the activation z², σ_b = 1/2, 2 inputs: outputs when the last layer has moved",
            left=sp.Matrix([output(x, first, moved) for x in TEST_INPUTS]),
            right=before + rows(1 / sp.sqrt(2)) * (moved - start),
            wrong={
                "the features are not divided by √N": lambda: before + rows(sp.S.One) * (moved - start),
                "all layers have moved": lambda: sp.Matrix([output(x, moved_first, moved) for x in TEST_INPUTS]),
            },
        ),
    )


def _conditioned(joint: sp.Matrix, tests: int) -> tuple[sp.Matrix, sp.Matrix]:
    """Return weights of the data and covariance of the first entries given the others, from the joint precision."""
    precision = joint.inv()
    covariance = precision[:tests, :tests].inv()
    return -covariance * precision[:tests, tests:], covariance


def mean_given_targets() -> tuple[Exhibit, ...]:
    """Return the mean given the targets, and what training makes of them in other ways."""
    tests = TEST_INPUTS[:1]
    everywhere = (*tests, *TRAINING_INPUTS)
    prior = tangent(everywhere, everywhere, OTHER_START)
    cross, kernel = prior[:1, 1:], prior[1:, 1:]
    other, inner = (tangent(inputs, TRAINING_INPUTS, START) for inputs in (tests, TRAINING_INPUTS))
    return (
        Exhibit(
            setting=f"3 training inputs, a test input (η t = {RATE * TIME} where it is finite): mean given the targets",
            left=_conditioned(prior, 1)[0] * TARGETS,
            right=cross * kernel.inv() * TARGETS,
            wrong={
                "training ends at a finite time": lambda: cross * slope(kernel) * TARGETS,
                "all layers are trained: another kernel as Θ": lambda: other * inner.inv() * TARGETS,
                "the prior is another kernel": lambda: other * kernel.inv() * TARGETS,
            },
            digits=DIGITS,
        ),
    )


def covariance_given_targets() -> tuple[Exhibit, ...]:
    """Return the covariance at two test inputs given the value at a third, for the squared-exponential kernel."""

    def kernel(rows: tuple[int, ...], columns: tuple[int, ...]) -> sp.Matrix:
        values = [sp.exp(-sp.Rational((x - y) ** 2, 2)) for x, y in product(rows, columns)]
        return sp.Matrix(len(rows), len(columns), values)

    tests, data = (-1, 1), (0,)
    cross = kernel(tests, data)
    right = kernel(tests, tests) - cross * cross.T
    return (
        Exhibit(
            setting="k(x,x') = exp(-(x-x')²/2), 𝒳 = {0}: covariance of the values at -1 and 1 given that at 0",
            left=_conditioned(kernel((*tests, *data), (*tests, *data)), 2)[1],
            right=right,
            wrong={
                "one argument, as printed: the variance for every pair": lambda: right[0, 0] * sp.ones(2, 2),
                "one argument, as printed: the values are independent": lambda: right[0, 0] * sp.eye(2),
                "the correction is added": lambda: kernel(tests, tests) + cross * cross.T,
            },
        ),
    )
