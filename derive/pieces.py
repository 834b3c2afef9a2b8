"""Piecewise analytic functions: where an expression with Max, Abs, sign, … changes form, and what it is in between.

At a jump the value is the mean of the limits from both sides, ``H(0) = 1/2``, whatever side an expression gives the
point to: so it is in finite networks and in certified and float64 means alike. A Gaussian variable meets a jump only if
it is constant, and closed forms, which know functions up to null sets, tend to this value as its variance vanishes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import sympy as sp

from derive.notation import z

MOST_PIECES = 24
"""More pieces than this are refused (chosen; nested maxima could ask for exponentially many)."""


class NotPiecewise(ValueError):
    """An expression whose pieces cannot be told apart; the message names the part."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What a function is between two neighbouring break points.

    Attributes:
        low, high: the ends, ``-oo`` and ``oo`` included.
        expression: the function there, without Max, Min, Abs, sign, Heaviside or Piecewise.
    """

    low: sp.Expr
    high: sp.Expr
    expression: sp.Expr

    @property
    def inside(self) -> sp.Expr:
        """Return a point inside."""
        if self.low.is_infinite and self.high.is_infinite:
            return sp.S.Zero
        if self.low.is_infinite:
            return self.high - 1
        return self.low + 1 if self.high.is_infinite else (self.low + self.high) / 2


@lru_cache(maxsize=1024)
def pieces(expression: sp.Expr) -> tuple[Piece, ...]:
    """Return the pieces of a function of z in order; they cover the line, a smooth function has one.

    The value at the break points themselves is left out, see :func:`value_at`.

    Raises:
        NotPiecewise: if a part changes sign where this cannot be found, or there are too many pieces.
    """
    for unknown in expression.atoms(*_UNKNOWN):
        raise NotPiecewise(f"expected max, min, abs, sign, Heaviside or conditions, got {unknown}")
    found = [Piece(-sp.oo, sp.oo, expression)]
    while True:
        rough = next((p for p in found if _switch(p.expression) is not None), None)
        if rough is None:
            break
        position = found.index(rough)
        found[position : position + 1] = _split(rough)
        if len(found) > MOST_PIECES:
            raise NotPiecewise(f"expected at most {MOST_PIECES} pieces, {expression} has more")
    merged = [found[0]]
    for piece in found[1:]:
        if piece.expression == merged[-1].expression:
            merged[-1] = Piece(merged[-1].low, piece.high, piece.expression)
        else:
            merged.append(piece)
    return tuple(merged)


def break_points(expression: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return the points between the pieces, in order.

    Raises:
        NotPiecewise: as :func:`pieces`.
    """
    return tuple(piece.low for piece in pieces(expression)[1:])


def jumps(expression: sp.Expr) -> dict[sp.Expr, sp.Expr | None]:
    """Return the points where a function jumps, and the mean of its limits from both sides.

    Where a limit is infinite, or not found by insertion, there is no such number, but still a jump.

    Raises:
        NotPiecewise: as :func:`pieces`.
    """
    found: dict[sp.Expr, sp.Expr | None] = {}
    for left, right in pairwise(pieces(expression)):
        limits = [part.expression.subs(z, right.low) for part in (left, right)]
        height = limits[1] - limits[0]
        if height.is_number:
            value = sp.N(height, 30)
            if value.is_finite is not True:
                found[right.low] = None
                continue
            if abs(value) < _NO_JUMP:
                continue
        found[right.low] = sum(limits) / 2
    return found


def value_at(expression: sp.Expr, point: sp.Expr) -> sp.Expr:
    """Return the value of a function at a point, at a jump the mean of the limits from both sides.

    Raises:
        NotPiecewise: as :func:`pieces`.
    """
    mean = jumps(expression).get(point)
    return expression.subs(z, point) if mean is None else mean


_NO_JUMP = sp.Float("1e-25", 30)
"""Heights below this, in 30 digits, are no jumps; chosen."""
_SAME = sp.Float("1e-60", 70)
_UNKNOWN = (sp.floor, sp.ceiling, sp.frac, sp.Mod, sp.DiracDelta, sp.re, sp.im, sp.arg, sp.conjugate, sp.Contains)
"""Functions that are not smooth, and whose pieces are not known here."""
_SWITCHES = (sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside, sp.Piecewise)


def _switch(expression: sp.Expr) -> sp.Expr | None:
    """Return an innermost node that makes the expression piecewise."""
    for node in sp.postorder_traversal(expression):
        if isinstance(node, _SWITCHES) and node.has(z):
            return node
    return None


def _split(piece: Piece) -> list[Piece]:
    """Return the parts of a piece on which an innermost node has one branch each."""
    node = _switch(piece.expression)
    assert node is not None  # asked for by the caller
    cuts = {root for test in _tests(node) for root in roots(test)}
    points = _sorted([x for x in cuts if _before(piece.low, x) and _before(x, piece.high)])
    parts = []
    for low, high in zip((piece.low, *points), (*points, piece.high), strict=True):
        part = Piece(low, high, piece.expression)
        parts.append(Piece(low, high, piece.expression.xreplace({node: _branch(node, part.inside)})))
    return parts


def _tests(node: sp.Expr) -> list[sp.Expr]:
    """Return the functions whose signs decide the branch of a node."""
    match node:
        case sp.Max() | sp.Min():
            arguments = sorted(node.args, key=sp.default_sort_key)
            return [f - g for n, f in enumerate(arguments) for g in arguments[:n]]
        case sp.Piecewise():
            return [r.lhs - r.rhs for _, condition in node.args for r in condition.atoms(sp.core.relational.Relational)]
    return [node.args[0]]


