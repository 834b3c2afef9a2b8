"""Four facts that give every dual E[f(u) g(v)] of the class, for a Gaussian pair (u, v).

* tilt: ``exp(alpha u^2 + beta u)`` is absorbed in the Gaussian, which changes its mean and covariance;
* Stein: ``E[u g] = E[u] E[g] + a E[dg/du] + c E[dg/dv]`` lowers the power;
* slice: ``E[delta(u - t) g] = p(t) E[g | u = t]``, and the same with a bump for the delta, ``u + n`` for u;
* Price: ``d/dc E[f(u) g(v)] = E[f'(u) g'(v)]`` for two steps is a bivariate normal density, so that ``E[S(u) T(v)]`` is
  the probability that both noisy variables pass their thresholds: the bivariate normal cdf, at thresholds of 0 the
  angle ``1/4 + atan2(c, sqrt(D)) / (2 pi)``.

The determinant ``D = ab - c^2`` is a symbol of its own and is never re-expanded: fully correlated pairs are D = 0,
with no limits to take, and the emitted formula has no cancellation in ``ab - c^2``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from derive.duals.field import VARIABLES, Field, Ratio
from derive.duals.function_class import Function, Monomial, NotInClass, Step
from derive.duals.normal_form import (
    Form,
    NormalCdf,
    Orthant,
    Surd,
    constant,
    exponential,
    gaussian_density,
    normal_cdf,
    orthant,
    root,
    total,
)

LONGEST = 100_000
"""Terms of all polynomials of a derivation beyond which it is given up; chosen: a few seconds."""
LONGEST_RESULT = 2000
"""Terms of all polynomials of a closed form beyond which the series is of more use; chosen."""
_EXPONENTIAL = 4
"""How many terms an exponential counts for; chosen by the time that it costs."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A Gaussian pair (u, v): variances a, b, covariance c, determinant D = ab - c^2 and means."""

    a: Ratio
    b: Ratio
    c: Ratio
    D: Ratio
    mean_u: Ratio
    mean_v: Ratio

    def swapped(self) -> Pair:
        """Return the pair (v, u)."""
        return Pair(self.b, self.a, self.c, self.D, self.mean_v, self.mean_u)


