"""The whole class of the calculus: its duals against certified integrals, its conditions, its edges, planted errors."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from derive.activations import activation
from derive.duals import dual
from derive.duals.evaluation import enclosure
from derive.duals.expressions import is_zero
from derive.duals.function_class import NotInClass, derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.integration import gaussian_mean
from derive.duals.normal_form import Form, Monomial, Surd, constant, normal_cdf
from derive.duals.theorems import GAUSSIAN_PAIR, ClosedForm, GaussianMean, gaussian_calculus
from derive.examiner import examine
from derive.notation import D, a, b, c, z
from derive.theorem import Rewriting, StepRefuted, reflexivity, rule

R, exp, erf, sin, cos, H = sp.Rational, sp.exp, sp.erf, sp.sin, sp.cos, sp.Heaviside
GOLDEN = (1 + sp.sqrt(5)) / 2
DIGITS = 26
NEGATIVE, POSITIVE = (R(5, 4), R(2, 5), R(-11, 20)), (R(3, 4), R(5, 2), R(9, 10))
PAIRS = (NEGATIVE, POSITIVE, (R(3, 4), R(5, 2), R(0)), (R(1, 2), R(2), R(1)), (R(1, 2), R(2), R(-1)))
"""Unequal norms; correlations of both signs, 0, 1 and -1."""


def slope_of(expression):
    return activation(expression, parameters=True).derivative


def assert_is_mean(form, expression, pair):
    """Hold a closed form against the integral of the function itself, to 25 digits."""
    value = enclosure(form, *pair, digits=DIGITS)
    reference = gaussian_mean(expression, expression, *pair, digits=DIGITS)
    scale = max(1, abs(float(reference)))
    assert float(value.rad()) + float(reference.rad()) < scale * 10 ** (2 - DIGITS)
    assert abs(float((value - reference).mid())) < scale * 10 ** (1 - DIGITS)
    assert value.overlaps(reference)


def piecewise(*branches):
    return sp.Piecewise(*branches)


MEMBERS = {
    "two scales of erf": erf(z / sp.sqrt(2)) + erf(2 * z),
    "erf with bias": erf(z - R(1, 3)) + z * erf(2 * z + 1),
    "erf times exp": exp(z) * erf(z + 1),
    "erf times Gaussian": z * erf(z) * exp(-(z**2)),
    "one-sided exponential": H(z) * exp(-z),
    "rising one-sided exponential": H(-z) * exp(z),
    "two-sided exponential": exp(-sp.Abs(z)),
    "several thresholds": sp.Max(z - 1, 0) - sp.Max(z + R(1, 2), 0) + H(z + 2),
    "irrational threshold": sp.Max(z - sp.sqrt(3), 0) / sp.sqrt(6),
    "golden threshold": sp.Max(z - GOLDEN, 0),
    "threshold at pi": H(z - sp.pi / 4),
    "tent": sp.Max(1 - sp.Abs(z), 0),
    "three pieces": piecewise((z, z < -1), (z**2, z < 2), (1, True)),
    "pieces with exponentials": piecewise((exp(z), z < 0), (1 + z, z < 1), (2 * exp(1 - z), True)),
    "z sgn z Gaussian": z * sp.sign(z) * exp(-(z**2)),
    "Gaussian beyond a threshold": H(z - R(1, 2)) * exp(-(z**2)),
    "wave packet": cos(z) * exp(-(z**2) / 2),
    "wave with phase": sin(z + 1) + cos(sp.pi * z / 2),
    "growing wave": exp(z) * sin(z),
    "polynomial times wave": z * sin(2 * z) + z**2 * cos(z / 3),
    "constants": sp.sqrt(2) * z + sp.sqrt(sp.pi) * erf(z / sp.sqrt(2)) + sp.pi,
    "irrational exponents": exp(sp.sqrt(2) * z) - exp(z / sp.sqrt(2)),
    "constants e": sp.sqrt(sp.E) * exp(z) + sp.E**2 * z,
    "relu and erf": sp.Max(z, 0) + erf(z),
    "kink beside a smooth gelu": sp.Max(z - 1, 0) + z * (1 + erf(z / sp.sqrt(2))) / 2,
    "kink beside a wave": sp.Abs(z) + sin(z),
}


EVERYWHERE = "three pieces", "several thresholds", "one-sided exponential", "wave packet"


@pytest.mark.parametrize("name", [name for name in MEMBERS if name not in EVERYWHERE])
def test_a_dual_of_the_class_is_the_mean_that_integration_encloses(name):
    expression = MEMBERS[name]
    found = dual(expression)
    for pair in (NEGATIVE, PAIRS[len(name) % 3 + 2]):
        assert_is_mean(found.value, expression, pair)
    assert_is_mean(found.derivative, slope_of(expression), PAIRS[len(name) % 4])


@pytest.mark.parametrize("name", EVERYWHERE)
@pytest.mark.parametrize("order", [0, 1])
def test_a_dual_holds_at_every_kind_of_pair(name, order):
    expression = MEMBERS[name]
    form = dual(expression).closed_forms[order].expression
    for pair in (*PAIRS, (R(1, 100), R(3), R(1, 10)), (R(2, 3), R(2, 3), R(2, 3)), (R(2, 3), R(2, 3), R(-2, 3))):
        assert_is_mean(form, slope_of(expression) if order else expression, pair)


random = {"deadline": None, "derandomize": True, "phases": [Phase.generate]}  # derivations are too slow to shrink
scalars = st.sampled_from([R(2), R(-1), R(1, 3), -sp.sqrt(2), 1 / sp.sqrt(sp.pi), sp.pi / 2, R("0.37")])
thresholds = st.sampled_from([R(0), R(1, 2), R(-1)])
envelopes = st.sampled_from([sp.S.One, exp(z / 2), exp(-z), exp(-(z**2)), exp(-(z**2) / 2 + z), exp(z**2 / 16)])
switches = st.one_of(
    thresholds.map(lambda t: sp.sign(z - t)),
    thresholds.map(lambda t: H(z - t)),
    thresholds.map(lambda t: H(t - z)),
)
softs = st.tuples(st.sampled_from([R(1), R(-2), 1 / sp.sqrt(2)]), thresholds).map(lambda k: erf(k[0] * z + k[1]))
waves = st.tuples(st.sampled_from([sin, cos, sp.sinh, sp.cosh]), st.sampled_from([R(1), R(3, 2)])).map(
    lambda k: k[0](k[1] * z)
)


def sums(factors):
    """Return a product of powers, exponentials and a factor, and a multiple of another factor beside it."""
    product = st.tuples(scalars, st.sampled_from([sp.S.One, z]), envelopes, factors).map(lambda k: sp.Mul(*k))
    return st.tuples(product, st.sampled_from([R(0), R(2), -sp.sqrt(2)]), factors).map(lambda k: k[0] + k[1] * k[2])


kinked, smooth = sums(switches), st.one_of(sums(softs), sums(waves))
slopes = st.sampled_from([R(2), R(-1), R(1, 3), -sp.sqrt(2)])
linear = st.tuples(slopes, thresholds).map(lambda k: k[0] * z + k[1])
ramps = st.tuples(linear, linear, linear, scalars).map(lambda e: sp.Max(e[0], e[1]) + e[3] * sp.Min(e[2], z))


@settings(max_examples=8, **random)
@given(expression=st.one_of(kinked, smooth, ramps))
def test_random_members_have_the_duals_that_integration_encloses(expression):
    found = dual(expression)
    assert_is_mean(found.value, expression, tuple(x / 4 for x in NEGATIVE))
    assert_is_mean(found.derivative, slope_of(expression), tuple(x / 4 for x in POSITIVE))


@settings(max_examples=5, **random)
@given(expression=st.one_of(kinked, ramps), scale=scalars)
def test_duals_are_quadratic_and_symmetric(expression, scale):
    value = dual(expression).value
    assert is_zero(dual(scale * expression).value - scale**2 * value)
    assert is_zero(value.subs({a: b, b: a}, simultaneous=True) - value)
    assert is_zero(dual(expression.subs(z, -z)).value - value)


# --- the examiner ------------------------------------------------------------------------------------------------

EXAMINED = {
    "z sgn z Gaussian": MEMBERS["z sgn z Gaussian"],
    "golden threshold": MEMBERS["golden threshold"],
    "Gaussian beyond a threshold": MEMBERS["Gaussian beyond a threshold"],
    "one-sided growth": H(z) * exp(z**2 / 8),
    "growth on one side, decay on the other": H(z) * exp(z**2 / 8) + H(-z) * exp(z),
    "cubic kink off zero": sp.Max(z - 1, 0) ** 3,
}


@pytest.mark.parametrize("name", EXAMINED)
def test_the_examiner_accepts_right_duals_of_the_class(name):
    found = dual(EXAMINED[name])
    assert examine(found.theorem).total > 0
    assert examine(found.derivative_theorem).total > 0


@pytest.mark.parametrize("expression", [sp.sign(z - 1), H(z) * exp(-z)], ids=str)
def test_duals_with_deltas_pass_examination(expression):
    assert examine(dual(expression, weak=True).derivative_theorem).total > 0


def test_functions_of_the_class_are_read_in_one_way():
    def same(first, second):
        return parse(first).terms.keys() == parse(second).terms.keys() and is_zero(
            dual(first).value - dual(second).value
        )

    assert same(sp.Max(z - 1, 0), (z - 1) * (1 + sp.sign(z - 1)) / 2)
    assert same(sp.sinh(z), (exp(z) - exp(-z)) / 2)
    assert same(erf(1 - 2 * z), -erf(2 * z - 1))
    assert same(piecewise((exp(z), z < 0), (exp(-z), True)), exp(-sp.Abs(z)))
    assert same(sp.Max(z, 0) + erf(z) - erf(z), sp.Max(z, 0))


def test_a_weak_derivative_has_deltas_where_the_function_jumps_and_nowhere_else():
    for expression in (sp.Max(z - 1, 0), H(z - 1) * (exp(z) - sp.E), z * H(z), piecewise((z, z < 2), (4 - z, True))):
        assert not any(m.step is not None and m.step.delta for m in derivative(parse(expression), weak=True).terms)
    jumping = derivative(parse(H(z - 1) * exp(z)), weak=True)
    assert [m.step.threshold for m in jumping.terms if m.step is not None and m.step.delta] == [jumping.field.one]


# --- parameters --------------------------------------------------------------------------------------------------

g, t = sp.symbols("g t", positive=True)
s = sp.Symbol("s", real=True)
PARAMETRIC = {
    "leaky slope": (sp.Max(z, 0) + s * sp.Min(z, 0), {s: R(-1, 7)}),
    "scale of erf": (erf(g * z), {g: R(3, 5)}),
    "scale and bias of erf": (erf(g * z - t), {g: R(3, 5), t: R(1, 4)}),
    "frequency": (sin(g * z) + g * cos(g * z), {g: R(3, 5)}),
    "threshold": (sp.Max(z - t, 0), {t: R(2, 5)}),
    "threshold of any sign": (sp.Max(z - s, 0), {s: R(-2, 5)}),
    "shrinkage": (sp.sign(z) * sp.Max(sp.Abs(z) - t, 0), {t: R(2, 5)}),
    "clipping": (sp.Min(sp.Max(z, -t), t), {t: R(2, 5)}),
    "width": (exp(-t * z**2), {t: R(2, 5)}),
    "root of a parameter": (sp.sqrt(1 + g) * erf(sp.sqrt(g) * z), {g: R(3, 5)}),
    "growth": (sp.Max(z, 0) * exp(t * z**2), {t: R(1, 50)}),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parameters_can_be_given_their_values_afterwards(name):
    expression, values = PARAMETRIC[name]
    for form, function in zip(dual(expression).closed_forms, (expression, slope_of(expression)), strict=True):
        assert_is_mean(form.expression.subs(values), function.subs(values), NEGATIVE)


@pytest.mark.parametrize("expression", [erf(s * z), exp(z) * erf(s * z + 1)], ids=str)
def test_a_scale_of_unknown_sign_is_refused(expression):
    with pytest.raises(NotInClass, match="expected to know the sign of s"):
        dual(expression)


# --- conditions --------------------------------------------------------------------------------------------------

GROWING = {
    "quarter": exp(z**2 / 4),
    "half": exp(z**2 / 2),
    "one": z * exp(z**2),
    "five": exp(5 * z**2),
    "kinked": sp.Max(z, 0) * exp(z**2),
    "beyond a threshold": H(z + 1) * exp(2 * z**2),
    "soft": erf(z) * exp(z**2 / 2),
}


@pytest.mark.parametrize("name", GROWING)
def test_growing_activations_have_conditions_and_the_right_mean_inside(name):
    expression = GROWING[name]
    found = dual(expression)
    assert any("> 0" in condition and condition not in ("a >= 0", "b >= 0") for condition in found.conditions)
    small = tuple(x / 40 for x in NEGATIVE)
    for form, function in zip(found.closed_forms, (expression, slope_of(expression)), strict=True):
        at = dict(zip((a, b, c, D), (*small, small[0] * small[1] - small[2] ** 2), strict=True))
        assert all(mass.subs(at) > 0 for mass in form.positive)
        assert_is_mean(form.expression, function, small)
        large = {a: 3, b: 3, c: 0, D: 9}
        assert any(mass.subs(large) <= 0 for mass in form.positive)


def test_what_falls_off_has_no_conditions():
    for expression in (exp(-(z**2)), exp(3 * z), sp.Max(z, 0) * exp(-(z**2) / 9), sin(z) * exp(-t * z**2)):
        assert not any(form.positive for form in dual(expression).closed_forms)


# --- the edges of the class --------------------------------------------------------------------------------------

OUTSIDE = {
    sin(z**2): "with real alpha",
    erf(z) + sin(z): "outside the class",
    erf(z - 1) + cos(z): "outside the class",
    sp.Max(z, 0) * sin(z): "sin or cos on one side of a break point",
    sp.Max(z, erf(z)): "zeros can be found",
    exp(sp.I * z): r"exp\(I\*z\)",
    (1 + sp.I) * z: "I",
    2 ** R(1, 3) * z: "not rational",
    sp.Max(z**3 - z - 1, 0): "not rational",
    sp.Max(z - exp(1), 0): "not rational",
    sp.Float(0.3) * z: "0.3",
    z**20 * erf(z - 1): "too long",
}


@pytest.mark.parametrize("expression", OUTSIDE, ids=str)
def test_what_is_outside_is_refused_and_not_answered_with_complex_numbers(expression):
    with pytest.raises(NotInClass, match=OUTSIDE[expression]):
        dual(expression)


def test_a_sum_of_waves_and_even_steps_is_real():
    value = dual(erf(z) + cos(z)).value
    assert not value.has(sp.I)
    assert_is_mean(value, erf(z) + cos(z), NEGATIVE)


# --- planted errors ----------------------------------------------------------------------------------------------

RIGHT = {
    name: getattr(Calculus, name) for name in ("dual", "_tilted", "_sliced", "_lowered", "_beyond", "_both_beyond")
}


def _orthant_of_the_other_sign(self, s, t, pair):
    return RIGHT["_both_beyond"](self, s, t, dataclasses.replace(pair, c=-pair.c))


def _orthant_without_a_mean(self, s, t, pair):
    return RIGHT["_both_beyond"](self, s, t, dataclasses.replace(pair, mean_v=self.field.zero))


def _cdf_flipped(self, s, pair):
    return normal_cdf(Surd.quotient(s.threshold - pair.mean_u, pair.a + s.noise))


def _weight_without_root(self, pair, left, right):
    tilted, weight = RIGHT["_tilted"](self, pair, left, right)
    bare = ((Monomial(frozenset(), m.exponent, m.atom), k) for m, k in weight.terms.items())
    return tilted, Form(weight.field, bare)


def _tilt_keeps_means(self, pair, left, right):
    tilted, weight = RIGHT["_tilted"](self, pair, left, right)
    return dataclasses.replace(tilted, mean_u=pair.mean_u, mean_v=pair.mean_v), weight


def _tilt_keeps_the_determinant(self, pair, left, right):
    tilted, weight = RIGHT["_tilted"](self, pair, left, right)
    return dataclasses.replace(tilted, D=pair.D), weight


def _slice_elsewhere(self, m, n, s, t, pair):
    return RIGHT["_sliced"](self, m, n, dataclasses.replace(s, threshold=s.threshold * 2), t, pair)


def _stein_without_covariance(self, m, n, s, t, pair):
    return RIGHT["_lowered"](self, m, n, s, t, dataclasses.replace(pair, c=self.field.zero))


def _doubled(self, first, second):
    return RIGHT["dual"](self, first, second).scaled(self.field.number(2))


def _shifted(self, first, second):
    return RIGHT["dual"](self, first, second) + constant(self.field.number(R(1, 10**20)))


ERRORS = [
    ("_both_beyond", _orthant_of_the_other_sign, H(z - 1)),
    ("_both_beyond", _orthant_of_the_other_sign, sp.Max(z, 0)),
    ("_both_beyond", _orthant_without_a_mean, H(z - 1) * exp(z)),
    ("_beyond", _cdf_flipped, sp.Max(z - 1, 0)),
    ("_tilted", _weight_without_root, z * exp(-(z**2))),
    ("_tilted", _tilt_keeps_means, exp(z) * sp.Max(z, 0)),
    ("_tilted", _tilt_keeps_the_determinant, exp(-(z**2)) * sp.sign(z)),
    ("_sliced", _slice_elsewhere, sp.Max(z - 1, 0)),
    ("_lowered", _stein_without_covariance, z**2 * H(z)),
    ("dual", _doubled, exp(-sp.Abs(z))),
    ("dual", _shifted, sp.Max(z, 0)),
]


@pytest.mark.parametrize(("method", "wrong", "expression"), ERRORS, ids=lambda e: getattr(e, "__name__", str(e)))
def test_an_error_in_any_rule_of_the_calculus_is_refuted(method, wrong, expression, monkeypatch):
    start = reflexivity(GaussianMean(activation(expression)), GAUSSIAN_PAIR)
    right = start.by(gaussian_calculus)
    monkeypatch.setattr(Calculus, method, wrong)
    theorem = start.by(gaussian_calculus)
    assert theorem.rhs.key != right.rhs.key
    with pytest.raises(StepRefuted):
        examine(theorem)


@pytest.mark.parametrize("expression", [sp.sign(z), H(z - 1)], ids=str)
def test_a_doubled_calculus_is_refuted_also_for_duals_with_deltas(expression, monkeypatch):
    """Price's identity alone is blind to it: dual and weak dual are both doubled."""
    monkeypatch.setattr(Calculus, "dual", _doubled)
    theorem = reflexivity(GaussianMean(activation(expression), 1, weak=True), GAUSSIAN_PAIR).by(gaussian_calculus)
    with pytest.raises(StepRefuted):
        examine(theorem)


