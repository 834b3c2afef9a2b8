"""The examiner of duals: Price's theorem as an identity, and the value at c = 0 against one-dimensional integrals.

Together they fix a dual: its derivative by c, and its value where u and v are independent. Neither uses how it was found.
"""

from __future__ import annotations

from functools import cache

import mpmath
import sympy as sp

from derive.activations import Activation
from derive.duals.function_class import derivative, parse
from derive.duals.gaussian import Calculus
from derive.duals.normal_form import is_zero
from derive.duals.theorems import ClosedForm, GaussianMean
from derive.notation import D, a, b, c, z
from derive.theorem import Step, StepRefuted

_DIGITS = 30
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
    if not is_zero(total - expected):
        raise StepRefuted(f"Price's identity fails for {after.expression}: its derivative by c is not {expected}")
    for first, second in _VARIANCES:
        value = after.expression.subs({a: first, b: second, c: 0, D: first * second}).evalf(_DIGITS)
        product = _mean(before.activation, before.order, first) * _mean(before.activation, before.order, second)
        if abs(mpmath.mpf(str(value)) - product) > mpmath.mpf(10) ** (5 - _DIGITS) * (1 + abs(product)):
            raise StepRefuted(f"at a = {first}, b = {second}, c = 0: {value} against the product of means {product}")
    return 1 + len(_VARIANCES)


def _mean(activation: Activation, order: int, variance: sp.Rational) -> mpmath.mpf:
    """Return E[phi(u)] for a centred Gaussian u by one-dimensional quadrature, split at the origin."""
    expression = activation.derivative if order else activation.expression
    density = sp.exp(-(z**2) / (2 * variance)) / sp.sqrt(2 * sp.pi * variance)
    integrand = sp.lambdify(z, expression * density, "mpmath")
    with mpmath.workdps(_DIGITS + 10):
        return mpmath.quad(integrand, [-mpmath.inf, 0, mpmath.inf])
