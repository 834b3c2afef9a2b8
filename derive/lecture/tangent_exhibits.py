"""Sections 4.6.1 and 4.6.2 in concrete numbers: the part of the tangent kernel that is inherited from below."""

from __future__ import annotations

from itertools import product

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture import three_layers as net
from derive.lecture.three_layers import SIGMA_B, SIGMA_W, SIZES, X, Y

NETWORK = "a network of widths 4, 9, 4, 2 in exact numbers"
_BELOW = (1, 2)


def _inherited(factor: sp.Rational, shared_unit: bool = False, swapped: bool = False) -> sp.Matrix:
    """Return the double sum over hidden units, term by term."""
    w, below = net.weights(3), net.tangent(2)
    first, second = (net.slopes(2, x) for x in ((Y, X) if swapped else (X, Y)))
    pairs = [(j, m) for j, m in product(range(SIZES[2]), repeat=2) if j == m or not shared_unit]

    def entry(k: int, m: int) -> sp.Expr:
        return factor * sum(w[k, j] * w[m, n] * first[j] * second[n] * below[j, n] for j, n in pairs)

    return sp.Matrix(SIZES[3], SIZES[3], entry)


def split() -> tuple[Exhibit, ...]:
    """Return the tangent kernel of the third layer, split into own and inherited part."""
    own, inherited = net.tangent(3, (3,)), net.tangent(3, _BELOW)
    return (
        Exhibit(
            setting=f"the tangent kernel of the third layer, {NETWORK}",
            left=net.tangent(3),
            right=own + inherited,
            wrong={
                "the biases of the layer are left out": lambda: own + inherited - SIGMA_B**2 * sp.eye(SIZES[3]),
                "the first layer is left out": lambda: own + net.tangent(3, (2,)),
            },
            printed=lambda: inherited,
        ),
    )


def two_layers() -> tuple[Exhibit, ...]:
    """Return a unit of the third layer through two layers."""
    w, v = net.weights(3), net.weights(2)
    incoming = net.activations(1, X)

    def unit(matrix: sp.Matrix, bias: sp.Rational, scale: sp.Rational = SIGMA_W / 3) -> sp.Matrix:
        inner = scale * matrix * incoming + bias * net.biases(2)
        return SIGMA_W / 2 * w * inner.applyfunc(lambda u: u + u**2 / 2) + SIGMA_B * net.biases(3)

    return (
        Exhibit(
            setting=f"the units of the third layer, {NETWORK}",
            left=net.units(3, X),
            right=unit(v, SIGMA_B),
            wrong={
                "the inner weights are transposed": lambda: unit(v.T, SIGMA_B),
                "the inner bias is missing": lambda: unit(v, sp.S.Zero),
                "the inner scale is 1/N": lambda: unit(v, SIGMA_B, SIGMA_W / 9),
            },
        ),
    )


def chain_rule() -> tuple[Exhibit, ...]:
    """Return the derivatives of the third layer by the parameters below."""
    w, below = net.weights(3), net.jacobian(2, X, _BELOW)

    def through(slope: sp.Matrix, matrix: sp.Matrix = w, scale: sp.Rational = SIGMA_W / 2) -> sp.Matrix:
        return scale * matrix * sp.diag(*slope) * below

    return (
        Exhibit(
            setting=f"derivatives of the third layer by the parameters below, {NETWORK}",
            left=net.jacobian(3, X, _BELOW),
            right=through(net.slopes(2, X)),
            wrong={
                "φ stands for its derivative": lambda: through(net.activations(2, X)),
                "the scale is 1/N": lambda: through(net.slopes(2, X), scale=SIGMA_W / 4),
                "the weights are transposed": lambda: through(net.slopes(2, X), w.T),
                "the derivative is taken at the layer below": lambda: through(net.slopes(1, X)[:4, :]),
            },
        ),
    )


def inherited() -> tuple[Exhibit, ...]:
    """Return the double sum over hidden units."""
    scale = SIGMA_W**2 / SIZES[2]
    return (
        Exhibit(
            setting=f"the inherited part of the third layer, {NETWORK}",
            left=net.tangent(3, _BELOW),
            right=_inherited(scale),
            wrong={
                "only equal units: j = j' before any limit": lambda: _inherited(scale, shared_unit=True),
                "the derivatives are those at the other input": lambda: _inherited(scale, swapped=True),
                "the scale is 1/N²": lambda: _inherited(scale / SIZES[2]),
            },
        ),
    )


