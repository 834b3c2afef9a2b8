"""Activations in float64: all digits near z = 0, no overflow where the value has none."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from derive.activations import ACTIVATIONS
from derive.notation import z
from derive.pieces import pieces
from numeric.lower_functions import lowered_function, near_zero

LOSING = {
    "1 - cos(z)": 1 - sp.cos(z),
    "sin(z) - z": sp.sin(z) - z,
    "tanh(z) - z": sp.tanh(z) - z,
    "exp(z) - 1": sp.exp(z) - 1,
    "3 exp(2 z) - 3": 3 * sp.exp(2 * z) - 3,
    "two sinh": sp.sinh(z / 5) - 2 * sp.sinh(z / 10),
    "softplus less its value": sp.log(1 + sp.exp(z)) - sp.log(2),
    "erf less its slope": sp.erf(z) - 2 * z / sp.sqrt(sp.pi),
    "a cube": (1 + z) ** 3 - 1 - 3 * z,
    "a root": sp.sqrt(1 + z**2) - 1,
    "of order 6": sp.exp(z**2) - 1 - z**2 - z**4 / 2,
}
KINKED = {
    "one-sided": sp.Max(z, 0) * (1 - sp.exp(-(z**2))),
    "elu": sp.Piecewise((sp.exp(z) - 1, z < 0), (z, True)),
    "two sides": sp.Piecewise((1 - sp.cos(z), z < 0), (sp.sin(z) - z, True)),
}
PLACES = [10.0**-k for k in range(1, 13)] + [0.06, 0.2, 0.9, 1.1, 3.0]


def worst(function, expression, places):
    """Return the largest relative error at places of both signs, against 200 digits."""
    precise = sp.lambdify(z, expression, "mpmath")
    errors = []
    with mpmath.workdps(200):
        for x in [sign * x for x in places for sign in (1, -1)]:
            exact = precise(mpmath.mpf(x))
            found = float(function(np.array(x)))
            errors.append(abs(found - exact) / abs(exact) if exact else abs(found))
    return float(max(errors))


@pytest.mark.parametrize("name", [*LOSING, *KINKED])
def test_functions_have_their_digits_near_zero(name):
    expression = (LOSING | KINKED)[name]
    assert worst(lowered_function(expression), expression, PLACES) < 2e-13  # the most at the end of a polynomial
    assert worst(lowered_function(expression), expression, [x for x in PLACES if x < 0.05]) < 3e-15


@pytest.mark.parametrize("name", LOSING)
def test_the_same_expressions_as_they_are_lose_them(name):
    plain = sp.lambdify(z, LOSING[name], "scipy")
    assert worst(plain, LOSING[name], [1e-9, 1e-6, 1e-3]) > 1e-9


def test_expressions_that_keep_their_digits_stay_as_they_are():
    changed = {
        row.name
        for row in ACTIVATIONS
        for expression in (row.expression, row.derivative)
        for part in pieces(expression)
        if near_zero(part.expression) != part.expression
    }
    assert changed == {"elu", "selu"}


@pytest.mark.parametrize(
    "expression", [sp.log(z) - z, sp.sqrt(z) - sp.sin(z), 1 / z - 1, sp.S(0), 1 / (sp.exp(1 / z) - 1)]
)
def test_expressions_without_a_taylor_polynomial_stay_as_they_are(expression):
    assert near_zero(expression) == expression


def test_a_wrong_coefficient_is_seen():
    wrong = near_zero(LOSING["1 - cos(z)"]).replace(
        lambda e: e == sp.Float(0.5, 17), lambda e: e * (1 + sp.Float(1e-13))
    )
    assert wrong != near_zero(LOSING["1 - cos(z)"])
    assert worst(sp.lambdify(z, wrong, "numpy"), LOSING["1 - cos(z)"], [1e-3]) > 5e-14


def test_products_of_exponentials_are_one_exponential():
    function = lowered_function(sp.exp(z / 2) * sp.exp(-(z**2)) * z)
    np.testing.assert_allclose(function(np.array([-3e3, 1.0, 3e3])), [0.0, np.exp(-0.5), 0.0], rtol=1e-15)
    plain = sp.lambdify(z, sp.exp(z / 2) * sp.exp(-(z**2)) * z, "numpy")
    with np.errstate(all="ignore"):
        assert np.isnan(plain(np.array(3e3)))
