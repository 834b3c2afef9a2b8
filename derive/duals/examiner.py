"""The examiner of duals: certified integrals, values at the edges of the domain, and Price's theorem as an identity.

The integrals (:mod:`derive.duals.integration`) enclose Gaussian means of the activation itself and share nothing with
the calculus; Price's identity holds a dual against that of the derivative, which the same calculus finds.
"""

from __future__ import annotations

from functools import cache

import sympy as sp
from flint import arb

from derive.activations import Activation
from derive.duals.evaluation import NotEnclosed, enclosure, evaluate, exact, precision
from derive.duals.expressions import from_expression, to_expression
from derive.duals.field import NotRational
from derive.duals.function_class import derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.integration import NotIntegrable, gaussian_mean, mean
from derive.duals.normal_form import Form
from derive.duals.series import HermiteSeries, partial_sum
from derive.duals.theorems import ClosedForm, GaussianMean
from derive.notation import D, a, b, c
from derive.pieces import pieces
from derive.theorem import Step, StepRefuted

SMOOTH_DIGITS, KINKED_DIGITS = 40, 32
"""Digits to which a closed form must agree with the integral of a smooth, and of a piecewise activation."""
Point = tuple[sp.Rational, sp.Rational, sp.Rational]
CORRELATED: tuple[Point, ...] = (
    (sp.Rational(3, 4), sp.Rational(5, 2), sp.Rational(9, 10)),
    (sp.Rational(5, 4), sp.Rational(2, 5), sp.Rational(-11, 20)),
)
"""Variances and covariance of correlated pairs, both signs, unequal norms."""
PARALLEL: tuple[Point, ...] = (
    (sp.Rational(1, 2), sp.Integer(2), sp.Integer(1)),
    (sp.Rational(1, 2), sp.Integer(2), sp.Integer(-1)),
)
"""Pairs of correlation 1 and -1, unequal norms."""
DEVIATIONS = sp.Rational(3, 4), sp.Rational(3, 2)
CORRELATIONS, TERMS = (sp.Rational(1, 4), sp.Rational(-1, 4)), 8
"""Where Hermite series are examined, with how many terms; float64 has these numbers exactly."""
INDEPENDENT: Point = (sp.Rational(3, 4), sp.Rational(5, 2), sp.Integer(0))


def examine_dual(step: Step) -> int:
    """Return the number of facts a dual was held against.

    Raises:
        StepRefuted: if one of them fails.
    """
    before, after = step.before, step.after
    assert isinstance(before, GaussianMean) and isinstance(after, ClosedForm)  # dispatched by the examiner
    if before.weak and before.activation.jumps:  # deltas cannot be integrated by nodes
        _examine_weak(before, after)
        return 1
    points = [inside(point, after) for point in (*CORRELATED, *PARALLEL, INDEPENDENT)]
    for point in points:
        _hold_against_integral(before, after, point)
    _examine_price(before, after)
    return len(points) + 1


def examine_series(step: Step) -> int:
    """Return the number of correlations at which a Hermite series was held against certified integrals.

    Raises:
        StepRefuted: if one of them is outside of the series with its remainder.
    """
    before, after = step.before, step.after
    assert isinstance(before, GaussianMean) and isinstance(after, HermiteSeries)  # dispatched by the examiner
    for rho in CORRELATIONS:
        first, second = DEVIATIONS
        value = partial_sum(after, first, second, rho, TERMS)
        reference = reference_mean(before.activation, before.order, (first**2, second**2, rho * first * second))
        if not (value.is_finite() and value.overlaps(reference)):
            raise StepRefuted(
                f"at a = {first**2}, b = {second**2}, rho = {rho}: "
                f"{value.str(12, radius=False)} against the integral {reference.str(12, radius=False)}"
            )
    return len(CORRELATIONS)


