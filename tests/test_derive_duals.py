"""Duals: known formulas, laws, an independent quadrature, and planted errors that the examiner must catch."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from derive import notation
from derive.activations import ACTIVATIONS, Activation, activation
from derive.duals import dual
from derive.duals.expressions import is_zero
from derive.duals.function_class import NotInClass, derivative, parse
from derive.duals.functions import Atan2, BivariateTail, NormalCdf, precise_bivariate_tail
from derive.duals.gaussian import Calculus
from derive.duals.series import RHO, HermiteSeries, K
from derive.duals.theorems import GAUSSIAN_PAIR, ClosedForm, GaussianMean, gaussian_calculus, mean_theorem
from derive.examiner import examine
from derive.notation import D, a, b, c, z
from derive.theorem import Rewriting, StepRefuted, reflexivity, rule

STEP = sp.Heaviside(z)
EXTRA = {
    "leaky": sp.Max(z, z / 10),
    "polynomial": z**3 - z + 2,
    "wide erf": sp.erf(3 * z / 2),
    "shifted relu": sp.Max(z - 1, 0),
    "gelu with bias": (z - 1) * (1 + sp.erf((z - 1) / sp.sqrt(2))) / 2,
    "laplacian": sp.exp(-sp.Abs(z)),
    "exponential beyond log(3/2)": sp.Max(2 * sp.exp(z) - 3, 0),
}


def in_class(row):
    try:
        parse(row.expression)
    except NotInClass:
        return False
    return True


ROWS = {row.name: row for row in ACTIVATIONS if in_class(row)} | {name: activation(e) for name, e in EXTRA.items()}
SERIES = {row.name: row for row in ACTIVATIONS if not in_class(row)}


def lowered(expression):
    """Return an expression in a, b, c, D as a function of them."""
    if not expression.has(BivariateTail, NormalCdf):
        return sp.lambdify((a, b, c, D), expression, "numpy")
    precise = sp.lambdify((a, b, c, D), expression, [{"BivariateTail": precise_bivariate_tail}, "mpmath"])

    def function(first, second, covariance, determinant):
        return precise(first, second, covariance, max(determinant, 1e-40))  # densities at thresholds divide by D

    return function


@cache
def numeric(name, order=0):
    found = dual(ROWS[name])
    return lowered(found.derivative if order else found.value)


def at(function, first, second, rho):
    """Return a dual at variances a, b and correlation rho."""
    covariance = rho * math.sqrt(first * second)
    return float(function(first, second, covariance, first * second * (1 - rho**2)))


@cache
def _nodes(count):
    return np.polynomial.legendre.leggauss(count)


def elementwise(expression):
    changed = expression.replace(sp.Heaviside, lambda x, *_: (1 + sp.sign(x)) / 2)
    return sp.lambdify(z, changed, ["scipy", "numpy"])


def oracle(expression, first, second, rho):
    """Return E[f(u) f(v)] by quadrature in polar coordinates, split at the rays where u or v vanishes.

    ``(u, v) = r (sqrt(a) cos t, sqrt(b) cos(t - theta))`` with ``cos theta = rho`` has the given covariance when r and
    t are the polar coordinates of a standard normal pair.
    """
    function = elementwise(expression)
    theta = math.acos(rho)
    rays = sorted(
        {t % (2 * math.pi) for t in (0.5 * math.pi, 1.5 * math.pi, theta + 0.5 * math.pi, theta + 1.5 * math.pi)}
    )
    x, w = _nodes(60)
    y, v = _nodes(120)
    radius, radial = 6 * (y + 1), 6 * v
    total = 0.0
    for low, high in zip(rays, [*rays[1:], rays[0] + 2 * math.pi], strict=True):
        angle = low + (high - low) * (x + 1) / 2
        weights = (high - low) / 2 * w[:, None] * radial * radius * np.exp(-(radius**2) / 2) / (2 * math.pi)
        u = radius * math.sqrt(first) * np.cos(angle)[:, None]
        s = radius * math.sqrt(second) * np.cos(angle - theta)[:, None]
        values = np.broadcast_to(function(u), u.shape) * np.broadcast_to(function(s), s.shape)
        total += float((weights * values).sum())
    return total


variances = st.floats(0.05, 4.0)
correlations = st.floats(-0.99, 0.99)
law = settings(max_examples=25, deadline=None, derandomize=True)


# --- golden values -----------------------------------------------------------------------------------------------


@law
@given(first=variances, second=variances, rho=correlations)
def test_the_dual_of_relu_is_the_arc_cosine_kernel_of_degree_one(first, second, rho):
    """Cho and Saul 2009, eq 6: sqrt(ab) J_1(theta)/(2 pi), J_1 = sin theta + (pi - theta) cos theta."""
    theta = math.acos(rho)
    j1 = math.sin(theta) + (math.pi - theta) * math.cos(theta)
    assert at(numeric("relu"), first, second, rho) == pytest.approx(
        math.sqrt(first * second) * j1 / (2 * math.pi), rel=1e-9, abs=1e-10
    )
    j0 = math.pi - theta  # Cho and Saul 2009, eq 5, for the derivative
    assert at(numeric("relu", 1), first, second, rho) == pytest.approx(j0 / (2 * math.pi), rel=1e-9, abs=1e-12)


def test_the_dual_of_the_square_of_relu_is_the_arc_cosine_kernel_of_degree_two():
    """Cho and Saul 2009, eq 7: J_2 = 3 sin theta cos theta + (pi - theta)(1 + 2 cos^2 theta)."""
    for first, second, rho in ((1.3, 0.4, 0.7), (0.2, 3.0, -0.35)):
        theta = math.acos(rho)
        j2 = 3 * math.sin(theta) * math.cos(theta) + (math.pi - theta) * (1 + 2 * math.cos(theta) ** 2)
        assert at(numeric("relu2"), first, second, rho) == pytest.approx(first * second * j2 / (2 * math.pi), rel=1e-12)


@law
@given(first=variances, second=variances, rho=correlations)
def test_the_dual_of_erf_is_the_arc_sine_kernel(first, second, rho):
    """Williams 1998, eq 11: 2/pi asin(2c / sqrt((1 + 2a)(1 + 2b)))."""
    covariance = rho * math.sqrt(first * second)
    expected = 2 / math.pi * math.asin(2 * covariance / math.sqrt((1 + 2 * first) * (1 + 2 * second)))
    assert at(numeric("erf"), first, second, rho) == pytest.approx(expected, rel=1e-9, abs=1e-13)


def test_the_dual_of_the_derivative_of_erf_is_known():
    """Lee et al. 2019 (arXiv:1902.06720), appendix C: 4/(pi sqrt((1 + 2a)(1 + 2b) - 4c^2))."""
    expected = 4 / (sp.pi * sp.sqrt(4 * D + 2 * a + 2 * b + 1))
    assert is_zero(dual("erf").derivative - expected)


def test_the_duals_of_powers_are_those_of_isserlis():
    assert is_zero(dual("identity").value - c)
    assert is_zero(dual("identity").derivative - 1)
    assert is_zero(dual(z**2).value - (a * b + 2 * c**2))
    assert is_zero(dual(z**3).value - (9 * a * b * c + 6 * c**3))


def test_the_dual_of_the_step_is_the_orthant_probability():
    """Sheppard 1899: P(u > 0, v > 0) = 1/4 + asin(rho)/(2 pi)."""
    step = lowered(dual(STEP).value)
    for rho in (-0.8, 0.0, 0.3):
        assert at(step, 0.7, 2.2, rho) == pytest.approx(0.25 + math.asin(rho) / (2 * math.pi), rel=1e-13)


def test_the_step_has_no_pathwise_derivative_and_its_dual_is_zero():
    assert dual(STEP).derivative == 0


# --- laws --------------------------------------------------------------------------------------------------------


KINKED_AWAY = {"hard-tanh", "hard-sigmoid", "hard-swish", "relu6", "shifted relu", "exponential beyond log(3/2)"}
"""Their break points are not on the rays of the quadrature here: the examiner integrates them."""


@pytest.mark.parametrize("name", sorted(set(ROWS) - KINKED_AWAY))
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("point", [(0.7, 1.9, 0.35), (1.4, 0.3, -0.8), (0.5, 0.9, 0.0)])
def test_a_dual_is_the_mean_that_quadrature_finds(name, order, point):
    row = ROWS[name]
    expected = oracle(row.derivative if order else row.expression, *point)
    assert at(numeric(name, order), *point) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", ["relu", "gelu", "erf", "he3", "rbf"])
def test_the_dual_of_the_derivative_is_the_derivative_of_the_dual(name):
    """Price 1958: d/dc E[phi(u) phi(v)] = E[phi'(u) phi'(v)] at fixed variances, for continuous phi."""
    found = dual(ROWS[name])
    total = sp.diff(found.value, c) - 2 * c * sp.diff(found.value, D)
    assert is_zero(total - found.derivative)


@pytest.mark.parametrize("name", ["leaky", "gelu", "z-gaussian", "he4", "rbf", "cosh"])
@pytest.mark.parametrize("order", [0, 1])
@settings(max_examples=10, deadline=None, derandomize=True)
@given(first=variances, second=variances, rho=correlations)
def test_a_dual_is_symmetric_in_its_inputs(name, order, first, second, rho):
    function = numeric(name, order)
    assert at(function, first, second, rho) == pytest.approx(at(function, second, first, rho), rel=1e-10, abs=1e-12)


@law
@given(first=variances, second=variances, rho=correlations, scale=st.floats(0.1, 9.0), other=st.floats(0.1, 9.0))
def test_the_dual_of_relu_is_homogeneous_in_each_input(first, second, rho, scale, other):
    relu, slope = numeric("relu"), numeric("relu", 1)
    scaled = at(relu, scale**2 * first, other**2 * second, rho)
    assert scaled == pytest.approx(scale * other * at(relu, first, second, rho), rel=1e-9, abs=1e-9)
    assert at(slope, scale**2 * first, other**2 * second, rho) == pytest.approx(at(slope, first, second, rho), abs=1e-9)


def mean_square(expression, variance, sign):
    """Return E[f(u) f(sign u s)] for fully correlated inputs by one-dimensional quadrature; s = 1."""
    function = elementwise(expression)
    y, v = _nodes(200)
    total = 0.0
    for side in (-1, 1):
        x = side * 6 * (y + 1)
        first, second = x * math.sqrt(variance), sign * x * math.sqrt(2 * variance)
        values = np.broadcast_to(function(first), x.shape) * np.broadcast_to(function(second), x.shape)
        total += float((6 * v * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * values).sum())
    return total


@pytest.mark.parametrize("name", sorted(set(ROWS) - KINKED_AWAY - {"elu", "selu"}))
@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_fully_correlated_inputs_are_determinant_zero(name, order, sign):
    row, variance = ROWS[name], 0.8
    covariance = sign * math.sqrt(2) * variance
    found = float(numeric(name, order)(variance, 2 * variance, covariance, 0.0))
    expected = mean_square(row.derivative if order else row.expression, variance, sign)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("name", ROWS)
def test_the_dual_with_itself_is_not_negative_and_bounds_the_others(name):
    function = numeric(name)
    for first, second, rho in ((0.4, 1.7, 0.6), (2.0, 0.1, -0.9)):
        own = [float(function(v, v, v, 0.0)) for v in (first, second)]
        assert min(own) >= 0
        assert abs(at(function, first, second, rho)) <= math.sqrt(own[0] * own[1]) * (1 + 1e-12)


@pytest.mark.parametrize("scale", [sp.Rational(-3, 2), sp.sqrt(2)])
def test_the_dual_is_quadratic_in_the_activation(scale):
    for expression in (sp.Max(z, 0), sp.erf(z), z**2 - z):
        assert is_zero(dual(scale * expression).value - scale**2 * dual(expression).value)


def test_equal_activations_have_equal_duals_however_they_are_written():
    assert is_zero(dual(sp.Max(0, z)).value - dual(z * (1 + sp.sign(z)) / 2).value)
    assert is_zero(dual(sp.Max(z, 0)).value - dual(z * sp.Heaviside(z)).value)
    assert is_zero(dual(sp.Max(z, -z)).value - dual(sp.Abs(z)).value)
    assert is_zero(dual(sp.erf(-z)).value - dual(sp.erf(z)).value)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(coefficients=st.lists(st.integers(-3, 3), min_size=2, max_size=4))
def test_the_dual_of_a_polynomial_is_the_mean_of_a_polynomial(coefficients):
    expression = sum((k * z**n for n, k in enumerate(coefficients)), start=sp.S.Zero)
    assume(sp.sympify(expression).has(z))
    function = lowered(dual(expression).value)
    assert at(function, 0.6, 1.5, -0.4) == pytest.approx(oracle(expression, 0.6, 1.5, -0.4), rel=1e-9, abs=1e-9)


# --- the examiner ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_both_duals_of_an_activation_pass_examination(name):
    found = dual(ROWS[name])
    assert examine(found.theorem).total > 0
    assert examine(found.derivative_theorem).total > 0


@pytest.mark.parametrize("expression", [sp.sign(z), STEP], ids=str)
def test_both_duals_of_a_step_pass_examination(expression):
    assert examine(dual(expression).theorem).total > 0
    assert examine(dual(expression).derivative_theorem).total > 0


@pytest.mark.parametrize("expression", [z * sp.erf(z) + sp.exp(-(z**2)), sp.sign(z) * sp.exp(-(z**2))], ids=str)
def test_a_right_dual_with_several_roots_is_not_refuted(expression):
    function = lowered(dual(expression).value)
    assert at(function, 0.7, 1.9, 0.35) == pytest.approx(oracle(expression, 0.7, 1.9, 0.35), rel=1e-9)
    assert examine(dual(expression).theorem).total > 0


def planted(name, order, wrong):
    """Return the theorem on a dual by a calculus that ends in ``wrong(value)``."""

    def gaussian_calculus(term, model):
        found = dual(ROWS[name])
        return Rewriting(ClosedForm(wrong(found.derivative if order else found.value)))

    return reflexivity(GaussianMean(ROWS[name], order), GAUSSIAN_PAIR).by(rule("planted")(gaussian_calculus))


WRONG = {
    "2 % too large": lambda f: sp.Rational(51, 50) * f,
    "half of it": lambda f: f / 2,
    "the sign": lambda f: -f,
    "a boundary constant": lambda f: f + sp.Rational(1, 1000),
    "a boundary constant that depends on the variances": lambda f: f + (a + b) / 1000,
    "the determinant is forgotten": lambda f: f + D / 100,
    "the covariance is forgotten": lambda f: f + c / 100,
    "the variances are not symmetric": lambda f: f + (a - b) / 100,
    "the sign of the covariance": lambda f: f.subs(c, -c) + c / 7,
    "a constant that vanishes at c = 0": lambda f: f + c**3 / 50,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["relu", "erf"])
def test_a_planted_wrong_dual_is_refuted(name, wrong):
    with pytest.raises(StepRefuted, match=r"Price's identity fails|at a ="):
        examine(planted(name, 0, WRONG[wrong]))


@pytest.mark.parametrize("wrong", ["2 % too large", "a boundary constant", "the covariance is forgotten"])
@pytest.mark.parametrize("name", ["relu", "erf"])
def test_a_planted_wrong_dual_of_the_derivative_is_refuted(name, wrong):
    with pytest.raises(StepRefuted, match=r"Price's identity fails|at a ="):
        examine(planted(name, 1, WRONG[wrong]))


def test_the_right_dual_by_the_planted_path_passes():
    assert examine(planted("relu", 0, lambda f: f)).total > 0


def test_a_wrong_coefficient_of_the_arctangent_alone_is_refuted():
    def wrong(f):
        return f.replace(Atan2, lambda y, x: sp.Rational(101, 100) * Atan2(y, x))

    with pytest.raises(StepRefuted, match=r"at a = 3/4, b = 5/2, c = 9/10: 0\.49525\d+ against the integral 0\.49197"):
        examine(planted("relu", 0, wrong))


# --- errors in the calculus that the examiner shares -------------------------------------------------------------


def _doubled_slice(self, *arguments):
    return ORIGINAL["_sliced"](self, *arguments).scaled(self.field.number(2))


def _stein_without_covariance(self, m, n, s, t, pair):
    without = dataclasses.replace(pair, c=self.field.zero)
    return ORIGINAL["_lowered"](self, m, n, s, t, without)


def _tilt_keeps_the_covariance(self, pair, left, right):
    tilted, weight = ORIGINAL["_tilted"](self, pair, left, right)
    return dataclasses.replace(tilted, c=pair.c), weight


def _price_has_the_wrong_sign(self, *arguments):
    return -ORIGINAL["_both_beyond"](self, *arguments)


ORIGINAL = {method: getattr(Calculus, method) for method in ("_sliced", "_lowered", "_tilted", "_both_beyond")}
CALCULI = {
    "the slice is doubled": ("_sliced", _doubled_slice, sp.Max(z, 0) ** 2),
    "Stein has no covariance": ("_lowered", _stein_without_covariance, z**3 - z + 2),
    "the tilt keeps the covariance": ("_tilted", _tilt_keeps_the_covariance, z * sp.exp(-(z**2))),
    "Price has the wrong sign": ("_both_beyond", _price_has_the_wrong_sign, sp.Max(z, 0)),
}


@pytest.mark.parametrize("name", CALCULI)
@pytest.mark.parametrize("order", [0, 1])
def test_an_error_in_the_calculus_is_refuted_although_the_examiner_uses_it(name, order, monkeypatch):
    method, wrong, expression = CALCULI[name]
    start = reflexivity(GaussianMean(activation(expression), order), GAUSSIAN_PAIR)
    right = start.by(gaussian_calculus).rhs.key
    monkeypatch.setattr(Calculus, method, wrong)
    theorem = start.by(gaussian_calculus)
    assert theorem.rhs.key != right
    with pytest.raises(StepRefuted):
        examine(theorem)


# --- the class ---------------------------------------------------------------------------------------------------

OUTSIDE = {
    sp.tanh(z): r"tanh\(z\) is outside the class",
    sp.log(1 + sp.exp(z)): r"log\(exp\(z\) \+ 1\) is outside the class",
    sp.sqrt(z): "outside the class",
    1 / z: "outside the class",
    sp.erf(z) ** 2: r"erf\(z\)\*\*2 is outside the class",
    sp.exp(z**3): r"exp\(z\*\*3\) is not of the form",
    sp.erf(z**2 + 1): r"erf\(z\*\*2 \+ 1\) is not of the form erf\(gamma z \+ delta\)",
    sp.erf(z) * sp.sign(z): "erf on one side of a break point",
    sp.Max(sp.sin(z), 0): "expected an expression whose zeros can be found",
    sp.sin(z) * sp.Heaviside(z): "sin or cos on one side of a break point",
    sp.erf(z) * sp.sin(z): "both erf and sin or cos",
    (z + 1) ** 5000: "5001 appear when",
    z**200: "expected powers up to 64",
}


@pytest.mark.parametrize("expression", OUTSIDE, ids=str)
def test_an_activation_outside_the_class_is_refused_with_the_part_that_is(expression):
    with pytest.raises(NotInClass, match=OUTSIDE[expression]):
        dual(expression)


def test_not_in_class_is_a_value_error():
    assert issubclass(NotInClass, ValueError)


def test_the_derivative_of_a_delta_is_outside_the_class():
    with pytest.raises(NotInClass, match="derivative of a Dirac delta"):
        derivative(derivative(parse(sp.sign(z)), weak=True), weak=True)


# --- outside the class -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SERIES)
def test_an_activation_outside_the_class_has_a_series_that_is_examined(name):
    theorem = mean_theorem(SERIES[name], 0)
    assert isinstance(theorem.rhs, HermiteSeries)
    assert "E[phi(u)^2] is finite at both variances" in theorem.assumptions
    assert examine(theorem).total == 2


def test_a_series_with_a_wrong_weight_is_refuted():
    def planted_weight(term, model):
        return Rewriting(HermiteSeries(term.activation, term.order, RHO**K / sp.factorial(K) * (1 + K / 100)))

    theorem = reflexivity(GaussianMean(SERIES["tanh"]), GAUSSIAN_PAIR).by(rule("planted")(planted_weight))
    with pytest.raises(StepRefuted, match="rho = 1/4"):
        examine(theorem)


# --- conditions and conventions ----------------------------------------------------------------------------------


def test_a_moment_that_does_not_always_exist_is_a_condition_of_the_theorem():
    found = dual(sp.exp(z**2 / 4))
    assert any("> 0" in condition for condition in found.conditions[3:])
    assert all("so that the moment exists" in assumption for assumption in found.theorem.assumptions)
    assert examine(found.theorem).total > 0
    assert dual("gaussian").conditions == ("a >= 0", "b >= 0", "D = ab - c^2 >= 0")


def test_the_weak_derivative_of_a_step_is_asked_for_by_name():
    """E[delta(u) delta(v)] is the density of the pair at the origin."""
    assert dual(STEP).derivative == 0
    weak = dual(STEP, weak=True)
    assert is_zero(weak.derivative - 1 / (2 * sp.pi * sp.sqrt(D)))
    assert examine(weak.derivative_theorem).total == 1
    assert dual("relu", weak=True).derivative == dual("relu").derivative


def test_a_wrong_weak_derivative_is_refuted():
    def planted_density(term, model):
        return Rewriting(ClosedForm(1 / (sp.pi * sp.sqrt(D))))

    start = reflexivity(GaussianMean(activation(STEP), 1, weak=True), GAUSSIAN_PAIR)
    with pytest.raises(StepRefuted, match="Price's identity fails"):
        examine(start.by(rule("planted")(planted_density)))


def test_parameters_stay_symbols():
    slope = sp.Symbol("alpha", positive=True)
    found = dual(sp.Max(z, 0) + slope * sp.Min(z, 0))
    assert found.value.free_symbols == {a, b, c, D, slope} - {a, b}
    assert is_zero(found.value.subs(slope, sp.Rational(1, 10)) - dual(sp.Max(z, z / 10)).value)


def test_an_order_that_is_not_zero_or_one_is_refused():
    with pytest.raises((ValueError, TypeError)):
        GaussianMean(activation("erf"), 2)


# --- activations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("typed", "suggested"), [("rel", "relu"), ("errf", "erf"), ("identiti", "identity")])
def test_an_unknown_name_suggests_the_nearest_one(typed, suggested):
    with pytest.raises(ValueError, match=f"got '{typed}'; did you mean .*{suggested}"):
        activation(typed)


@pytest.mark.parametrize("text", ["q" * 100_000, "17" * 900])
def test_messages_on_long_texts_are_short(text):
    with pytest.raises(ValueError, match=r"\.\.\.'") as error:
        activation(text)
    assert len(str(error.value)) < 700


def test_a_hopeless_name_lists_what_there_is():
    with pytest.raises(ValueError, match=r"did you mean .*erf.*mish"):
        activation("qqqqqqqqqqqqqqq")


def test_an_expression_must_be_in_z_alone():
    with pytest.raises(ValueError, match=r"use derive\.notation\.z"):
        activation(sp.Symbol("z") ** 2)
    with pytest.raises(ValueError, match="in z alone"):
        activation(z * notation.sigma_w)
    with pytest.raises(ValueError, match="in z alone"):
        activation(sp.Integer(3))
    with pytest.raises(TypeError, match="got int"):
        activation(3)


def test_an_activation_is_itself_and_has_its_pathwise_derivative():
    row = activation("relu")
    assert activation(row) is row
    assert activation(z**2) == Activation("z**2", z**2)
    assert [row.derivative.subs(z, point) for point in (-1, 0, 2)] == [0, 0, 1]


def test_the_angle_keeps_its_form_and_its_derivatives():
    x, y = sp.symbols("x y", positive=True)
    assert Atan2(y, x).func is Atan2
    assert sp.simplify(sp.diff(Atan2(y, x), y) - x / (x**2 + y**2)) == 0
    assert sp.simplify(sp.diff(Atan2(y, x), x) + y / (x**2 + y**2)) == 0
    assert float(Atan2(sp.Integer(1), sp.Integer(-1)).evalf()) == pytest.approx(3 * math.pi / 4)


def test_the_zero_test_knows_that_the_determinant_is_ab_minus_c_squared():
    assert is_zero(D - a * b + c**2)
    assert is_zero(sp.sqrt(D) ** 2 - (a * b - c**2))
    assert is_zero(sp.sqrt(D * (a + 1)) - sp.sqrt(D) * sp.sqrt(a + 1))
    assert is_zero(Atan2(sp.sqrt(D), -c) - Atan2(c, sp.sqrt(D)) - sp.pi / 2)
    assert is_zero(BivariateTail(1 / sp.sqrt(a), 0, c, sp.sqrt(D)) - BivariateTail(0, 1 / sp.sqrt(a), c, sp.sqrt(D)))
    assert is_zero(a * sp.log(12) - 2 * a * sp.log(2) - a * sp.log(3))
    assert not is_zero(a * sp.log(12) - 2 * a * sp.log(3) - a * sp.log(2))
    assert not is_zero(D - a * b)
    assert not is_zero(sp.sqrt(D) - sp.sqrt(a * b))
    assert not is_zero(Atan2(c, sp.sqrt(D)) + sp.pi / 1000)
