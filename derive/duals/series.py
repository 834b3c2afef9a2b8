"""Duals without a closed form: Mehler's series in Hermite polynomials, and certified values of it.

``E[phi(u) phi(v)] = sum_k rho^k A_k(a) A_k(b) / k!`` with ``A_k(a) = E[phi(sqrt(a) x) He_k(x)]``: the Gaussian pair
expanded in orthogonal polynomials (Mehler 1866), and at once Price's theorem applied again and again at c = 0.
Parseval's identity bounds what is left after N terms, for any phi with a second moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sympy as sp
from flint import arb

from derive.activations import Activation
from derive.duals.evaluation import exact, precision
from derive.duals.integration import hermite_coefficients, mean

K = sp.Symbol("k", integer=True, nonnegative=True)
RHO = sp.Symbol("rho", real=True)
_DIGITS = 25


@dataclass(frozen=True, slots=True)
class HermiteSeries:
    """The term ``sum_k weight(k) A_k(a) A_k(b)`` for an activation, or its pathwise derivative if ``order`` is 1.

    Attributes:
        activation: phi.
        order: 0 or 1.
        weight: an expression in k and the correlation rho.
    """

    activation: Activation
    order: int = 0
    weight: sp.Expr = RHO**K / sp.factorial(K)

    @property
    def key(self) -> str:
        """Return the normal form as text."""
        return f"{{Hermite series}}{self.order}|{self.weight}|{self.activation.expression}"

    @property
    def function(self) -> sp.Expr:
        """Return what is expanded."""
        return self.activation.derivative if self.order else self.activation.expression


@cache
def _coefficients(function: sp.Expr, deviation: sp.Rational, terms: int) -> tuple[arb, ...]:
    """Return balls around ``A_k / sqrt(k!)`` for a standard deviation and all k below the number of terms."""
    return hermite_coefficients(function, deviation**2, terms, _DIGITS)


@cache
def _second_moment(function: sp.Expr, deviation: sp.Rational) -> arb:
    return mean(function**2, deviation**2, _DIGITS)


def partial_sum(series: HermiteSeries, first: sp.Rational, second: sp.Rational, rho: sp.Rational, terms: int) -> arb:
    """Return a ball around the sum of a series with the weight ``rho^k / k!``, of another around its first terms.

    Args:
        series: what to sum.
        first: standard deviation of u.
        second: standard deviation of v.
        rho: correlation, below 1 in modulus.
        terms: number of terms; the rest is bounded by Parseval's identity and added to the radius.
    """
    with precision(4 * _DIGITS + 40):
        total = arb(0)
        known = [_coefficients(series.function, s, terms) for s in (first, second)]
        for k, (one, other) in enumerate(zip(*known, strict=True)):
            weight = sp.Rational(series.weight.subs({K: k, RHO: rho})) * sp.factorial(k)
            total += one * other * arb(exact(weight))
        seen = [sum((h * h for h in of), arb(0)) for of in known]
        left = [_second_moment(series.function, s) - seen[n] for n, s in enumerate((first, second))]
        tail = abs(arb(exact(rho))) ** terms * (left[0].nonnegative_part() * left[1].nonnegative_part()).sqrt()
        return total + arb(0, 1) * tail.abs_upper()
