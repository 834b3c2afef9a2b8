"""Lowering of activations and duals: digits at the edges of their domain, routes, conditions, no overflow."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from derive.activations import ACTIVATIONS, Activation, activation
from derive.duals import ClosedForm, dual
from derive.duals.kernel_side import kernel_dual
from derive.duals.theorems import mean_theorem
from derive.notation import D, a, b, c, z
from derive.pieces import value_at
from numeric import lower_duals, special
from numeric.accuracy import measured, wide_pairs
from numeric.certified import certified_closed_form, certified_dual, precise_closed_form
from numeric.lower_duals import (
    BOTH,
    CLOSED_FORM,
    NOT_OPPOSITE,
    SERIES,
    closed_forms_for_floats,
    lowered_dual,
    mean_of_modulus,
)
from numeric.lower_functions import Expit, Softplus, lowered_activation, without_overflow

GROWING = {"exp", "cosh"}
"""Second moments of these overflow float64 for large variances, as they must."""


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_duals_are_finite_where_the_pair_degenerates(row, sign):
    means = lowered_dual(row)
    variances = np.array([1e-12, 0.5, 1.0, 3e6, 1e12])
    if row.name in GROWING:
        variances = np.minimum(variances, 300.0)
    for function in (means.value, means.derivative):
        found = function(variances, variances, sign * variances, np.zeros(5))
        assert found.shape == (5,)
        assert np.isfinite(found).all()
        zero = function(np.zeros(2), np.array([0.0, 2.0]), np.zeros(2), np.zeros(2))
        assert np.isfinite(zero).all()


JUMPING = [
    *("where(z < 0, 1, 3)", "where(z <= 0, cos(z), tanh(z))", "step(z)*(1 + z**2)", "step(z)*exp(z)", "sign(z) + z"),
    *("max(z, 0) + max(-z, 0)/5", "step(z - 1)"),
]
ZERO = [(0.0, 0.75, 0.0), (0.75, 0.0, 0.0), (0.0, 1e-300, 0.0), (0.0, 0.0, 0.0)]


@pytest.mark.parametrize("name", [*(row.name for row in ACTIVATIONS), *JUMPING])
def test_inputs_that_are_zero_count_half_a_jump_in_floats_balls_and_networks(name):
    row = activation(name)
    means, networks = lowered_dual(row), lowered_activation(row)
    for order, (mean, phi) in enumerate(zip((means.value, means.derivative), networks, strict=True)):
        certified = certified_dual(row, order)
        for pair in ZERO:
            expected = float(certified(*pair, digits=18))
            assert float(mean(*pair, 0.0)) == pytest.approx(expected, rel=1e-14, abs=1e-30)
        assert float(phi(np.zeros(()))) ** 2 == pytest.approx(expected, rel=1e-15)


def test_a_step_that_is_one_at_zero_would_be_seen():
    assert float(certified_dual(activation("step"))(0, 1, 0, digits=18)) == 0.25
    value = dual("step").value
    assert sp.lambdify((a, b, c, D), value, lower_duals.NUMPY)(0.0, 1.0, 0.0, 0.0) == 0.5  # the closed form as it is


@pytest.mark.parametrize(
    ("name", "same", "opposite"),
    [
        ("identity", (0.7, 1.0), (-0.7, 1.0)),
        ("relu", (0.35, 0.5), (0.0, 0.0)),
        ("erf", (2 / np.pi * np.arcsin(1.4 / 2.4), 4 / np.pi / np.sqrt(1 + 4 * 0.7)), (-1.0, 1.0)),
    ],
)
def test_duals_at_determinant_zero_are_second_moments(name, same, opposite):
    means = lowered_dual(activation(name))
    v = np.array([0.7])
    for sign, expected in ((1.0, same), (-1.0, opposite)):
        found = [f(v, v, sign * v, 0 * v)[0] for f in (means.value, means.derivative)]
        if name == "erf" and sign < 0:  # odd, with an even derivative
            expected = (-same[0], same[1])
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-16)


def test_duals_broadcast_and_constants_take_the_shape_of_their_arguments():
    slope = lowered_dual(activation("identity")).derivative
    found = slope(np.ones((3, 1)), np.ones((1, 2)), np.zeros((3, 2)), np.ones((3, 2)))
    np.testing.assert_array_equal(found, np.ones((3, 2)))
    found[0, 0] = 5  # a copy that nobody else sees
    assert slope(np.ones((3, 1)), np.ones((1, 2)), np.zeros((3, 2)), np.ones((3, 2)))[0, 0] == 1


PAIRS = [
    (variance * ratio, variance, sign * math.sqrt(ratio) * variance * (1 - complement))
    for variance in (1e-3, 0.8, 1e3)
    for ratio in (1.0, 1.75)
    for sign in (1, -1)
    for complement in (0.4, 1e-9)
]


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
@pytest.mark.parametrize("order", [0, 1])
def test_duals_keep_their_digits_against_balls(row, order):
    """Absolute errors are relative to sqrt(k(a, a) k(b, b)); the benchmark has the table over many more pairs."""
    theorem, means = mean_theorem(row, order), lowered_dual(row)
    if not isinstance(theorem.rhs, ClosedForm):
        pytest.skip("no closed form: tests/test_numeric_series.py")
    lowered = means.derivative if order else means.value
    for first, second, covariance in PAIRS[:: 1 if lowered.route == CLOSED_FORM else 5]:
        exact = Fraction(first) * Fraction(second) - Fraction(covariance) ** 2
        found = float(lowered(first, second, covariance, float(exact)))
        if not math.isfinite(found):
            assert row.name in GROWING
            continue
        certified = certified_closed_form(theorem.rhs)
        value, *own = (
            float(certified(*pair, digits=25).mid())
            for pair in ((first, second, covariance), (first,) * 3, (second,) * 3)
        )
        if math.isinf(own[0] * own[1]):
            continue
        assert abs(found - value) <= 1e-14 * math.sqrt(own[0] * own[1])


def test_the_values_of_relu_powers_keep_all_digits_near_antiparallel_inputs():
    """The mean falls off as the (2p + 1)st power of the angle: nothing of it would be left of a difference."""
    for name in ("relu", "relu2", "relu3"):
        closed = certified_closed_form(dual(name).closed_forms[0])
        for complement in (1e-4, 1e-8, 1e-12):
            first, second = 0.7, 1.9
            covariance = -math.sqrt(first * second) * (1 - complement)
            determinant = float(Fraction(first) * Fraction(second) - Fraction(covariance) ** 2)
            found = float(lowered_dual(activation(name)).value(first, second, covariance, determinant))
            value = float(closed(first, second, covariance, digits=25).mid())
            assert found == pytest.approx(value, rel=100 * np.finfo(float).eps, abs=0)


@pytest.mark.parametrize(
    "expression", ["z*(1+erf(z/sqrt(2)))/2", "max(z,0)*exp(-z**2)", "exp(z)*sin(z)", "z**2*Phi(z)"]
)
def test_a_dual_nobody_tabulated_is_lowered(expression):
    row = activation(expression)
    found = float(lowered_dual(row).value(0.75, 2.5, -0.5, 1.625))
    with mpmath.workdps(30):
        expected = precise_closed_form(dual(row).value)(*map(mpmath.mpf, ("0.75", "2.5", "-0.5", "1.625")))
    assert found == pytest.approx(float(expected), rel=1e-13)


def test_a_moment_that_does_not_exist_is_an_error_and_no_number():
    means = lowered_dual(activation("exp(z**2/4)"))
    assert np.isfinite(means.value(0.5, 0.5, 0.2, 0.21))
    with pytest.raises(ValueError, match=r"the mean does not exist at these variances: expected .* > 0; take smaller"):
        means.value(3.0, 0.5, 0.2, 1.46)


@pytest.mark.parametrize("name", ["tanh", "softplus", "elu", "gelu"])
def test_certified_balls_shrink_around_one_value(name):
    balls = [certified_dual(activation(name))(0.75, 2.5, -0.5, digits=digits) for digits in (15, 30, 50)]
    for wide, narrow, digits in zip(balls, balls[1:], (15, 30), strict=False):
        assert wide.overlaps(narrow)
        assert float(narrow.rad()) < 10.0**-digits
    found = float(lowered_dual(activation(name)).value(0.75, 2.5, -0.5, 1.625))
    assert found == pytest.approx(float(balls[-1].mid()), rel=1e-13)


def test_parameters_need_values():
    slope = sp.Symbol("alpha", positive=True)
    with pytest.raises(ValueError, match="has parameters: give alpha values"):
        lowered_dual(Activation("leaky", sp.Max(z, 0) + slope * sp.Min(z, 0)))


WAVES = ["z - sin(z)", "1 - cos(z)", "z*sin(z) - z**2"]
"""Closed forms that cancel at small variances, of waves that no series follows at large ones."""
FAR = [(100.0, 300.0, 0.5), (1e6, 1e6, 0.9), (1e12, 1e12, -0.3), (1e6, 1e10, 0.999999)]


@pytest.mark.parametrize("text", WAVES)
def test_waves_are_followed_at_small_and_large_variances(text):
    row = activation(text)
    mean, exact = lowered_dual(row).value, certified_dual(row)
    for a_, b_, rho in ((1e-6, 1e-6, 0.5), (1.0, 2.0, 0.6), (2.0, 1e3, 0.5), *FAR):
        c_ = rho * math.sqrt(a_ * b_)
        found = mean(a_, b_, c_, a_ * b_ - c_**2)
        np.testing.assert_allclose(found, float(exact(a_, b_, c_, digits=20).mid()), rtol=1e-13)
    assert mean.route == BOTH


@pytest.mark.parametrize("text", WAVES)
def test_without_the_closed_form_waves_far_out_are_an_error_and_no_number(text, monkeypatch):
    monkeypatch.setattr(lower_duals, "closed_forms_far_out", lambda activation: (None, None))
    mean = lowered_dual.__wrapped__(activation(text)).value
    with pytest.raises(ValueError, match="further out the activation is not resolved"):
        mean(1e6, 1e6, 9e5, 1e12 - 81e10)


def test_values_are_replaced_where_one_variance_is_small_or_inputs_are_nearly_opposite():
    a_, b_ = np.array([1.0, 9.0, 9.0]), np.array([9.0, 1.0, 9.0])

    def other(a, b, c, D):
        return -a * b

    found = special.replaced_where(2.0, -2.0, other, np.arange(3.0), a_, b_, 0.0, a_ * b_)
    np.testing.assert_array_equal(found, [-9.0, -9.0, 2.0])
    assert special.replaced_where(2.0, -2.0, lambda a, b, c, D: 5.0, 7.0, 1.0, 1.0, 0.0, 1.0) == 5.0
    c_ = np.array([-2.9, 2.9, -8.0])
    np.testing.assert_array_equal(special.replaced_where(0.0, -0.9, other, 1.0, a_, b_, c_, 81.0), [-9.0, 1.0, 1.0])
    np.testing.assert_array_equal(special.replaced_where(0.0, -2.0, other, 1.0, a_, b_, c_, 81.0), [1.0, 1.0, 1.0])


@pytest.mark.parametrize("text", ["z**2*Phi(z)", "max(z,0) + max(z,0)**2", "max(z,0)**5 + max(z,0)"])
def test_small_means_of_nearly_opposite_inputs_keep_their_digits(text):
    """The closed forms do not: they lose all digits of a mean that is made of positive numbers."""
    row = activation(text)
    mean, form = lowered_dual(row).value, dual(row).closed_forms[0]
    modulus = mean_of_modulus(row.expression)
    pairs = [_nearly_opposite(*pair) for pair in ((1.0, 1.0, 1e-9), (5.0, 15.0, 1e-6), (800.0, 800.0, 1e-3))]
    assert mean.route == NOT_OPPOSITE
    assert measured(mean, form, pairs, modulus).ulps <= 100
    assert measured(lower_duals._lowered(form), form, pairs, modulus).ulps > 100
    assert measured(mean, form, wide_pairs(12)).absolute <= 1e-14


def _nearly_opposite(a, b, gap):
    c = (gap - 1) * math.sqrt(a * b)
    return a, b, c, float(Fraction(a) * Fraction(b) - Fraction(c) ** 2)


def test_the_route_is_told():
    assert lowered_dual(activation("gelu")).value.route == CLOSED_FORM
    assert lowered_dual(activation("tanh")).value.route == SERIES
    assert lowered_dual(activation("elu")).value.route == SERIES  # its closed form is a difference of large numbers


def test_the_arguments_of_a_dual_are_two_variances_covariance_and_determinant():
    assert dual("erf").value.free_symbols <= {a, b, c, D}
    with pytest.raises(TypeError, match="positional argument"):
        precise_closed_form(dual("relu").value)(1, 1, 1)


# Activations


def test_activations_and_slopes_are_elementwise_functions():
    value, slope = lowered_activation(activation("relu"))
    at = np.array([[-2.0, 0.0], [1e-300, 3.0]])
    np.testing.assert_array_equal(value(at), [[0, 0], [1e-300, 3]])
    np.testing.assert_array_equal(slope(at), [[0, 0.5], [1, 1]])
    np.testing.assert_array_equal(lowered_activation(activation("identity"))[1](at), np.ones((2, 2)))
    value, slope = lowered_activation(activation(z**3))
    np.testing.assert_allclose(slope(at), 3 * at**2)


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_activations_do_not_overflow_where_their_values_do_not(row):
    """Warnings are errors here: exp of a large number on the wrong side of a break point would be one."""
    at = np.array([-1e6, -50.0, -1.5, 0.0, 1e-9, 1.5, 50.0, 1e6])
    if row.name in GROWING:
        at = np.clip(at, -300, 300)
    for function, expression in zip(lowered_activation(row), (row.expression, row.derivative), strict=True):
        with mpmath.workdps(40):
            precise = sp.lambdify(z, expression, "mpmath")
            expected = [float(mpmath.re(precise(mpmath.mpf(x)))) if abs(x) < 1e3 else None for x in at]
            expected[3] = float(value_at(expression, sp.S.Zero))  # half a jump, whatever side has the point
        found = function(at)
        assert np.isfinite(found).all()
        for value, target in zip(found, expected, strict=True):
            assert target is None or value == pytest.approx(target, rel=1e-9, abs=1e-15)


def test_exponentials_in_quotients_and_logarithms_are_merged():
    h = 2 * z - 1
    assert without_overflow(sp.log(1 + sp.exp(h))) == Softplus(h)
    assert without_overflow(sp.exp(h) / (1 + sp.exp(h)) ** 2) == Expit(h) * Expit(-h)
    assert without_overflow(sp.log(1 - sp.exp(h))) == sp.log(1 - sp.exp(h))


def test_a_kernel_that_cancels_says_how_many_digits_it_loses():
    """That of 1 - cos(z), given as a kernel: there is no activation to sum, so the error is told instead."""
    cancelling = lowered_dual(kernel_dual("exp(-a/2 - b/2)*cosh(c) + 1 - exp(-a/2) - exp(-b/2)"))
    assert cancelling.value.error > 1e-11
    assert lowered_dual(kernel_dual("exp(c - a/2 - b/2)")).value.error == 1e-14


def test_closed_forms_with_parameters_are_kept_whatever_variables_they_have():
    """Nothing can be tried before the parameters have values, also where D does not occur."""
    row = activation("sin(omega*z)", parameters=True)
    value, derivative = closed_forms_for_floats(row)
    assert value is not None
    assert derivative is not None
    assert D not in value.expression.free_symbols


@pytest.mark.parametrize("text", ["gelu", "gelu(z-1)", "1 - erf(z)", "z - z*erf(2*z)", "z**2*Phi(z)"])
def test_tails_of_normal_cdfs_keep_their_digits(text):
    row = activation(text)
    for function, expression in zip(lowered_activation(row), (row.expression, row.derivative), strict=True):
        precise = sp.lambdify(z, expression, "mpmath")
        for x in (-5.2, -2.3, 2.3, 5.2):
            with mpmath.workdps(40):
                expected = float(precise(mpmath.mpf(x)))
            assert float(function(np.array(x))) == pytest.approx(expected, rel=1e-13)
