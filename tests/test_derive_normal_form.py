"""Field and normal form: arithmetic, what is zero and what only nearly is, slopes, and the way to SymPy and back."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import derive.duals.normal_form
from derive.activations import activation
from derive.duals.evaluation import enclosure
from derive.duals.expressions import from_expression, is_zero, to_expression
from derive.duals.field import NotRational, field_with
from derive.duals.function_class import derivative, parse
from derive.duals.functions import Atan2, BivariateTail, NormalCdf
from derive.duals.gaussian import Calculus
from derive.duals.normal_form import (
    Form,
    Surd,
    angle,
    constant,
    exponential,
    normal_cdf,
    orthant,
    root,
    square_root,
    surd_form,
)
from derive.notation import D, a, b, c, z

R = sp.Rational
FIELD = field_with((sp.sqrt(2), sp.sqrt(3)))
SYMBOLS = (a, b, c, D, sp.pi, sp.I, sp.sqrt(2), sp.sqrt(3))
AT = dict(zip((a, b, c, D), (R(3, 7), R(5, 3), R(2, 9), R(11, 13)), strict=True))


# --- the field ---------------------------------------------------------------------------------------------------

numbers = st.fractions(-3, 3, max_denominator=4).map(lambda x: sp.Rational(x.numerator, x.denominator))
leaves = st.one_of(st.sampled_from(SYMBOLS), numbers).map(lambda e: (FIELD.ratio(e), e))


def _combined(inner):
    def combine(drawn):
        operation, (x, e), (y, f) = drawn
        if operation == "/":
            assume(y)
            return x / y, e / f
        return {"+": (x + y, e + f), "-": (x - y, e - f), "*": (x * y, e * f)}[operation]

    return st.tuples(st.sampled_from("+-*/"), inner, inner).map(combine)


elements = st.recursive(leaves, _combined, max_leaves=8)
law = settings(max_examples=40, deadline=None, derandomize=True)


@law
@given(drawn=elements)
def test_an_element_has_the_value_of_what_it_was_made_of(drawn):
    element, expression = drawn
    value, expected = (complex(sp.N(e.subs(AT), 30)) for e in (element.symbolic, expression))
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@law
@given(drawn=elements, factor=elements)
def test_equal_elements_are_equal_objects_and_hash_alike(drawn, factor):
    """Also with square roots in denominators, where lowest terms alone are not unique."""
    (element, _), (other, _) = drawn, factor
    assume(other)
    again = element * other / other
    assert not element - again
    assert element == again
    assert hash(element) == hash(again)
    assert element + other - other == element
    assert not (other / other) - FIELD.one


def test_square_roots_in_denominators_have_one_normal_form():
    silver = FIELD.one / (FIELD.one + FIELD.generator(sp.sqrt(2)))
    assert not silver - (FIELD.generator(sp.sqrt(2)) - FIELD.one)
    assert silver == FIELD.generator(sp.sqrt(2)) - FIELD.one
    assert is_zero(sp.exp(a / (1 + sp.sqrt(2))) - sp.exp((sp.sqrt(2) - 1) * a))


def test_elements_that_differ_are_not_equal():
    for expression in (a / (a + 1), sp.sqrt(2) * a, sp.I * c, a * b - c**2):
        element = FIELD.ratio(expression)
        for other in (element + FIELD.number(R(1, 10**30)), -element, element * FIELD.generator(sp.sqrt(2))):
            assert element != other
            assert element - other


def test_division_by_zero_is_an_error_also_by_a_hidden_zero():
    hidden = FIELD.generator(sp.sqrt(2)) ** 2 - FIELD.number(2)
    with pytest.raises(ZeroDivisionError):
        FIELD.one / hidden


@pytest.mark.parametrize("expression", [sp.sqrt(5), 2 ** R(1, 3), sp.log(2), sp.sqrt(a), sp.Symbol("x"), sp.Float(0.3)])
def test_what_is_no_element_is_refused(expression):
    with pytest.raises(NotRational, match=r"is not rational in|is no generator"):
        FIELD.ratio(expression)


def test_slopes_of_elements_are_those_of_sympy():
    for expression in (c**3 / (a + c), (a * b - c**2) ** 2 / (1 + 2 * a + c**2) ** 3, sp.sqrt(2) / (sp.sqrt(3) + c)):
        slope = FIELD.ratio(expression).derivative(c)
        assert sp.N((slope.symbolic - sp.diff(expression, c)).subs(AT), 30) == pytest.approx(0, abs=1e-25)


# --- square roots ------------------------------------------------------------------------------------------------

SQUARES = {
    "content": R(12, 25) * a,
    "repeated factors": (1 + 2 * a) ** 3 * (1 + 2 * b) ** 2,
    "a quotient": 8 * (1 + 2 * a) / (9 * (1 + 2 * a + 2 * b + 4 * D) ** 3),
    "negative leading coefficients": (1 - a / 1000) * (1 - b / 1000),
    "two negative factors": (-1 - a) * (-1 - b) / 3,
    "a negative denominator": (-1 - a) / (-2 - c**2),
    "square roots of primes": 2 * sp.sqrt(2) * a,
    "a sum with a square root": (1 + sp.sqrt(2)) * a / (3 + sp.sqrt(3)),
    "pi": 1 / (2 * sp.pi),
}


@pytest.mark.parametrize("name", SQUARES)
def test_a_square_root_has_the_right_square_and_is_positive(name):
    square = FIELD.ratio(SQUARES[name])
    outside, roots = square_root(square)
    assert not Surd(outside, roots).square - square
    assert sp.N(to_expression(root(square)).subs(AT), 20) > 0


def test_the_square_root_of_what_is_negative_is_refused():
    with pytest.raises(ValueError, match="expected a positive square"):
        square_root(FIELD.ratio(-1 - a))


# --- what is zero, and what is not -------------------------------------------------------------------------------

L, N, ROOT = BivariateTail, NormalCdf, sp.sqrt(D)
H, K = 1 / sp.sqrt(a), 2 / sp.sqrt(b)
NOTHING = sp.S.Zero
MASS, FARTHER = sp.sqrt(4 * D + 2 * a + 2 * b + 1), sp.sqrt(400 * D + 20 * a + 20 * b + 1)
FAR = sp.sqrt(2) * MASS / sp.sqrt(40 * D + 2 * a + 20 * b + 1), sp.sqrt(2) * MASS / sp.sqrt(40 * D + 20 * a + 2 * b + 1)
"""Thresholds of the dual of ``exp(-z^2) (1 + erf(3z - 1))``, which have D in them."""
ZERO = {
    "reflection of the first": L(H, K, c, ROOT) + L(-H, K, -c, ROOT) - N(-K),
    "reflection of the second": L(H, K, c, ROOT) + L(H, -K, -c, ROOT) - N(-H),
    "reflection of both": L(-H, -K, c, ROOT) - L(H, K, c, ROOT) - 1 + N(-H) + N(-K),
    "symmetry": L(H, K, c, ROOT) - L(K, H, c, ROOT),
    "Sheppard": L(NOTHING, NOTHING, c, ROOT) - R(1, 4) - Atan2(c, ROOT) / (2 * sp.pi),
    "one threshold at zero": L(NOTHING, K, c, ROOT) - L(K, NOTHING, c, ROOT),
    "its reflection": L(NOTHING, K, c, ROOT) + L(NOTHING, K, -c, ROOT) - N(-K),
    "thresholds with D": L(*FAR, 18 * c, MASS * FARTHER) + L(-FAR[0], FAR[1], -18 * c, MASS * FARTHER) - N(-FAR[1]),
    "the normal cdf": N(H) + N(-H) - 1,
    "the normal cdf at zero": N(NOTHING) - R(1, 2),
    "an odd angle": Atan2(-c, ROOT) + Atan2(c, ROOT),
    "complementary angles": Atan2(ROOT, c) + Atan2(c, ROOT) - sp.pi / 2,
    "supplementary angles": Atan2(ROOT, -c) + Atan2(ROOT, c) - sp.pi,
    "a scaled angle": Atan2(2 * a * c, 2 * a * ROOT) - Atan2(c / sp.sqrt(b), ROOT / sp.sqrt(b)),
    "an angle at several roots": Atan2(ROOT * sp.sqrt(1 + 2 * a), -c) - Atan2(c, ROOT * sp.sqrt(1 + 2 * a)) - sp.pi / 2,
    "an angle of unknown signs": Atan2(ROOT * sp.sqrt(D - 4 * a - 4 * b + 16), -4 * c)
    - Atan2(4 * c, ROOT * sp.sqrt(D - 4 * a - 4 * b + 16))
    - sp.pi / 2,
    "products of roots": sp.sqrt(1 + 2 * a + 2 * b + 4 * D + 4 * c**2) - sp.sqrt(1 + 2 * a) * sp.sqrt(1 + 2 * b),
    "a rationalized root": 1 / sp.sqrt(1 + 2 * a) - sp.sqrt(1 + 2 * a) / (1 + 2 * a),
    "a root of a number": sp.sqrt(8 * a) - 2 * sp.sqrt(2) * sp.sqrt(a),
    "the determinant": sp.sqrt(a * b - c**2) - ROOT,
    "an exponential": sp.exp(D) * sp.exp(c**2) - sp.exp(a * b),
    "hyperbolic functions": sp.cosh(c) ** 2 - sp.sinh(c) ** 2 - 1,
    "trigonometric functions": sp.cos(2 * c) - 1 + 2 * sp.sin(c) ** 2,
}
NOT_ZERO = {
    "the wrong reflection": L(H, K, c, ROOT) + L(-H, K, c, ROOT) - N(-K),
    "the wrong margin": L(H, K, c, ROOT) + L(-H, K, -c, ROOT) - N(-H),
    "exchanged variances": L(H, K, c, ROOT) - L(1 / sp.sqrt(b), 2 / sp.sqrt(a), c, ROOT),
    "a tail of the other correlation": L(NOTHING, K, c, ROOT) - L(NOTHING, K, -c, ROOT),
    "Sheppard with pi for 2 pi": L(NOTHING, NOTHING, c, ROOT) - R(1, 4) - Atan2(c, ROOT) / sp.pi,
    "a tiny constant": N(H) + N(-H) - 1 + R(1, 10**40),
    "a tiny factor": Atan2(c, ROOT) * (1 + R(1, 10**40)) + Atan2(-c, ROOT),
    "an angle with D for its root": Atan2(c, D) - Atan2(c, ROOT),
    "a similar root": sp.sqrt(1 + 2 * a) - sp.sqrt(1 + R(200001, 100000) * a),
    "a similar exponent": sp.exp(-a / (2 * D)) - sp.exp(-a / (2 * D + R(1, 10**9))),
    "cosh for exp": sp.cosh(c) - sp.exp(c) / 2,
}


@pytest.mark.parametrize("name", ZERO)
def test_identities_are_zero(name):
    for sign in (1, -1):
        assert abs(_value(ZERO[name], R(3, 4), R(5, 2), sign * R(9, 10))) < 1e-28
    assert is_zero(ZERO[name])


@pytest.mark.parametrize("name", NOT_ZERO)
def test_near_misses_are_not_zero(name):
    assert not is_zero(NOT_ZERO[name])


@pytest.mark.parametrize(
    "wrong",
    [Atan2(c, -ROOT) + Atan2(c, ROOT), Atan2(-ROOT, c) - Atan2(c, ROOT) + sp.pi / 2 + 2 * Atan2(c, ROOT)],
    ids=["the angle of a point with negative x", "the angle of a point with negative y"],
)
def test_an_angle_in_another_quadrant_is_refused_or_right(wrong):
    """A form without terms is zero for certain: an angle must not be read as an arctangent that it is not."""
    zero_at = [abs(_value(wrong, R(3, 4), R(5, 2), sign * R(9, 10))) < 1e-20 for sign in (1, -1)]
    try:
        found = is_zero(wrong)
    except NotRational:
        return
    assert found == all(zero_at)


@pytest.mark.parametrize(
    "expression",
    [N(a + sp.sqrt(b)), Atan2(c, ROOT) ** 2, Atan2(c, ROOT + sp.sqrt(a)), sp.tanh(c), N(H) * N(K), 1 / N(H)],
    ids=str,
)
def test_what_is_no_form_is_refused(expression):
    with pytest.raises(ValueError, match=r"is no root|outside the forms|not rational|cannot be inverted"):
        from_expression(expression)


def _value(expression, first, second, covariance, digits=30):
    """Return the value at a pair to many digits, in mpmath."""
    return mpmath.mpf(enclosure(expression, first, second, covariance, digits).str(digits + 5, radius=False))


# --- forms with every kind of atom -------------------------------------------------------------------------------

small = st.integers(1, 4).map(lambda n: sp.Rational(n, 3))


@st.composite
def forms(draw):
    """Return a coefficient times a root, an exponential and an angle or cdf, all of them functions of c."""
    k = [draw(small) for _ in range(6)]
    sign = draw(st.sampled_from((1, -1)))
    plain = FIELD.ratio(k[0] + sign * k[1] * c)
    square = FIELD.ratio(k[2] + a * b - k[3] * c**2 / 2)
    A, B, C = (FIELD.ratio(e) for e in (1 + 2 * a + k[4] * c**2, 1 + b, sign * k[5] * c))
    shift = FIELD.ratio(sign * k[0] - c)
    atom = {
        "none": lambda: constant(FIELD.one),
        "angle": lambda: angle(Surd.quotient(C, A * B - C * C)),
        "cdf": lambda: normal_cdf(Surd.quotient(shift, square)),
        "tail": lambda: orthant(shift, FIELD.ratio(k[1] + c / 2), A, B, C, A * B - C * C),
        "tail at zero": lambda: orthant(FIELD.zero, shift, A, B, C, A * B - C * C),
    }[draw(st.sampled_from(("none", "angle", "cdf", "tail", "tail at zero")))]()
    return (
        constant(plain) * root(square) * exponential(-shift * shift / square) * atom
        + root(A) * constant(FIELD.one / A)
        + surd_form(Surd.quotient(plain, square))
    )


STEP_SIZE = R(1, 10**8)
PAIRS = ((R(1, 4), R(2, 7), R(1, 9)), (R(3, 10), R(1, 2), R(-1, 7)))


def slope_error(form, slope):
    """Return how far a slope is off the five-point difference of a form, which is exact to 1e-29 or so."""
    worst, whole, claimed = 0.0, to_expression(form), to_expression(slope)
    for first, second, covariance in PAIRS:
        with mpmath.workdps(50):
            around = [
                _value(whole, first, second, covariance + n * STEP_SIZE, 50) * weight
                for n, weight in ((-2, 1), (-1, -8), (1, 8), (2, -1))
            ]
            expected = mpmath.fsum(around) / 12 / mpmath.mpf(STEP_SIZE.p) * STEP_SIZE.q
            worst = max(worst, float(abs(_value(claimed, first, second, covariance, 40) - expected)))
    return worst


@settings(max_examples=15, deadline=None, derandomize=True)
@given(form=forms())
def test_the_derivative_is_the_limit_of_differences(form):
    assert slope_error(form, form.derivative()) < 1e-24


@settings(max_examples=20, deadline=None, derandomize=True)
@given(form=forms())
def test_random_forms_survive_being_written(form):
    assert not from_expression(to_expression(form), FIELD) - form


@settings(max_examples=10, deadline=None, derandomize=True)
@given(first=forms(), second=forms())
def test_forms_add_and_cancel(first, second):
    assert (first + second).terms == (second + first).terms
    assert not (first + second) - second - first
    assert not first.scaled(FIELD.number(3)) - first - first - first
    assert (first + constant(FIELD.number(R(1, 10**40)))) - first


MEMBERS = {
    "kinks": sp.Max(z - 1, 0) - 2 * sp.Max(z + R(1, 2), 0) + sp.Heaviside(z + 2),
    "pieces": sp.Piecewise((z, z < -1), (z**2, z < 2), (1, True)),
    "two scales": sp.erf(z) + z * sp.erf(2 * z),
    "a bias": z * sp.erf(2 * z + 1) + sp.exp(z),
    "one-sided exponentials": sp.exp(-sp.Abs(z)),
    "one-sided Gaussian": z * sp.sign(z) * sp.exp(-(z**2)),
    "a wave packet": sp.exp(-(z**2) / 2) * sp.cos(z + 1) + sp.exp(z) * sp.sin(z),
    "irrational threshold": sp.Max(z - sp.sqrt(3), 0) / sp.sqrt(6),
    "irrational slope": sp.exp(sp.sqrt(2) * z) * sp.erf(sp.sqrt(2) * z - 1),
    "constants": sp.sqrt(2) * z + sp.sqrt(sp.pi) * sp.erf(z / sp.sqrt(2)) + sp.pi,
    "one-sided growth": sp.Heaviside(z) * sp.exp(z**2 / 8),
    "a golden threshold": sp.Max(z - (1 + sp.sqrt(5)) / 2, 0),
    "a Gaussian beyond a threshold": sp.Heaviside(z - R(1, 2)) * sp.exp(-(z**2)),
    "a Gaussian times a shifted erf": (1 + sp.erf(3 * z - 1)) * sp.exp(-(z**2)),
}


@pytest.mark.parametrize("name", [*MEMBERS, "elu", "gelu", "hard-swish", "relu3", "he4"])
@pytest.mark.parametrize("order", [0, 1])
def test_duals_survive_being_written(name, order):
    function = parse(MEMBERS[name] if name in MEMBERS else activation(name).expression)
    function = derivative(function) if order else function
    form = Calculus(function.field).dual(function, function)
    again = from_expression(to_expression(form), form.field)
    assert not (again - form).without_determinant()
    assert again.without_determinant().terms == form.without_determinant().terms


# --- planted errors ----------------------------------------------------------------------------------------------


def _half(value):
    return HALVED(value).scaled(FIELD.one / 2)


def _without_sign(top, square):
    found = QUOTIENT(top, square)
    return -found if found.sign < 0 else found


HALVED, QUOTIENT = derive.duals.normal_form._surd_slope, Surd.quotient


def test_an_error_in_the_slope_of_an_atom_is_seen(monkeypatch):
    form = normal_cdf(Surd.quotient(FIELD.ratio(1 - c), FIELD.ratio(1 + c**2))) * root(FIELD.ratio(1 + c**2))
    assert slope_error(form, form.derivative()) < 1e-24
    monkeypatch.setattr(derive.duals.normal_form, "_surd_slope", _half)
    assert slope_error(form, form.derivative()) > 1e-3


def test_a_lost_sign_is_seen(monkeypatch):
    function = parse(MEMBERS["kinks"])
    form = Calculus(function.field).dual(function, function)
    with monkeypatch.context() as patched:
        patched.setattr(Surd, "quotient", staticmethod(_without_sign))
        written = to_expression(form)
    assert (from_expression(written, form.field) - form).without_determinant()


def test_a_form_without_terms_is_false_and_another_is_true():
    assert not Form(FIELD)
    assert constant(FIELD.number(R(1, 10**60)))
