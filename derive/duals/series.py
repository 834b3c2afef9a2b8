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
from derive.duals.integration import mean
from derive.notation import z

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


def hermite(degree: int, x: sp.Expr) -> sp.Expr:
    """Return the probabilists' Hermite polynomial He_n(x), expanded."""
    before, now = sp.S.Zero, sp.S.One
    for n in range(degree):
        before, now = now, sp.expand(x * now - n * before)
    return now


@cache
def coefficient(function: sp.Expr, deviation: sp.Rational, degree: int) -> arb:
    """Return a ball around ``A_k = E[f(s x) He_k(x)]`` for a standard deviation s."""
    return mean(function * hermite(degree, z / deviation), deviation**2, _DIGITS)


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
        total, seen = arb(0), [arb(0), arb(0)]
        for k in range(terms):
            pair = [coefficient(series.function, s, k) for s in (first, second)]
            weight = sp.Rational(series.weight.subs({K: k, RHO: rho}))
            total += pair[0] * pair[1] * arb(exact(weight))
            for n in range(2):
                seen[n] += pair[n] * pair[n] / arb.fac_ui(k)
        left = [_second_moment(series.function, s) - seen[n] for n, s in enumerate((first, second))]
        tail = abs(arb(exact(rho))) ** terms * (left[0].nonnegative_part() * left[1].nonnegative_part()).sqrt()
        return total + arb(0, 1) * tail.abs_upper()
