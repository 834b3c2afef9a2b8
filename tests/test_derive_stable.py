"""Stable closed forms: the same functions in other terms, and their digits in float64 over all pairs."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import derive.duals.stable
from derive.activations import ACTIVATIONS, activation
from derive.duals import dual
from derive.duals.evaluation import enclosure, precision
from derive.duals.function_class import NotInClass, parse
from derive.duals.functions import ArcMoment, BivariateTail, arc_polynomials, written_out
from derive.duals.stable import stable
from derive.notation import D, a, b, c, z
from numeric.lower_duals import BOTH, CLOSED_FORM, NOT_OPPOSITE, lowered_dual
from numeric.lower_functions import NUMPY
from numeric.special import arc_moment, exp_spread, spread

R = sp.Rational
RELU, GAUSSIAN, SOFT = sp.Max(z, 0), sp.exp(-(z**2)), 1 + sp.erf(z / sp.sqrt(2))
ULP = float(np.finfo(float).eps)


def has_closed_form(row):
    try:
        parse(row.expression)
    except NotInClass:
        return False
    return not dual(row).value.has(BivariateTail)


MIXED = {
    "pieces of unlike parity": sp.Piecewise((z, z < 0), (2 * z**2, True)),
    "pieces with a jump": sp.Piecewise((1 - z, z < 0), (1 + z**3, True)),
    "relu and its square": RELU + RELU**2,
    "relu less its cube": RELU - RELU**3 / 6,
    "relu less one": RELU - 1,
    "relu and a square": RELU + z**2,
    "Abs less a square": sp.Abs(z) - z**2,
    "relu to the fifth": RELU**5 - RELU**3,
    "leaky relu": sp.Max(z, z / 2) + z**2 / 10,
    "relu times Gaussian": RELU * GAUSSIAN,
    "square of relu times Gaussian": RELU**2 * sp.exp(-(z**2) / 2),
    "two Gaussians": sp.Piecewise((GAUSSIAN, z < 0), (sp.exp(-2 * z**2), True)),
    "z erf": z * sp.erf(z),
    "z Phi": z * SOFT - z / 3,
    "z^2 Phi": z**2 * SOFT,
    "erf times Gaussian": sp.erf(z) * GAUSSIAN + z,
    "cubic": z**3 - 3 * z + 1,
    "quintic": (z - 1) * (z - 2) * (z - 3) * z * (z + 1),
    "waves": sp.sin(3 * z) + sp.cos(z),
    "wave packet": sp.cos(5 * z) * sp.exp(-(z**2) / 2),
    "sinh": sp.sinh(z / 9),
    "wavelet": (1 - z**2) * sp.exp(-(z**2) / 2),
}
CLOSED = {row.name: row.expression for row in ACTIVATIONS if has_closed_form(row)} | MIXED


# --- the same functions ------------------------------------------------------------------------------------------

POINTS = tuple((R(3, 4), R(5, 2), covariance) for covariance in (R(9, 10), R(-9, 10), R(0), R(-27, 20)))


def _value(expression, point):
    first, second, covariance = point
    if expression.has(BivariateTail):
        return sp.Float(enclosure(expression.subs(c, covariance), *point, digits=45).str(50, radius=False), 45)
    at = {a: first, b: second, c: covariance, D: first * second - covariance**2}
    return sp.N(expression.subs(at), 45)


def difference(expression, rewritten):
    """Return the largest difference of two expressions in a, b, c, D over pairs of both signs and near parallel."""
    meaning = written_out(rewritten)
    pairs = [(_value(meaning, point), _value(expression, point)) for point in POINTS]
    return max(abs(x - y) / (1 + abs(y)) for x, y in pairs)


@pytest.mark.parametrize("name", [*CLOSED, "hard-tanh"])
def test_a_stable_form_is_the_same_function(name):
    expression = CLOSED.get(name) if name in MIXED else activation(name).expression
    for form in dual(expression).closed_forms:
        assert difference(form.expression, stable(form.expression)) < R(1, 10**40)


powers = st.lists(st.integers(-2, 2), min_size=3, max_size=3)


@settings(max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate])
@given(below=powers, above=powers, rate=st.sampled_from([0, 1]))
def test_stable_forms_of_random_pieces_are_the_same_functions(below, above, rate):
    left, right = (sum((k * z**n for n, k in enumerate(side)), start=sp.S.Zero) for side in (below, above))
    expression = sp.Piecewise((left, z < 0), (right * sp.exp(-rate * z**2), True)) + z
    form = dual(expression).value
    assert difference(form, stable(form)) < R(1, 10**40)


def test_stable_forms_of_growing_activations_are_the_same_functions():
    for expression in (sp.Heaviside(z) * sp.exp(z**2 / 12), RELU * sp.exp(z**2 / 12), sp.exp(z**2 / 12)):
        for form in dual(expression).closed_forms:
            assert difference(form.expression, stable(form.expression)) < R(1, 10**40)


def test_arc_moments_are_the_integrals_that_they_say():
    for order in range(5):
        for t in (mpmath.mpf(1) / 7, mpmath.mpf(2), mpmath.pi):
            integral = mpmath.quad(lambda s, t=t, n=order: (mpmath.sin(s) * mpmath.sin(t - s)) ** n, [0, t])
            moment = ArcMoment(order, -sp.Float(mpmath.cos(t)), sp.Float(mpmath.sin(t))).evalf(15)
            assert float(moment) == pytest.approx(float(2**order * math.factorial(order) * integral), rel=1e-9)


# --- digits ------------------------------------------------------------------------------------------------------


def _pairs():
    """Return pairs (a, b, c, D) over six decades, 1 - |rho| from 1 to 1e-16; D is exact, rounded once."""
    found = []
    for n, (variance, ratio) in enumerate(
        ((1e-3, 1.0), (2e-3, 7.0), (0.3, 1.0), (0.9, 1.7), (31.0, 0.2), (900.0, 1.0))
    ):
        for sign in (1, -1):
            first, second = variance, variance * ratio
            complement = 10.0 ** -((5 * n + 3 * sign + 3) % 17)
            covariance = sign * math.sqrt(first * second) * (1 - complement)
            while (exact := Fraction(first) * Fraction(second) - Fraction(covariance) ** 2) < 0:
                covariance = math.nextafter(covariance, 0)
            found.append((first, second, covariance, float(exact)))
    return found


PAIRS = _pairs()


def error(function, form, pairs=PAIRS):
    """Return the largest absolute error relative to ``sqrt(k(a, a) k(b, b))``, against balls."""
    worst = 0.0
    for first, second, covariance, determinant in pairs:
        value, *own = (
            enclosure(form, *pair, digits=22) for pair in ((first, second, covariance), *_own(first, second))
        )
        with precision(120):
            scale = (own[0] * own[1]).sqrt()
            found = arb(float(function(first, second, covariance, determinant)))
            worst = max(worst, float((abs(found - value) / scale).mid()))
    return worst


def relative_error(function, form):
    """Return the largest relative error at pairs that are nearly antiparallel, where means of one side vanish."""
    worst = 0.0
    for covariance in (-0.5 * (1 - 1e-5), -0.5 * (1 - 1e-8)):
        determinant = float(Fraction(1, 4) - Fraction(covariance) ** 2)
        value = float(enclosure(form, 0.25, 1.0, covariance, digits=22))
        worst = max(worst, abs(float(function(0.25, 1.0, covariance, determinant)) / value - 1))
    return worst


def _own(first, second):
    return (first,) * 3, (second,) * 3


@pytest.mark.parametrize("name", MIXED)
def test_duals_of_mixed_parity_have_their_digits(name):
    expression = MIXED[name]
    means = lowered_dual(activation(expression))
    for mean, form in zip((means.value, means.derivative), dual(expression).closed_forms, strict=True):
        assert mean.route in (CLOSED_FORM, NOT_OPPOSITE) or name == "wave packet"  # whose waves cancel
        assert error(mean, form.expression) <= 1e-14


GROWTH = {
    "one-sided": sp.Heaviside(z) * sp.exp(z**2 / 8),
    "kinked": RELU * sp.exp(z**2 / 8),
    "two-sided": sp.exp(z**2 / 8),
}


@pytest.mark.parametrize("expression", [RELU, RELU**4, RELU * GAUSSIAN, sp.Max(-z, 0) ** 3 / 7], ids=str)
def test_the_mean_of_one_side_has_all_digits_where_it_vanishes(expression):
    means = lowered_dual(activation(expression))
    assert relative_error(means.value, dual(expression).value) < 100 * ULP


@pytest.mark.parametrize("name", GROWTH)
def test_duals_of_growing_activations_have_their_digits(name):
    means = lowered_dual(activation(GROWTH[name]))
    pairs = [pair for pair in PAIRS if max(pair[:2]) < 2]
    for mean, form in zip((means.value, means.derivative), dual(GROWTH[name]).closed_forms, strict=True):
        assert error(mean, form.expression, pairs) <= 1e-14


CANCELLING = {
    "exp(z) - 1": sp.exp(z / 5) - 1,
    "cosh(z) - 1": sp.cosh(z / 5) - 1,
    "two sinh": sp.sinh(z / 5) - 2 * sp.sinh(z / 10),
    "1 - cos(z)": 1 - sp.cos(z),
    "sin(z)^2": sp.sin(z) ** 2,
    "z sin(z)": z * sp.sin(z),
    "sin(z) - z": sp.sin(z) - z,
    "exp(z) sin(z)": sp.exp(z / 5) * sp.sin(z),
    "Gaussian less one": GAUSSIAN - 1,
    "difference of Gaussians": GAUSSIAN - sp.exp(-2 * z**2),
    "one-sided difference of Gaussians": RELU * (1 - GAUSSIAN),
    "difference of erf": sp.erf(z) - sp.erf(2 * z),
    "erf less its slope": sp.erf(z) - 2 * z / sp.sqrt(sp.pi),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_the_error_of_a_dual_is_what_it_says_also_where_an_activation_cancels(name):
    """These vanish at 0 to a higher order than their terms, so at small variances the terms of the dual cancel."""
    means = lowered_dual(activation(CANCELLING[name]))
    pairs = [pair for pair in PAIRS if max(pair[:2]) < 100]  # of waves and exponentials far out little is left
    for mean, form in zip((means.value, means.derivative), dual(CANCELLING[name]).closed_forms, strict=True):
        assert error(mean, form.expression, pairs) <= mean.error


def test_a_closed_form_whose_terms_cancel_is_not_evaluated():
    form, means = dual(1 - sp.cos(z)).value, lowered_dual(activation(1 - sp.cos(z)))
    naive = sp.lambdify((a, b, c, D), stable(form), NUMPY)
    assert error(naive, form, PAIRS[:4]) > 1e-11
    assert error(means.value, form, PAIRS[:4]) < 1e-15
    assert (means.value.route, means.derivative.route) == (BOTH, CLOSED_FORM)


# --- the edges of the domain -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MIXED)
def test_zero_variances_give_products_of_means(name):
    """u = 0: E[phi(u) phi(v)] = phi(0) E[phi(v)]; phi(0) is 0 or the limit from some side, so finite is enough."""
    means = lowered_dual(activation(MIXED[name]))
    for mean in (means.value, means.derivative):
        found = mean(np.zeros(3), np.array([0.0, 1e-6, 2.0]), np.zeros(3), np.zeros(3))
        assert np.isfinite(found).all()
    if not MIXED[name].has(sp.Piecewise):
        at_zero, second = float(MIXED[name].subs(z, 0)), sp.Rational(2)
        first = float(enclosure(dual(MIXED[name]).value, R(1, 10**30), second, 0, digits=20))
        assert float(means.value(0.0, 2.0, 0.0, 0.0)) == pytest.approx(first, abs=1e-12)
        assert at_zero != 0 or abs(first) < 1e-12


@pytest.mark.parametrize("expression", [sp.sinh(z), sp.exp(z) - sp.exp(-2 * z), sp.cosh(z) - 1, z * sp.exp(z)], ids=str)
def test_second_moments_beyond_floats_are_infinite_and_not_undefined(expression):
    """Warnings are errors here: infinity times zero, or less infinity, would be one."""
    means = lowered_dual(activation(expression))
    for mean in (means.value, means.derivative):
        for covariance, determinant in ((0.0, 9e6), (3e3, 0.0), (-3e3, 0.0)):
            assert not np.isnan(mean(3e3, 3e3, covariance, determinant))


@pytest.mark.parametrize("order", range(9))
def test_arc_moments_have_all_digits_from_tiny_to_straight_angles(order):
    angles = [10.0**-k for k in (12, 8.3, 5, 3, 1.7, 0.7, 0.1)] + [0.99999, 1.0, 1.00001, 1.6, 2.5, 3.1, math.pi]
    angular, algebraic = arc_polynomials(order)
    with mpmath.workdps(300):
        for scale in (1.0, 3e-4, 2e5):
            for t in angles:
                x, y = scale * math.sin(t), -scale * math.cos(t)
                angle, r = mpmath.atan2(x, -mpmath.mpf(y)), mpmath.hypot(x, y)
                cosine, sine = mpmath.cos(angle), mpmath.sin(angle)
                parts = ((angular, angle), (algebraic, sine))
                expected = r**order * sum(k * cosine**m * part for p, part in parts for m, k in p.items())
                assert abs(float(arc_moment(order, y, x) / expected - 1)) <= 50 * ULP


def test_arc_moments_vanish_where_the_angle_does():
    for order in range(9):
        assert arc_moment(order, -2.0, 0.0) == 0
        assert arc_moment(order, np.zeros(2), np.zeros(2)).shape == (2,)
        assert np.isfinite(arc_moment(order, 0.0, 0.0))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    exponent=st.floats(-6, 6),
    ratio=st.one_of(st.floats(-15, -1).map(lambda k: 1 + 10**k), st.floats(-6, 6).map(lambda k: 10**k)),
    complement=st.floats(-17, 0).map(lambda k: 10**k),
    sign=st.sampled_from([1, 1, -1]),
)
def test_the_variance_of_a_difference_has_all_its_digits(exponent, ratio, complement, sign):
    p, q = 10**exponent, min(max(10**exponent * ratio, 1e-6), 1e6)
    r = sign * math.sqrt(p * q) * (1 - complement)
    while (exact := Fraction(p) * Fraction(q) - Fraction(r) ** 2) < 0:
        r = math.nextafter(r, 0)
    difference = Fraction(p) + Fraction(q) - 2 * Fraction(r)
    found = float(spread(p, q, r, float(exact)))
    assert abs(Fraction(found) - difference) <= 8 * Fraction(ULP) * difference
    for k in (1, -1):
        with np.errstate(over="ignore"):
            value = float(exp_spread(k, p, q, r, float(exact)))
        with mpmath.workdps(40):
            expected = mpmath.exp(k * mpmath.mpf(difference.numerator) / difference.denominator)
            if 1e-300 < expected < 1e300:
                assert abs(value / expected - 1) <= ULP * (4 + 2 * float(difference))
            else:
                assert value == (math.inf if k > 0 else pytest.approx(0, abs=1e-299))


def test_spreads_at_the_ends_are_finite_and_quiet():
    for p, q, r in ((0.0, 0.0, 0.0), (1e6, 1e6, 1e6), (1e6, 1e6, -1e6), (1e-6, 1e6, 1.0), (1e-6, 1e-6, -1e-6)):
        assert float(spread(p, q, r, 0.0)) == pytest.approx(p + q - 2 * r, abs=1e-9)
        assert float(exp_spread(-1, p, q, r, 0.0)) == pytest.approx(math.exp(-(p + q - 2 * r)), rel=1e-9)


# --- planted errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [2, 3, 5])
def test_closed_forms_that_are_not_rewritten_lose_their_digits(order):
    form = dual(RELU**order).value
    naive = sp.lambdify((a, b, c, D), form, NUMPY)
    assert relative_error(naive, form) > 1e-3
    assert relative_error(lowered_dual(activation(RELU**order)).value, form) < 100 * ULP


def test_an_error_in_the_thirteenth_digit_is_seen():
    mean, form = lowered_dual(activation(RELU**2)).value, dual(RELU**2).value
    assert error(mean, form) <= 1e-14
    assert error(lambda *pair: mean(*pair) * (1 + 1e-13), form) > 1e-14


def test_a_wrong_angular_polynomial_is_seen(monkeypatch):
    form = dual(RELU**3).value
    right = stable(form)
    assert right.has(ArcMoment)
    assert difference(form, right) < R(1, 10**40)

    def wrong(order):
        angular, algebraic = arc_polynomials(order)
        return {m: 2 * k for m, k in angular.items()}, algebraic

    monkeypatch.setattr(derive.duals.stable, "arc_polynomials", wrong)
    assert difference(form, stable(form)) > R(1, 10**3)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda e: e.replace(ArcMoment, lambda n, y, x: ArcMoment(n, -y, x)),
        lambda e: e + R(1, 10**38),
        lambda e: e.subs(D, D * (1 + R(1, 10**36))),
    ],
    ids=["the other angle", "a tiny constant", "a tiny factor"],
)
def test_a_wrong_stable_form_is_seen(wrong):
    form = dual(RELU**2).value
    assert difference(form, wrong(stable(form))) > R(1, 10**40)
