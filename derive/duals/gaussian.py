"""Four facts that give every dual E[f(u) g(v)] of the class, for a centred Gaussian pair (u, v).

* tilt: ``exp(alpha u^2 + beta v^2)`` is absorbed in the Gaussian, which changes its covariance by a rational map;
* Stein: ``E[u g] = a E[dg/du] + c E[dg/dv]`` lowers the power;
* slice: ``E[delta(u) h(v)] = h averaged over v given u = 0, times the density of u at 0``;
* Price: ``d/dc E[f(u) g(v)] = E[f'(u) g'(v)]``, integrated from c = 0, where an odd factor makes the mean vanish. The
  only integral is ``int k dc / sqrt(P - Q c^2) = k / sqrt(Q) atan2(sqrt(Q) c, sqrt(P - Q c^2))``.

The determinant ``D = ab - c^2`` is a symbol of its own and is never re-expanded: fully correlated pairs are D = 0,
with no limits to take, and the emitted formula has no cancellation in ``ab - c^2``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from derive import notation
from derive.duals.function_class import DELTA, ONE, Factor, Function, NotInClass, factor_derivative
from derive.duals.normal_form import Atan2, factored


@dataclass(frozen=True, slots=True)
class Pair:
    """A centred Gaussian pair: variances a, b, covariance c and determinant D = ab - c^2."""

    a: sp.Expr
    b: sp.Expr
    c: sp.Expr
    D: sp.Expr

    def swapped(self) -> Pair:
        """Return the pair (v, u)."""
        return Pair(self.b, self.a, self.c, self.D)


GENERIC = Pair(notation.a, notation.b, notation.c, notation.D)


@dataclass
class Calculus:
    """Evaluates duals and keeps the facts it used.

    Attributes:
        facts: names of the facts used so far.
    """

    facts: set[str] = field(default_factory=set)

    def dual(self, first: Function, second: Function) -> sp.Expr:
        """Return E[first(u) second(v)] in a, b, c and D."""
        result = sp.S.Zero
        for left, k in first.items():
            for right, m in second.items():
                pair, weight = self._tilted(GENERIC, left.decay, right.decay)
                result += k * m * weight * self._mean(left.power, right.power, left.factor, right.factor, pair)
        return result

    def _tilted(self, pair: Pair, alpha: sp.Expr, beta: sp.Expr) -> tuple[Pair, sp.Expr]:
        if alpha == 0 and beta == 0:
            return pair, sp.S.One
        self.facts.add("tilt")
        mass = factored(1 - 2 * alpha * pair.a - 2 * beta * pair.b + 4 * alpha * beta * pair.D)
        tilted = Pair(
            factored((pair.a - 2 * beta * pair.D) / mass),
            factored((pair.b - 2 * alpha * pair.D) / mass),
            factored(pair.c / mass),
            factored(pair.D / mass),
        )
        return tilted, 1 / sp.sqrt(mass)

    def _mean(self, m: int, n: int, s: Factor, t: Factor, pair: Pair) -> sp.Expr:
        """Return E[u^m v^n s(u) t(v)]."""
        if DELTA in (s, t):
            return self._sliced(m, n, s, t, pair)
        if (m + n + (s != ONE) + (t != ONE)) % 2:
            return sp.S.Zero  # odd under (u, v) -> (-u, -v)
        if m == 0 and n > 0:
            return self._mean(n, m, t, s, pair.swapped())
        if m > 0:
            return self._lowered(m, n, s, t, pair)
        if s == ONE and t == ONE:
            return sp.S.One
        if ONE in (s, t):
            return sp.S.Zero  # the other factor is odd
        return self._integrated(s, t, pair)

    def _sliced(self, m: int, n: int, s: Factor, t: Factor, pair: Pair) -> sp.Expr:
        if s != DELTA:
            return self._sliced(n, m, t, s, pair.swapped())
        self.facts.add("slice")
        if m:
            return sp.S.Zero  # u^m vanishes where delta(u) does not
        if t == DELTA:
            return sp.S.Zero if n else 1 / (2 * sp.pi * sp.sqrt(pair.D))
        conditional = pair.D / pair.a  # the variance of v given u = 0
        rest = Pair(conditional, sp.S.One, sp.S.Zero, conditional)
        return self._mean(n, 0, t, ONE, rest) / sp.sqrt(2 * sp.pi * pair.a)

    def _lowered(self, m: int, n: int, s: Factor, t: Factor, pair: Pair) -> sp.Expr:
        self.facts.add("Stein")
        result = sp.S.Zero
        if m > 1:
            result += pair.a * (m - 1) * self._mean(m - 2, n, s, t, pair)
        if n > 0:
            result += pair.c * n * self._mean(m - 1, n - 1, s, t, pair)
        for inner, k in factor_derivative(s):
            tilted, weight = self._tilted(pair, inner.decay, sp.S.Zero)
            result += pair.a * k * weight * self._mean(m - 1 + inner.power, n, inner.factor, t, tilted)
        for inner, k in factor_derivative(t):
            tilted, weight = self._tilted(pair, sp.S.Zero, inner.decay)
            result += pair.c * k * weight * self._mean(m - 1, n + inner.power, s, inner.factor, tilted)
        return result

    def _integrated(self, s: Factor, t: Factor, pair: Pair) -> sp.Expr:
        """Return E[s(u) t(v)] of two odd factors, by Price's theorem from c = 0."""
        self.facts.add("Price")
        rate = sp.S.Zero
        for left, k in factor_derivative(s):
            for right, m in factor_derivative(t):
                tilted, weight = self._tilted(GENERIC, left.decay, right.decay)
                rate += k * m * weight * self._mean(left.power, right.power, left.factor, right.factor, tilted)
        inverse_square = sp.expand(sp.cancel(1 / rate**2))
        slope = inverse_square.coeff(notation.D, 1)
        if (
            inverse_square.has(notation.c)
            or slope.has(*GENERIC_SYMBOLS)
            or sp.expand(inverse_square - slope * notation.D).has(notation.D)
        ):
            raise NotInClass(f"the rate {rate} is not of the form k / sqrt(P - Q c^2)")
        at = {notation.a: pair.a, notation.b: pair.b, notation.D: pair.D}
        rest = factored((inverse_square / slope).subs(at, simultaneous=True))
        return Atan2(pair.c, sp.sqrt(rest)) / sp.sqrt(slope)


GENERIC_SYMBOLS = (notation.a, notation.b, notation.D)
