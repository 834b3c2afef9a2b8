"""Wide layers in exact numbers: a first layer written out in its weights, and moments of rectified normal units.

What statements of section 3 are held against. Nothing here uses a kernel, a covariance matrix or a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

import sympy as sp

from derive.instances import normal_moment

BIAS = sp.Rational(1, 2)
"""Standard deviation of the biases; that of the weights is 1 before they are scaled."""

INPUTS = (sp.Matrix([1, 2]), sp.Matrix([3, -1]), sp.Matrix([-2, 1]))
"""Inputs of unequal norms, N_1 = 2."""

ROWS = sp.Matrix([[1, -2], [3, 1], [2, 5]])
SHIFTS = sp.Matrix([1, -1, 4])
OTHER_ROWS = sp.Matrix([[2, 1], [-1, 4], [1, 3]])
"""Weights and biases of one network, and other weights: 3 units on 2 inputs."""

DEEP_ROWS = sp.Matrix([[1, -2, 3], [2, 1, -1]])
DEEP_SHIFTS = sp.Matrix([5, -3])
"""Weights and biases of a layer of 2 units on 3."""


def activation(values: sp.Matrix) -> sp.Matrix:
    """Return an activation of every component: u + u^2, neither odd nor even."""
    return values.applyfunc(lambda u: u + u**2)


@cache
def normals(unit: int) -> tuple[sp.Symbol, ...]:
    """Return the weights and the bias of a unit of the first layer as standard normals."""
    return tuple(sp.symbols(f"w{unit}_1 w{unit}_2 b{unit}", real=True))


def first_unit(unit: int, x: sp.Matrix) -> sp.Expr:
    """Return a unit of the first layer at an input, in its weights and bias."""
    *weights, bias = normals(unit)
    return sum(w * c for w, c in zip(weights, x, strict=True)) / sp.sqrt(len(x)) + BIAS * bias


def averaged(value: sp.Expr, over: Sequence[sp.Symbol]) -> sp.Expr:
    """Return the mean of a polynomial over independent standard normals, monomial by monomial."""
    polynomial = sp.Poly(sp.expand(value), *over)
    return sp.expand(sum(c * sp.prod([normal_moment(power) for power in powers]) for powers, c in polynomial.terms()))


@cache
def rectified_moment(power: int) -> sp.Expr:
    """Return the mean of a power of a rectified standard normal, as an integral over the half-line."""
    u = sp.Symbol("u", positive=True)
    return sp.integrate(u**power * sp.exp(-(u**2) / 2), (u, 0, sp.oo)) / sp.sqrt(2 * sp.pi)


def rectified_variance() -> sp.Expr:
    """Return the variance of a rectified standard normal."""
    return rectified_moment(2) - rectified_moment(1) ** 2


def mean_square_of_average(units: int) -> sp.Expr:
    """Return E[q^2] for the average q of the squares of iid rectified normal units, pair of units by pair of units."""
    fourth, second = rectified_moment(4), rectified_moment(2)
    pairs = (fourth if i == j else second**2 for i, j in product(range(units), repeat=2))
    return sum(pairs) / units**2
