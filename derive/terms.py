"""Expressions over families indexed by symbolic widths: sums, deltas, expectations, derivatives.

An :class:`Expression` is a finite sum of ``coefficient * Sum_{bound indices} product of factors``. Three choices make
it safe where SymPy's ``Sum`` and ``IndexedBase`` are not:

* an index carries the dimension it ranges over, so "k is in range" is typing and no Piecewise ever appears;
* binding is canonical up to renaming, so equality of expressions is equality of normal forms;
* the name of a bound index contains its nesting height, so substitution cannot capture.

Coefficients are SymPy expressions. This module knows nothing of probability: what a factor means is the model's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import groupby, permutations, product
from typing import Literal, Protocol

import sympy as sp

_MOST_BOUND_OF_ONE_DIMENSION = 6  # 6! = 720 renamings is where canonical binding would start to be felt


@lru_cache(maxsize=4096)
def _text(expression: sp.Expr | None) -> str:
    """Return a text that tells a dimension or layer from others, by name and by whether it may be negative."""
    marks = "" if expression is None else "?" * sum(not s.is_nonnegative for s in sp.sympify(expression).free_symbols)
    return f"{expression}{marks}"


@dataclass(frozen=True)
class Index:
    """An index with the dimension it ranges over; ``Index("1", n)`` is the first element, as in z_1."""

    name: str
    dimension: sp.Expr

    def __hash__(self) -> int:
        return hash(self.key)  # a text keeps its hash

    @property
    def is_literal(self) -> bool:
        """Whether the index names one fixed element instead of ranging."""
        return self.name == "1"

    @cached_property
    def key(self) -> str:
        """Return a text that orders indices."""
        return f"{self.name}:{_text(self.dimension)}"


@dataclass(frozen=True)
class Atom:
    """One entry of a family: a weight W^l_{kj}, a data component x_j, an activation phi(z^l_j(x)), a kernel K^l(x, x').

    Attributes:
        head: name of the family.
        indices: the entry.
        inputs: names of the inputs it is taken at.
        layer: the layer it belongs to, or None.
    """

    head: str
    indices: tuple[Index, ...] = ()
    inputs: tuple[str, ...] = ()
    layer: sp.Expr | None = None

    def __hash__(self) -> int:
        return hash(self.key)

    @cached_property
    def key(self) -> str:
        """Return a text that orders factors."""
        return f"{self.head}^{_text(self.layer)}[{','.join(i.key for i in self.indices)}]({self.inputs})"

    def rename(self, names: Mapping[Index, Index]) -> Atom:
        """Return the atom with its indices renamed."""
        return Atom(self.head, tuple(names.get(i, i) for i in self.indices), self.inputs, self.layer)


@dataclass(frozen=True)
class Delta:
    """The Kronecker delta of two indices of the same dimension, in sorted order."""

    first: Index
    second: Index

    def __hash__(self) -> int:
        return hash(self.key)

    def __post_init__(self) -> None:
        if self.first.dimension != self.second.dimension:
            raise TypeError(
                f"ill-typed delta: {self.first.name} ranges over {self.first.dimension}, "
                f"{self.second.name} over {self.second.dimension}; compare indices of one dimension"
            )
        if self.first.key > self.second.key:
            first, second = self.second, self.first
            object.__setattr__(self, "first", first)
            object.__setattr__(self, "second", second)

    @property
    def indices(self) -> tuple[Index, Index]:
        """Return both indices."""
        return self.first, self.second

    @cached_property
    def key(self) -> str:
        """Return a text that orders factors."""
        return f"{{delta}}[{self.first.key},{self.second.key}]"

    def rename(self, names: Mapping[Index, Index]) -> Delta:
        """Return the delta with its indices renamed."""
        return Delta(names.get(self.first, self.first), names.get(self.second, self.second))


@dataclass(frozen=True)
class Mean:
    """The expectation of an expression, over everything random or conditional on the families named in ``given``."""

    body: Expression
    given: tuple[str, ...] = ()

    @cached_property
    def key(self) -> str:
        """Return a text that orders factors."""
        return f"{{mean}}|{','.join(self.given)}|{self.body.key}"

    def rename(self, names: Mapping[Index, Index]) -> Mean:
        """Return the expectation with its free indices renamed."""
        return Mean(self.body.rename(names), self.given)


@dataclass(frozen=True)
class Partial:
    """The derivative of an expression with respect to one parameter ``head^layer[indices]``."""

    body: Expression
    parameter: Atom

    @cached_property
    def key(self) -> str:
        """Return a text that orders factors."""
        return f"{{partial}}{self.parameter.key}|{self.body.key}"

    def rename(self, names: Mapping[Index, Index]) -> Partial:
        """Return the derivative with its free indices renamed."""
        return Partial(self.body.rename(names), self.parameter.rename(names))


class Term(Protocol):
    """One side of a theorem: an indexed expression, a law, an operator word or a dual."""

    @property
    def key(self) -> str:
        """Return the normal form as text; equal texts are equal terms."""
        ...


Relation = Literal["=", "→"]
"""Exact equality, or a limit of infinite width."""

Factor = Atom | Delta | Mean | Partial
Product = tuple[tuple[Index, ...], tuple[Factor, ...]]
"""Bound indices and factors of one term."""


def free_indices(factor: Factor) -> frozenset[Index]:
    """Return the indices that occur free in a factor, literal ones left out."""
    match factor:
        case Atom() | Delta():
            found = frozenset(factor.indices)
        case Mean():
            found = factor.body.free
        case Partial():
            found = factor.body.free | frozenset(factor.parameter.indices)
    return frozenset(i for i in found if not i.is_literal)


def _height(factor: Factor) -> int:
    return factor.body.height if isinstance(factor, Mean | Partial) else 0


def _canonical(bound: tuple[Index, ...], factors: tuple[Factor, ...]) -> Product:
    """Return the term with bound indices renamed to ``height:n`` in the order that sorts its factors lowest."""
    if not bound:
        return (), tuple(sorted(factors, key=lambda f: f.key))
    free = [free_indices(f) for f in factors]
    height = max(map(_height, factors), default=0)
    taken = {i.name for indices in free for i in indices if i not in bound}
    dummies = [name for n in range(len(bound) + len(taken)) if (name := f"{height}:{n}") not in taken]
    groups = [
        (dimension, tuple(members))
        for dimension, members in groupby(
            sorted(bound, key=lambda i: (_text(i.dimension), i.key)), lambda i: i.dimension
        )
    ]
    if any(len(members) > _MOST_BOUND_OF_ONE_DIMENSION for _, members in groups):
        raise ValueError(f"more than {_MOST_BOUND_OF_ONE_DIMENSION} bound indices of one dimension in a term")
    dimensions = (dimension for dimension, members in groups for _ in members)
    renamed = tuple(Index(name, dimension) for name, dimension in zip(dummies, dimensions, strict=False))
    within = [tuple(i for i in bound if i in indices) for indices in free]
    known: list[dict[tuple[str, ...], Factor]] = [{} for _ in factors]  # a factor sees few of the renamings apart
    best: tuple[tuple[str, ...], tuple[Factor, ...]] | None = None
    for orders in product(*(permutations(members) for _, members in groups)):
        names = dict(zip((index for order in orders for index in order), renamed, strict=True))
        found: list[Factor] = []
        for factor, indices, seen in zip(factors, within, known, strict=True):
            seen_as = tuple(names[i].name for i in indices)
            if seen_as not in seen:
                seen[seen_as] = factor.rename(names)
            found.append(seen[seen_as])
        found.sort(key=lambda f: f.key)
        keys = tuple(f.key for f in found)
        if best is None or keys < best[0]:
            best = keys, tuple(found)
    assert best is not None  # an empty product of permutations yields one empty order
    return renamed, best[1]


class Expression:
    """A finite sum of terms in canonical form; immutable, hashable, equal when the normal forms are equal."""

    terms: Mapping[Product, sp.Expr]

    def __init__(self, terms: Iterable[tuple[tuple[Index, ...], tuple[Factor, ...], sp.Expr]] = ()) -> None:
        self._collect((_canonical(bound, factors), coefficient) for bound, factors, coefficient in terms)

    @classmethod
    def _of_products(cls, terms: Iterable[tuple[Product, sp.Expr]]) -> Expression:
        """Return the sum of terms whose products are canonical, as those of other expressions are."""
        result = cls.__new__(cls)
        result._collect(terms)
        return result

    def _collect(self, terms: Iterable[tuple[Product, sp.Expr]]) -> None:
        collected: dict[str, tuple[Product, sp.Expr]] = {}
        for product_, coefficient in terms:
            key = _product_key(product_)
            before = collected.get(key)
            collected[key] = product_, coefficient if before is None else before[1] + coefficient
        expanded = ((key, p, c if c.is_Atom else sp.expand(c)) for key, (p, c) in sorted(collected.items()))
        kept = [(key, p, c) for key, p, c in expanded if c != 0]
        self.terms = {p: c for _, p, c in kept}
        self._product_keys = tuple(key for key, _, _ in kept)

    @cached_property
    def key(self) -> str:
        """Return the normal form as text."""
        terms = zip(self._product_keys, self.terms.values(), strict=True)
        return " + ".join(f"{coefficient}*{key}" for key, coefficient in terms)

    @cached_property
    def height(self) -> int:
        """Return the height of nested bodies below, plus one."""
        return 1 + max((_height(f) for _, factors in self.terms for f in factors), default=0)

    @cached_property
    def free(self) -> frozenset[Index]:
        """Return the indices that occur free."""
        return frozenset(
            index for bound, factors in self.terms for f in factors for index in free_indices(f) if index not in bound
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        return f"Expression({self.key or '0'})"

    def __iter__(self) -> Iterator[tuple[tuple[Index, ...], tuple[Factor, ...], sp.Expr]]:
        for (bound, factors), coefficient in self.terms.items():
            yield bound, factors, coefficient

    def __add__(self, other: Expression) -> Expression:
        return Expression._of_products([*self.terms.items(), *other.terms.items()])

    def __sub__(self, other: Expression) -> Expression:
        return self + -1 * other

    def __mul__(self, other: Expression) -> Expression:
        """Return the product; bound indices of both factors are renamed apart from everything in the other."""
        products = []
        for left in self:
            for right in other:
                taken = {i.name for term in (left, right) for f in term[1] for i in free_indices(f)}
                bound, factors = _apart(left[0], left[1], taken)
                more, rest = _apart(right[0], right[1], taken | {i.name for i in bound})
                products.append((bound + more, factors + rest, left[2] * right[2]))
        return Expression(products)

    def __rmul__(self, scalar: sp.Expr | int) -> Expression:
        factor = sp.sympify(scalar)
        return Expression._of_products((product_, factor * c) for product_, c in self.terms.items())

    def rename(self, names: Mapping[Index, Index]) -> Expression:
        """Return the expression with free indices renamed; the new names must not be names of bound indices."""
        relevant = {old: new for old, new in names.items() if old in self.free}
        if not relevant:
            return self
        return Expression((bound, tuple(f.rename(relevant) for f in factors), c) for bound, factors, c in self)

    def map_atoms(self, change: Callable[[Atom], Atom]) -> Expression:
        """Return the expression with every atom, nested ones too, replaced by ``change(atom)``."""
        return Expression((bound, tuple(_map_factor(f, change) for f in factors), c) for bound, factors, c in self)

    def at_layer(self, symbol: sp.Symbol, value: sp.Expr | int) -> Expression:
        """Return the same statement about another layer: ``value`` for ``symbol`` everywhere in it."""

        def index_at(i: Index) -> Index:
            return Index(i.name, i.dimension.subs(symbol, value))

        def factor_at(f: Factor) -> Factor:
            match f:
                case Atom(head, indices, inputs, layer):
                    moved = None if layer is None else layer.subs(symbol, value)
                    return Atom(head, tuple(map(index_at, indices)), inputs, moved)
                case Delta(first, second):
                    return Delta(index_at(first), index_at(second))
                case Mean(body, given):
                    return Mean(body.at_layer(symbol, value), given)
                case Partial(body, parameter):
                    moved_parameter = factor_at(parameter)
                    assert isinstance(moved_parameter, Atom)  # an atom stays one
                    return Partial(body.at_layer(symbol, value), moved_parameter)

        return Expression(
            (tuple(map(index_at, bound)), tuple(map(factor_at, factors)), c.subs(symbol, value))
            for bound, factors, c in self
        )


def _product_key(term: Product) -> str:
    bound, factors = term
    return f"{','.join(i.key for i in bound)}.{'*'.join(f.key for f in factors)}"


def _map_factor(factor: Factor, change: Callable[[Atom], Atom]) -> Factor:
    match factor:
        case Atom():
            return change(factor)
        case Mean(body, given):
            return Mean(body.map_atoms(change), given)
        case Partial(body, parameter):
            return Partial(body.map_atoms(change), parameter)
        case Delta():
            return factor


def _apart(
    bound: tuple[Index, ...], factors: tuple[Factor, ...], taken: set[str]
) -> tuple[tuple[Index, ...], tuple[Factor, ...]]:
    """Return a term with its bound indices renamed to names that are not taken."""
    if not bound:
        return bound, factors
    mark = "'" * (1 + max((len(name) - len(name.rstrip("'")) for name in taken), default=0))
    names = {i: Index(f"{i.name}{mark}", i.dimension) for i in bound}
    return tuple(names.values()), tuple(f.rename(names) for f in factors)


def opened(bound: tuple[Index, ...], factors: tuple[Factor, ...]) -> tuple[tuple[Index, ...], tuple[Factor, ...]]:
    """Return a term with its bound indices renamed to names that are free nowhere in it, for rebuilding by rules."""
    outside = (i.name for f in factors for i in free_indices(f) if i not in bound)
    mark = "~" * (1 + max((len(name) - len(name.lstrip("~")) for name in outside), default=0))
    names = {i: Index(f"{mark}{i.name}", i.dimension) for i in bound}
    return tuple(names.values()), tuple(f.rename(names) for f in factors)


def atoms(expression: Expression) -> Iterator[Atom]:
    """Yield every atom of an expression, those inside expectations and derivatives too."""
    for _, factors, _ in expression:
        for f in factors:
            match f:
                case Atom():
                    yield f
                case Mean(body, _):
                    yield from atoms(body)
                case Partial(body, parameter):
                    yield parameter
                    yield from atoms(body)


def constant(value: sp.Expr | int) -> Expression:
    """Return a scalar as an expression."""
    return Expression([((), (), sp.sympify(value))])


def monomial(*factors: Factor) -> Expression:
    """Return the product of factors."""
    return Expression([((), factors, sp.S.One)])


def atom(head: str, *indices: Index, at: tuple[str, ...] = (), layer: sp.Expr | int | None = None) -> Expression:
    """Return one entry of a family as an expression."""
    return monomial(Atom(head, indices, at, None if layer is None else sp.sympify(layer)))


def delta(first: Index, second: Index) -> Expression:
    """Return the Kronecker delta of two indices."""
    return monomial(Delta(first, second))


def mean(body: Expression, given: tuple[str, ...] = ()) -> Expression:
    """Return the expectation of an expression."""
    return monomial(Mean(body, given))


def partial(body: Expression, parameter: Atom) -> Expression:
    """Return the derivative of an expression with respect to a parameter."""
    return monomial(Partial(body, parameter))


def total(index: Index, body: Expression) -> Expression:
    """Return the sum of an expression over an index.

    Raises:
        ValueError: for a literal index, which does not range.
    """
    if index.is_literal:
        raise ValueError(f"cannot sum over the literal index {index.name}; it names one fixed element")
    return Expression(((*bound, index), factors, c) for bound, factors, c in body)
