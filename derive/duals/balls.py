"""Expressions in z as ball arithmetic (python-flint): enclosures of their values, and bounds of them far out.

Bounds far out are of the form ``size exp(rate (z - t) + curvature (z^2 - t^2))`` for all z >= t > 0. They follow from
those of the parts of an expression; parts are bounded from below as well, for the sake of quotients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import add, mul
from typing import Any, cast

import sympy as sp
from flint import acb, arb, ctx, fmpq

from derive.duals.evaluation import Ball, integer_power
from derive.notation import z

_ZERO = arb(0)


class NotIntegrable(ValueError):
    """A Gaussian mean that does not exist or cannot be enclosed; the message says what is in the way."""


_METHODS: Mapping[type[sp.Basic], str] = {
    sp.exp: "exp",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.erf: "erf",
    sp.erfc: "erfc",
}
"""Functions without branch cuts, and their names in python-flint."""
_OF_CONSTANTS: Mapping[type[sp.Basic], str] = {sp.tan: "tan", sp.atanh: "atanh", sp.erfinv: "erfinv"}
"""Further functions, of constants only: they are in the break points of compositions of the others."""


def constant(number: sp.Expr) -> arb:
    """Return a ball that contains a real number.

    Raises:
        NotIntegrable: if it is not a finite real number written with known functions.
    """
    match number:
        case sp.Rational():
            return arb(fmpq(int(number.p), int(number.q)))
        case sp.Float():
            return constant(sp.Rational(number))  # its exact binary value
        case sp.core.numbers.Pi():
            return arb.pi()
        case sp.core.numbers.Exp1():
            return arb(1).exp()
        case sp.CRootOf():
            width = sp.Rational(1, 2 ** (ctx.prec + 10))
            return constant(number.eval_rational(width)) + arb(0, 1) * constant(width)
    if number.free_symbols or not number.args:
        raise NotIntegrable(f"expected a finite real number, got {number}")
    arguments = [[constant(part)] for part in number.args]
    method = _OF_CONSTANTS.get(type(number))
    value = getattr(arguments[0][0], method)() if method else _applied(number, arguments)[0]
    if not value.is_finite():
        raise NotIntegrable(f"expected a finite real number, got {number}")
    return cast(arb, value)


def values(expression: sp.Expr, points: Sequence[Ball]) -> list[Ball]:
    """Return balls that contain the values of a smooth expression on balls of z, all real or all complex.

    A finite complex ball says besides that the expression is analytic on the whole ball of z.

    Raises:
        NotIntegrable: if the expression contains an unknown function.
    """
    known: dict[sp.Expr, list[Any]] = {z: list(points)}
    for node, inner in _steps(expression):
        if not inner:
            known[node] = [constant(node)] * len(points)
        else:
            known[node] = _applied(node, [known[part] for part in inner], inner != node.args)
    return known[expression]


def operations(expression: sp.Expr) -> int:
    """Return how many operations the value of an expression takes."""
    return len(_parts(expression))


@cache
def _steps(expression: sp.Expr) -> tuple[tuple[sp.Expr, tuple[sp.Expr, ...]], ...]:
    """Return the parts of an expression but z, and what each is evaluated from; nothing for constants."""
    return tuple((part, _inner(part)) for part in _parts(expression) if part != z)


@cache
def _parts(expression: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return the parts of an expression, each once and after its own parts; constants are not taken apart."""
    return (*dict.fromkeys(part for argument in _inner(expression) for part in _parts(argument)), expression)


