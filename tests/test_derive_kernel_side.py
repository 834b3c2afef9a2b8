"""Kernels without an activation: duals pass with their derivatives, and what is no dual is refused for its reason."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.activations import ACTIVATIONS
from derive.duals import ClosedForm, dual
from derive.duals.evaluation import enclosure
from derive.duals.function_class import NotInClass
from derive.duals.functions import Atan2, BivariateTail, NormalCdf
from derive.duals.kernel_side import VARIANCES, NotADual, kernel_dual
from derive.notation import D, a, b, c, z
from derive.parsing import Unreadable

Q = sp.Rational
ARC_COSINE_1 = "(sqrt(a*b - c**2) + c*(pi - acos(c/sqrt(a*b))))/(2*pi)"
POINTS = [(Q(3, 4), Q(5, 2), Q(9, 10)), (Q(5, 4), Q(2, 5), Q(-11, 20)), (Q(2), Q(1, 3), Q(0))]
PARALLEL = [(Q(1, 2), Q(2), Q(1)), (Q(1, 2), Q(2), Q(-1))]


def elementary(row):
    """Return whether the dual of an activation has a closed form without normal cdfs."""
    try:
        return not any(form.expression.has(NormalCdf, BivariateTail) for form in dual(row).closed_forms)
    except NotInClass:
        return False


ROWS = [pytest.param(row, id=row.name) for row in ACTIVATIONS if elementary(row)]


def agree(first, second, points):
    """Return whether two closed forms have the same 40 digits at the points."""
    return all(enclosure(first, *point).overlaps(enclosure(second, *point)) for point in points)


def contains(ball, value):
    """Return whether a ball contains a number known to 60 digits, and is small."""
    with ctx.workprec(300):
        number = arb(str(sp.N(value, 60)))
        return bool(abs(ball - number) < arb("1e-50") * (1 + abs(number)))


def test_the_registry_has_enough_activations_to_try():
    assert len(ROWS) >= 20


@pytest.mark.parametrize("row", ROWS)
def test_the_dual_of_every_activation_passes_and_price_gives_that_of_its_derivative(row):
    known, found = dual(row, weak=row.jumps), kernel_dual(dual(row).value)
    assert found.rank_one
    assert found.singular == row.jumps
    assert agree(found.value, known.value, [*POINTS, *PARALLEL])
    assert agree(found.derivative, known.derivative, POINTS if row.jumps else [*POINTS, *PARALLEL])


def test_a_dual_with_normal_cdfs_passes():
    known = dual("max(z, 0) + exp(z/2)")
    assert known.value.has(NormalCdf)
    found = kernel_dual(known.value)
    assert found.rank_one
    assert agree(found.derivative, known.derivative, POINTS)


@pytest.mark.parametrize("row", ROWS)
def test_a_dual_made_unsymmetric_is_refused(row):
    with pytest.raises(NotADual, match=r"F\(a, b, c\) = F\(b, a, c\), got coefficients .* and .* of c\^\d+"):
        kernel_dual(dual(row).value * (1 + a))


@pytest.mark.parametrize("row", ROWS)
def test_a_dual_with_the_wrong_sign_is_refused(row):
    with pytest.raises(NotADual, match=r"a coefficient of c\^\d+ that is not negative, got -"):
        kernel_dual(-dual(row).value)


@pytest.mark.parametrize("row", [row for row in ROWS if dual(row.values[0]).value.has(D)])
def test_a_dual_with_a_wrong_determinant_is_refused(row):
    with pytest.raises(NotADual):
        kernel_dual(dual(row).value.subs(D, a * b + c**2))


@pytest.mark.parametrize(
    ("text", "derivative", "rank_one"),
    [
        ("exp(-(a + b - 2*c)/2)", sp.exp(c - a / 2 - b / 2), True),
        ("(1 + c)**3", 3 * (1 + c) ** 2, True),
        ("exp(c)", sp.exp(c), True),
        ("1/(1 + (a + b - 2*c)/2)", (1 + (a + b - 2 * c) / 2) ** -2, False),
        ("(1 + (a + b - 2*c)/2)**(-1/3)", (1 + (a + b - 2 * c) / 2) ** -Q(4, 3) / 3, False),
        ("-log(1 - c/8)", 1 / (8 - c), True),
        (ARC_COSINE_1, Atan2(sp.sqrt(D), -c) / (2 * sp.pi), True),
        ("sqrt(D) + c*asin(c/sqrt(a*b))", Atan2(c, sp.sqrt(D)), True),
        ("2/pi*asin(2*c/sqrt((1 + 2*a)*(1 + 2*b)))", 4 / (sp.pi * sp.sqrt(1 + 2 * a + 2 * b + 4 * D)), True),
        ("1", sp.S.Zero, True),
    ],
)
def test_known_kernels_pass_with_their_derivatives(text, derivative, rank_one):
    found = kernel_dual(text)
    assert sp.expand(found.derivative - derivative) == 0 or agree(found.derivative, derivative, POINTS)
    assert found.rank_one is rank_one
    assert not found.singular
    assert found.name == text


@pytest.mark.parametrize(
    ("text", "power"),
    [
        ("-c", 1),
        ("c - c**3", 3),
        ("sin(c)", 3),
        ("tanh(c)", 3),
        ("atan(c)", 3),
        ("asinh(c)", 3),
        ("erf(c)", 3),
        ("cos(c)", 2),
        ("exp(-c)", 1),
        ("1/(1 + c)", 1),
        ("log(2 + c)", 2),
        ("1/(1 + exp(-c))", 3),
        ("log(1 + exp(c))", 4),
        ("exp(-(a + b + 2*c)/2)", 1),
        ("a*b - 2*D", 0),
        (f"{ARC_COSINE_1} - a*b*c**3/1000", 3),
    ],
)
def test_a_negative_coefficient_is_refused(text, power):
    with pytest.raises(NotADual, match=rf"coefficient of c\^{power} that is not negative, got -.* variances 1/4, 1/4"):
        kernel_dual(text)


def test_the_refusal_names_power_value_and_variances():
    expected = r"coefficient of c\^3 that is not negative, got -0.333333 at the variances 1/4, 1/4$"
    with pytest.raises(NotADual, match=expected):
        kernel_dual("tanh(c)")


def test_a_coefficient_negative_at_some_variances_only_is_refused():
    with pytest.raises(
        NotADual, match=r"coefficient of c\^1 that is not negative, got -0.666667 at the variances 4, 4"
    ):
        kernel_dual("exp(c) + c*(1 - a*b/6)")


@pytest.mark.parametrize(
    ("text", "power", "variances"),
    [
        ("a + b + c", 0, "1/4, 1"),  # a rank-two form of both signs
        ("(a - b)**2 + c", 0, "1/4, 1"),  # 0 on the diagonal only
        ("exp(c) + 10*c*(a - b)**2", 1, "1/4, 1"),
        ("1 - (a - b)**2/20 + c", 0, "1/4, 1, 25/16"),  # all minors of two variances are positive
    ],
)
def test_coefficients_that_are_no_kernels_in_the_variances_are_refused(text, power, variances):
    expected = rf"semidefinite coefficient of c\^{power}, got the minor -.* at the variances {variances}"
    with pytest.raises(NotADual, match=expected):
        kernel_dual(text)


def test_the_minor_in_the_refusal_is_that_of_the_matrix():
    """T_0 = 1 - (a - b)^2/20 at 1/4, 1, 25/16, each over its F(a, a, a) = 1 + a."""
    points = [Q(1, 4), Q(1), Q(25, 16)]
    minor = sp.Matrix(3, 3, lambda i, j: 1 - (points[i] - points[j]) ** 2 / 20).det() / sp.prod(1 + x for x in points)
    with pytest.raises(NotADual, match=f"minor {float(minor):.5e}".replace("e-0", "e-")):
        kernel_dual("1 - (a - b)**2/20 + c")


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(c)",
        "c**(1/3)",
        "1/c",
        "log(c)",
        "sqrt(c**2 + c**4)",
        "1 + sqrt(c**42 + c**44)",
        "asin(1 + c)",
        "sinh(c)/c",
    ],
)
def test_a_kernel_without_a_taylor_series_is_refused(text):
    with pytest.raises(NotADual, match="a Taylor series in c at c = 0, got none"):
        kernel_dual(text)


def test_an_angle_across_its_cut_has_no_taylor_series():
    with pytest.raises(NotADual, match="a Taylor series"):
        kernel_dual(4 + Atan2(c, sp.S.NegativeOne))


@pytest.mark.parametrize("text", ["abs(c)", "max(c, 0)", "exp(c) + min(a, b)"])
def test_kinks_are_refused(text):
    with pytest.raises(NotADual, match="expected a kernel of powers, elementary functions and erf, got"):
        kernel_dual(text)


@pytest.mark.parametrize("text", ["1/sqrt(D)", "1/(1 - c)", "acos(-c/sqrt(a*b))/sqrt(D)"])
def test_a_kernel_that_is_not_finite_at_the_boundary_is_refused(text):
    with pytest.raises(NotADual, match=r"finite value at correlation 1, got none .* at the variances"):
        kernel_dual(text)


@pytest.mark.parametrize("text", ["0", "(a - 1)*(b - 1)*c"])
def test_a_kernel_that_vanishes_at_a_norm_is_refused(text):
    with pytest.raises(NotADual, match=r"F\(a, a, a\) > 0, got 0"):
        kernel_dual(text)


def test_a_pole_inside_the_domain_is_refused_although_all_coefficients_are_positive():
    with pytest.raises(NotADual, match=r"F - sum T_k c\^k >= 0 at a = b = c, got -.* at the variances 2"):
        kernel_dual("1/(1 - c)**2", variances=(Q(1, 4), 2))


def test_a_kink_inside_the_domain_is_refused_although_the_series_is_that_of_a_dual():
    """|1 + c| is 1 + c near 0, and so is its series."""
    with pytest.raises(NotADual, match=r"Cauchy and Schwarz at correlation -1, got 1\.00000 at the variances 1, 9/4"):
        kernel_dual("sqrt(1 + 2*c + c**2)", variances=(1, Q(9, 4)))
    assert kernel_dual("sqrt(1 + 2*c + c**2)", variances=(Q(1, 4), Q(9, 16))).rank_one


def test_beyond_the_order_the_series_is_bounded_at_correlations_below_one():
    """After 1 + c, what is left is 1 at correlation 1, but 13/16 at 1/2, where it is at most 1/4 for a dual."""
    with pytest.raises(NotADual, match=r"Cauchy and Schwarz at correlation -1/2, got 0\.812500 at the variances 1, 1"):
        kernel_dual("1 + c + 4*c**2 - 3*c**4", order=1, variances=(1,))
    assert kernel_dual("1 + c + c**2/4", order=1, variances=(1,))


def test_what_is_negative_beyond_the_order_is_found_with_a_higher_one_only():
    text, variances = "exp(c) - c**20/1e18", (Q(1, 4), 1)  # 1/20! is 4e-19
    assert kernel_dual(text, variances=variances).coefficients[-1].power == 12
    with pytest.raises(NotADual, match=r"c\^20"):
        kernel_dual(text, order=20, variances=variances)


def test_undecided_signs_are_refused_as_such():
    for text in ("1e80*(cosh(1e-80*c) - 1)", "1e45*(1e45*(cosh(1e-45*c) - 1)) + 1e-30"):
        with pytest.raises(NotADual, match="whose sign 400 bits decide"):
            kernel_dual(text)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=9), st.data())
@settings(max_examples=15, deadline=None)
def test_power_series_with_one_negative_coefficient_are_refused_and_others_pass(numbers, data):
    numbers[0] += 1
    series = sum(n * c**k / sp.factorial(k) for k, n in enumerate(numbers))
    found = kernel_dual(series, variances=(Q(1, 4), 2))
    assert [t.rank for t in found.coefficients[: len(numbers)]] == [int(n > 0) for n in numbers]
    power = data.draw(st.integers(1, len(numbers) - 1))
    with pytest.raises(NotADual, match=rf"c\^{power} that is not negative"):
        kernel_dual(series - (numbers[power] + 1) * c**power / sp.factorial(power), variances=(Q(1, 4), 2))


def test_the_coefficients_are_those_of_the_radial_kernel():
    found = kernel_dual("exp(-(a + b - 2*c)/2)", order=20)
    assert [t.power for t in found.coefficients] == list(range(21))
    for t in found.coefficients:
        for i, x in enumerate(VARIANCES):
            for j, y in enumerate(VARIANCES):
                assert contains(t.gram[i][j], sp.exp(-(x + y) / 2) / sp.factorial(t.power))


def test_the_coefficients_are_the_products_of_hermite_means():
    """T_k k! (ab)^(k/2) = E[phi He_k] E[phi He_k] by mpmath, for phi = erf and variances 1 and 4."""
    found = kernel_dual("2/pi*asin(2*c/sqrt((1 + 2*a)*(1 + 2*b)))")
    with mpmath.workdps(25):

        def mean(k, deviation):
            he = sp.lambdify(z, sp.hermite_prob_poly(k, z), "mpmath")
            return mpmath.quad(lambda x: mpmath.erf(deviation * x) * he(x) * mpmath.npdf(x), [-12, -4, 0, 4, 12])

        for k in (1, 3, 7):
            expected = mean(k, 1) * mean(k, 2) / mpmath.factorial(k) / mpmath.mpf(2) ** k
            assert abs(mpmath.mpf(found.coefficients[k].gram[1][3].str(25, radius=False)) - expected) < 1e-15


FUNCTIONS = {
    **{f.__name__: f for f in (sp.exp, sp.log, sp.sin, sp.cos, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.erfc)},
    **{f.__name__: f for f in (sp.asin, sp.acos, sp.atan, sp.asinh, sp.sqrt)},
    "cube root": sp.cbrt,
    "power -5/3": lambda x: x ** -Q(5, 3),
    "power -2": lambda x: x**-2,
    "angle in the second quadrant": lambda x: Atan2(x, -1 - x),
    "angle in the fourth quadrant": lambda x: Atan2(x - 1, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_the_values_and_the_taylor_series_that_sympy_finds(name):
    """A steep exponential is added, so that no sign is in question."""
    variance, steep = Q(1, 9), sp.exp(20 * c) * 10**6
    of_covariance, of_variances = FUNCTIONS[name]((1 + c) / 3), FUNCTIONS[name]((1 + a + b) / 3)
    found = kernel_dual(steep + of_covariance, order=5, variances=(variance,))
    for t in found.coefficients:
        expected = sp.diff(steep + of_covariance, c, t.power).subs(c, 0) / sp.factorial(t.power)
        assert contains(t.gram[0][0], expected)
    expected = of_variances.subs({a: variance, b: variance})
    assert contains(
        kernel_dual(steep + of_variances, variances=(variance,)).coefficients[0].gram[0][0], expected + 10**6
    )
    at = {a: variance, b: variance, c: Q(1, 10), D: variance**2 - Q(1, 100)}
    slope = sp.N(sp.diff(steep + of_covariance, c).subs(at), 50)
    assert abs(sp.N(found.derivative.subs(at), 50) - slope) < 1e-40 * abs(slope)


def test_a_normal_form_of_the_wrong_sign_is_not_taken():
    """The root is 1 - 4c at these variances, and 4c - 1 at the point that orients the calculus."""
    found = kernel_dual("1/sqrt(1 - 8*c + 16*c**2)", variances=(Q(1, 16), Q(1, 9)))
    point = Q(1, 16), Q(1, 9), Q(1, 16)
    assert enclosure(found.value, *point).overlaps(arb(4) / 3)
    assert enclosure(found.derivative, *point).overlaps(arb(64) / 9)


def test_a_normal_form_with_a_modulus_is_not_taken():
    found = kernel_dual("asin(c/(1 - c))", variances=(Q(1, 16), Q(1, 4)))
    assert found.value == sp.asin(c / (1 - c))
    assert agree(found.derivative, 1 / ((1 - c) * sp.sqrt(1 - 2 * c)), [(Q(1, 16), Q(1, 4), Q(1, 9))])


def test_the_value_carries_the_determinant():
    assert kernel_dual(ARC_COSINE_1).value == sp.sqrt(D) / (2 * sp.pi) + c * Atan2(sp.sqrt(D), -c) / (2 * sp.pi)
    assert kernel_dual("acos(-c/sqrt(a*b))/pi").value == Atan2(sp.sqrt(D), -c) / sp.pi


def test_at_parallel_inputs_value_and_derivative_of_the_arc_cosine_kernel_are_exact():
    found = kernel_dual(ARC_COSINE_1)
    assert enclosure(found.value, Q(1, 2), Q(2), Q(1)).overlaps(arb(1) / 2)
    assert enclosure(found.derivative, Q(1, 2), Q(2), Q(1)).overlaps(arb(1) / 2)
    assert enclosure(found.derivative, Q(1, 2), Q(2), Q(-1)).is_zero()


def test_closed_forms_say_when_the_derivative_needs_a_determinant():
    smooth, step = kernel_dual(ARC_COSINE_1), kernel_dual("(pi - acos(c/sqrt(a*b)))/(2*pi)")
    assert [form.positive for form in smooth.closed_forms] == [(), ()]
    value, derivative = step.closed_forms
    assert value == ClosedForm(Atan2(sp.sqrt(D), -c) / (2 * sp.pi))
    assert derivative == ClosedForm(1 / (2 * sp.pi * sp.sqrt(D)), (D,))
    assert "D > 0 for the derivative" in step.conditions
    assert "D > 0 for the derivative" not in smooth.conditions


def test_a_derivative_that_is_infinite_at_equal_inputs_only_is_singular():
    found = kernel_dual("exp(-sqrt(a + b - 2*c))")
    assert found.singular
    assert enclosure(found.derivative, Q(1, 4), Q(1), Q(1, 2)).is_finite()


def test_the_conditions_say_that_positivity_is_not_proven():
    assumed = kernel_dual("exp(c)", order=7, variances=(1, Q(9, 4))).conditions[-1]
    assert assumed == "F is positive definite: checked up to c^7 at variances 1, 9/4, not proven"


def test_precision_and_length_of_series_are_put_back_also_after_a_refusal():
    before = ctx.prec, ctx.cap
    kernel_dual("exp(c)")
    with pytest.raises(NotADual):
        kernel_dual("tanh(c)")
    assert (ctx.prec, ctx.cap) == before


@pytest.mark.parametrize("value", [3, 0.5, None])
def test_what_is_neither_text_nor_expression_is_refused(value):
    with pytest.raises(TypeError, match=f"expected a kernel as text or a SymPy expression, got {type(value).__name__}"):
        kernel_dual(value)


def test_other_symbols_are_refused():
    with pytest.raises(ValueError, match=r"expected a kernel in a, b, c, D alone, got \{z\} .*; use derive\.notation"):
        kernel_dual(sp.exp(c) * z)
    with pytest.raises(ValueError, match=r"use derive\.notation"):
        kernel_dual(sp.exp(sp.Symbol("c")))
    with pytest.raises(Unreadable, match="a known name at column 5, got 'z'"):
        kernel_dual("c + z")


@pytest.mark.parametrize("order", [0, -1, 65])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(ValueError, match=f"expected an order from 1 to 64, got {order}"):
        kernel_dual("c", order=order)


@pytest.mark.parametrize("variances", [(), (0, 1), (-1,), (sp.sqrt(2),), (0.5,)])
def test_variances_that_are_not_positive_rational_numbers_are_refused(variances):
    with pytest.raises(ValueError, match="expected positive rational variances"):
        kernel_dual("c", variances=variances)
