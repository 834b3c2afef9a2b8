"""A network of three layers in exact numbers: what statements on the tangent kernel are held against.

Widths are ``d = 4, N_2 = 9, N_3 = 4, N_4 = 2``, squares below, so that nothing is irrational. Its activation is a
polynomial of degree 2; outputs are of degree 4 in any one parameter at most, where five points give the derivative
exactly. No derivative here goes by the chain rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import isqrt

import sympy as sp

SIZES = (4, 9, 4, 2)
"""Numbers of inputs, of units of both hidden layers, and of outputs."""

SIGMA_W, SIGMA_B = sp.Rational(3, 2), sp.Rational(1, 2)
X, Y = (1, -2, 3, 1), (2, 1, 0, -3)
"""Two inputs of unequal norms."""

Vector = tuple[Fraction, ...]
Parameter = tuple[str, int, int, int]
"""A family, W or b, a layer, a row, and a column (0 for a bias)."""


def _fraction(number: sp.Rational) -> Fraction:
    return Fraction(int(number.p), int(number.q))


def _drawn(parameter: Parameter, seed: int) -> Fraction:
    """Return a number for a parameter: small, of either sign, and different from its neighbours'."""
    family, layer, row, column = parameter
    mixed = (7 * layer + 5 * row + 3 * column + 11 * seed + 2 * (family == "b")) ** 2 % 17
    return Fraction(mixed - 8, 4)


def parameters(of_layer: int) -> Iterator[Parameter]:
    """Yield the parameters of one layer: its weights row by row, then its biases."""
    rows, columns = SIZES[of_layer], SIZES[of_layer - 1]
    yield from (("W", of_layer, k, j) for k in range(rows) for j in range(columns))
    yield from (("b", of_layer, k, 0) for k in range(rows))


def _phi(u: Fraction) -> Fraction:
    return u + u * u / 2


def _forward(x: tuple[int, ...], seed: int, moved: Parameter | None = None, by: int = 0) -> tuple[Vector, ...]:
    """Return the pre-activations of all layers, with one parameter moved."""

    def value(*parameter: object) -> Fraction:
        return _drawn(parameter, seed) + (by if parameter == moved else 0)  # type: ignore[arg-type]

    found: list[Vector] = []
    incoming: Vector = tuple(map(Fraction, x))
    for of_layer in range(1, len(SIZES)):
        scale = _fraction(SIGMA_W) / isqrt(SIZES[of_layer - 1])
        units = tuple(
            scale * sum((value("W", of_layer, k, j) * a for j, a in enumerate(incoming)), Fraction(0))
            + _fraction(SIGMA_B) * value("b", of_layer, k, 0)
            for k in range(SIZES[of_layer])
        )
        found.append(units)
        incoming = tuple(map(_phi, units))
    return tuple(found)


@cache
def _values(x: tuple[int, ...], seed: int) -> tuple[Vector, ...]:
    return _forward(x, seed)


@cache
def _derivatives(x: tuple[int, ...], parameter: Parameter, seed: int) -> tuple[Vector, ...]:
    """Return the derivatives of all pre-activations by one parameter, from five points."""
    farther, near, nearer, far = (_forward(x, seed, parameter, by) for by in (-2, -1, 1, 2))
    return tuple(
        tuple((a - 8 * b + 8 * c - d) / 12 for a, b, c, d in zip(*layer, strict=True))
        for layer in zip(farther, near, nearer, far, strict=True)
    )


def _matrix(rows: object) -> sp.Matrix:
    return sp.Matrix([[sp.Rational(e.numerator, e.denominator) for e in row] for row in rows])  # type: ignore[attr-defined]


def jacobian(of_layer: int, x: tuple[int, ...], by: tuple[int, ...], seed: int = 0) -> sp.Matrix:
    """Return the derivatives of the units of a layer by the parameters of some: a column for each parameter."""
    chosen = [parameter for layer in by for parameter in parameters(layer)]
    return _matrix([_derivatives(x, parameter, seed)[of_layer - 1] for parameter in chosen]).T


def tangent(of_layer: int, by: tuple[int, ...] | None = None, seed: int = 0) -> sp.Matrix:
    """Return the empirical tangent kernel of a layer between both inputs, from all or some layers' parameters."""
    by = tuple(range(1, of_layer + 1)) if by is None else by
    return jacobian(of_layer, X, by, seed) * jacobian(of_layer, Y, by, seed).T


def units(of_layer: int, x: tuple[int, ...], seed: int = 0) -> sp.Matrix:
    """Return the pre-activations of a layer as a column."""
    return _matrix([[u] for u in _values(x, seed)[of_layer - 1]])


def activations(of_layer: int, x: tuple[int, ...], seed: int = 0) -> sp.Matrix:
    """Return what enters a layer above as a column; at layer 0, the input."""
    if of_layer == 0:
        return sp.Matrix(x)
    return units(of_layer, x, seed).applyfunc(lambda u: u + u**2 / 2)


def slopes(of_layer: int, x: tuple[int, ...], seed: int = 0) -> sp.Matrix:
    """Return the derivatives of the activation at the units of a layer as a column."""
    return units(of_layer, x, seed).applyfunc(lambda u: 1 + u)


def weights(of_layer: int, seed: int = 0) -> sp.Matrix:
    """Return the weights of a layer."""
    rows, columns = SIZES[of_layer], SIZES[of_layer - 1]
    return _matrix([[_drawn(("W", of_layer, k, j), seed) for j in range(columns)] for k in range(rows)])


def biases(of_layer: int, seed: int = 0) -> sp.Matrix:
    """Return the biases of a layer as a column."""
    return _matrix([[_drawn(("b", of_layer, k, 0), seed)] for k in range(SIZES[of_layer])])


def first_kernel() -> sp.Rational:
    """Return the kernel of the first layer between both inputs."""
    return SIGMA_B**2 + SIGMA_W**2 / SIZES[0] * sum(p * q for p, q in zip(X, Y, strict=True))


def empirical_kernel(of_layer: int, seed: int = 0) -> sp.Rational:
    """Return the mean product of what enters a layer, with the biases: the empirical NNGP kernel."""
    product = activations(of_layer - 1, X, seed).dot(activations(of_layer - 1, Y, seed))
    return SIGMA_B**2 + SIGMA_W**2 / SIZES[of_layer - 1] * product