def planted(expression, wrong):
    """Return the theorem on a dual by a calculus that ends in ``wrong(value)``."""

    def calculus(term, model):
        form = dual(expression).closed_forms[0]
        return Rewriting(ClosedForm(wrong(form.expression), form.positive))

    return reflexivity(GaussianMean(activation(expression)), GAUSSIAN_PAIR).by(rule("planted")(calculus))


def tiny_errors(size):
    return {
        "coefficient": lambda f: f * (1 + size),
        "boundary constant": lambda f: f + size,
        "odd in c": lambda f: f + size * c,
        "vanishing at full correlation": lambda f: f + size * D,
        "vanishing at c = 0": lambda f: f + size * c**2,
    }


@pytest.mark.parametrize("error", tiny_errors(1))
@pytest.mark.parametrize("expression", [exp(-(z**2)), sin(z), z**3 - z, sp.Max(z, 0), sp.Max(z - 1, 0)], ids=str)
def test_an_error_in_the_thirtieth_digit_is_refuted(expression, error):
    with pytest.raises(StepRefuted, match="at a ="):
        examine(planted(expression, tiny_errors(R(1, 10**30))[error]))


@pytest.mark.parametrize("expression", [exp(-(z**2)), sin(z), z**3 - z], ids=str)
def test_an_error_in_the_thirty_eighth_digit_of_a_smooth_one_is_refuted(expression):
    with pytest.raises(StepRefuted, match="at a ="):
        examine(planted(expression, lambda f: f * (1 + R(1, 10**38))))


def test_the_wrong_sign_of_a_single_term_is_refuted():
    def wrong(f):
        first, *rest = sp.Add.make_args(sp.expand(f))
        return sp.Add(-first, *rest)

    for expression in (sp.Max(z, 0), H(z) * exp(-z), z**3 - z):
        assert examine(planted(expression, lambda f: f)).total > 0
        with pytest.raises(StepRefuted):
            examine(planted(expression, wrong))


def test_a_wrong_member_is_seen_by_the_comparison_of_this_file():
    with pytest.raises(AssertionError):
        assert_is_mean(dual(sp.Max(z, 0)).value + R(1, 10**24), sp.Max(z, 0), NEGATIVE)