def below_is_diagonal() -> tuple[Exhibit, ...]:
    """Return the inherited part of the second layer, on a first layer whose tangent kernel is diagonal exactly."""
    w = net.weights(2)
    terms = sp.diag(*(a * b for a, b in zip(net.slopes(1, X), net.slopes(1, Y), strict=True)))
    average = SIGMA_W**2 / SIZES[1] * w * terms * w.T
    full = SIGMA_W**2 / SIZES[1] * (w * net.slopes(1, X)) * (w * net.slopes(1, Y)).T
    return (
        Exhibit(
            setting=f"the inherited part of the second layer, where Θ¹ is diagonal at every width, {NETWORK}",
            left=net.tangent(2, (1,)),
            right=net.first_kernel() * average,
            wrong={
                "the delta is dropped: all pairs of units": lambda: net.first_kernel() * full,
                "the kernel below is missing": lambda: average,
            },
        ),
    )


def dependence() -> tuple[Exhibit, ...]:
    """Return how the summands of different hidden units depend on each other, at two layers and at three."""
    w, rows = net.weights(2), net.jacobian(1, X, (1,))
    of_unit = [w[0, j] * net.slopes(1, X)[j] * rows[j, :] for j in range(SIZES[1])]
    both = sum(int(all(of_unit[j][d] != 0 for j in (0, 1))) for d in range(rows.cols))
    signs = list(product((-1, 1), repeat=3))
    alive = [(first > 0 and one > 0, first > 0 and two > 0) for first, one, two in signs]
    deeper = net.jacobian(2, X, (1,))
    return (
        Exhibit(
            setting=f"parameters of the first layer that two hidden units of two layers share, {NETWORK}",
            left=sp.Integer(both),
            right=sp.S.Zero,
            wrong={"every parameter is shared": lambda: sp.Integer(rows.cols)},
        ),
        Exhibit(
            setting="three layers, relu, one unit in the first, no biases: chance that two summands are not zero",
            left=sp.Rational(sum(a and b for a, b in alive), len(signs)),
            right=sp.Rational(1, 2) * sp.Rational(1, 2) ** 2,
            wrong={"they are independent at every depth": lambda: (sp.Rational(1, 2) * sp.Rational(1, 2)) ** 2},
        ),
        Exhibit(
            setting=f"mean over the signs of the outer weights of a product of two summands, {NETWORK}",
            left=sum((s * t * deeper[0, 0] * deeper[1, 0] for s, t in product((-1, 1), repeat=2)), sp.S.Zero) / 4,
            right=sp.S.Zero,
            wrong={"dependent summands are correlated": lambda: deeper[0, 0] * deeper[1, 0]},
        ),
    )


def relu_average(width: int) -> tuple[sp.Rational, sp.Rational]:
    """Return mean and variance of the average of ``W² φ'²`` over hidden units, for relu and one output twice."""
    alive, fourth = sp.Rational(1, 2), 3
    return alive, (fourth * alive - alive**2) / width


def average_is_random() -> tuple[Exhibit, ...]:
    """Return that the averaged product of weights and derivatives is random at finite width."""
    units = 4
    mean, variance = relu_average(units)
    signs = list(product((0, 1), repeat=units))
    counts = [sp.Integer(sum(on)) for on in signs]
    # given the units that are on, the sum of their squared weights is chi-squared: mean m, variance 2 m
    square = sum((m**2 + 2 * m for m in counts), sp.S.Zero) / len(signs) / units**2
    return (
        Exhibit(
            setting="variance of the average over four hidden units, relu, one output twice, one input twice",
            left=square - mean**2,
            right=variance,
            wrong={
                "the squared weights do not spread": lambda: relu_average(units)[0] * sp.Rational(1, 2) / units,
                "the average is not divided by the width": lambda: variance * units,
            },
            printed=lambda: sp.S.Zero,
        ),
    )


def averaged_over_weights() -> tuple[Exhibit, ...]:
    """Return the average of products over hidden units as a matrix, and term by term."""
    w, scale = net.weights(3), SIGMA_W**2 / SIZES[2]
    first, second = net.slopes(2, X), net.slopes(2, Y)

    def entry(k: int, m: int) -> sp.Expr:
        return scale * sum(w[k, j] * w[m, j] * first[j] * second[j] for j in range(SIZES[2]))

    return (
        Exhibit(
            setting=f"the average over hidden units in the third layer, {NETWORK}",
            left=(SIGMA_W / 2 * w * sp.diag(*first)) * (SIGMA_W / 2 * w * sp.diag(*second)).T,
            right=sp.Matrix(SIZES[3], SIZES[3], entry),
            wrong={
                "the scale is 1/√N": lambda: 2 * sp.Matrix(SIZES[3], SIZES[3], entry),
                "a bias is added": lambda: sp.Matrix(SIZES[3], SIZES[3], entry) + SIGMA_B**2 * sp.eye(SIZES[3]),
                "different units are multiplied too": lambda: scale * (w * first) * (w * second).T,
            },
        ),
    )
