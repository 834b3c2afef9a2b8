"""Rules of probability: expectations of Gaussian families and of iid units."""

from __future__ import annotations

import sympy as sp

from derive.model import Hypothesis, Model
from derive.rules.traversal import each_term, first_factor, rebuilt, single_term, until_stable
from derive.terms import Atom, Expression, Factor, Index, Mean, constant, delta, free_indices, mean, monomial, opened
from derive.theorem import Rewriting, rule

INDEPENDENT_LAYERS = "the weights and biases of a layer are independent of the layers below"
SECOND_MOMENT = "the averaged products have a finite second moment"


@rule("the expectation is linear, and what is not random leaves it")
def linearity(expression: Expression, model: Model) -> Expression:
    """Return the expression with every expectation of a sum turned into sums of expectations of random products."""

    def split(factor: Mean) -> Expression | None:
        result = Expression()
        for bound, factors, coefficient in factor.body:
            bound, factors = opened(bound, factors)
            random = tuple(f for f in factors if model.is_random(f, factor.given))
            known = tuple(f for f in factors if f not in random)
            inner = mean(monomial(*random), factor.given) if random else constant(1)
            result = result + rebuilt(bound, coefficient * (monomial(*known) * inner))
        return None if result == monomial(factor) else result

    return until_stable(expression, lambda e: first_factor(e, Mean, split))


@rule("the expectation of a product of independent families is the product of their expectations")
def independence(expression: Expression, model: Model) -> Rewriting:
    """Return the expression with expectations split over the independent families of the model."""
    assumptions: set[str] = set()

    def split(factor: Mean) -> Expression | None:
        single = single_term(factor.body)
        if single is None:
            return None
        if not all(model.is_random(f, factor.given) for f in single[0]):
            return None  # linearity takes out what is not random
        families: dict[str, list[Factor]] = {}
        for f in single[0]:
            families.setdefault(model.family(f), []).append(f)
        if len(families) < 2:
            return None
        if not set(families) <= model.gaussian:
            assumptions.add(INDEPENDENT_LAYERS)
        result = constant(single[1])
        for members in families.values():
            result = result * mean(monomial(*members), factor.given)
        return result

    after = until_stable(expression, lambda e: first_factor(e, Mean, split))
    return Rewriting(after, tuple(sorted(assumptions)))


@rule("Isserlis: a mean of standard normals is the sum over pairings; an odd product has mean zero")
def isserlis(expression: Expression, model: Model) -> Rewriting:
    """Return the expression with expectations of products of one Gaussian family evaluated as sums of deltas."""
    assumptions: set[str] = set()

    def pairings(members: tuple[Atom, ...]) -> list[tuple[tuple[Atom, Atom], ...]]:
        if not members:
            return [()]
        first, rest = members[0], members[1:]
        return [((first, rest[n]), *others) for n in range(len(rest)) for others in pairings(rest[:n] + rest[n + 1 :])]

    def evaluate(factor: Mean) -> Expression | None:
        single = single_term(factor.body)
        if single is None:
            return None
        members = tuple(f for f in single[0] if isinstance(f, Atom) and f.head in model.gaussian)
        if len(members) != len(single[0]) or len({f.head for f in members}) != 1:
            return None
        if not all(model.is_random(f, factor.given) for f in members):
            return None  # what is given is not averaged
        if factor.given:
            assumptions.add(INDEPENDENT_LAYERS)
        if len(members) % 2:
            return Expression()
        result = Expression()
        for pairing in pairings(members):
            term = constant(single[1])
            for left, right in pairing:
                for i, j in zip(left.indices, right.indices, strict=True):
                    term = term * delta(i, j)
            result = result + term
        return result

    after = until_stable(expression, lambda e: first_factor(e, Mean, evaluate))
    return Rewriting(after, tuple(assumptions))


def _units(model: Model) -> tuple[Hypothesis, ...]:
    if model.iid_units is None:
        raise ValueError(f"the model {model.name!r} does not say that the units of the layer below are iid")
    return (model.iid_units,)


