"""Rules of algebra: names, sums and deltas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import sympy as sp

from derive.model import Definition, Hypothesis, Model
from derive.rules.traversal import each_term, first_factor, named, rebuilt, require_same_model, until_stable
from derive.terms import Atom, Delta, Expression, Factor, Index, Mean, Partial, free_indices, mean, monomial
from derive.theorem import Rewriting, Theorem, rule


def _with_atoms_replaced(expression: Expression, meaning: Callable[[Atom], Expression | None]) -> Expression:
    """Return the expression with atoms, also those inside expectations and derivatives, replaced by their meaning."""

    def inside(factor: Factor) -> Expression | None:
        match factor:
            case Atom():
                return meaning(factor)
            case Mean(body, given):
                return None if (new := go(body)) == body else mean(new, given)
            case Partial(body, parameter):
                return None if (new := go(body)) == body else monomial(Partial(new, parameter))
            case Delta():
                return None

    def go(body: Expression) -> Expression:
        return until_stable(body, lambda e: first_factor(e, object, inside))

    return go(expression)


@rule("a name is replaced by what it stands for")
def unfold(expression: Expression, model: Model, *heads: str) -> Expression:
    """Return the expression with the names ``heads`` (all defined ones if none are given) replaced by their bodies."""

    def body_of(factor: Atom) -> Expression | None:
        definition = model.definition(factor.head, factor.layer)
        if definition is None or (heads and factor.head not in heads):
            return None
        return definition.at(factor)

    return _with_atoms_replaced(expression, body_of)


@rule("an equation that holds for every network may be used inside expectations")
def by_equation(expression: Expression, model: Model, theorem: Theorem) -> Rewriting:
    """Return the expression with the one atom on the left of an exact theorem replaced by its right side everywhere."""
    require_same_model(model, theorem)
    subject, rhs = named(theorem.lhs), theorem.rhs
    if theorem.relation != "=" or not isinstance(rhs, Expression):
        raise TypeError("expected an exact theorem about a name; a limit must not be used inside expectations")
    meaning = Definition(subject.head, subject.indices, subject.inputs, subject.layer, rhs)

    def body_of(factor: Atom) -> Expression | None:
        return meaning.at(factor) if (factor.head, factor.layer) == (subject.head, subject.layer) else None

    after = _with_atoms_replaced(expression, body_of)
    return Rewriting(
        after, theorem.assumptions, hypotheses=theorem.hypotheses, premises=(theorem,), where=theorem.where
    )


@rule("an expression is recognized as the body of a definition")
def fold(expression: Expression, model: Model, definition: Definition) -> Expression:
    """Return the expression with every occurrence of a one-term definition's body replaced by its name.

    Every candidate is unfolded again and compared with what it replaces, so a wrong match cannot survive.
    """
    ((_, pattern, _),) = list(definition.body)

    def recognize(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        whole = rebuilt(bound, coefficient * monomial(*factors))
        for chosen in permutations(range(len(factors)), len(pattern)):
            candidates = [factors[n] for n in chosen]
            use = _matched(definition, pattern, candidates)
            if use is None:
                continue
            used = frozenset(i for f in candidates for i in free_indices(f)) - set(use.indices)
            rest = [factors[n] for n in range(len(factors)) if n not in chosen]
            kept = tuple(i for i in bound if i not in used)
            ((_, _, scale),) = list(definition.body)
            folded = rebuilt(kept, (coefficient / scale) * monomial(*rest, use))
            unfolded = rebuilt(kept, (coefficient / scale) * (monomial(*rest) * definition.at(use)))
            if unfolded == whole:
                return folded
        return None

    return until_stable(expression, lambda e: each_term(e, recognize))


def _matched(definition: Definition, pattern: tuple[Factor, ...], candidates: list[Factor]) -> Atom | None:
    """Return the use of the definition whose body has these factors, or None."""
    indices: dict[Index, Index] = {}
    inputs: dict[str, str] = {}
    for expected, found in zip(pattern, candidates, strict=True):
        if not (isinstance(expected, Atom) and isinstance(found, Atom)):
            return None
        if (expected.head, expected.layer, len(expected.indices)) != (found.head, found.layer, len(found.indices)):
            return None
        for i, j in zip(expected.indices, found.indices, strict=True):
            if i.dimension != j.dimension or indices.setdefault(i, j) != j:
                return None
        for x, y in zip(expected.inputs, found.inputs, strict=True):
            if inputs.setdefault(x, y) != y:
                return None
    if any(i not in indices for i in definition.indices) or any(x not in inputs for x in definition.inputs):
        return None
    return Atom(
        definition.head,
        tuple(indices[i] for i in definition.indices),
        tuple(inputs[x] for x in definition.inputs),
        definition.layer,
    )


@rule("a delta under a sum selects one term; a delta of equal indices is 1 and its square is itself")
def collapse(expression: Expression, model: Model) -> Expression:
    """Return the expression with deltas used up against sums, in expectations and derivatives too."""
    return _collapsed(expression)


def _collapsed_inside(factor: Factor) -> Factor:
    match factor:
        case Mean(body, given):
            return Mean(_collapsed(body), given)
        case Partial(body, parameter):
            return Partial(_collapsed(body), parameter)
    return factor


def _collapsed(expression: Expression) -> Expression:

    def once(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        for position, factor in enumerate(factors):
            inside = _collapsed_inside(factor)
            if inside != factor:
                return rebuilt(bound, coefficient * monomial(*factors[:position], inside, *factors[position + 1 :]))
            if not isinstance(factor, Delta):
                continue
            first, second = factor.indices
            rest = factors[:position] + factors[position + 1 :]
            if first == second or factor in rest:
                return rebuilt(bound, coefficient * monomial(*rest))
            for gone, kept in ((first, second), (second, first)):
                if gone in bound:
                    selected = monomial(*rest).rename({gone: kept})
                    return rebuilt(tuple(i for i in bound if i != gone), coefficient * selected)
        return None

    return until_stable(expression, lambda e: each_term(e, once))


@rule("a sum over an index that does not occur counts its range")
def counting(expression: Expression, model: Model) -> Expression:
    """Return the expression with empty sums replaced by the dimension they range over."""

    def count(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        used = frozenset(i for f in factors for i in free_indices(f))
        kept = tuple(i for i in bound if i in used)
        if kept == bound:
            return None
        for index in bound:
            if index not in used:
                coefficient = coefficient * index.dimension
        return rebuilt(kept, coefficient * monomial(*factors))

    return each_term(expression, count)


@rule("the hypothesis about the layer below is used")
def hypothesis(expression: Expression, model: Model, assumed: Hypothesis) -> Rewriting:
    """Return the expression with the hypothesis' left side, one atom, replaced by its right side."""
    pattern, replacement = named(assumed.lhs), assumed.rhs
    if not isinstance(replacement, Expression):
        raise TypeError(f"the hypothesis {assumed.name!r} is not about expressions")

    def use(factor: Atom) -> Expression | None:
        if (factor.head, factor.layer, factor.inputs) != (pattern.head, pattern.layer, pattern.inputs):
            return None
        return replacement.rename(dict(zip(pattern.indices, factor.indices, strict=True)))

    after = until_stable(expression, lambda e: first_factor(e, Atom, use))
    return Rewriting(after, hypotheses=(assumed,), limits=())