def _inner(node: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return what a node is evaluated from: its arguments, but w for ``log(1 + exp(w))`` and ``(1 + exp(w))^-n``."""
    if not node.has(z):
        return ()
    if isinstance(node, sp.log) or (node.is_Pow and node.exp.is_Integer and node.exp < 0):
        exponent = _exponent(node.args[0])
        return node.args if exponent is None else (exponent,)
    return cast(tuple[sp.Expr, ...], node.args)


def _applied(node: sp.Expr, arguments: list[list[Any]], of_exponent: bool = False) -> list[Any]:
    """Return the values of an operation or a function on lists of values of its arguments.

    Args:
        node: the operation.
        arguments: the values, of w alone if the node is ``log(1 + exp(w))`` or ``(1 + exp(w))^-n``.
        of_exponent: whether it is.
    """
    if of_exponent and isinstance(node, sp.log):
        return [_log_of_one_plus_exp(w) for w in arguments[0]]
    if of_exponent:
        return [integer_power(_logistic(w), -int(node.exp)) for w in arguments[0]]
    if node.is_Add or node.is_Mul:
        return [reduce(add if node.is_Add else mul, parts) for parts in zip(*arguments, strict=True)]
    if node.is_Pow and node.exp.is_Rational:
        return [_power(base, node.exp) for base in arguments[0]]
    if node.is_Pow:
        return [(exponent * _log(base)).exp() for base, exponent in zip(*arguments, strict=True)]
    with_cuts = {sp.log: _log, sp.atan: _atan, sp.asinh: _asinh}.get(type(node))
    if with_cuts:
        return [with_cuts(x) for x in arguments[0]]
    if type(node) not in _METHODS:
        raise NotIntegrable(_unknown(node))
    method = _METHODS[type(node)]
    return [getattr(x, method)() for x in arguments[0]]


def _exponent(node: sp.Expr) -> sp.Expr | None:
    """Return w if an expression is ``1 + exp(w)``."""
    if node.is_Add and len(node.args) == 2 and node.args[0] == 1 and isinstance(node.args[1], sp.exp):
        return node.args[1].args[0]
    return None


def _logistic(w: Ball) -> Ball:
    """Return ``1/(1 + exp(w))``, which decreases on the line."""
    if isinstance(w, arb):
        return (1 / (1 + w.lower().exp())).union(1 / (1 + w.upper().exp()))
    value = 1 / (1 + w.exp())
    least = _least_modulus(w)
    if value.is_finite() or not least > 0:
        return value
    return acb(arb(0, 1) / least, arb(0, 1) / least)


def _log_of_one_plus_exp(w: Ball) -> Ball:
    """Return the function that is ``log(1 + exp(w))`` where Re w < 0 and ``w + log(1 + exp(-w))`` where Re w > 0.

    It increases on the line, and is analytic but where Re w = 0 and ``|Im w| >= pi``.
    """
    if isinstance(w, arb):
        return w.lower().exp().log1p().union(w.upper().exp().log1p())
    x = w.real
    value = w + _log(1 + (-w).exp()) if x.mid() > 0 else _log(1 + w.exp())
    if not w.imag.abs_upper() < arb.pi():
        return value if x < 0 or x > 0 else acb("nan")
    if value.is_finite() or not w.is_finite():
        return value
    # the argument of 1 + exp(x + iy) is between 0 and y
    return acb(_least_modulus(w).log().union(x.upper().exp().log1p()), w.imag.union(arb(0)))


def _least_modulus(w: acb) -> arb:
    """Return a bound of ``|1 + exp(x + iy)|`` from below on a ball, whatever its width; 0 if none is known.

    It is the largest of ``|exp(x) - 1|`` and, where ``|y| < pi``, of ``1 + exp(x) cos y`` if cos y is positive and else
    of ``sin |y|``.
    """
    x, angle = w.real, w.imag.abs_upper()
    modulus = x.lower().expm1().max(-x.upper().expm1()).max(arb(0))
    if angle < arb.pi():
        modulus = modulus.max(1 + x.lower().exp() * angle.cos() if angle.cos() >= 0 else angle.sin())
    return modulus.lower()


@cache
def with_logistic_functions(expression: sp.Expr) -> sp.Expr:
    """Return an expression in which ``exp(w)/(1 + exp(w))`` is ``1/(1 + exp(-w))``, in all powers and products.

    On wide balls a quotient of two large numbers has no useful bound.
    """
    return expression.replace(lambda node: node.is_Mul, _with_logistic_factors, simultaneous=False)


def _with_logistic_factors(product: sp.Mul) -> sp.Expr:
    """Return a product with ``(1 + exp(w))^(m-n) (1 + exp(-w))^-m`` in place of ``exp(m w) (1 + exp(w))^-n``."""
    exponentials = [f.args[0] for f in product.args if isinstance(f, sp.exp)]
    for power in product.args:
        base, n = power.as_base_exp()
        if not (n.is_Integer and n < 0 and (w := _exponent(base)) is not None):
            continue
        for exponent in exponentials:
            m = sp.cancel(exponent / w)
            if m.is_Integer and 0 < m <= -n:
                rest = sp.Mul(*(f for f in product.args if f not in (power, sp.exp(exponent))))
                return rest * base ** (n + m) * (1 + sp.exp(-w)) ** -m
    return product


def _unknown(node: sp.Expr) -> str:
    known = ", ".join(sorted(f.__name__ for f in (*_METHODS, sp.log, sp.atan, sp.asinh)))
    return f"expected sums, products, powers and {known} of z, got {node}"


def _log(x: Ball) -> Ball:
    return x.log(analytic=True) if isinstance(x, acb) else x.log()


def _power(x: Ball, exponent: sp.Rational) -> Ball:
    if exponent.q == 1:
        # flint's own power is narrower, but undefined for balls around 0
        return integer_power(x, int(exponent)) if x.contains(0) else x ** int(exponent)
    if exponent.q == 2:
        return integer_power(x.sqrt(analytic=True) if isinstance(x, acb) else x.sqrt(), int(exponent.p))
    return (constant(exponent) * _log(x)).exp()


def _atan(x: Ball) -> Ball:
    if isinstance(x, arb):
        return x.atan()
    turned = acb(0, 1) * x
    return (_log(1 + turned) - _log(1 - turned)) * acb(0, -1) / 2


def _asinh(x: Ball) -> Ball:
    if isinstance(x, arb):
        return x.asinh()
    if x.real.mid() < 0:  # x + sqrt(x^2 + 1) would cancel
        return -_asinh(-x)
    return _log(x + _power(x * x + 1, sp.S.Half))


@dataclass(frozen=True, slots=True)
class Exponential:
    """The function ``size exp(rate (z - t) + curvature (z^2 - t^2))`` of z >= t, for a t > 0 given by the context."""

    size: arb
    rate: arb = _ZERO
    curvature: arb = _ZERO

    def __mul__(self, other: Exponential) -> Exponential:
        return Exponential(self.size * other.size, self.rate + other.rate, self.curvature + other.curvature)

    def __add__(self, other: Exponential) -> Exponential:
        """Return an upper bound of the sum."""
        return Exponential(self.size + other.size, self.rate.max(other.rate), self.curvature.max(other.curvature))

    def __pow__(self, exponent: sp.Rational) -> Exponential:
        power = constant(exponent)
        size = (power * self.size.log()).exp() if self.size > 0 else arb(0)
        return Exponential(size, power * self.rate, power * self.curvature)


_NOTHING, _UNBOUNDED = Exponential(arb(0)), Exponential(arb.pos_inf())
_Interval = tuple[arb, arb]


@dataclass(frozen=True, slots=True)
class Ray:
    """The points z with ``low <= z <= high``, where ``0 < t <= low`` and high may be infinite."""

    t: arb
    low: arb
    high: arb

    def bound(self, expression: sp.Expr) -> Exponential:
        """Return an upper bound of the absolute value of a smooth expression on the ray.

        Raises:
            NotIntegrable: if a part of it is not bounded so, or not known to be.
        """
        return self._bounds(expression)[1]

    def _bounds(self, e: sp.Expr) -> tuple[Exponential, Exponential]:
        """Return a lower bound of the absolute value, possibly 0, and an upper bound."""
        below, above = self._growth(e)
        low, high = self._range(e)
        most = low.abs_upper().max(high.abs_upper())
        if most.is_finite() and not (above.size.is_finite() and (above.rate < 0 or above.curvature < 0)):
            above = Exponential(most)
        if not below.size > 0 and (low > 0 or high < 0):
            below = Exponential(low.abs_lower().min(high.abs_lower()))
        if not above.size.is_finite():
            raise NotIntegrable(f"expected a bound of {e} by an exponential of a quadratic polynomial, found none")
        return below, above

    def _growth(self, e: sp.Expr) -> tuple[Exponential, Exponential]:
        if e == z:
            return Exponential(self.t), Exponential(self.t, 1 / self.t)  # z/t <= exp(z/t - 1)
        if isinstance(e, sp.sinh | sp.cosh) or (e.is_Pow and not e.exp.is_Rational):
            return self._bounds(e.rewrite(sp.exp))
        if isinstance(e, sp.exp):
            return self._exponential(-e.args[0]) ** sp.S.NegativeOne, self._exponential(e.args[0])
        if not e.has(z) or not (e.is_Add or e.is_Mul or e.is_Pow or isinstance(e, sp.log | sp.asinh)):
            return _NOTHING, _UNBOUNDED  # what the range tells is all
        lower, upper = zip(*(self._bounds(part) for part in e.args), strict=True)
        if e.is_Add:
            ranges = [self._range(part) for part in e.args]
            one_sign = all(low >= 0 for low, _ in ranges) or all(high <= 0 for _, high in ranges)
            strongest = max(lower, key=lambda f: (f.size > 0, float(f.curvature), float(f.rate)))
            return strongest if one_sign else _NOTHING, reduce(add, upper)
        if e.is_Mul:
            return reduce(mul, lower), reduce(mul, upper)
        if e.is_Pow and e.exp > 0:
            return lower[0] ** e.exp, upper[0] ** e.exp
        if e.is_Pow:
            return upper[0] ** e.exp, lower[0] ** e.exp if lower[0].size > 0 else _UNBOUNDED
        if isinstance(e, sp.log):
            return _NOTHING, self._logarithm(lower[0], upper[0])
        return _NOTHING, upper[0]  # |asinh h| <= |h|

    def _exponential(self, exponent: sp.Expr) -> Exponential:
        """Return an upper bound of the exponential of an expression."""
        terms = sp.Add.make_args(sp.expand(exponent))
        polynomial = sp.Add(*(term for term in terms if term.is_polynomial(z)))
        if sp.degree(polynomial, z) <= 2:
            k = [constant(polynomial.coeff(z, n)) for n in range(3)]
            result = Exponential((k[0] + k[1] * self.t + k[2] * self.t**2).exp(), k[1], k[2])
        else:
            result = Exponential(self._range(polynomial)[1].exp())
        others = (Exponential(self._range(term)[1].exp()) for term in terms if not term.is_polynomial(z))
        return reduce(mul, others, result)

    def _logarithm(self, below: Exponential, above: Exponential) -> Exponential:
        """Return an upper bound of the absolute value of the logarithm of what is between two bounds."""
        if not below.size > 0:
            return _UNBOUNDED
        linear = Exponential(self.t, 1 / self.t)
        logarithms = (
            Exponential(abs(f.size.log()))
            + Exponential(abs(f.rate)) * linear
            + Exponential(abs(f.curvature)) * linear * linear
            for f in (below, above)
        )
        return reduce(add, logarithms)

    def _range(self, e: sp.Expr) -> _Interval:
        """Return a lower and an upper bound of an expression, possibly infinite."""
        if e == z:
            return self.low, self.high
        if not e.has(z):
            return constant(e), constant(e)
        if isinstance(e, sp.sinh | sp.cosh) or (e.is_Pow and not e.exp.is_Rational):
            return self._range(e.rewrite(sp.exp))
        if e.is_polynomial(z):
            first, *rest = [(k, k) for k in map(constant, sp.Poly(e, z).all_coeffs())]
            return reduce(lambda hull, k: _sum(_product(hull, (self.low, self.high)), k), rest, first)
        parts = [self._range(part) for part in e.args]
        if e.is_Add or e.is_Mul:
            return reduce(_sum if e.is_Add else _product, parts)
        if e.is_Pow:
            return _to_power(*parts[0], e.exp)
        if isinstance(e, sp.exp | sp.log | sp.tanh | sp.atan | sp.asinh):  # increasing
            return tuple(_applied(e, [[end]])[0] for end in parts[0])
        if isinstance(e, sp.erf | sp.sin | sp.cos):
            return arb(-1), arb(1)
        if isinstance(e, sp.erfc):
            return arb(0), arb(2)
        raise NotIntegrable(_unknown(e))


def _sum(first: _Interval, second: _Interval) -> _Interval:
    return first[0] + second[0], first[1] + second[1]


def _product(first: _Interval, second: _Interval) -> _Interval:
    ends = [arb(0) if x.is_zero() or y.is_zero() else x * y for x in first for y in second]  # 0 times infinity is 0
    return reduce(arb.min, ends), reduce(arb.max, ends)


def _to_power(low: arb, high: arb, exponent: sp.Rational) -> _Interval:
    if exponent < 0:
        low, high = _to_power(low, high, -exponent)
        if not (low >= 0 or high < 0):
            return arb.neg_inf(), arb.pos_inf()
        return 1 / high, arb.pos_inf() if low.is_zero() else 1 / low
    if exponent.q > 1:
        low = low.max(arb(0))  # a root is real where it is asked for
    elif exponent.p % 2 == 0 and not low >= 0:
        low, high = (-high).max(arb(0)), (-low).max(high)
    return _end_to_power(low, exponent), _end_to_power(high, exponent)


def _end_to_power(end: arb, exponent: sp.Rational) -> arb:
    return _power(end, exponent) if end.is_finite() and not end.is_zero() else end  # the power keeps 0 and infinity