def inside(point: Point, form: ClosedForm) -> Point:
    """Return a pair scaled down until the moments of a closed form exist.

    Raises:
        StepRefuted: if they exist at none that was tried.
    """
    for _ in range(20):
        first, second, covariance = point
        at = {a: first, b: second, c: covariance, D: first * second - covariance**2}
        if all(mass.subs(at) > 0 for mass in form.positive):
            return point
        point = first / 2, second / 2, covariance / 2
    raise StepRefuted(f"the conditions of {form.expression} hold at no pair that was tried")


def _hold_against_integral(before: GaussianMean, after: ClosedForm, point: Point) -> None:
    reference = reference_mean(before.activation, before.order, point)
    where = f"at a = {point[0]}, b = {point[1]}, c = {point[2]}"
    try:
        value = enclosure(after.expression, *point, digits=SMOOTH_DIGITS + 5)
    except NotEnclosed as error:
        raise StepRefuted(str(error)) from None
    with precision(4 * SMOOTH_DIGITS + 40):
        if not (value.is_finite() and value.overlaps(reference)):
            raise StepRefuted(
                f"{where}: {value.str(12, radius=False)} against the integral {reference.str(12, radius=False)}"
            )


@cache
def reference_mean(which: Activation, order: int, point: Point) -> arb:
    """Return a ball around E[phi(u) phi(v)], or of phi', by certified integration; at c = 0 as a product of means.

    Raises:
        StepRefuted: if the integral cannot be enclosed.
    """
    expression = which.derivative if order else which.expression
    digits = digits_of(which)
    first, second, covariance = point
    try:
        if covariance == 0:
            with precision(4 * digits + 40):
                return mean(expression, first, digits) * mean(expression, second, digits)
        return gaussian_mean(expression, expression, first, second, covariance, digits)
    except NotIntegrable as error:
        raise StepRefuted(f"the mean of {which.name} cannot be integrated: {error}") from None


def digits_of(which: Activation) -> int:
    """Return the digits to which integrals of an activation are asked for."""
    return SMOOTH_DIGITS if len(pieces(which.expression)) == 1 else KINKED_DIGITS


def _examine_price(before: GaussianMean, after: ClosedForm) -> None:
    """Hold the derivative by c against the dual of the weak derivative: Price's theorem."""
    slope = derivative(before.function, weak=True)
    expected = Calculus(slope.field).dual(slope, slope).without_determinant()
    try:
        found = from_expression(after.expression, slope.field).without_determinant().derivative()
    except NotRational as error:
        raise StepRefuted(f"{after.expression} is not a form of the calculus: {error}") from None
    _equal(found, expected, f"Price's identity fails for {after.expression}")


def _examine_weak(before: GaussianMean, after: ClosedForm) -> None:
    """Hold a dual with deltas against the derivative by c of the dual of the activation, and that against integrals."""
    function = parse(before.activation.expression)
    form = Calculus(function.field).dual(function, function)
    for point in CORRELATED:
        _hold_against_integral(GaussianMean(before.activation), ClosedForm(to_expression(form), after.positive), point)
    value = form.without_determinant()
    found = from_expression(after.expression, function.field).without_determinant()
    _equal(value.derivative(), found, f"Price's identity fails for {after.expression}")


def _equal(first: Form, second: Form, failure: str) -> None:
    """Accept two forms whose difference has no terms, or is zero to 30 digits at three points.

    The normal form proves that something is zero; it cannot prove that it is not when its parts depend on each other.
    """
    difference = first - second
    if not difference:
        return
    expression = to_expression(difference)
    for point in (*CORRELATED, (sp.Rational(1, 4), sp.Rational(2, 7), sp.Rational(1, 9))):
        with precision(240):
            values = [arb(exact(x)) for x in point]
            at = dict(zip((a, b, c, D), (*values, values[0] * values[1] - values[2] ** 2), strict=True))
            value = evaluate(expression, at)
            if not abs(value) < arb(10) ** -30:
                raise StepRefuted(
                    f"{failure}: by {value.str(8, radius=False)} at a = {point[0]}, b = {point[1]}, c = {point[2]}"
                )
