"""Concrete instances: an indexed expression at small sizes as a polynomial in plain SymPy symbols.

This is the examiner's own path. It shares the terms with the rules and nothing else: sums are written out, deltas are
comparisons, derivatives are SymPy's ``diff`` of explicit functions, expectations are exact moments. Activations are
polynomials with rational coefficients, pre-activations explicit functions of their parameters, and the units of the
layer below follow an arbitrary law, so nothing holds here by a property of the normal law that a step did not name.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import product

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.polys.rings import PolyElement, sring

from derive.model import Model
from derive.terms import Atom, Delta, Expression, Factor, Index, Mean, Partial

Environment = Mapping[Index, int]
Moment = Callable[[Mapping[str, int]], sp.Expr]
"""``E[prod_x Z(x)^power[x]]`` of one unit of the layer below, as a function of the powers."""


@cache
def rational(*key: object) -> sp.Rational:
    """Return a non-zero rational that depends on the key alone: the same on every machine and in every process."""
    generator = random.Random(repr(key))  # noqa: S311  (test values, not cryptography)
    return sp.Rational(generator.choice([-7, -5, -3, -2, 2, 3, 5, 7]), generator.choice([2, 3, 4]))


@cache
def polynomial_activation(seed: int, degree: int, order: int, at: sp.Expr) -> sp.Expr:
    """Return the derivative of given order of a polynomial with rational coefficients, at a point."""
    t = sp.Dummy()
    polynomial = sum(rational(seed, "activation", n) * t**n for n in range(degree + 1))
    return sp.expand(sp.diff(polynomial, t, order).subs(t, at))


def normal_moment(power: int) -> int:
    """Return the moment of a standard normal: the double factorial (power - 1)!! for even powers, else 0."""
    return 0 if power % 2 else int(sp.factorial2(power - 1)) if power else 1


@dataclass(frozen=True)
class Instance:
    """A concrete instance of a model.

    Attributes:
        model: what the factors mean.
        sizes: the value of each dimension.
        seed: which data, activation and law.
        assumed: values of names that a hypothesis fixes, by (head, layer).
        unit_moment: the moments of one unit of the layer below; by default those of an arbitrary three-point law.
        activation_degree: degree of the polynomial that stands for the activation.
        known_means: expectations already worked out; they recur for every value of the free indices.
        known_moments: moments of one unit already worked out.
        known_values: expressions already written out; one step ends with what the next one begins with.
    """

    model: Model
    sizes: Mapping[sp.Expr, int]
    seed: int = 0
    assumed: Mapping[tuple[str, sp.Expr | None], tuple[tuple[Index, ...], Expression]] = field(default_factory=dict)
    unit_moment: Moment | None = None
    activation_degree: int = 2
    known_means: dict[tuple[object, ...], sp.Expr] = field(default_factory=dict, init=False, repr=False, compare=False)
    known_moments: dict[tuple[object, ...], sp.Expr] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    known_values: dict[tuple[object, ...], sp.Expr] = field(default_factory=dict, init=False, repr=False, compare=False)

    def value(self, expression: Expression, at: Environment) -> sp.Expr:
        """Return the expression as a polynomial in concrete symbols, with its free indices fixed by ``at``."""
        key = _key(expression, at)
        if key not in self.known_values:
            self.known_values[key] = self._value(expression, at)
        return self.known_values[key]

    def _value(self, expression: Expression, at: Environment) -> sp.Expr:
        return sp.Add(*(term.as_expr() for term in self._products(expression, at)))

    def _products(self, expression: Expression, at: Environment) -> Iterator[PolyElement]:
        """Yield the product of the factors of each term and its coefficient, its sums written out."""
        for bound, factors, coefficient in expression:
            scalar = coefficient.subs(self.sizes)
            for values in product(*(range(self.sizes[i.dimension]) for i in bound)):
                here = {**at, **dict(zip(bound, values, strict=True))}
                yield _multiplied([scalar, *(self._factor(f, here) for f in factors)])

    def expectation(self, *factors: sp.Expr, given: Iterable[str] = ()) -> sp.Expr:
        """Return the exact mean of a product of polynomials over Gaussian symbols and units that are not given."""
        return self._mean(_multiplied(factors), given)

    def _mean(self, polynomial: PolyElement, given: Iterable[str]) -> sp.Expr:
        held = set(given)
        generators = [g.as_expr() for g in polynomial.ring.gens]
        normals = [n for n, g in enumerate(generators) if _is_normal(g) and g.name.split(".")[1] not in held]
        fixed_units = bool(held & set(self.model.fields))
        units = [] if fixed_units else [n for n, g in enumerate(generators) if isinstance(g, AppliedUndef)]
        averaged = {*normals, *units}
        means: dict[tuple[int, ...], sp.Expr] = {}
        for powers, coefficient in polynomial.terms():
            moment = sp.Integer(math.prod(normal_moment(powers[n]) for n in normals))
            if moment == 0:
                continue
            by_unit: dict[str, dict[str, int]] = {}
            for n in units:
                if powers[n]:
                    _, layer, j, x = generators[n].func.__name__.split(".")
                    by_unit.setdefault(f"{layer}.{j}", {})[x] = powers[n]
            for unit_powers in by_unit.values():
                moment *= self._unit_moment(tuple(unit_powers.items()))
            rest = tuple(0 if n in averaged else power for n, power in enumerate(powers))
            means[rest] = means.get(rest, sp.S.Zero) + coefficient * moment
        return sp.Add(*(m * sp.Mul(*map(sp.Pow, generators, powers)) for powers, m in means.items()))

    def _unit_moment(self, powers: tuple[tuple[str, int], ...]) -> sp.Expr:
        if powers not in self.known_moments:
            self.known_moments[powers] = (self.unit_moment or self._three_point)(dict(powers))
        return self.known_moments[powers]

    def _three_point(self, powers: Mapping[str, int]) -> sp.Expr:
        chances = sp.Rational(1, 6), sp.Rational(1, 3), sp.Rational(1, 2)
        return sp.Add(
            *(
                chance * sp.prod(rational(self.seed, "law", outcome, x) ** power for x, power in powers.items())
                for outcome, chance in enumerate(chances)
            )
        )

    def _position(self, index: Index, at: Environment) -> int:
        return 0 if index.is_literal else at[index]

    def _factor(self, factor: Factor, at: Environment) -> sp.Expr:
        match factor:
            case Delta(first, second):
                return sp.Integer(self._position(first, at) == self._position(second, at))
            case Mean(body, given):
                key = given, *_key(body, at)
                if key not in self.known_means:
                    self.known_means[key] = sp.Add(*(self._mean(term, given) for term in self._products(body, at)))
                return self.known_means[key]
            case Partial(body, parameter):
                variable = self._atom(parameter, at)
                return sp.expand(sp.diff(self.value(body, at), variable).doit())
            case Atom():
                return self._atom(factor, at)

    def _atom(self, a: Atom, at: Environment) -> sp.Expr:
        entry = tuple(self._position(i, at) for i in a.indices)
        if (a.head, a.layer) in self.assumed:
            indices, body = self.assumed[a.head, a.layer]
            return self.value(body, dict(zip(indices, entry, strict=True)))
        definition = self.model.definition(a.head, a.layer)
        if definition is not None:
            body = definition.at(Atom(a.head, definition.indices, a.inputs, a.layer))
            return self.value(body, dict(zip(definition.indices, entry, strict=True)))
        name = f"{a.head}.{_text(a.layer)}.{'.'.join(map(str, entry))}"
        if a.head in self.model.gaussian:
            return sp.Symbol(f"normal.{name}", real=True)
        if a.head in self.model.fields:
            return self._field(self.model.fields[a.head], a.layer, entry[0], a.inputs[0])
        if a.head == self.model.gradient:
            return sp.diff(self._unit(a.layer, entry[0], a.inputs[0]), self._parameters()[entry[1]])
        if a.head == self.model.parameters:
            return self._parameters()[entry[0]]
        return rational(self.seed, a.head, _text(a.layer), entry, a.inputs)

    def _parameters(self) -> tuple[sp.Symbol, ...]:
        """Return the parameters of the layers below, as symbols that pre-activations are functions of."""
        count = next((n for dimension, n in self.sizes.items() if dimension.func.__name__ == "P"), 1)
        return tuple(sp.Symbol(f"theta.{p}", real=True) for p in range(count))

    def _unit(self, layer: sp.Expr | None, j: int, x: str) -> sp.Expr:
        return sp.Function(f"unit.{_text(layer)}.{j}.{x}")(*self._parameters())

    def _field(self, order: int, layer: sp.Expr | None, j: int, x: str) -> sp.Expr:
        """Return the derivative of given order of a polynomial activation at ``z_j(x)``."""
        return polynomial_activation(self.seed, self.activation_degree, order, self._unit(layer, j, x))


def _multiplied(values: Sequence[sp.Expr]) -> PolyElement:
    """Return a product of polynomials: as dictionaries of powers, which multiply much faster than expressions."""
    return _product(frozenset(Counter(values).items()))


@cache
def _product(powers: frozenset[tuple[sp.Expr, int]]) -> PolyElement:
    """Return a product of powers of polynomials; sums over indices ask for the same ones again and again."""
    factors = [factor for factor, _ in powers]
    ring, elements = sring(factors)
    return reduce(lambda x, y: x * y, map(pow, elements, (power for _, power in powers)), ring.one)


@cache
def _text(layer: sp.Expr | None) -> str:
    return str(layer)


def _is_normal(generator: sp.Expr) -> bool:
    return isinstance(generator, sp.Symbol) and generator.name.startswith("normal.")


def _key(expression: Expression, at: Environment) -> tuple[object, ...]:
    """Return what the value of an expression at some positions of its free indices depends on."""
    return expression.key, tuple(sorted((i.key, at[i]) for i in expression.free))


def environments(expressions: Iterable[Expression], sizes: Mapping[sp.Expr, int]) -> Iterator[dict[Index, int]]:
    """Yield every assignment of positions to the free indices of the expressions."""
    free = sorted(frozenset[Index]().union(*(e.free for e in expressions)), key=lambda i: i.key)
    for values in product(*(range(sizes[i.dimension]) for i in free)):
        yield dict(zip(free, values, strict=True))


def dimensions(expression: Expression, model: Model) -> set[sp.Expr]:
    """Return the dimensions that an expression and the definitions it uses range over or count."""
    found: set[sp.Expr] = set()

    def visit(e: Expression, depth: int) -> None:
        for bound, factors, coefficient in e:
            found.update(i.dimension for i in bound)
            found.update(f for f in coefficient.atoms(sp.Function))
            for f in factors:
                visit_factor(f, depth)

    def visit_factor(f: Factor, depth: int) -> None:
        match f:
            case Atom(head, indices, _, layer):
                found.update(i.dimension for i in indices)
                definition = model.definition(head, layer)
                if definition is not None and depth < 8:
                    visit(definition.body, depth + 1)
            case Delta(first, second):
                found.update({first.dimension, second.dimension})
            case Mean(body, _):
                visit(body, depth)
            case Partial(body, parameter):
                visit(body, depth)
                visit_factor(parameter, depth)

    visit(expression, 0)
    return found
