"""The examiner of duals: Price's theorem as an identity, values at c = 0 and at c of both signs against integrals.

Price's identity holds a dual against that of the derivative, which the same calculus finds; the integrals of the
density share nothing with the calculus.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import mpmath
import numpy as np
import sympy as sp
from numpy.typing import NDArray

from derive import notation
from derive.activations import Activation
from derive.duals.function_class import derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.normal_form import is_zero
from derive.duals.quadrature import gaussian_mean
from derive.duals.theorems import ClosedForm, GaussianMean
from derive.notation import D, a, b, c
from derive.theorem import Step, StepRefuted

_DIGITS = 30
_INTEGRAL_ERROR = 1e-9
"""Granted to the two-dimensional integral (chosen; planted errors are far above, its own error far below)."""
_PAIRS = (
    (sp.Rational(3, 4), sp.Rational(5, 2), sp.Rational(9, 10)),
    (sp.Rational(5, 4), sp.Rational(2, 5), sp.Rational(-11, 20)),
)
"""Variances and covariance of correlated pairs, both signs."""
_VARIANCES = ((sp.Rational(3, 4), sp.Rational(5, 2)), (sp.Rational(7, 3), sp.Rational(1, 5)))


@cache
def examine_dual(step: Step) -> int:
    """Return the number of facts a dual was held against: Price's identity and two values at c = 0.

    Raises:
        StepRefuted: if one of them fails.
    """
    before, after = step.before, step.after
    assert isinstance(before, GaussianMean) and isinstance(after, ClosedForm)  # dispatched by the examiner
    function = parse(before.activation.expression)
    if before.order:
        function = derivative(function)
    slope = derivative(function, weak=True)
    expected = Calculus().dual(slope, slope)
    total = sp.diff(after.expression, c) - 2 * c * sp.diff(after.expression, D)
    if not (is_zero(total - expected) or _vanishes_at_points(total - expected)):
        raise StepRefuted(f"Price's identity fails for {after.expression}: its derivative by c is not {expected}")
    for first, second in _VARIANCES:
        value = after.expression.subs({a: first, b: second, c: 0, D: first * second}).evalf(_DIGITS)
        of_means = _mean(before.activation, before.order, first) * _mean(before.activation, before.order, second)
        if abs(mpmath.mpf(str(value)) - of_means) > mpmath.mpf(10) ** (5 - _DIGITS) * (1 + abs(of_means)):
            raise StepRefuted(f"at a = {first}, b = {second}, c = 0: {value} against the product of means {of_means}")
    expression = before.activation.derivative if before.order else before.activation.expression
    numeric = sp.lambdify(notation.z, expression, [{"Max": np.maximum}, "scipy", "numpy"])

    def product(u: NDArray[np.float64], v: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to(numeric(u) * numeric(v), u.shape)

    for first, second, covariance in _PAIRS:
        at = {a: first, b: second, c: covariance, D: first * second - covariance**2}
        reference = gaussian_mean(product, *(float(at[symbol]) for symbol in (a, b, c, D)))
        value = float(after.expression.subs(at).evalf(20))
        if abs(value - reference) > _INTEGRAL_ERROR * (1 + abs(reference)):
            raise StepRefuted(
                f"at a = {first}, b = {second}, c = {covariance}: {value} against the integral {reference}"
            )
    return 1 + len(_VARIANCES) + len(_PAIRS)


def _vanishes_at_points(expression: sp.Expr) -> bool:
    """Return whether an expression is zero to 30 digits at three points, where its normal form does not decide.

    The normal form proves that something is zero; it cannot prove that it is not when roots depend on each other.
    """
    for first, second, covariance in (*_PAIRS, (sp.Rational(9, 4), sp.Rational(5, 7), sp.Rational(11, 10))):
        at = {a: first, b: second, c: covariance, D: first * second - covariance**2}
        if abs(expression.subs(at).evalf(40, maxn=200)) > sp.Float(10) ** -30:
            return False
    return True


def _mean(activation: Activation, order: int, variance: sp.Rational) -> mpmath.mpf:
    """Return E[phi(u)] for a centred Gaussian u by one-dimensional quadrature, split at the origin."""
    with mpmath.workdps(_DIGITS + 10):
        root = mpmath.sqrt(mpmath.mpf(variance.p) / variance.q)
        function = _integrand(activation, order)

        def at(t: mpmath.mpf) -> mpmath.mpf:
            return function(root * t) * mpmath.exp(-t * t / 2)

        return mpmath.quad(at, [-mpmath.inf, 0, mpmath.inf]) / mpmath.sqrt(2 * mpmath.pi)


def _integrand(activation: Activation, order: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    expression = activation.derivative if order else activation.expression
    function: Callable[[mpmath.mpf], mpmath.mpf] = sp.lambdify(notation.z, expression, "mpmath")
    return function