def _branch(node: sp.Expr, at: sp.Expr) -> sp.Expr:
    match node:
        case sp.Max() | sp.Min():
            best = node.args[0]
            for other in node.args[1:]:
                if (_sign(other - best, at) > 0) == isinstance(node, sp.Max):
                    best = other
            return best
        case sp.Abs():
            return _sign(node.args[0], at) * node.args[0]
        case sp.sign():
            return sp.Integer(_sign(node.args[0], at))
        case sp.Heaviside():
            return sp.Integer((1 + _sign(node.args[0], at)) // 2)
    for value, condition in node.args:
        if condition.xreplace({r: _holds(r, at) for r in condition.atoms(sp.core.relational.Relational)}) == sp.true:
            return value
    raise NotPiecewise(f"{node} has no value at z = {at}; add a last case with condition True")


def _holds(relation: sp.core.relational.Relational, at: sp.Expr) -> sp.Basic:
    if isinstance(relation, sp.Eq | sp.Ne):  # at single points only, or besides them
        return sp.true if isinstance(relation, sp.Ne) else sp.false
    sign = _sign(relation.lhs - relation.rhs, at)
    return sp.true if (sign > 0) == isinstance(relation, sp.Gt | sp.Ge) else sp.false


def _sign(expression: sp.Expr, at: sp.Expr) -> int:
    """Return the sign at a point that is no root; parameters decide it by their assumptions or not at all."""
    value = sp.expand(expression.subs(z, at))
    if value.is_number:
        value = value.evalf(30)
    if value.is_positive or value.is_negative:
        return 1 if value.is_positive else -1
    if value == 0:
        return 1  # identically zero in this piece: both branches are the same function
    raise NotPiecewise(f"expected to know the sign of {expression} at z = {at}; give the parameters numbers")


def _before(x: sp.Expr, y: sp.Expr) -> bool:
    if x == y:
        return False
    if x == -sp.oo or y == sp.oo:
        return True
    if x == sp.oo or y == -sp.oo:
        return False
    return not _same(x, y) and _sign(y - x, sp.S.Zero) > 0


def _same(x: sp.Expr, y: sp.Expr) -> bool:
    """Return whether two numbers agree to 60 digits: then they are one point written in two ways."""
    difference = x - y
    return bool(difference.is_number and abs(sp.N(difference, 70)) < _SAME)


def _sorted(points: list[sp.Expr]) -> list[sp.Expr]:
    """Return distinct points in order."""
    done: list[sp.Expr] = []
    for point in points:
        if any(_same(point, other) for other in done):
            continue
        position = sum(_before(other, point) for other in done)
        done.insert(position, point)
    return done


def roots(expression: sp.Expr) -> list[sp.Expr]:
    """Return all real zeros of a function of z where it may change sign.

    Polynomials, products, and strictly monotone functions of such are taken apart; anything else is refused.

    Raises:
        NotPiecewise: if the zeros cannot be found this way.
    """
    f = sp.expand(expression)
    if not f.has(z):
        return []
    if f.is_polynomial(z):
        return _polynomial_roots(f)
    factored = sp.factor_terms(f)
    if factored.is_Mul:
        return [r for factor in factored.args for r in roots(factor)] if factored.args != (f,) else _inverted(f)
    if factored.is_Pow and factored.exp.is_number:
        return roots(factored.base)
    return _inverted(f)


_INVERSES = {
    sp.tanh: sp.atanh,
    sp.erf: sp.erfinv,
    sp.sinh: sp.asinh,
    sp.asinh: sp.sinh,
    sp.atan: sp.tan,
    sp.exp: sp.log,
    sp.log: sp.exp,
}
_RANGES = {sp.tanh: (-1, 1), sp.erf: (-1, 1), sp.atan: (-sp.pi / 2, sp.pi / 2), sp.exp: (0, sp.oo)}


def _inverted(f: sp.Expr) -> list[sp.Expr]:
    """Return the zeros of ``k g(h) + m`` with a strictly monotone g."""
    rest, dependent = f.as_independent(z, as_Add=True)
    scale, core = dependent.as_independent(z, as_Add=False)
    if core.func in _INVERSES and len(core.args) == 1:
        level = sp.expand(-rest / scale)
        low, high = _RANGES.get(core.func, (-sp.oo, sp.oo))
        if level.is_number and not (low < level < high):
            return []
        return roots(core.args[0] - _INVERSES[core.func](level))
    raise NotPiecewise(f"expected an expression whose zeros can be found, got {f}")


def _polynomial_roots(f: sp.Expr) -> list[sp.Expr]:
    polynomial = sp.Poly(f, z)
    if polynomial.degree() == 1:
        slope, constant = polynomial.all_coeffs()
        return [sp.cancel(-constant / slope)]
    if polynomial.free_symbols_in_domain:
        raise NotPiecewise(f"expected a threshold that is linear in z, got {f}; give the parameters numbers")
    if polynomial.degree() > 8:
        raise NotPiecewise(f"expected a polynomial of degree at most 8 under a threshold, got {f}")
    try:
        return list(dict.fromkeys(sp.real_roots(polynomial)))
    except NotImplementedError:  # irrational coefficients
        if polynomial.degree() > 2:
            raise NotPiecewise(f"expected rational coefficients under a threshold, got {f}") from None
        return [r for r in sp.roots(polynomial) if r.is_real]
