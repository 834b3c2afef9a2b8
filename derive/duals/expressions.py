"""Forms as SymPy expressions, written the way people do, and back."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import sympy as sp

from derive.duals.field import Field, NotRational, Ratio, field_with, generators_of
from derive.duals.functions import Atan2, BivariateTail, NormalCdf
from derive.duals.normal_form import (
    Angle,
    Atom,
    Form,
    Orthant,
    Roots,
    Surd,
    angle,
    constant,
    exponential,
    normal_cdf,
    orthant,
    root,
    square_root,
    total,
)
from derive.duals.normal_form import NormalCdf as Cdf
from derive.notation import D, a, b, c

_LONG = 10**9
"""Integer coefficients beyond this come from decimals; chosen."""
_BRIEF = 400
"""Terms up to which other forms of a rational function are tried; chosen: longer ones nobody reads."""

Group = tuple[Roots, Ratio]
"""What a term is besides its atom: roots and exponent."""


def to_expression(form: Form) -> sp.Expr:
    """Return a form as a SymPy expression in a, b, c, D.

    Angles and tails are turned so that fewest terms are left, which also spares digits where they nearly cancel;
    exponentials that differ by the sign of c become cosh and sinh. A form of complex terms must be real; what is
    returned is its real part.
    """
    groups: dict[Group, dict[sp.Expr, Ratio]] = defaultdict(dict)
    for monomial, k in form.terms.items():
        groups[monomial.roots, monomial.exponent][written(monomial.atom)] = k
    result = sp.S.Zero
    plain: dict[Group, Ratio] = {}
    for group, atoms in groups.items():
        turned = _turned_tails(turned_angles(atoms, form.field))
        for atom, k in turned.items():
            if atom == 1:
                plain[group] = k
            else:
                result += scaled_root(k, group[0]) * _exp(group[1]) * atom
    return result + _hyperbolic(plain)


def _exp(exponent: Ratio) -> sp.Expr:
    return sp.exp(_argument(exponent))


def _argument(exponent: Ratio) -> sp.Expr:
    """Return an exponent: a polynomial as a sum, a quotient factored."""
    return exponent.symbolic if exponent.denominator.is_constant() else rational_expression(exponent)


def written(atom: Atom | None) -> sp.Expr:
    """Return an angle or a cdf as a SymPy expression, 1 for none."""
    match atom:
        case Angle(tangent):
            return Atan2(*_top_and_bottom(tangent))
        case Cdf(argument):
            return NormalCdf(surd_expression(argument))
        case Orthant() as o:
            correlation = Surd.quotient(o.C, o.determinant)
            return BivariateTail(surd_expression(o.first), surd_expression(o.second), *_top_and_bottom(correlation))
    return sp.S.One


def surd_expression(value: Surd) -> sp.Expr:
    """Return a signed root as a SymPy expression."""
    return scaled_root(value.outside, value.roots)


def _top_and_bottom(value: Surd) -> tuple[sp.Expr, sp.Expr]:
    """Return y and x, without denominators, of a tangent y/x."""
    field = value.outside.field
    above, below, bottom = _above_and_below(value.roots, value.outside.denominator)
    (up, top), (down, bottom_factors) = _content(value.outside.numerator, field), _content(bottom, field)
    scale = up / down
    y = sp.Mul(scale.p, *top, *(sp.sqrt(_symbolic(p, field)) for p in above))
    x = sp.Mul(scale.q, *bottom_factors, *(sp.sqrt(_symbolic(p, field)) for p in below))
    return y, x


def _above_and_below(roots: Roots, denominator: Any) -> tuple[list[Any], list[Any], Any]:
    """Return the polynomials under roots above and below the line, and the denominator without the latter."""
    above, below = [], []
    for prime in sorted(roots, key=lambda p: p.text):
        polynomial = prime.polynomial
        if not polynomial.is_constant() and divmod(denominator, polynomial)[1].is_zero():
            denominator = denominator / polynomial
            below.append(polynomial)
        else:
            above.append(polynomial)
    return above, below, denominator


def scaled_root(k: Ratio, roots: Roots, steady: bool = False) -> sp.Expr:
    """Return ``k sqrt(product of roots)``, roots below where they divide the denominator.

    Args:
        k: an element of the field.
        roots: what is under the root.
        steady: whether the rational function is to have small parts rather than few terms.
    """
    field = k.field
    above, below, denominator = _above_and_below(roots, k.denominator)
    number, top, bottom = _shortest(Ratio(field, k.numerator, denominator), steady)
    return sp.Mul(
        number,
        *top,
        *(sp.sqrt(_symbolic(p, field)) for p in above),
        *(1 / factor for factor in bottom),
        *(1 / sp.sqrt(_symbolic(p, field)) for p in below),
    )


def rational_expression(value: Ratio) -> sp.Expr:
    """Return a rational function as a SymPy expression, factored, in whatever of c^2 and D makes it shortest."""
    number, top, bottom = _shortest(value)
    return sp.Mul(number, *top, *(1 / factor for factor in bottom))


def _symbolic(polynomial: Any, field: Field) -> sp.Expr:
    return field.symbolic(polynomial)


def _content(polynomial: Any, field: Field) -> tuple[sp.Rational, list[sp.Expr]]:
    """Return the number and the factors of a polynomial, the number positive if a factor can take the sign."""
    content, factors = polynomial.factor()
    number = sp.Rational(int(content.p), int(content.q))
    found = []
    for p, n in factors:
        if n % 2 and sum(k < 0 for k in p.to_dict().values()) * 2 > len(p.to_dict()):
            p, number = -p, -number
        if any(abs(int(k.p)) > _LONG for k in p.coeffs()):  # of decimals: no common denominator is worth its zeros
            lead = p.leading_coefficient()
            p, number = p / lead, number * sp.Rational(int(lead.p), int(lead.q)) ** n
        found.append(field.symbolic(p) ** n)
    return number, found


Factored = tuple[sp.Rational, list[sp.Expr], list[sp.Expr]]
"""A number, factors above and factors below."""


def _shortest(value: Ratio, steady: bool = False) -> Factored:
    """Return a rational function in factored form, with D, without D or without c^2, whatever is shortest.

    Polynomials are also tried by powers of c, whose coefficients factor into means at a and at b. If it is to be
    steady, what it adds up has to be as small as can be: large parts cancel. Then polynomials in a - c, b - c and c, or
    in a + c, b + c and c, are tried too, with ab or with D: the former are means of a pair tilted by waves, small where
    it is parallel.
    """
    options: list[tuple[int, int, Factored]] = []
    brief = len(value) <= _BRIEF
    for candidate in (value, *(_rewritten(value) if brief else ())):
        (number, top), (below, bottom) = (
            _content(p, value.field) for p in (candidate.numerator, candidate.denominator)
        )
        options.append((_length(candidate), _negative(candidate), (number / below, top, bottom)))
    if brief:
        free = value.composed({D: value.field.ratio(a * b - c**2)})
        if free.denominator.is_constant() and free.has(c) and len(free.numerator.to_dict()) > 2:
            length, form = _by_powers_of_c(free)
            options.append((length, 0, (sp.S.One, [form], [])))
            if steady:
                options += [_by_distances(kind, sign) for kind in (free, without_products(value)) for sign in (1, -1)]
    if not steady:
        return min(options, key=lambda option: option[:2])[2]
    sizes = [[_size(sp.Mul(number, *top), at) for at in _PAIRS] for _, _, (number, top, _) in options]
    least = [min(column) or 1.0 for column in zip(*sizes, strict=True)]
    waste = [max(size / smallest for size, smallest in zip(row, least, strict=True)) for row in sizes]
    best = min(range(len(options)), key=lambda n: (waste[n] > _WASTE * min(waste), options[n][1], options[n][0]))
    return options[best][2]


_PAIRS = tuple(
    {a: sp.Float(x), b: sp.Float(x * y), c: sp.Float(rho * x * y**0.5), D: sp.Float((1 - rho) * (1 + rho) * x * x * y)}
    for x in (1e-3, 0.7, 1e3)
    for y in (1.0, 1.0001, 3.0, 30.0, 1 / 30)
    for rho in (0.5, 1 - 1e-9, -0.9, 1e-9 - 1)
)
"""Pairs at which the parts of forms are compared; chosen: small to large, equal or not, parallel and antiparallel."""
_WASTE = 4.0
"""How much larger parts may be elsewhere if a form is shorter; chosen: two bits."""
_ANY = sp.Float(0.8)
"""A number for parameters, of which nothing is known; chosen."""


def _size(expression: sp.Expr, at: Mapping[sp.Symbol, sp.Float]) -> float:
    """Return the sum of what is added up in an expression, without its signs; a - c and b - c count as they are."""
    if expression.is_Add and set(expression.args) not in _DISTANCES:
        return sum(_size(part, at) for part in expression.args)
    if expression.is_Mul:
        return math.prod(_size(part, at) for part in expression.args)
    if expression.is_Pow and expression.exp.is_Integer:
        return float(_size(expression.base, at) ** int(expression.exp))
    return abs(float(expression.xreplace(dict(at) | dict.fromkeys(expression.free_symbols - at.keys(), _ANY))))


_DISTANCES = tuple({x, sign * c} for x in (a, b) for sign in (1, -1))


def _by_distances(value: Ratio, sign: int) -> tuple[int, int, Factored]:
    """Return a polynomial by ``a - sign c``, ``b - sign c``, c and D, with its length and differences."""
    field = value.field
    moved = value.composed({x: field.generator(x) + field.generator(c) * sign for x in (a, b)})
    (number, factors), (below, _) = (_content(p, field) for p in (moved.numerator, moved.denominator))
    back = {x: x - sign * c for x in (a, b)}
    return _length(moved), _negative(moved), (number / below, [factor.xreplace(back) for factor in factors], [])


def _by_powers_of_c(value: Ratio) -> tuple[int, sp.Expr]:
    field = value.field
    position = field.position[c]
    powers: dict[int, dict[tuple[int, ...], Any]] = defaultdict(dict)
    for exponents, k in value.numerator.to_dict().items():
        left = list(exponents)
        left[position] = 0
        powers[exponents[position]][tuple(left)] = k
    summands, length = [], 0
    for n, terms in sorted(powers.items()):
        number, factors = _content(field.context.from_dict(terms), field)
        summands.append(sp.Mul(number, c**n, *factors))
        length += 1 + sum(len(sp.Add.make_args(f.as_base_exp()[0])) for f in factors)
    return length, sp.Add(*summands)


def _length(value: Ratio) -> int:
    return sum(
        len(p.to_dict()) + (not p.is_constant())
        for side in (value.numerator, value.denominator)
        for p, _ in side.factor()[1]
    )


def _negative(value: Ratio) -> int:
    """Return how many coefficients are of the rarer sign: terms of one sign lose no digits."""
    signs = [[k < 0 for k in p.to_dict().values()] for p, _ in value.numerator.factor()[1]]
    return sum(min(sum(s), len(s) - sum(s)) for s in signs)


def _rewritten(value: Ratio) -> list[Ratio]:
    field = value.field
    found = []
    if value.has(D):
        found.append(value.composed({D: field.ratio(a * b - c**2)}))
    if value.has(c):
        sides = [_without_squares_of_c(side, field) for side in (value.numerator, value.denominator)]
        found.append(Ratio(field, *sides))
    found.append(without_products(value))
    return found


def without_products(value: Ratio) -> Ratio:
    """Return an element with ``D + c^2`` for ab in its numerator."""
    field = value.field
    first, second = field.position[a], field.position[b]
    image = field.ratio(D + c**2).numerator
    result = field.context.constant(0)
    for powers, k in value.numerator.to_dict().items():
        times = min(powers[first], powers[second])
        left = list(powers)
        left[first], left[second] = powers[first] - times, powers[second] - times
        result = result + field.context.from_dict({tuple(left): k}) * image**times
    return Ratio(field, result, value.denominator)


def _without_squares_of_c(polynomial: Any, field: Field) -> Any:
    """Return a polynomial with ``ab - D`` for c^2."""
    square = field.ratio(a * b - D).numerator
    position = field.position[c]
    result = field.context.constant(0)
    for powers, k in polynomial.to_dict().items():
        left = list(powers)
        left[position] = powers[position] % 2
        result = result + field.context.from_dict({tuple(left): k}) * square ** (powers[position] // 2)
    return result


def turned_angles(atoms: dict[sp.Expr, Ratio], field: Field) -> dict[sp.Expr, Ratio]:
    """Write ``k (atan2(y, x) + pi/2)`` as ``k atan2(x, -y)``, which loses no digits near y = -x."""
    turned = dict(atoms)
    for atom, k in atoms.items():
        if not isinstance(atom, Atan2):
            continue
        present = turned.get(sp.S.One, field.zero)
        left = present - k * field.generator(sp.pi) / 2
        if len(left.numerator.to_dict()) < len(present.numerator.to_dict()):
            y, x = atom.args
            turned[Atan2(x, -y)] = turned.pop(atom)
            turned[sp.S.One] = left
    return {atom: k for atom, k in turned.items() if k}


def _turned_tails(atoms: dict[sp.Expr, Ratio]) -> dict[sp.Expr, Ratio]:
    """Reflect tails, ``P(X > h, Y > k) = P(Y > k) - P(-X > -h, Y > k)`` and the like, while that leaves fewer terms."""
    turned = dict(atoms)
    for atom in [x for x in atoms if isinstance(x, BivariateTail)] + [x for x in atoms if isinstance(x, NormalCdf)]:
        if atom not in turned:
            continue
        options = [turned] + [_reflected(turned, atom, signs) for signs in _reflections(atom)]
        turned = min(options, key=len)
    return turned


def _reflections(atom: sp.Expr) -> list[tuple[int, ...]]:
    return [(-1,)] if isinstance(atom, NormalCdf) else [(-1, 1), (1, -1), (-1, -1)]


def _reflected(atoms: dict[sp.Expr, Ratio], atom: sp.Expr, signs: tuple[int, ...]) -> dict[sp.Expr, Ratio]:
    result = {x: k for x, k in atoms.items() if x != atom}
    k = atoms[atom]

    def add(term: sp.Expr, coefficient: Ratio) -> None:
        total = result.get(term, k.field.zero) + coefficient
        if total:
            result[term] = total
        else:
            result.pop(term, None)

    if isinstance(atom, NormalCdf):
        add(sp.S.One, k)
        add(NormalCdf(-atom.args[0]), -k)
        return result
    h, other, covariance, complement = atom.args
    product = signs[0] * signs[1]
    if signs == (-1, 1):
        add(NormalCdf(-other), k)
    elif signs == (1, -1):
        add(NormalCdf(-h), k)
    else:
        for x in (-h, -other):
            add(NormalCdf(x), k)
        add(sp.S.One, -k)
    add(BivariateTail(signs[0] * h, signs[1] * other, product * covariance, complement), k if product > 0 else -k)
    return result


def _hyperbolic(plain: dict[Group, Ratio]) -> sp.Expr:
    """Return the sum of terms without atoms; pairs of exponentials that differ by the sign of c as cosh or sinh."""
    left = dict(plain)
    terms = []
    while left:
        (roots, exponent), k = left.popitem()
        field = k.field
        mirrored = exponent.composed({c: -field.generator(c)})
        odd = (exponent - mirrored) / 2
        partner = left.get((roots, mirrored))
        if exponent.has(sp.I):
            terms.append(_real_part(k, roots, exponent))
        elif odd and partner is not None and partner in (k, -k):
            del left[roots, mirrored]
            sign = odd.sign
            function = sp.cosh if partner == k else sp.sinh
            argument = odd if sign > 0 else -odd
            scale = k * 2 if partner == k or sign > 0 else k * -2
            even = _exp((exponent + mirrored) / 2)
            terms.append(scaled_root(scale, roots) * even * function(_argument(argument)))
        else:
            terms.append(scaled_root(k, roots) * _exp(exponent))
    return sp.Add(*terms)


def _real_part(k: Ratio, roots: Roots, exponent: Ratio) -> sp.Expr:
    """Return the real part of ``k sqrt(roots) exp(R + i J)``."""
    (p, q), (real, imaginary) = (_parts(value) for value in (k, exponent))
    cosine, sine = (f(_argument(imaginary)) for f in (sp.cos, sp.sin))
    result = sp.S.Zero
    for coefficient, wave in ((p, cosine), (-q, sine)):
        if coefficient:
            result += scaled_root(coefficient, roots) * _exp(real) * wave
    return result


def _parts(value: Ratio) -> tuple[Ratio, Ratio]:
    """Return real and imaginary part of an element whose denominator is real."""
    field = value.field
    real = value.composed({sp.I: field.zero})
    return real, (value - real) / field.generator(sp.I)


def from_expression(expression: sp.Expr, field: Field | None = None) -> Form:
    """Return a SymPy expression in a, b, c, D as a form.

    Args:
        expression: what :func:`to_expression` returns, or anything made of the same functions.
        field: what its coefficients are to be elements of; by default that of the symbols and roots it contains.

    Raises:
        NotRational: if it is made of other functions, or needs more than the field has.
    """
    return _read(sp.sympify(expression), field or field_with(generators_of([expression])))


def _read(e: sp.Expr, field: Field) -> Form:
    match e:
        case sp.Add():
            return total(field, (_read(term, field) for term in e.args))
        case sp.Mul():
            product = constant(field.one)
            for factor in e.args:
                product = product * _read(factor, field)
            return product
        case sp.exp():
            return exponential(field.ratio(sp.expand(e.args[0])))
        case sp.cosh() | sp.sinh() | sp.cos() | sp.sin():
            return _read(sp.expand(e.rewrite(sp.exp)), field)
        case Atan2():
            y, x = e.args
            return _angle(y, x, field)
        case NormalCdf():
            return normal_cdf(_surd(e.args[0], field))
        case BivariateTail():
            return _tail(e, field)
    if e.is_Pow and e.exp.is_Rational and e.exp.q == 2 and not e.base.is_Integer:
        return root(field.ratio(e.base)) ** int(2 * e.exp)
    if e.is_Pow and e.exp.is_Rational and e.exp.q == 2 and sp.sqrt(e.base) not in field.position:
        return root(field.number(int(e.base))) ** int(2 * e.exp)
    if e.is_Pow and e.exp.is_Integer and e.exp > 0 and not e.base.is_Symbol:
        return _read(e.base, field) ** int(e.exp)
    return constant(field.ratio(e))


def _surd(e: sp.Expr, field: Field) -> Surd:
    """Return a product of rational functions and roots as a signed root."""
    form = _read(e, field)
    if not form:
        return Surd(field.zero, frozenset())
    if len(form.terms) != 1:
        raise NotRational(f"{e} is no root of a rational function")
    ((monomial, k),) = form.terms.items()
    if monomial.atom is not None or monomial.exponent:
        raise NotRational(f"{e} is no root of a rational function")
    return Surd(k, monomial.roots)


def _over(top: Surd, bottom: Surd) -> Surd:
    field = top.outside.field
    common = top.roots & bottom.roots
    square, product = field.one, field.one
    for prime in bottom.roots:
        square = square * Ratio(field, prime.polynomial, field.context.constant(1))
    for prime in common:
        product = product * Ratio(field, prime.polynomial, field.context.constant(1))
    return Surd(top.outside * product / (bottom.outside * square), top.roots ^ bottom.roots)


def _angle(y: sp.Expr, x: sp.Expr, field: Field) -> Form:
    """Return ``atan2(y, x)``: x or y is not negative on the domain, which one is told by the sign at a point of it."""
    top, bottom = _surd(y, field), _surd(x, field)
    turned = x != 0 and (x.subs(c, -c) == -x or (y.is_nonnegative and not x.is_nonnegative))
    if (top if turned else bottom).sign < 0:
        raise NotRational(f"expected a point in the right or the upper half plane, got ({x}, {y})")
    if not turned:
        return angle(_over(top, bottom))
    right = constant(field.generator(sp.pi) / 2)
    return right + angle(-_over(bottom, top))  # atan2(y, x) = pi/2 - atan(x/y) for y > 0


def _tail(e: BivariateTail, field: Field) -> Form:
    """Return a tail, brought to rational thresholds and covariance: P(X > h, Y > k) = P(sX > sh, tY > tk)."""
    free = {D: a * b - c**2}
    h, k, covariance, complement = (_surd(x.subs(free), field) for x in e.args)
    A, B = _square_of(h.roots, field), _square_of(k.roots, field)  # sqrt(A) h and sqrt(B) k are rational
    ratio = covariance.square / (covariance.square + complement.square)  # the squared correlation
    outside, left = square_root(ratio * A * B)
    if left and not h:
        A = A * _square_of(left, field)
    elif left and not k:
        B = B * _square_of(left, field)
    elif left:
        raise NotRational("the correlation is no rational function at rational thresholds")
    outside, _ = square_root(ratio * A * B)
    C = outside if covariance.sign >= 0 else -outside
    return orthant(h.outside * A if h else field.zero, k.outside * B if k else field.zero, A, B, C, A * B - C * C)


def _square_of(roots: Roots, field: Field) -> Ratio:
    value = field.one
    for prime in roots:
        value = value * Ratio(field, prime.polynomial, field.context.constant(1))
    return value


def is_zero(expression: sp.Expr) -> bool:
    """Return whether an expression in a, b, c, D vanishes for all ``D = ab - c^2``, by its normal form.

    Sufficient; also necessary when the roots, exponentials and angles that occur are independent.
    """
    return not from_expression(expression).without_determinant()