@rule("a proven theorem replaces its left side by its right side")
def by_theorem(expression: Expression, model: Model, theorem: Theorem) -> Rewriting:
    """Return the expression with the terms of the theorem's left side replaced by those of its right side."""
    require_same_model(model, theorem)
    if not (isinstance(theorem.lhs, Expression) and isinstance(theorem.rhs, Expression)):
        raise TypeError("expected a theorem on indexed expressions")
    for (bound, factors), coefficient in theorem.lhs.terms.items():
        if sp.expand(expression.terms.get((bound, factors), sp.S.Zero) - coefficient) != 0:
            return Rewriting(expression)
    return Rewriting(
        expression - theorem.lhs + theorem.rhs,
        theorem.assumptions,
        theorem.limits,
        theorem.hypotheses,
        (theorem,),
        theorem.where,
    )


@rule("a sum of terms is recognized as a name times what they have in common")
def abbreviate(expression: Expression, model: Model, definition: Definition) -> Expression:
    """Return the expression with occurrences of an index-free definition's body, times a common factor, named."""
    body = definition.body
    name = Atom(definition.head, definition.indices, definition.inputs, definition.layer)
    (bound, pattern, scale), *_ = list(body)
    if bound or definition.indices:
        raise TypeError(f"{definition.head} has indices or sums; use fold")

    def once(e: Expression) -> Expression:
        for term_bound, factors, coefficient in e:
            rest = list(factors)
            if any(rest.count(f) < pattern.count(f) for f in pattern):
                continue
            for f in pattern:
                rest.remove(f)
            common = rebuilt(term_bound, (coefficient / scale) * monomial(*rest))
            occurrence = common * body
            if all(sp.expand(e.terms.get(p, sp.S.Zero) - c) == 0 for p, c in occurrence.terms.items()):
                return e - occurrence + common * monomial(name)
        return e

    return until_stable(expression, once)