@rule("identically distributed units have equal expectations: z_j may be called z_1")
def identical_units(expression: Expression, model: Model) -> Rewriting:
    """Return the expression with the unit in every expectation over one unit called the first."""

    def relabel(factor: Mean) -> Expression | None:
        indices = {i for _, factors, _ in factor.body for f in factors if isinstance(f, Atom) for i in f.indices}
        only_fields = all(
            isinstance(f, Atom) and f.head in model.fields for _, factors, _ in factor.body for f in factors
        )
        given = set(factor.given) & set(model.fields)  # units that are given are not random
        if not only_fields or given or len(indices) != 1 or next(iter(indices)).is_literal:
            return None
        (index,) = indices
        return mean(factor.body.rename({index: Index("1", index.dimension)}), factor.given)

    after = until_stable(expression, lambda e: first_factor(e, Mean, relabel))
    return Rewriting(after, hypotheses=_units(model))


@rule("a double sum is its diagonal plus the sum over unequal indices")
def split_diagonal(expression: Expression, model: Model) -> Rewriting:
    """Return ``sum_{i,j} E[f(z_i) g(z_j)]`` of iid units split at i = j: ``n E[fg] + n(n-1) E[f] E[g]``.

    The unequal pairs are ``n(n-1)`` in number and each has the product of the two means, so the rule evaluates both
    parts at once; it applies to terms whose only use of the two indices is one expectation of fields.
    """

    def split(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        for position, factor in enumerate(factors):
            if not isinstance(factor, Mean) or set(factor.given) & set(model.fields):
                continue
            single = single_term(factor.body)
            if single is None or any(not isinstance(f, Atom) or f.head not in model.fields for f in single[0]):
                continue
            members = [f for f in single[0] if isinstance(f, Atom)]
            units = sorted({f.indices[0] for f in members}, key=lambda i: i.key)
            rest = factors[:position] + factors[position + 1 :]
            elsewhere = frozenset(i for f in rest for i in free_indices(f))
            if len(units) != 2 or not set(units) <= set(bound) or elsewhere & set(units):
                continue
            first = Index("1", units[0].dimension)
            size = first.dimension
            at_first = [f.rename({u: first for u in units}) for f in members]
            groups = [
                mean(monomial(*(g for f, g in zip(members, at_first, strict=True) if f.indices[0] == u)), factor.given)
                for u in units
            ]
            diagonal = mean(monomial(*at_first), factor.given)
            pairs = size * diagonal + size * (size - 1) * (groups[0] * groups[1])
            kept = tuple(i for i in bound if i not in units)
            return rebuilt(kept, (coefficient * single[1]) * (monomial(*rest) * pairs))
        return None

    return Rewriting(until_stable(expression, lambda e: each_term(e, split)), hypotheses=_units(model))


@rule("law of large numbers: the average of n iid terms tends to their mean", relation="→")
def law_of_large_numbers(expression: Expression, model: Model, size: sp.Expr) -> Rewriting:
    """Return the expression with every ``(1/size) sum_{j<size} f(j)`` replaced by the mean of ``f(1)``.

    The summand must be a function of the j-th unit and the j-th weights only, which makes the terms iid.
    """

    def average(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        indices = [i for i in bound if i.dimension == size]
        if len(indices) != 1 or (coefficient * size).has(size):
            return None
        (index,) = indices
        first = Index("1", size)
        summand = [f for f in factors if index in free_indices(f)]
        rest = [f for f in factors if index not in free_indices(f)]
        if not all(isinstance(f, Atom) and (f.head in model.gaussian or f.head in model.fields) for f in summand):
            return None
        limit = mean(monomial(*(f.rename({index: first}) for f in summand)))
        kept = tuple(i for i in bound if i != index)
        return rebuilt(kept, (coefficient * size) * (monomial(*rest) * limit))

    after = each_term(expression, average)
    return Rewriting(after, (SECOND_MOMENT,), (size,), _units(model))
