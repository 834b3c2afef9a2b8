"""Normal forms of duals: rational functions times roots, exponentials and at most one angle or normal cdf.

A :class:`Form` is a sum over monomials ``sqrt(p_1 ... p_k) exp(R) A`` with coefficients in the field, where the p are
irreducible polynomials, R is in the field and A is 1, an angle, a normal cdf or a bivariate normal cdf. Sums of equal
monomials merge, so a form without terms is zero for certain; with D = ab - c^2 put in, a form that has terms is not
zero as long as its roots, exponentials and atoms are independent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy as sp
from flint import fmpq, fmpz

from derive.duals.field import Field, Ratio
from derive.notation import D, a, b, c


class Prime:
    """An irreducible polynomial or a prime number under a root, positive on the domain."""

    __slots__ = ("polynomial", "text")

    def __init__(self, polynomial: Any) -> None:
        self.polynomial = polynomial
        self.text = str(polynomial)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Prime) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return self.text


Roots = frozenset[Prime]


def square_root(square: Ratio) -> tuple[Ratio, Roots]:
    """Return ``k, {p, ...}`` with ``sqrt(square) = k sqrt(p ...)``, for an element that is positive on the domain."""
    field = square.field
    content, factors = (square.numerator * square.denominator).factor()
    below = Ratio(field, square.denominator, field.context.constant(1))
    outside, roots = field.one / (below if below.sign > 0 else -below), set()
    for polynomial, times in factors:
        factor = Ratio(field, polynomial, field.context.constant(1))
        if factor.sign < 0:
            factor, content = -factor, -content if times % 2 else content
        outside = outside * factor ** (times // 2)
        if times % 2:
            roots.add(Prime(factor.numerator))
    if content < 0:
        raise ValueError(f"expected a positive square, got {square}")
    outside = outside * field.number(fmpq(1, content.q))
    for prime, times in fmpz(content.p * content.q).factor():
        outside = outside * field.number(int(prime) ** (times // 2))
        if times % 2:
            root = sp.sqrt(int(prime))
            if root in field.position:
                outside = outside * field.generator(root)
            else:
                roots.add(Prime(field.context.constant(int(prime))))
    return outside, frozenset(roots)


@dataclass(frozen=True, slots=True)
class Surd:
    """A signed square root, ``sign(value) sqrt(square)``, by its square and its sign at the field's reference point.

    Attributes:
        outside, roots: the number as ``outside sqrt(product of roots)``.
        square: its square, which determines it up to the sign.
    """

    outside: Ratio
    roots: Roots

    @staticmethod
    def quotient(top: Ratio, square: Ratio) -> Surd:
        """Return ``top / sqrt(square)`` for a positive square."""
        outside, roots = square_root(square)
        return Surd(top * outside / square, roots)

    @property
    def square(self) -> Ratio:
        """Return the square."""
        value = self.outside * self.outside
        for prime in self.roots:
            value = value * Ratio(value.field, prime.polynomial, value.field.context.constant(1))
        return value

    @property
    def sign(self) -> int:
        """Return the sign at the reference point."""
        return self.outside.sign

    def __neg__(self) -> Surd:
        return replace(self, outside=-self.outside)

    def __bool__(self) -> bool:
        return bool(self.outside)

    @property
    def key(self) -> str:
        """Return an order among surds of one field."""
        return f"{self.outside.key}{sorted(p.text for p in self.roots)}"


@dataclass(frozen=True, slots=True)
class Angle:
    """``atan(tangent)``: the angle of the point (x, y) with x >= 0 and ``y / x`` the tangent; odd in it."""

    tangent: Surd


@dataclass(frozen=True, slots=True)
class NormalCdf:
    """``P(n < argument)`` for a standard normal n."""

    argument: Surd

    @property
    def is_complex(self) -> bool:
        """Return whether the argument is, so that this is no probability."""
        return self.argument.outside.has(sp.I)


@dataclass(frozen=True)
class Orthant:
    """``P(U > h, V > k)`` for a centred Gaussian pair with variances A, B and covariance C.

    Attributes:
        h, k: thresholds.
        A, B, C: covariances.
        determinant: ``AB - C^2``.
    """

    h: Ratio
    k: Ratio
    A: Ratio
    B: Ratio
    C: Ratio
    determinant: Ratio

    @property
    def is_complex(self) -> bool:
        """Return whether a threshold is, so that this is no probability."""
        return self.h.has(sp.I) or self.k.has(sp.I)

    @property
    def first(self) -> Surd:
        """Return ``h / sqrt(A)``."""
        return Surd.quotient(self.h, self.A)

    @property
    def second(self) -> Surd:
        """Return ``k / sqrt(B)``."""
        return Surd.quotient(self.k, self.B)

    @property
    def correlation(self) -> Surd:
        """Return ``C / sqrt(AB)``."""
        return Surd.quotient(self.C, self.A * self.B)

    @cached_property
    def identity(self) -> tuple[Surd, Surd, Surd]:
        """Return what determines the probability."""
        return self.first, self.second, self.correlation

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Orthant) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


Atom = Angle | NormalCdf | Orthant


@dataclass(frozen=True, slots=True)
class Monomial:
    """``sqrt(product of roots) exp(exponent) atom``."""

    roots: Roots
    exponent: Ratio
    atom: Atom | None = None


class Form:
    """A sum of monomials with coefficients in a field; immutable. Merging them is the normal form."""

    __slots__ = ("field", "terms")

    def __init__(self, field: Field, terms: Iterable[tuple[Monomial, Ratio]] = ()) -> None:
        merged: dict[Monomial, Ratio] = defaultdict(lambda: field.zero)
        for monomial, coefficient in terms:
            merged[monomial] = merged[monomial] + coefficient
        self.field = field
        self.terms = {m: k for m, k in merged.items() if k}

    def __bool__(self) -> bool:
        return bool(self.terms)

    def __add__(self, other: Form) -> Form:
        return Form(self.field, (*self.terms.items(), *other.terms.items()))

    def __neg__(self) -> Form:
        return self.scaled(-self.field.one)

    def __sub__(self, other: Form) -> Form:
        return self + (-other)

    def scaled(self, factor: Ratio) -> Form:
        """Return the form times an element of the field."""
        return Form(self.field, ((m, k * factor) for m, k in self.terms.items()))

    def __mul__(self, other: Form) -> Form:
        return Form(self.field, (_product(m, k, n, j) for m, k in self.terms.items() for n, j in other.terms.items()))

    def __pow__(self, exponent: int) -> Form:
        if exponent < 0:
            return self.reciprocal() ** -exponent
        result = constant(self.field.one)
        for _ in range(exponent):
            result = result * self
        return result

    def reciprocal(self) -> Form:
        """Return 1 over a form of one term without atoms.

        Raises:
            ValueError: for any other form.
        """
        if len(self.terms) != 1:
            raise ValueError("only a single term can be inverted")
        ((monomial, k),) = self.terms.items()
        if monomial.atom is not None:
            raise ValueError("a term with an angle or a cdf cannot be inverted")
        square = self.field.one
        for prime in monomial.roots:
            square = square * Ratio(self.field, prime.polynomial, self.field.context.constant(1))
        return Form(self.field, [(Monomial(monomial.roots, -monomial.exponent), self.field.one / (k * square))])

    def without_determinant(self) -> Form:
        """Return the form with ``ab - c^2`` for D in all its parts, merged again."""
        field = self.field
        image = {D: field.ratio(a * b - c**2)}

        def moved(value: Ratio) -> Ratio:
            return value.composed(image) if value.has(D) else value

        def surd(value: Surd) -> Surd:
            return Surd.quotient(
                moved(value.outside * _product_of(field, value.roots)), moved(_product_of(field, value.roots))
            )

        moved_terms = []
        for monomial, k in self.terms.items():
            root, roots = square_root(moved(_product_of(field, monomial.roots)))
            rest = Form(field, [(Monomial(roots, moved(monomial.exponent)), moved(k) * root)])
            match monomial.atom:
                case Angle(tangent):
                    rest = rest * angle(surd(tangent))
                case NormalCdf(argument):
                    rest = rest * normal_cdf(surd(argument))
                case Orthant() as o:
                    rest = rest * orthant(*(moved(x) for x in (o.h, o.k, o.A, o.B, o.C, o.determinant)))
            moved_terms.append(rest)
        return total(field, moved_terms)

    def derivative(self) -> Form:
        """Return the derivative by c at fixed a and b of a form without D."""
        slopes = []
        for monomial, k in self.terms.items():
            log_slope = monomial.exponent.derivative(c)
            for prime in monomial.roots:
                p = Ratio(self.field, prime.polynomial, self.field.context.constant(1))
                log_slope = log_slope + p.derivative(c) / (p * 2)
            slopes.append(Form(self.field, [(monomial, k.derivative(c) + k * log_slope)]))
            if monomial.atom is not None:
                outer = Form(self.field, [(Monomial(monomial.roots, monomial.exponent), k)])
                slopes.append(outer * _slope(monomial.atom))
        return total(self.field, slopes)


def total(field: Field, forms: Iterable[Form]) -> Form:
    """Return the sum of forms; they are merged at once, in time linear in their terms."""
    return Form(field, (term for form in forms for term in form.terms.items()))


def _product_of(field: Field, roots: Roots) -> Ratio:
    value = field.one
    for prime in roots:
        value = value * Ratio(field, prime.polynomial, field.context.constant(1))
    return value


def _product(m: Monomial, k: Ratio, n: Monomial, j: Ratio) -> tuple[Monomial, Ratio]:
    if m.atom is not None and n.atom is not None:
        raise ValueError("a product of two angles or cdfs is outside the forms")
    coefficient = k * j
    if common := m.roots & n.roots:
        coefficient = coefficient * _product_of(k.field, common)
    return Monomial(m.roots ^ n.roots, m.exponent + n.exponent, m.atom or n.atom), coefficient


def constant(value: Ratio) -> Form:
    """Return an element of the field as a form."""
    return Form(value.field, [(Monomial(frozenset(), value.field.zero), value)])


def root(square: Ratio) -> Form:
    """Return the square root of an element that is positive on the domain."""
    outside, roots = square_root(square)
    return Form(square.field, [(Monomial(roots, square.field.zero), outside)])


def exponential(exponent: Ratio) -> Form:
    """Return the exponential of an element."""
    return Form(exponent.field, [(Monomial(frozenset(), exponent), exponent.field.one)])


def surd_form(value: Surd) -> Form:
    """Return a signed root as a form."""
    field = value.outside.field
    return Form(field, [(Monomial(value.roots, field.zero), value.outside)])


def _atom(field: Field, atom: Atom) -> Form:
    return Form(field, [(Monomial(frozenset(), field.zero, atom), field.one)])


def angle(tangent: Surd) -> Form:
    """Return ``atan(tangent)``, by an angle of positive tangent at the reference point."""
    field = tangent.outside.field
    if not tangent:
        return Form(field)
    return -_atom(field, Angle(-tangent)) if tangent.sign < 0 else _atom(field, Angle(tangent))


def normal_cdf(argument: Surd) -> Form:
    """Return ``P(n < argument)``, by the tail beyond an argument that is positive at the reference point."""
    field = argument.outside.field
    if not argument:
        return constant(field.one / 2)
    if argument.sign > 0:
        return constant(field.one) - _atom(field, NormalCdf(-argument))
    return _atom(field, NormalCdf(argument))


def orthant(h: Ratio, k: Ratio, A: Ratio, B: Ratio, C: Ratio, determinant: Ratio) -> Form:
    """Return ``P(U > h, V > k)`` by thresholds that are positive at the reference point, in a fixed order.

    Thresholds at zero give an angle (Sheppard 1899), uncorrelated or constant U and V a product.
    """
    field = h.field
    if not h and not k:
        quarter = constant(field.one / 4)
        return quarter + angle(Surd.quotient(C, determinant)).scaled(field.one / 2) * constant(
            field.one / field.generator(sp.pi)
        )
    if h.sign < 0 or (not h and C.sign < 0):
        above = normal_cdf(Surd.quotient(-k, B))
        return above - orthant(-h, k, A, B, -C, determinant)
    if k.sign < 0 or (not k and C.sign < 0):
        above = normal_cdf(Surd.quotient(-h, A))
        return above - orthant(h, -k, A, B, -C, determinant)
    found = Orthant(h, k, A, B, C, determinant)
    if found.first.key > found.second.key:
        found = Orthant(k, h, B, A, C, determinant)
    return _atom(field, found)


def gaussian_density(square: Ratio) -> Form:
    """Return ``exp(-square / 2) / sqrt(2 pi)``."""
    field = square.field
    return exponential(-square / 2) * root(field.one / (field.generator(sp.pi) * 2))


def _slope(atom: Atom) -> Form:
    """Return the derivative by c of an angle or cdf, for forms without D."""
    match atom:
        case Angle(tangent):
            square = tangent.square
            return surd_form(tangent).scaled(square.derivative(c) / (square * (square.field.one + square) * 2))
        case NormalCdf(argument):
            return gaussian_density(argument.square) * _surd_slope(argument)
        case Orthant(h, k, A, B, C, _):
            determinant = A * B - C * C
            form = Form(h.field)
            for x, y, own in ((h, k, A), (k, h, B)):
                edge = Surd.quotient(x, own)
                beyond = normal_cdf(Surd.quotient(C * x - own * y, own * determinant))
                form = form - gaussian_density(edge.square) * beyond * _surd_slope(edge)
            quadratic = (B * h * h - C * h * k * 2 + A * k * k) / determinant
            density = exponential(-quadratic / 2).scaled(h.field.one / (h.field.generator(sp.pi) * 2))
            one_minus = root(A * B / determinant)
            return form + density * one_minus * _surd_slope(atom.correlation)
    raise TypeError(f"{type(atom).__name__} is no atom")


def _surd_slope(value: Surd) -> Form:
    """Return the derivative of a signed root by c."""
    square = value.square
    if not square:
        return Form(square.field)
    return surd_form(value).scaled(square.derivative(c) / (square * 2))


def is_zero_form(form: Form) -> bool:
    """Return whether a form vanishes for all D = ab - c^2."""
    return not form.without_determinant()
