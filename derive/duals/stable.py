"""Closed forms rewritten so that float64 keeps their digits: the same function, other terms.

* Angles: a polynomial in c times an angle, with its share of pi/2, is written in arc moments (:class:`ArcMoment`),
  which are positive and vanish to as high a power as the mean they stand for; what is left over is algebraic and exact.
  Where that is not nothing, this is done for angles near 0 only: elsewhere the closed form itself has no cancellation.
* Exponentials: ``exp(E + O)`` and ``exp(E - O)`` become ``exp(E + |O|)`` times something of order 1, so that nothing
  overflows that need not, and exponents such as ``a + b - 2c`` take their digits from D.
* Rational functions take the form with the fewest differences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import gcd, isqrt

import sympy as sp

from derive.duals.expressions import Group, from_expression, scaled_root, turned_angles, without_products, written
from derive.duals.field import Ratio
from derive.duals.functions import ArcMoment, ExpSpread, OneMinusExp, Spread, arc_polynomials
from derive.duals.normal_form import Angle, Form, Monomial, root
from derive.notation import D, a, b, c


def stable(expression: sp.Expr) -> sp.Expr:
    """Return a closed form of roots, exponentials and angles rewritten for float64.

    Raises:
        NotRational: if it is none of the forms that the calculus gives.
    """
    form = from_expression(expression)
    if any(monomial.exponent.has(sp.I) for monomial in form.terms):
        return expression
    result, mixed = sp.S.Zero, []
    for monomial in [m for m in form.terms if isinstance(m.atom, Angle)]:
        x_square = _x_square(monomial)
        if not _shared(form, monomial) or not x_square.denominator.is_constant():
            continue
        found, rest = _arcs(form, monomial, x_square)
        if all(form.terms.get(m) == k for m, k in rest.terms.items()):  # nothing algebraic is left of it
            result, form = result + found, rest
        else:
            mixed.append(monomial)
    if len(mixed) != 1:
        return result + _rest(form)
    x_square = _x_square(mixed[0])
    found, rest = _arcs(form, mixed[0], x_square)
    small_angle = c < 0, x_square.symbolic < c**2
    return result + sp.Piecewise((found + _rest(rest), sp.And(*small_angle)), (_rest(form), True))


def _rest(form: Form) -> sp.Expr:
    """Return a form term by term."""
    groups: dict[Group, dict[sp.Expr, Ratio]] = defaultdict(dict)
    for monomial, k in form.terms.items():
        groups[monomial.roots, monomial.exponent][written(monomial.atom)] = k
    result = sp.S.Zero
    plain: dict[Group, Ratio] = {}
    for (roots, exponent), atoms in groups.items():
        for atom, k in turned_angles(atoms, form.field).items():
            if atom == 1:
                plain[roots, exponent] = k
            else:
                result += scaled_root(k, roots, True) * exponential(exponent) * atom
    return result + _exponentials(plain)


def _x_square(monomial: Monomial) -> Ratio:
    """Return x^2 of the point (x, c) at an angle."""
    assert isinstance(monomial.atom, Angle)  # asked for by the caller
    tangent = monomial.atom.tangent
    y = tangent.outside.field.generator(c)
    return y * y / tangent.square


def _shared(form: Form, monomial: Monomial) -> Ratio:
    """Return the polynomial beside an angle that belongs to it. Without one the mean is odd or even, and as it is."""
    pi, k = form.field.generator(sp.pi), form.terms[monomial]
    beside = form.terms.get(Monomial(monomial.roots, monomial.exponent), form.field.zero)
    belongs = k.denominator == (beside / pi).denominator and _degree(beside) <= _degree(k)
    return beside if belongs else form.field.zero


def _arcs(form: Form, monomial: Monomial, x_square: Ratio) -> tuple[sp.Expr, Form]:
    """Return the term with an angle, and the polynomial beside it, as arc moments; and what is left of the form.

    With t the angle of (-y, x) and s = pi - t, the angle is (t - s)/2 and a polynomial is (t + s)/pi of itself.
    """
    field, pi = form.field, form.field.generator(sp.pi)
    outer = Monomial(monomial.roots, monomial.exponent)
    k, shared = form.terms[monomial], _shared(form, monomial)
    rest = form - Form(field, [(monomial, k), (outer, shared)])
    whole = field.generator(c) * _denominator(x_square)
    x_square = x_square * (_denominator(x_square) ** 2)
    x = root(x_square)
    ((x_monomial, x_scale),) = x.terms.items()
    result = sp.S.Zero
    for sign, share in ((1, k / 2 + shared / pi), (-1, -k / 2 + shared / pi)):
        y = whole * sign
        for n, coefficient in _moments(share, y, x_square).items():
            moment = ArcMoment(n, y.symbolic, scaled_root(x_scale, x_monomial.roots))
            result += scaled_root(coefficient, outer.roots, True) * exponential(outer.exponent) * moment
            algebraic = _homogeneous(arc_polynomials(n)[1], n - 1, y, x_square)
            rest = rest - Form(field, [(outer, coefficient * algebraic)]) * x
    return result, rest


def _denominator(x_square: Ratio) -> int:
    """Return a factor that clears the denominators of x and c."""
    denominator = 1
    for k in x_square.numerator.coeffs():
        denominator = denominator * int(k.q) // gcd(denominator, int(k.q))
    square = isqrt(denominator)
    return square if square * square == denominator else denominator


def _degree(value: Ratio) -> int:
    return int(value.numerator.degrees()[value.field.position[c]])


def _homogeneous(polynomial: Mapping[int, int], degree: int, y: Ratio, x_square: Ratio) -> Ratio:
    """Return ``r^degree p(-y/r)`` with ``r^2 = x^2 + y^2``, for a polynomial of the parity of its degree."""
    total = y.field.zero
    square = x_square + y * y
    for power, k in polynomial.items():
        total = total + (-y) ** power * square ** ((degree - power) // 2) * k
    return total


def _moments(share: Ratio, y: Ratio, x_square: Ratio) -> dict[int, Ratio]:
    """Return the coefficients of ``r^n J_n`` that have a given polynomial in c as the factor of their angle."""
    field = share.field
    position = field.position[c]
    found: dict[int, Ratio] = {}
    left = without_products(share)
    while left:
        n = _degree(left)
        lead = {p: k for p, k in left.numerator.to_dict().items() if p[position] == n}
        leading = Ratio(field, field.context.from_dict(lead), left.denominator)
        angle = without_products(_homogeneous(arc_polynomials(n)[0], n, y, x_square))
        top = {p: k for p, k in angle.numerator.to_dict().items() if p[position] == n}
        found[n] = leading / Ratio(field, field.context.from_dict(top), angle.denominator)
        left = without_products(left - found[n] * angle)
    return found


def _exponentials(plain: Mapping[Group, Ratio]) -> sp.Expr:
    """Return the sum of terms without atoms; of pairs of exponentials that differ by the sign of c the larger first."""
    left = dict(plain)
    result = sp.S.Zero
    while left:
        (roots, exponent), k = left.popitem()
        field = k.field
        mirrored = exponent.composed({c: -field.generator(c)})
        odd = (exponent - mirrored) / 2
        if (partner := left.get((roots, mirrored))) is None or partner not in (k, -k):
            result += scaled_root(k, roots, True) * exponential(exponent)
            continue
        del left[roots, mirrored]
        even = partner == k
        if odd.sign < 0:
            k, exponent, odd = partner, mirrored, -odd
        larger = exponential(exponent).subs(c, sp.Abs(c))
        distance = (odd * 2).symbolic.subs(c, sp.Abs(c))
        rest = 1 + sp.exp(-distance) if even else sp.sign(c) * OneMinusExp(distance)
        result += scaled_root(k, roots, True) * larger * rest
    return result


def exponential(exponent: Ratio) -> sp.Expr:
    """Return the exponential of an element, with ``p + q - 2r`` in it as the variance that it is."""
    if not exponent:
        return sp.S.One
    field = exponent.field
    linear = {s: _linear_coefficient(exponent, s) for s in (a, b, c)}
    spread = sum((k * field.generator(s) for s, k in linear.items()), field.zero)
    first, second, mixed = linear.values()
    if not first or not mixed or first.sign != second.sign or mixed * mixed != first * second * 4:
        return sp.exp(exponent.symbolic)
    below = Ratio(field, exponent.denominator, field.context.constant(1))
    sign = first.sign
    p, q, r = ((k * sign).symbolic * s for k, s in ((first, a), (second, b), (mixed / -2, c)))
    determinant = (first * second).symbolic * D
    if exponent * below == spread and below.is_number:
        return ExpSpread(sign, p, q, r, determinant)
    others = (exponent * below - spread).symbolic + sign * Spread(p, q, r, determinant)
    return sp.exp(others / below.symbolic)


def _linear_coefficient(exponent: Ratio, symbol: sp.Symbol) -> Ratio:
    """Return the coefficient of one of a, b, c alone in the numerator."""
    field = exponent.field
    powers = tuple(int(g == symbol) for g in field.generators)
    return field.number(exponent.numerator.to_dict().get(powers, 0))
