"""Certified Gaussian means: formulas from the literature, other quadratures, and bounds that must not be too small."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import acb, arb, arb_mat, ctx, fmpq
from scipy.special import erf

from derive.activations import ACTIVATIONS
from derive.duals import axes, conditional, grids, integration, panels
from derive.duals.balls import Ray, constant, values, with_logistic_functions
from derive.duals.integration import NotIntegrable, gaussian_mean, mean
from derive.duals.work import TooMuchWork, Work
from derive.notation import z
from derive.pieces import pieces

HALF = sp.Rational(1, 2)
RELU, STEP = sp.Max(z, 0), sp.Heaviside(z, 0)
CLIP = sp.Max(-1, sp.Min(1, z))
ELU = sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True))
SIGMOID = 1 / (1 + sp.exp(-z))
MISH = z * sp.tanh(sp.log(1 + sp.exp(z)))


def ball(x):
    """A rational number to a hundred digits."""
    with ctx.workdps(100):
        return arb(fmpq(x.numerator, x.denominator))


def angle(a, b, c):
    return arb.atan2((a * b - c * c).sqrt(), c)


FORMULAS = {
    "relu": (RELU, lambda a, b, c: ((a * b - c * c).sqrt() + (arb.pi() - angle(a, b, c)) * c) / (2 * arb.pi())),
    "step": (STEP, lambda a, b, c: (arb.pi() - angle(a, b, c)) / (2 * arb.pi())),
    "relu^2": (
        RELU**2,
        lambda a, b, c: (
            (3 * (a * b - c * c).sqrt() * c + (arb.pi() - angle(a, b, c)) * (a * b + 2 * c * c)) / (2 * arb.pi())
        ),
    ),
    "erf": (sp.erf(z), lambda a, b, c: 2 / arb.pi() * (2 * c / ((1 + 2 * a) * (1 + 2 * b)).sqrt()).asin()),
    "exp": (sp.exp(z), lambda a, b, c: (a / 2 + b / 2 + c).exp()),
    "sin": (sp.sin(z), lambda a, b, c: (-a / 2 - b / 2).exp() * c.sinh()),
    "gauss": (sp.exp(-(z**2)), lambda a, b, c: 1 / ((1 + 2 * a) * (1 + 2 * b) - 4 * c * c).sqrt()),
    "cubic": (z**3 - z, lambda a, b, c: 9 * a * b * c + 6 * c**3 - 3 * a * c - 3 * b * c + c),
}
"""Arc-cosine kernels (Cho and Saul 2009), Sheppard 1899, arc-sine kernel (Williams 1997), moments and Isserlis 1918."""

PAIRS = [
    (Fraction(3, 4), Fraction(5, 2), Fraction(9, 10)),
    (Fraction(5, 4), Fraction(2, 5), Fraction(-11, 20)),
    (Fraction(7, 3), Fraction(1, 500), Fraction(0)),
    (Fraction(9, 4), Fraction(1), Fraction(3, 2)),
    (Fraction(9, 4), Fraction(1), Fraction(-3, 2)),
]
"""Both signs, unequal norms, independent, fully correlated."""
NEARLY_DEGENERATE = [
    (Fraction(9, 4), Fraction(1), Fraction(149, 100)),
    (Fraction(2), Fraction(1, 2), Fraction(10**12 - 1, 10**12)),
    (Fraction(2), Fraction(1, 2), Fraction(1 - 10**9, 10**9)),
]
CASES = [(name, pair) for name in FORMULAS for pair in PAIRS]
CASES += [(name, pair) for name in ("relu", "exp") for pair in NEARLY_DEGENERATE]


@cache
def truth(name, pair):
    with ctx.workdps(100):
        return FORMULAS[name][1](*map(ball, pair))


def scale(function, pair):
    return float(mean(function**2, pair[0], 5) * mean(function**2, pair[1], 5)) ** 0.5


@pytest.mark.parametrize(
    ("name", "pair"), CASES, ids=lambda x: x if isinstance(x, str) else "a={} b={} c={}".format(*x)
)
def test_forty_digits_of_a_formula_from_the_literature(name, pair):
    function = FORMULAS[name][0]
    found, expected = gaussian_mean(function, function, *pair), truth(name, pair)
    with ctx.workdps(100):
        assert found.overlaps(expected)
        assert found.rad() <= arb(10) ** -40 * scale(function, pair)
        assert not found.overlaps(expected + arb(10) ** -35 * scale(function, pair))


@pytest.mark.parametrize("digits", [1, 2, 5, 13, 60])
@pytest.mark.parametrize("name", ["relu", "erf", "exp"])
def test_any_number_of_digits(name, digits):
    function = FORMULAS[name][0]
    found = gaussian_mean(function, function, *PAIRS[0], digits=digits)
    with ctx.workdps(100):
        assert found.contains(truth(name, PAIRS[0]))
        assert found.rad() < arb(10) ** -digits * abs(found)


def test_different_functions():
    found = gaussian_mean(z, RELU, *PAIRS[1])  # Stein's lemma: c E[relu'] = c/2
    assert found.contains(ball(PAIRS[1][2] / 2))
    assert found.rad() < 1e-40


def trapezoid(f, a, b, c, step=0.1):
    """E[f(u) f(v)] by the trapezoidal rule, whose error is exp(-2 pi w / step) for poles at a distance w."""
    x = np.arange(-12, 12, step)
    weights = step / np.sqrt(2 * np.pi) * np.exp(-x * x / 2)
    u, v = np.sqrt(a) * x[:, None], c / np.sqrt(a) * x[:, None] + np.sqrt(b - c * c / a) * x
    return weights @ (f(u) * f(v)) @ weights


SMOOTH = {
    "tanh": (sp.tanh(z), np.tanh),
    "slope of silu": (sp.diff(z * SIGMOID, z), lambda x: (1 + np.exp(-x) * (1 + x)) / (1 + np.exp(-x)) ** 2),
    "mish": (MISH, lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    "atan": (sp.atan(z), np.arctan),
    "asinh": (sp.asinh(z), np.arcsinh),
    "root": (sp.sqrt(1 + z**2), lambda x: np.sqrt(1 + x * x)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_functions_without_a_closed_form(name):
    function, numeric = SMOOTH[name]
    pair = Fraction(1, 2), Fraction(5, 4), Fraction(-2, 5)
    coarse, fine = (gaussian_mean(function, function, *pair, digits=digits) for digits in (14, 24))
    reference = trapezoid(numeric, *map(float, pair))
    assert abs(float(fine) - reference) < 2e-13 * (1 + abs(reference))
    assert coarse.contains(fine)
    assert fine.rad() < coarse.rad() * arb(10) ** -5


@pytest.mark.parametrize("which", ACTIVATIONS, ids=lambda which: which.name)
def test_balls_of_all_activations_and_derivatives_shrink_around_the_same_number(which):
    for function in (which.expression, which.derivative):
        coarse, fine = (gaussian_mean(function, function, *PAIRS[1], digits=digits) for digits in (4, 12))
        assert fine.overlaps(coarse)
        assert fine.rad() < coarse.rad() or fine.is_exact()


def clip_mean(m, s):
    def antiderivative(t):
        return t * mpmath.ncdf(t) + mpmath.npdf(t)

    return 1 - s * (antiderivative((1 - m) / s) - antiderivative((-1 - m) / s))


def elu_mean(m, s):
    positive = m * mpmath.ncdf(m / s) + s * mpmath.npdf(m / s)
    return positive + mpmath.exp(m + s * s / 2) * mpmath.ncdf(-m / s - s) - mpmath.ncdf(-m / s)


@pytest.mark.parametrize(
    ("function", "numeric", "conditional_mean", "breaks"),
    [
        (CLIP, lambda t: max(-1, min(1, t)), clip_mean, (-1, 1)),
        (ELU, lambda t: t if t > 0 else mpmath.expm1(t), elu_mean, (0,)),
    ],
    ids=["clip", "elu"],
)
@pytest.mark.parametrize("c", [Fraction(3, 5), Fraction(-139, 100)])
def test_kinked_functions_against_one_integral_of_the_conditional_mean(function, numeric, conditional_mean, breaks, c):
    a, b = Fraction(4, 5), Fraction(5, 2)
    with mpmath.workdps(30):
        root, s = (mpmath.sqrt(mpmath.mpf(x.numerator) / x.denominator) for x in (a, b - c * c / a))
        slope = mpmath.mpf(c.numerator) / c.denominator / root
        cuts = sorted({*(t / root for t in breaks), *(t / slope for t in breaks), -12, 12, 0})
        expected = mpmath.quad(lambda x: mpmath.npdf(x) * numeric(root * x) * conditional_mean(slope * x, s), cuts)
        found = gaussian_mean(function, function, a, b, c, digits=25)
        assert abs(mpmath.mpf(found.mid().str(30, radius=False)) - expected) < mpmath.mpf(10) ** -22


@pytest.mark.parametrize("function", [CLIP, ELU, sp.tanh(z), sp.Abs(z - 1), sp.sin(2 * z)], ids=str)
def test_the_grid_and_the_conditional_mean_agree_where_both_work(function, monkeypatch):
    pair = Fraction(3, 4), Fraction(2), Fraction(-6, 5)
    found = []
    for threshold in (0.0, 1.0):
        monkeypatch.setattr(integration, "_NEARLY_DEGENERATE", threshold)
        found.append(gaussian_mean(function, RELU, *pair, digits=20))
    assert found[0].overlaps(found[1])
    assert found[0].repr() != found[1].repr()


@pytest.mark.parametrize("function", [sp.tanh(z), ELU], ids=str)
def test_means_are_continuous_where_the_method_changes_and_at_full_correlation(function):
    close = [gaussian_mean(function, function, 2, 2, 2 - x, digits=20) for x in (Fraction(1, 10**18), 0)]
    assert abs(close[0] - close[1]) < 1e-17
    between = [gaussian_mean(function, function, 1, 1, 1 - Fraction(n, 10**7), digits=15) for n in (4999, 5000, 5001)]
    assert abs(between[0] - 2 * between[1] + between[2]) < 1e-12  # the second difference is about 1e-14


def test_degenerate_pairs():
    assert gaussian_mean(RELU, RELU, 2, 8, -4).is_zero()
    assert gaussian_mean(CLIP, CLIP, 4, 1, 2, 30).overlaps(mean(CLIP * CLIP.xreplace({z: z / 2}), 4, 30))
    sigmoid = gaussian_mean(SIGMOID, SIGMOID, 1, 1, -1)  # sigmoid(-z) = 1 - sigmoid(z)
    assert sigmoid.overlaps(mean(SIGMOID, 1) - mean(SIGMOID**2, 1))


@pytest.mark.parametrize(
    ("function", "at_zero"), [(sp.exp(z), 1), (STEP, Fraction(1, 2)), (ELU, 0), (sp.cos(z) / 3, Fraction(1, 3))]
)
def test_a_variable_without_variance_is_zero(function, at_zero):
    expected = ball(Fraction(at_zero)) * mean(sp.exp(z), 2)
    assert gaussian_mean(function, sp.exp(z), 0, 2, 0).overlaps(expected)
    assert gaussian_mean(sp.exp(z), function, 2, 0, 0).overlaps(expected)
    assert mean(function, 0).overlaps(ball(Fraction(at_zero)))


@pytest.mark.parametrize(("f", "g"), [(sp.tanh(z) + 1, ELU), (MISH, sp.Abs(z - 1)), (sp.exp(z), SIGMOID)])
def test_the_mean_of_a_product_of_independent_functions_is_the_product_of_means(f, g):
    with ctx.workdps(60):
        found, product = gaussian_mean(f, g, 2, Fraction(1, 3), 0), mean(f, 2) * mean(g, Fraction(1, 3))
        assert found.overlaps(product)
        assert abs(found - product) < 1e-39
        assert not found.overlaps(product + arb(10) ** -35)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (sp.Max(sp.tanh(z), HALF), lambda x: max(mpmath.tanh(x), 0.5)),
        (sp.Max(z**5 - z - 1, 0), lambda x: max(x**5 - x - 1, 0)),
        (sp.Max(sp.exp(z) - 3, 0), lambda x: max(mpmath.exp(x) - 3, 0)),
    ],
    ids=["atanh(1/2)", "algebraic", "log(3)"],
)
def test_break_points_that_are_not_rational(function, expected):
    breaks = [mpmath.mpf(str(piece.low.evalf(20))) for piece in pieces(function)[1:]]
    with mpmath.workdps(25):
        reference = mpmath.quad(lambda x: expected(x) * mpmath.npdf(x), [-12, *breaks, 0 if breaks[0] < 0 else 2, 14])
        found = mean(function, 1, digits=30)
        assert abs(mpmath.mpf(found.mid().str(25, radius=False)) - reference) < mpmath.mpf(10) ** -16


@pytest.mark.parametrize("variance", [Fraction(1, 10**12), 10**6])
def test_tiny_and_huge_variances(variance):
    assert mean(RELU, variance).overlaps((ball(Fraction(variance)) / (2 * arb.pi())).sqrt())
    assert mean(STEP.xreplace({z: z - 10}), Fraction(1, 10**12)).overlaps(arb(0))
    second_moment = mean(sp.tanh(z) ** 2, variance, digits=20)
    tiny = variance < 1
    assert abs(second_moment / ball(Fraction(variance)) - 1 if tiny else second_moment - 1) < (1e-11 if tiny else 1e-3)


def test_a_float_is_its_binary_value():
    found = gaussian_mean(z, z, 1.0, np.float64(2.0), 0.1)
    assert found.contains(ball(Fraction(0.1)))
    assert not found.overlaps(ball(Fraction(1, 10)))


@pytest.mark.parametrize("c", [0, -HALF])
def test_functions_may_grow_as_long_as_the_density_falls_off_faster(c):
    growing = sp.exp(3 * z**2 / 10)
    found = gaussian_mean(growing, growing, 1, 1, c, digits=15)
    assert found.overlaps(1 / constant(sp.Rational(4, 25) - sp.Rational(9, 25) * c**2).sqrt())


def test_growth_of_one_function_may_leave_less_for_the_other():
    growing = sp.exp(9 * z**2 / 20)
    found = gaussian_mean(growing, growing, 1, Fraction(1, 100), Fraction(1, 20), digits=10)
    assert found.overlaps(1 / (arb("0.1") * arb("0.991") - arb("0.81") * arb("0.0025")).sqrt())


@pytest.mark.parametrize(
    ("f", "c"),
    [
        (sp.exp(z**2 / 2), 0),
        (sp.exp(z**4), 0),
        (sp.exp(sp.exp(z)), 0),
        (sp.exp(3 * z**2 / 10), Fraction(9, 10)),
        (sp.exp(z**2 / 4), 1),
        (1 / z, 0),
        (1 / (z - 2), 0),
        (sp.log(sp.Abs(z)), 0),
        (sp.sqrt(z), 0),
        (sp.gamma(z), 0),
        (sp.Symbol("beta", real=True) * z, 0),
    ],
    ids=str,
)
def test_what_has_no_mean_or_cannot_be_enclosed_is_refused(f, c):
    with pytest.raises(NotIntegrable, match=r"expected|not known|not analytic"):
        gaussian_mean(f, f, 1, 1, c, digits=10)


@pytest.mark.parametrize("f", [sp.sin(z) / z, sp.Abs(z) ** sp.Rational(-1, 4)], ids=str)
def test_singularities_are_refused_where_they_are_in_one_line_that_says_what_to_do(f):
    with pytest.raises(NotIntegrable, match=r"no bound of .*z.* between z = .* 0; write it without singularities, rem"):
        mean(f, 1, 10)


def test_a_mean_that_takes_too_much_work_is_refused(monkeypatch):
    for threshold in (0.0, 1.0):
        monkeypatch.setattr(integration, "_NEARLY_DEGENERATE", threshold)
        enough = Work()
        gaussian_mean(RELU, RELU, 1, 1, HALF, 20, enough)
        assert 1000 < enough.spent < 1_000_000
        gaussian_mean(RELU, RELU, 1, 1, HALF, 20, Work(enough.spent))
        with pytest.raises(TooMuchWork, match="operations on balls, this one takes more"):
            gaussian_mean(RELU, RELU, 1, 1, HALF, 20, Work(enough.spent - 1))


def test_work_that_is_shared_is_used_up():
    """Twice the same mean costs twice as much, whatever is remembered of the first."""
    work = Work()
    for n in (1, 2):
        mean(RELU, 3, 20, work)
        gaussian_mean(RELU, RELU, 3, 1, 1, 20, work)
        once = work.spent // n
    assert work.spent == 2 * once


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 1, 2), "c.2 <= ab"),
        ((-1, 1, 0), "variances a, b >= 0"),
        ((0, 1, Fraction(1, 10)), "c.2 <= ab"),
        ((sp.sqrt(2), 2, 1), "finite float, got sqrt"),
        ((float("nan"), 2, 1), "finite float, got nan"),
        ((1, 1, 0, 0), "at least one digit"),
    ],
)
def test_what_is_no_pair_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        gaussian_mean(z, z, *arguments)
    with pytest.raises(ValueError, match="variance >= 0"):
        mean(z, -1)


def test_the_working_precision_is_put_back():
    before = ctx.prec
    gaussian_mean(RELU, RELU, 1, 1, HALF, digits=50)
    with pytest.raises(NotIntegrable):
        mean(sp.exp(z**2), 1)
    assert ctx.prec == before


def test_activations_at_the_same_pair_share_the_density():
    gaussian_mean(RELU, RELU, 3, 5, 2)
    before = grids._density.cache_info()
    gaussian_mean(STEP, STEP, 3, 5, 2)
    after = grids._density.cache_info()
    assert after.hits > before.hits
    assert after.misses == before.misses


# Steep functions: what a user may type.


@pytest.mark.parametrize("steepness", [30, 1000, 10**8])
def test_steep_functions_are_near_those_with_a_kink_or_a_jump(steepness):
    """Softplus is relu and an even bump, whose mean for large k follows from its integral, pi^2/6 over k."""
    softplus, sigmoid = sp.log(1 + sp.exp(steepness * z)) / steepness, 1 / (1 + sp.exp(-steepness * z))
    density = 1 / math.sqrt(2 * math.pi)
    expected = density * (1 + math.pi**2 / 6 / steepness**2)
    assert float(mean(softplus, 1, 20)) == pytest.approx(expected, rel=5 / steepness**4 + 1e-15)
    square = 0.5 - density * (1 / steepness - math.pi**2 / 6 / steepness**3)
    assert float(mean(sp.diff(softplus, z) ** 2, 1, 20)) == pytest.approx(square, rel=5 / steepness**5 + 1e-15)
    assert mean(sigmoid, 1, 20).overlaps(arb(0.5))
    found, kinked = gaussian_mean(softplus, softplus, *PAIRS[0], digits=10), truth("relu", PAIRS[0])
    assert abs(found - kinked) < 2 / arb(steepness) ** 2 + 1e-9


def test_a_steep_peak_has_a_norm_that_is_not_far_above_it():
    peak = panels.Smooth(1 - sp.tanh(10**8 * z) ** 2, arb(1), arb(0))
    bound = panels.integral_bound([peak], arb(0), arb(4), panels.STANDARD, panels.ROUNDS)
    assert 1e-8 < bound < 3e-8  # and infinitely many strips give 1e-8


@pytest.mark.parametrize("planted", [False, True])
@pytest.mark.parametrize(("middle", "other"), [("0.001", "-0.002"), ("1.5", "-2"), ("3", "3")])
def test_small_rules_see_the_density_through_few_moments(middle, other, planted, monkeypatch):
    """Sums over values of the density agree; a rest that is left out would be noticed."""
    pair = tuple(map(sp.Rational, (1, 2, 1)))
    function = axes.Function(pieces(sp.exp(z)), arb(1))
    with ctx.workdps(40):
        rate, growth, half = arb(2).sqrt(), arb(1), arb("0.01")
        rules = [panels.Panel(arb(t) - half, arb(t) + half, 16, arb(0)) for t in (middle, other)]
        x, y = axes.sampled(function, rules)
        rows, columns = (arb_mat([at.values]) for at in (x, y))
        expected = (rows * grids._density(x.panel, y.panel, pair, ctx.prec) * columns.transpose())[0, 0]
        count = grids._moments_needed(rate * x.panel.radius * y.panel.radius)
        assert 4 < count < 16
        found = grids._by_moments(x, y, rate, growth, count - 3 * planted)
        assert found.overlaps(expected)
        assert found.rad() < 1e-12 * abs(found)
        assert found.mid().overlaps(expected) != planted
    assert not grids._moments_needed(arb(4))


# Bounds: never below what they bound.

INTEGRANDS = {
    "tanh": sp.tanh(3 * z),
    "runge": 1 / (1 + 4 * z**2),
    "erf": sp.erf(2 * z),
    "root": sp.sqrt(z + 2),
    "softplus": sp.log(1 + sp.exp(5 * z)),
    "high power": z**30,
}


@cache
def on_unit_interval(name):
    return [panels.Smooth(INTEGRANDS[name], arb(1), arb(0))]


@pytest.mark.parametrize("height", [0.1, 0.3, 0.45])
@pytest.mark.parametrize("name", INTEGRANDS)
def test_the_bound_of_a_rule_is_above_its_error_for_every_number_of_nodes(name, height):
    functions, ends = on_unit_interval(name), (arb(-1) / 2, arb(3) / 2)
    with ctx.workdps(60):
        remainder = panels._remainder(functions, *ends, panels.STANDARD, arb(height))
        exact = rule(functions, *ends, 250)
        for count in (2, 3, 4, 6, 9, 14, 20, 40):
            error = abs(rule(functions, *ends, count) - exact)
            assert error < remainder.bound(count)
        assert remainder.bound(40) < remainder.bound(20) < arb.pos_inf()


def rule(functions, low, high, count):
    nodes = panels.Panel(low, high, count, arb(0)).nodes()
    found = functions[0].at([x for x, _ in nodes])
    return sum((w * (-x * x / 2).exp() * f for (x, w), f in zip(nodes, found, strict=True)), arb(0))


def test_no_bound_holds_across_a_pole():
    above = panels._remainder(on_unit_interval("runge"), arb(-1), arb(1), panels.STANDARD, arb(0.6))
    assert not above.factor.is_finite()


@pytest.mark.parametrize("pair", [PAIRS[0], *NEARLY_DEGENERATE[1:]], ids=["grid", "conditional", "negative"])
@pytest.mark.parametrize("name", ["erf", "relu", "gauss"])
def test_too_few_nodes_give_a_wide_ball_that_holds_the_truth_and_without_a_remainder_miss_it(name, pair, monkeypatch):
    a, b, _ = map(sp.Rational, pair)
    monkeypatch.setattr(panels._Remainder, "count", lambda self, tolerance: 16.0)
    found = []
    for bound in (panels._Remainder.bound, lambda self, count: arb(0)):
        monkeypatch.setattr(panels._Remainder, "bound", bound)
        with ctx.workdps(60):
            functions = (axes.Function(pieces(FORMULAS[name][0]), constant(sp.sqrt(v))) for v in (a, b))
            found.append(integration._plane(*functions, tuple(map(sp.Rational, pair)), 30).value)
    assert found[0].contains(truth(name, pair))
    assert found[0].rad() > 1e-15
    assert not found[1].overlaps(truth(name, pair))


def test_what_is_left_out_far_from_the_ridge_widens_the_ball(monkeypatch):
    pair, covering = (Fraction(1), Fraction(1), Fraction(-1, 2)), axes.Axis.panels
    monkeypatch.setattr(axes.Axis, "panels", lambda axis, growth, digits: covering(axis, growth, 30))
    with ctx.workdps(60):
        x = axes.axis_of(axes.Function(pieces(sp.exp(z)), arb(1)), arb(1) / 3, 30)
        found = [grids.on_grid(x, x, tuple(map(sp.Rational, pair)), digits).value for digits in (30, 0)]
    assert all(value.contains(truth("exp", pair)) for value in found)
    assert found[0].rad() < 1e-25 < found[1].rad()
    assert not found[0].overlaps(found[1].mid())


def test_inner_means_hold_what_is_beyond_their_reach():
    g, r, s, reach = axes.Function(pieces(sp.exp(z)), arb(2)), arb("-0.8"), arb("0.6"), arb(4)
    inner = conditional._inner(g, r, s, reach, arb("1e-12"))
    at = arb("0.3")
    found, expected = inner.mean(at, inner.rules(at)), (2 * r * at + 2 * s * s).exp()  # E[exp(2 (r x + s n))]
    assert found.contains(expected)
    assert not found.mid().overlaps(expected)
    assert expected < inner.largest
    swept = inner.swept(at, at + 1)
    assert all(swept.at([at])[0].contains((2 * (r * at + s * n)).exp()) for n in (-reach, reach))


@pytest.mark.parametrize("power", [0, 3, 8])
def test_the_bound_of_a_tail_is_above_it_and_not_far(power):
    for reach in (5, 9, 14):
        function = axes.Function(pieces(z**power * sp.exp(z)), arb(1))
        bound = float(axes._tail(function.beyond(arb(reach), 1), arb(0.5), arb(reach)))
        tail = float(mpmath.quad(lambda t: t**power * mpmath.exp(t - t * t / 2), [reach, reach + 3, reach + 12]))
        assert tail < bound < 2 * tail


FAR_OUT = [
    *INTEGRANDS.values(),
    *(function for function, _ in SMOOTH.values()),
    *(sp.diff(function, z) for function, _ in SMOOTH.values()),
    1 / sp.cosh(z) ** 2,
    z**4 - 3 * z**3 + z - 7,
    sp.exp(-z / 3) * z**2 - sp.exp(-(z**2)),
    sp.exp(z**2 / 5) / (1 + sp.exp(z)) ** 3,
    sp.sinh(z) * sp.erfc(z) + sp.cos(z**2),
    2**z / sp.sqrt(z**2 + sp.pi),
    1 / (z**2 - z + 1),
    (sp.cos(z) - 3) ** 4 + sp.cos(z) ** 2,
    sp.exp(-sp.exp(z)) + sp.log(1 + z**2) ** 2,
]


@pytest.mark.parametrize("expression", FAR_OUT, ids=str)
def test_bounds_far_out_hold(expression):
    source = random.Random(str(expression))
    for t in (1.5, 20.0):
        bound = Ray(arb(t), arb(t), arb.pos_inf()).bound(expression)
        points = [arb(t), *(arb(t + source.expovariate(0.2)) for _ in range(20))]
        for x, value in zip(points, values(expression, points), strict=True):
            most = bound.size * (bound.rate * (x - t) + bound.curvature * (x * x - arb(t) ** 2)).exp()
            assert abs(value) <= most * (1 + 1e-9)


@pytest.mark.parametrize(
    "expression", [1 / (sp.exp(z / 2) - sp.exp(z / 4)), 1 / (sp.cos(z) + HALF) ** 2, sp.exp(z * sp.log(z))], ids=str
)
def test_what_has_no_bound_far_out_or_none_that_is_seen_is_refused(expression):
    with pytest.raises(NotIntegrable, match="expected a bound of"):
        Ray(arb(2), arb(2), arb.pos_inf()).bound(expression)


def test_bounds_far_out_see_what_falls_off():
    slope = sp.diff(SIGMOID, z)
    for side in (1, -1):
        bound = Ray(arb(5), arb(5), arb.pos_inf()).bound(slope.xreplace({z: side * z}))
        assert bound.rate < -0.9
        assert bound.size < 0.01


# Values in ball arithmetic.

FUNCTIONS = [sp.exp, sp.log, sp.sqrt, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.erfc, sp.atan, sp.asinh]


def to_minus_five_thirds(x):
    return x ** sp.Rational(-5, 3)


def exponential_of_base_three(x):
    return 3**x


@pytest.mark.parametrize(
    "function", [*FUNCTIONS, to_minus_five_thirds, exponential_of_base_three], ids=lambda function: function.__name__
)
def test_values_agree_with_sympy_on_the_line_and_beside_it(function):
    expression = function(1 + z * sp.sqrt(2)) + sp.pi * z
    real, complex_ = values(expression, [arb("0.3")])[0], values(expression, [acb("0.3", "0.4")])[0]
    for found, point in ((acb(real), sp.Rational(3, 10)), (complex_, sp.Rational(3, 10) + sp.I * sp.Rational(2, 5))):
        expected = expression.xreplace({z: point}).evalf(30)
        assert abs(found - acb(*(str(part) for part in expected.as_real_imag()))) < 1e-13


@pytest.mark.parametrize(
    ("expression", "box"),
    [
        (sp.log(z), acb(arb(-1, 0.5), arb(0, 0.1))),
        (sp.sqrt(z), acb(arb(-1, 0.5), arb(0, 0.1))),
        (z ** sp.Rational(1, 3), acb(arb(-1, 0.5), arb(0, 0.1))),
        (sp.atan(z), acb(arb(0, 0.1), arb(1.5, 0.1))),
        (sp.asinh(z), acb(arb(0, 0.1), arb(-1.5, 0.1))),
        (sp.tanh(z), acb(arb(0, 0.1), arb(1.5, 0.1))),
        (1 / (1 + z**2), acb(arb(0, 0.1), arb(1, 0.1))),
    ],
    ids=str,
)
def test_boxes_on_which_a_function_is_not_analytic_have_no_finite_value(expression, box):
    assert not values(expression, [box])[0].is_finite()
    assert values(expression, [box + acb(3, 3)])[0].is_finite()


SOFTPLUS = sp.log(1 + sp.exp(z))


@pytest.mark.parametrize("angle", [0, 0.3, 1.2, 1.7, 3.1])
@pytest.mark.parametrize("left", [-900, -3, -0.1, 0.5, 40])
@pytest.mark.parametrize("width", [0.5, 5, 2000])
def test_wide_balls_of_softplus_and_its_slope_hold_their_values(left, width, angle):
    box = acb(arb(left).union(arb(left + width)), arb(-angle / 2).union(arb(angle)))
    softplus, slope = (values(f, [box])[0] for f in (SOFTPLUS, 1 / (1 + sp.exp(-z))))
    assert softplus.is_finite()
    assert slope.is_finite()
    source = random.Random(f"{left} {width} {angle}")
    for _ in range(10):
        w = acb(left + width * source.random() ** 4, angle * (1.5 * source.random() - 0.5))
        assert softplus.overlaps(w + ((-w).exp() + 1).log() if w.real > 0 else (w.exp() + 1).log())
        assert slope.overlaps(1 / (1 + (-w).exp()))
    assert values(SOFTPLUS, [box.real])[0].overlaps(box.real.mid().exp().log1p())


@pytest.mark.parametrize(
    ("box", "analytic"),
    [
        (acb(arb(0, 0.1), arb(3.1, 0.1)), False),  # around the branch point
        (acb(arb(0, 0.1), arb(6.3, 0.1)), False),  # where the two halves have another logarithm
        (acb(arb(0, 0.1), arb(3, 0.1)), True),
        (acb(arb(1, 0.1), arb(6.3, 4)), True),
        (acb(arb(-1, 0.1), arb(6.3, 4)), True),
    ],
)
def test_softplus_is_continued_as_far_as_it_is_analytic(box, analytic):
    found = values(SOFTPLUS, [box])[0]
    assert found.is_finite() == analytic
    if box.real > 0:
        w = acb(1, arb(7))  # beyond the cut of the principal logarithm
        assert found.overlaps(w + (1 + (-w).exp()).log())
        assert not values(SOFTPLUS, [w])[0].overlaps((1 + w.exp()).log())


@pytest.mark.parametrize(
    "expression", [sp.exp(z) / (1 + sp.exp(z)), sp.diff(MISH, z, 2), z * sp.exp(-4 * z) * SIGMOID**5]
)
def test_quotients_of_exponentials_become_logistic_functions(expression):
    rewritten = with_logistic_functions(expression)
    assert rewritten != expression
    before, after = (values(f, [acb(arb("0.3"), arb("0.4")), acb(-2)]) for f in (expression, rewritten))
    assert all(abs(x - y) < 1e-12 for x, y in zip(before, after, strict=True))
    assert values(with_logistic_functions(sp.exp(z) / (1 + sp.exp(z))), [arb(500, 400)])[0] < 2
    far = acb(arb(500, 400), arb(0, 400))
    assert abs(values(with_logistic_functions(sp.exp(z) / (1 + sp.exp(z)) ** 2), [far])[0]) < 1e-40


def test_powers_of_what_vanishes_inside_a_ball_are_integrated():
    """The square of gelu has a zero at 0, in every ball around it; the trapezoidal rule is exact for it to rounding."""
    gelu = z * (1 + sp.erf(z / sp.sqrt(2))) / 2
    t = np.linspace(-12, 12, 1201)
    weights = np.exp(-(t**2) / 2) / np.sqrt(2 * np.pi) * (t[1] - t[0])
    first, second = 3 * t[:, None], 5 / 3 * t[:, None] + np.sqrt(16 - 25 / 9) * t
    u, v = ((x * (1 + erf(x / np.sqrt(2))) / 2) ** 2 for x in (first, second))
    expected = float(weights @ (u * v) @ weights)
    assert float(gaussian_mean(gelu**2, gelu**2, 9, 16, 5, 20).mid()) == pytest.approx(expected, rel=1e-12)
