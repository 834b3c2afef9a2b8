"""Rational functions of a, b, c, D, parameters and a few constants over the rationals, on python-flint.

The coefficient field of the closed forms. Sums stay in lowest terms over a monic denominator, so that equal functions
are equal objects. Square roots of primes and the imaginary unit are generators with ``s^2 = p``, reduced in numerators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import sympy as sp
from flint import fmpq, fmpq_mpoly, fmpq_mpoly_ctx

from derive import notation

VARIABLES = (notation.a, notation.b, notation.c, notation.D)
_FIXED = (*VARIABLES, sp.pi, sp.I)


class NotRational(ValueError):
    """An expression outside the field; the message names the part."""


@dataclass(frozen=True, eq=False)
class Field:
    """The field of rational functions in a, b, c, D, pi, i and further generators.

    Attributes:
        generators: all generators as SymPy objects: symbols, pi, I, square roots of primes, logarithms.
    """

    generators: tuple[sp.Expr, ...]

    @cached_property
    def context(self) -> Any:
        """Return the flint context."""
        return fmpq_mpoly_ctx.get(tuple(f"g{n}" for n in range(len(self.generators))), "degrevlex")

    @cached_property
    def position(self) -> Mapping[sp.Expr, int]:
        """Return the position of each generator."""
        return {g: n for n, g in enumerate(self.generators)}

    @cached_property
    def squares(self) -> Mapping[int, fmpq]:
        """Return what the square of an algebraic generator is, by position."""
        return {n: fmpq(int(g**2)) for n, g in enumerate(self.generators) if g is sp.I or g.is_Pow}

    @cached_property
    def reference(self) -> tuple[fmpq, ...]:
        """Return a point where factors under roots are positive: small variances, so that moments exist."""
        known = {notation.a: "1/1000", notation.b: "3/2000", notation.c: "1/3000", notation.D: "25/18000000", sp.I: "1"}
        values = []
        for n, g in enumerate(self.generators):
            chosen = str(sp.N(g, 12)) if g.is_number else f"{7 + 2 * n}/5"  # a parameter: any positive number
            value = sp.Rational(known.get(g, chosen))
            values.append(fmpq(int(value.p), int(value.q)))
        return tuple(values)

    def generator(self, symbol: sp.Expr) -> Ratio:
        """Return a generator as an element."""
        return Ratio(self, self.context.gens()[self.position[symbol]], self.context.constant(1))

    def number(self, value: int | fmpq | sp.Rational) -> Ratio:
        """Return a rational number as an element."""
        if isinstance(value, sp.Rational):
            value = fmpq(int(value.p), int(value.q))
        return Ratio(self, self.context.constant(value), self.context.constant(1))

    @cached_property
    def zero(self) -> Ratio:
        """Return 0."""
        return self.number(0)

    @cached_property
    def one(self) -> Ratio:
        """Return 1."""
        return self.number(1)

    def ratio(self, expression: sp.Expr) -> Ratio:
        """Return a SymPy expression as an element.

        Raises:
            NotRational: if it is not rational in the generators.
        """
        e = sp.sympify(expression)
        if e in self.position:
            return self.generator(e)
        if e.is_Rational:
            return self.number(e)
        if e.is_Add:
            return sum((self.ratio(x) for x in e.args[1:]), self.ratio(e.args[0]))
        if e.is_Mul:
            product = self.one
            for factor in e.args:
                product = product * self.ratio(factor)
            return product
        if e.is_Pow and e.exp.is_Integer:
            return self.ratio(e.base) ** int(e.exp)
        if e.is_Pow and e.exp.is_Rational and e.exp.q == 2 and e.base.is_Integer and e.base > 0:
            product = self.one
            for prime, times in sp.factorint(e.base).items():
                half = times * e.exp  # half-integer powers of primes that are generators
                product = product * self.number(sp.Integer(prime) ** sp.floor(half))
                if not half.is_Integer:
                    product = product * self._known(sp.sqrt(prime))
            return product
        if isinstance(e, sp.log) and e.args[0].is_Rational and e.args[0] > 0:
            return sum((self._known(sp.log(p)) * self.number(n) for p, n in _factors(e.args[0]).items()), self.zero)
        raise NotRational(f"{e} is not rational in {', '.join(map(str, self.generators))}")

    def _known(self, constant: sp.Expr) -> Ratio:
        if constant not in self.position:
            raise NotRational(f"{constant} is no generator")
        return self.generator(constant)

    def symbolic(self, polynomial: fmpq_mpoly) -> sp.Expr:
        """Return a polynomial as a SymPy expression."""
        return sp.Add(
            *(
                sp.Rational(int(k.p), int(k.q)) * sp.Mul(*(g**n for g, n in zip(self.generators, powers, strict=True)))
                for powers, k in polynomial.to_dict().items()
            )
        )

    def reduced(self, polynomial: fmpq_mpoly) -> fmpq_mpoly:
        """Return a polynomial with algebraic generators to powers 0 and 1 only."""
        degrees = polynomial.degrees()
        if all(degrees[n] < 2 for n in self.squares):
            return polynomial
        terms: dict[tuple[int, ...], fmpq] = {}
        for powers, k in polynomial.to_dict().items():
            left = list(powers)
            for n, square in self.squares.items():
                k = k * square ** (left[n] // 2)
                left[n] %= 2
            key = tuple(left)
            terms[key] = terms.get(key, fmpq(0)) + k
        result: fmpq_mpoly = self.context.from_dict({powers: k for powers, k in terms.items() if k != 0})
        return result

    def conjugates(self, polynomial: fmpq_mpoly) -> Iterator[fmpq_mpoly]:
        """Yield the factors that clear a denominator of its algebraic generators, one after another."""
        if not any(polynomial.degrees()[n] for n in self.squares):
            return
        polynomial = self.reduced(polynomial)
        for n in self.squares:
            if polynomial.degrees()[n]:
                gens = list(self.context.gens())
                gens[n] = -gens[n]
                conjugate = polynomial.compose(*gens, ctx=self.context)
                yield conjugate
                polynomial = self.reduced(polynomial * conjugate)


@cache
def field_with(generators: tuple[sp.Expr, ...] = ()) -> Field:
    """Return the field with further generators: parameters, square roots of primes, logarithms of constants."""
    return Field((*_FIXED, *generators))


def generators_of(expressions: Iterable[sp.Expr]) -> tuple[sp.Expr, ...]:
    """Return the parameters and constants that expressions need besides a, b, c, D, z, pi, i, in a fixed order.

    Square roots of positive integers become those of their primes, and so do logarithms of rational numbers. Whether
    logarithms satisfy polynomials nobody knows; here they do not, so that zeros could be missed but none invented.
    """
    found: set[sp.Expr] = set()
    for expression in expressions:
        found |= {s for s in expression.free_symbols if s not in VARIABLES and s != notation.z}
        for power in expression.atoms(sp.Pow):
            if power.base.is_Integer and power.base > 0 and power.exp.is_Rational and power.exp.q == 2:
                found |= {sp.sqrt(prime) for prime, times in sp.factorint(power.base).items() if times % 2}
        for logarithm in expression.atoms(sp.log):
            argument = logarithm.args[0]
            if argument.is_Rational and argument > 0:
                found |= {sp.log(prime) for prime in _factors(argument)}
            elif argument.is_number and argument.is_positive:
                found.add(logarithm)
    return tuple(sorted(found, key=sp.default_sort_key))


def _factors(number: sp.Rational) -> dict[int, int]:
    """Return the primes of a positive rational number and their powers."""
    powers: dict[int, int] = sp.factorrat(number)
    return powers


class Ratio:
    """An element of a field, in lowest terms over a monic denominator; immutable, hashable, equal if the same."""

    __slots__ = ("_key", "denominator", "field", "numerator")

    def __init__(
        self,
        field: Field,
        numerator: fmpq_mpoly,
        denominator: fmpq_mpoly,
        suspects: tuple[fmpq_mpoly, ...] | None = None,
    ) -> None:
        """Bring a quotient to lowest terms.

        Args:
            field: the field.
            numerator: above.
            denominator: below, not zero.
            suspects: factors of the denominator that the numerator may share factors with, if that is known.
        """
        upper = numerator
        numerator = field.reduced(upper)
        if numerator is not upper:
            suspects = None
        for conjugate in field.conjugates(denominator):
            numerator, denominator = field.reduced(numerator * conjugate), field.reduced(denominator * conjugate)
            suspects = None
        if denominator.is_constant():
            lead = denominator.leading_coefficient()
            if lead != 1:
                numerator, denominator = numerator / lead, field.context.constant(1)
        else:
            for suspect in (denominator,) if suspects is None else suspects:
                common = numerator.gcd(suspect)
                if not common.is_constant():
                    numerator, denominator = numerator / common, denominator / common
            lead = denominator.leading_coefficient()
            if lead != 1:
                numerator, denominator = numerator / lead, denominator / lead
        self.field = field
        self.numerator = numerator
        self.denominator = denominator
        self._key: tuple[str, str] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Return numerator and denominator as text."""
        if self._key is None:
            self._key = str(self.numerator), str(self.denominator)
        return self._key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ratio) and self.numerator == other.numerator and self.denominator == other.denominator

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return str(self.symbolic)

    def __bool__(self) -> bool:
        return not self.numerator.is_zero()

    def __len__(self) -> int:
        """Return the number of terms of both polynomials, as a measure of length."""
        return len(self.numerator) + len(self.denominator)

    def __add__(self, other: Ratio) -> Ratio:
        if self.denominator == other.denominator:
            return Ratio(self.field, self.numerator + other.numerator, self.denominator)
        common = self.denominator.gcd(other.denominator)  # Henrici's algorithm: small operands for the last gcd
        mine, theirs = self.denominator / common, other.denominator / common
        return Ratio(self.field, self.numerator * theirs + other.numerator * mine, self.denominator * theirs, (common,))

    def __neg__(self) -> Ratio:
        return Ratio(self.field, -self.numerator, self.denominator)

    def __sub__(self, other: Ratio) -> Ratio:
        return self + (-other)

    def __mul__(self, other: Ratio | int) -> Ratio:
        if isinstance(other, int):
            return Ratio(self.field, self.numerator * other, self.denominator)
        first, second = self.numerator.gcd(other.denominator), other.numerator.gcd(self.denominator)
        top = (self.numerator / first) * (other.numerator / second)
        return Ratio(self.field, top, (self.denominator / second) * (other.denominator / first), ())

    __rmul__ = __mul__

    def __truediv__(self, other: Ratio | int) -> Ratio:
        if isinstance(other, int):
            return Ratio(self.field, self.numerator, self.denominator * other)
        if not other:
            raise ZeroDivisionError("division by zero in the field")
        return Ratio(self.field, self.numerator * other.denominator, self.denominator * other.numerator)

    def __pow__(self, exponent: int) -> Ratio:
        if exponent < 0:
            return (self.field.one / self) ** -exponent
        return Ratio(self.field, self.numerator**exponent, self.denominator**exponent)

    def composed(self, images: Mapping[sp.Expr, Ratio]) -> Ratio:
        """Return the element with generators replaced by polynomials (elements with denominator 1)."""
        gens = list(self.field.context.gens())
        for symbol, image in images.items():
            gens[self.field.position[symbol]] = image.numerator
        top, bottom = (p.compose(*gens, ctx=self.field.context) for p in (self.numerator, self.denominator))
        return Ratio(self.field, top, bottom)

    def derivative(self, symbol: sp.Expr) -> Ratio:
        """Return the partial derivative by a generator."""
        name = f"g{self.field.position[symbol]}"
        top, bottom = self.numerator, self.denominator
        if bottom.is_constant():
            return Ratio(self.field, top.derivative(name), bottom)
        return Ratio(self.field, top.derivative(name) * bottom - top * bottom.derivative(name), bottom * bottom)

    def has(self, symbol: sp.Expr) -> bool:
        """Return whether a generator occurs."""
        n = self.field.position[symbol]
        return bool(self.numerator.degrees()[n] > 0 or self.denominator.degrees()[n] > 0)

    @property
    def is_number(self) -> bool:
        """Return whether the element is a rational number."""
        return bool(self.numerator.is_constant() and self.denominator.is_constant())

    @property
    def sign(self) -> int:
        """Return the sign at the reference point of the field, 0 only for zero: an orientation, not a statement."""
        if not self:
            return 0
        values = [p(*self.field.reference) for p in (self.numerator, self.denominator)]
        product = values[0] * values[1]
        return 1 if product > 0 or (product == 0 and self.numerator.leading_coefficient() > 0) else -1

    @property
    def symbolic(self) -> sp.Expr:
        """Return the element as a SymPy expression."""
        return self.field.symbolic(self.numerator) / self.field.symbolic(self.denominator)