@dataclass
class Calculus:
    """Evaluates duals and keeps what it used and what has to hold.

    Attributes:
        field: what the numbers are elements of.
        facts: names of the facts used so far.
        masses: elements that have to be positive for the moments to exist.
    """

    field: Field
    facts: set[str] = dataclasses.field(default_factory=set)
    masses: dict[Ratio, None] = dataclasses.field(default_factory=dict)
    _length: int = 0
    _known: dict[tuple[int, int, Step | None, Step | None, Pair], Form] = dataclasses.field(default_factory=dict)

    def dual(self, first: Function, second: Function) -> Form:
        """Return E[first(u) second(v)] in a, b, c and D."""
        a, b, c, D = map(self.field.generator, VARIABLES)
        generic = Pair(a, b, c, D, self.field.zero, self.field.zero)
        means = []
        for left, k in first.terms.items():
            for right, m in second.terms.items():
                pair, weight = self._tilted(generic, left, right)
                mean = self._mean(left.power, right.power, left.step, right.step, pair)
                means.append(k * m * weight * mean)
        result = total(self.field, means)
        length = sum(len(k) + (_EXPONENTIAL if m.exponent else 0) for m, k in result.terms.items())
        if length > LONGEST_RESULT:
            raise NotInClass("the closed form is too long to be of use")
        if any(isinstance(m.atom, NormalCdf | Orthant) and m.atom.is_complex for m in result.terms):
            raise NotInClass("sin or cos beside erf or a break point is outside the class")
        return result

    def _tilted(self, pair: Pair, left: Monomial, right: Monomial) -> tuple[Pair, Form]:
        """Return the Gaussian that absorbs the exponentials of both terms, and its mass."""
        one = self.field.one
        if not (left.alpha or right.alpha or left.beta or right.beta):
            return pair, constant(one)
        self.facts.add("tilt")
        alpha, beta = left.alpha * 2, right.alpha * 2
        mass = one - alpha * pair.a - beta * pair.b + alpha * beta * pair.D
        for rate, own in ((alpha, one - alpha * pair.a), (beta, one - beta * pair.b)):
            if rate and _may_be_positive(rate):
                self.masses |= {own: None, mass: None}
        a, b, c = (pair.a - beta * pair.D) / mass, (pair.b - alpha * pair.D) / mass, pair.c / mass
        mean_u, mean_v = a * left.beta + c * right.beta, c * left.beta + b * right.beta
        weight = exponential((left.beta * mean_u + right.beta * mean_v) / 2)
        if mass != one:
            weight = weight * root(one / mass)
        return Pair(a, b, c, pair.D / mass, mean_u, mean_v), weight

    def _mean(self, m: int, n: int, s: Step | None, t: Step | None, pair: Pair) -> Form:
        """Return E[u^m v^n s(u) t(v)]."""
        key = m, n, s, t, pair
        if key not in self._known:
            mean = self._known[key] = self._evaluated(*key)
            self._length += sum(map(len, mean.terms.values()))
            if self._length > LONGEST:
                raise NotInClass("the closed form is too long to be of use")
        return self._known[key]

    def _evaluated(self, m: int, n: int, s: Step | None, t: Step | None, pair: Pair) -> Form:
        if s is not None and s.delta:
            return self._sliced(m, n, s, t, pair)
        if t is not None and t.delta:
            return self._mean(n, m, t, s, pair.swapped())
        if m == 0 and n > 0:
            return self._mean(n, m, t, s, pair.swapped())
        if m > 0:
            return self._lowered(m, n, s, t, pair)
        if s is None and t is None:
            return constant(self.field.one)
        if s is None:
            assert t is not None  # there is one of them
            return self._beyond(t, pair.swapped())
        return self._beyond(s, pair) if t is None else self._both_beyond(s, t, pair)

    def _sliced(self, m: int, n: int, s: Step, t: Step | None, pair: Pair) -> Form:
        """Return E[u^m v^n s'(u) t(v)] for a step s: the density of u + noise at its threshold, the rest given it."""
        self.facts.add("tilt" if s.noise else "slice")
        spread = pair.a + s.noise
        distance = s.threshold - pair.mean_u
        given = Pair(
            pair.a * s.noise / spread,
            (pair.D + s.noise * pair.b) / spread,
            pair.c * s.noise / spread,
            pair.D * s.noise / spread,
            pair.mean_u + pair.a * distance / spread,
            pair.mean_v + pair.c * distance / spread,
        )
        density = gaussian_density(distance * distance / spread) * root(self.field.one / spread)
        return density * self._mean(m, n, None, t, given)

    def _lowered(self, m: int, n: int, s: Step | None, t: Step | None, pair: Pair) -> Form:
        self.facts.add("Stein")
        terms = []

        def add(factor: Ratio, term: Form) -> None:
            if factor:
                terms.append(term.scaled(factor))

        if pair.mean_u:
            add(pair.mean_u, self._mean(m - 1, n, s, t, pair))
        if m > 1 and pair.a:
            add(pair.a * (m - 1), self._mean(m - 2, n, s, t, pair))
        if n > 0 and pair.c:
            add(pair.c * n, self._mean(m - 1, n - 1, s, t, pair))
        if s is not None and pair.a:
            add(pair.a, self._sliced(m - 1, n, s, t, pair))
        if t is not None and pair.c:
            add(pair.c, self._sliced(n, m - 1, t, s, pair.swapped()))
        return total(self.field, terms)

    def _beyond(self, s: Step, pair: Pair) -> Form:
        """Return E[s(u)], the probability that u + noise passes the threshold."""
        return normal_cdf(Surd.quotient(pair.mean_u - s.threshold, pair.a + s.noise))

    def _both_beyond(self, s: Step, t: Step, pair: Pair) -> Form:
        """Return E[s(u) t(v)], the probability that both noisy variables pass their thresholds, by Price's theorem."""
        self.facts.add("Price")
        determinant = pair.D + t.noise * pair.a + s.noise * pair.b + s.noise * t.noise
        return orthant(
            s.threshold - pair.mean_u,
            t.threshold - pair.mean_v,
            pair.a + s.noise,
            pair.b + t.noise,
            pair.c,
            determinant,
        )


def _may_be_positive(rate: Ratio) -> bool:
    value = rate.symbolic
    return not value.is_nonpositive
