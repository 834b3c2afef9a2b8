"""Section 4.5 in concrete numbers: gradients and tangent kernel of the first layer."""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture import three_layers as net
from derive.lecture.tangent_exhibits import NETWORK
from derive.lecture.three_layers import SIGMA_B, SIGMA_W, SIZES, X, Y

_D, _UNITS = SIZES[0], SIZES[1]
_INPUT = sp.Matrix([1, 2, 3])


def stacked() -> tuple[Exhibit, ...]:
    """Return the sums of the first layer, row by row."""
    w = sp.Matrix([[1, 1, 1], [1, -1, 0], [2, 0, 1]])
    sums = sp.Matrix([sum(w[k, j] * _INPUT[j] for j in range(3)) for k in range(3)])
    return (
        Exhibit(
            setting="W = [[1, 1, 1], [1, -1, 0], [2, 0, 1]], x = (1, 2, 3): the sums before scale and bias",
            left=w * _INPUT,
            right=sums,
            wrong={"the weights are transposed": lambda: w.T * _INPUT},
            printed=lambda: sp.Matrix([sum(w[k, :]) * _INPUT[k] for k in range(3)]),
        ),
        Exhibit(
            setting=f"the units of layer 1, {NETWORK}",
            left=net.units(1, X),
            right=SIGMA_W / 2 * net.weights(1) * sp.Matrix(X) + SIGMA_B * net.biases(1),
            wrong={
                "the scale is 1/d": lambda: SIGMA_W / 4 * net.weights(1) * sp.Matrix(X) + SIGMA_B * net.biases(1),
                "the input is activated": lambda: (
                    SIGMA_W / 2 * net.weights(1) * sp.Matrix([x + sp.Rational(x**2, 2) for x in X])
                    + SIGMA_B * net.biases(1)
                ),
            },
        ),
    )


def _by_weights(unit: int) -> sp.Matrix:
    """Return the derivatives of a unit by the weights, as a matrix like theirs."""
    return net.jacobian(1, X, (1,))[unit, : _UNITS * _D].reshape(_UNITS, _D)


def _row(unit: int, row: sp.Matrix) -> sp.Matrix:
    found = sp.zeros(_UNITS, _D)
    found[unit, :] = row
    return found


def gradient() -> tuple[Exhibit, ...]:
    """Return the derivatives of a unit by all weights of the first layer."""
    x = sp.Matrix([X])
    return (
        Exhibit(
            setting=f"derivatives of the third unit of layer 1 by the weights, {NETWORK}",
            left=_by_weights(2),
            right=_row(2, SIGMA_W / 2 * x),
            wrong={
                "the scale is dropped": lambda: _row(2, SIGMA_W * x),
                "the scale is 1/d": lambda: _row(2, SIGMA_W / _D * x),
                "the input component is that of the row": lambda: _row(2, SIGMA_W / 2 * sp.ones(1, _D) * X[2]),
            },
        ),
    )


def only_own_row() -> tuple[Exhibit, ...]:
    """Return which derivatives vanish."""
    nonzero = _by_weights(2).applyfunc(lambda e: sp.Integer(int(e != 0)))
    row = sp.Matrix(_UNITS, _D, lambda i, j: int(i == 2))
    return (
        Exhibit(
            setting=f"where derivatives of the third unit by the weights are not zero, {NETWORK}",
            left=nonzero,
            right=row,
            wrong={
                "column 3 instead of row 3": lambda: sp.Matrix(_UNITS, _D, lambda i, j: int(j == 2)),
                "all rows": lambda: sp.ones(_UNITS, _D),
                "row 4": lambda: sp.Matrix(_UNITS, _D, lambda i, j: int(i == 3)),
            },
        ),
    )


def weight_part() -> tuple[Exhibit, ...]:
    """Return the part of the weights in the kernel of one input of three components."""
    scaled = _INPUT / sp.sqrt(3)
    return (
        Exhibit(
            setting="x = (1, 2, 3), σ_w = 1, no bias: the tangent kernel of the first layer",
            left=scaled.dot(scaled),
            right=sp.Rational(14, 3),
            wrong={"the scale is 1/d": lambda: sp.Rational(14, 9)},
            printed=lambda: _INPUT.dot(_INPUT),
        ),
    )


def outer_products() -> tuple[Exhibit, ...]:
    """Return the matrix of the tangent kernel as a sum of outer products of vectors."""
    first, second = net.jacobian(1, X, (1,)), net.jacobian(1, Y, (1,))
    terms = [first[:, d] * second[:, d].T for d in range(first.cols)]
    return (
        Exhibit(
            setting=f"the tangent kernel of layer 1, {NETWORK}",
            left=net.tangent(1),
            right=sum(terms, sp.zeros(_UNITS, _UNITS)),
            wrong={
                "entries are multiplied one by one": lambda: sum(
                    (first[:, d].multiply_elementwise(second[:, d]) for d in range(first.cols)), sp.zeros(_UNITS, 1)
                ),
                "inner products of the vectors": lambda: first[:, 0].T * second[:, 0],
                "biases are left out": lambda: sum(terms[: _UNITS * _D], sp.zeros(_UNITS, _UNITS)),
            },
            printed=lambda: sum((first[0, d] * second[1, d] for d in range(first.cols)), sp.S.Zero),
        ),
    )


def deltas() -> tuple[Exhibit, ...]:
    """Return the contraction of two deltas over the units."""
    units = 3
    pairs = [(k, m) for k in range(units) for m in range(units)]
    left = sp.Matrix([[sum(int(i == k) * int(i == m) for i in range(units)) for k, m in pairs]])
    return (
        Exhibit(
            setting="3 units, all pairs k, k': the sum over i of both deltas",
            left=left,
            right=sp.Matrix([[sp.KroneckerDelta(k, m) for k, m in pairs]]),
            wrong={
                "a squared delta counts twice": lambda: sp.Matrix([[2 * sp.KroneckerDelta(k, m) for k, m in pairs]]),
                "the sum counts the units": lambda: units * sp.ones(1, units**2),
            },
            printed=lambda: sp.Matrix([[int(k == 0) * int(m == 0) for k, m in pairs]]),  # i = 1, without the sum
        ),
    )


def matrix() -> tuple[Exhibit, ...]:
    """Return the size of the identity in the tangent kernel of the first layer."""
    kernel = net.first_kernel()
    return (
        Exhibit(
            setting=f"the tangent kernel of layer 1 as a matrix, {NETWORK}",
            left=net.tangent(1),
            right=sp.Matrix(sp.kronecker_product(sp.Matrix([[kernel]]), sp.eye(_UNITS))),
            wrong={
                "the identity has the size of the input": lambda: kernel * sp.eye(_D),
                "all ones for the identity": lambda: kernel * sp.ones(_UNITS, _UNITS),
                "σ_b stands for σ_b²": lambda: (kernel - SIGMA_B**2 + SIGMA_B) * sp.eye(_UNITS),
            },
            printed=lambda: kernel * sp.eye(_D, _UNITS),
        ),
    )
