"""Closed forms as balls: certified values of a dual at exact variances and covariance (python-flint's Arb)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias, TypeVar

import sympy as sp
from flint import acb, arb, ctx, fmpq

from derive.duals.functions import Atan2, BivariateTail, NormalCdf
from derive.notation import D, a, b, c

Number: TypeAlias = int | float | Fraction | Any  # the last for SymPy's rational numbers, which have no types
Ball = TypeVar("Ball", arb, acb)
_MOST_BITS = 1 << 15
_LIMIT_BITS, _MOST_EVALUATIONS = 600, 100_000


class NotEnclosed(ArithmeticError):
    """A value that is no finite number, or that no allowed precision can enclose."""


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Set flint's working precision, which is global, and put it back."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def exact(value: Number) -> fmpq:
    """Return a number exactly, a float by its binary value."""
    fraction = Fraction(int(value.p), int(value.q)) if isinstance(value, sp.Rational) else Fraction(value)
    return fmpq(fraction.numerator, fraction.denominator)


def enclosure(
    expression: sp.Expr, first: Number, second: Number, covariance: Number, digits: int = 40, determinant: Any = None
) -> arb:
    """Return a ball around the value of a closed form whose radius is below ``10^-digits`` of 1 or of the value.

    Args:
        expression: in a, b, c, D.
        first: variance a, exact.
        second: variance b, exact.
        covariance: c, exact; ``c^2 <= ab``.
        digits: relative to the larger of 1e-300 and the modulus of the value.
        determinant: D, by default ``ab - c^2``, exactly.

    Where the closed form divides by D = 0, as densities at a threshold do, the value is the limit: that at D = 2^-600,
    with a radius of 2^-200 added. Means are continuous in the square root of D, so this is far more than they change;
    it is the one radius here that is not proven.

    Raises:
        NotEnclosed: if the value is not finite.
    """
    values = [exact(v) for v in (first, second, covariance)]
    d = values[0] * values[1] - values[2] * values[2] if determinant is None else exact(determinant)
    at = dict(zip((a, b, c, D), (*values, d), strict=True))
    bits = int(3.33 * digits) + 40
    limit = d == 0 and _divides_by_determinant(expression)
    if limit:
        at[D], bits = fmpq(1, 2**_LIMIT_BITS), max(bits, 3 * _LIMIT_BITS)
        expression = expression.replace(BivariateTail, _fully_correlated)
    while bits <= _MOST_BITS:
        with precision(bits):
            value = evaluate(expression, {symbol: arb(v) for symbol, v in at.items()})
            if limit:
                value += arb(0, arb(2) ** (-_LIMIT_BITS // 3))
            if value.is_finite() and (value.is_zero() or _is_sharp(value, digits, limit)):
                return value
        bits *= 2
    raise NotEnclosed(
        f"the closed form {expression} has no finite value at a = {first}, b = {second}, c = {covariance}"
    )


def _is_sharp(value: arb, digits: int, limit: bool) -> bool:
    """Return whether the radius is small relative to the value, to the smallest float or to what a limit allows."""
    smallest = arb(2) ** -1000 if not limit else arb(2) ** (_LIMIT_BITS // -3 + 1 + 4 * digits)
    return bool(value.rad() <= abs(value).max(smallest) * arb(10) ** -digits)


def integer_power(base: Ball, exponent: int) -> Ball:
    """Return a power by products: flint's own is undefined for balls around 0."""
    if exponent < 0:
        return 1 / integer_power(base, -exponent)
    half = integer_power(base, exponent // 2) if exponent > 1 else type(base)(1)
    return half * half * base if exponent % 2 else half * half


def _fully_correlated(*arguments: sp.Expr) -> sp.Expr:
    return BivariateTail(*arguments[:3], arguments[3].subs(D, 0))


def _divides_by_determinant(expression: sp.Expr) -> bool:
    return any(power.exp.is_negative and power.base.has(D) for power in expression.atoms(sp.Pow))


def evaluate(expression: sp.Expr, at: Mapping[sp.Symbol, arb]) -> arb:
    """Return a ball that contains the value of an expression at balls, at flint's working precision."""
    known: dict[sp.Expr, arb] = dict(at)
    for node in sp.postorder_traversal(expression):
        if node not in known:
            known[node] = _value(node, known)
    return known[expression]


def _value(node: sp.Expr, known: Mapping[sp.Expr, arb]) -> arb:
    parts = [known[x] for x in node.args]
    match node:
        case sp.Rational():
            return arb(fmpq(int(node.p), int(node.q)))
        case sp.Add():
            return sum(parts[1:], parts[0])
        case sp.Mul():
            product = parts[0]
            for part in parts[1:]:
                product = product * part
            return product
        case sp.Pow():
            return _power(parts[0], node.exp)
        case sp.exp() | sp.sinh() | sp.cosh() | sp.sin() | sp.cos() | sp.erf() | sp.erfc() | sp.log():
            value: arb = getattr(parts[0], type(node).__name__)()
            return value
        case Atan2():
            return arb.atan2(*parts) if any(parts) else arb(0, 4)  # the origin has no angle, or any
        case NormalCdf():
            return (-parts[0] / arb(2).sqrt()).erfc() / 2
        case BivariateTail():
            return _bivariate_tail(*parts)
    if node is sp.pi:
        return arb.pi()
    if node is sp.E:
        return arb(1).exp()
    raise NotEnclosed(f"no ball is known for {node}")


def _power(base: arb, exponent: sp.Expr) -> arb:
    if exponent.is_Integer:
        return integer_power(base, int(exponent))
    if exponent.is_Rational and exponent.q == 2:
        return integer_power(base.nonnegative_part().sqrt(), int(exponent.p))
    raise NotEnclosed(f"no ball is known for a power {exponent}")


_KNOWN_TAILS = 256
"""How many probabilities are remembered: the two duals of an activation, and wrong variants, have theirs in common."""


def _bivariate_tail(h: arb, k: arb, covariance: arb, complement: arb) -> arb:
    """Return P(X > h, Y > k), by which balls, not only by whose midpoints, it was asked for."""
    return _plackett(_Balls((h, k, covariance, complement)), ctx.prec)


@dataclass(frozen=True, slots=True, eq=False)
class _Balls:
    """Balls that are equal, as keys, when both midpoints and radii are."""

    balls: tuple[arb, ...]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(ball.repr() for ball in self.balls)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Balls) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=_KNOWN_TAILS)
def _plackett(of: _Balls, bits: int) -> arb:
    """Return the probability at flint's working precision, which is that of so many bits.

    It is Plackett's integral over the angle of the correlation, from 0, where it is a product:
    ``d/dt P = exp(-((h - k sin t)^2 / cos^2 t + k^2) / 2) / (2 pi)`` for the correlation sin t (Plackett 1954).
    """
    h, k, covariance, complement = of.balls
    tails = [(x / arb(2).sqrt()).erfc() / 2 for x in (h, k)]
    if complement.is_zero():  # X = Y or X = -Y
        if covariance > 0:
            return tails[0].min(tails[1])
        return (tails[0] + tails[1] - 1).nonnegative_part()

    def density(t: acb, _: bool) -> acb:
        sine, cosine = acb.sin(t), acb.cos(t)
        return (-(((h - k * sine) / cosine) ** 2 + k * k) / 2).exp()

    end = arb.atan2(covariance, complement)
    return tails[0] * tails[1] + acb.integral(density, acb(0), acb(end), eval_limit=_MOST_EVALUATIONS).real / (
        2 * arb.pi()
    )
