"""How rules walk over expressions: open a term, replace a factor, build it up again."""

from __future__ import annotations

from collections.abc import Callable

import sympy as sp

from derive.model import Model
from derive.terms import Atom, Expression, Factor, Index, Term, monomial, opened, total
from derive.theorem import Theorem


def rebuilt(bound: tuple[Index, ...], body: Expression) -> Expression:
    """Return ``body`` summed over the opened indices ``bound``."""
    for index in bound:
        body = total(index, body)
    return body


def each_term(
    expression: Expression, change: Callable[[tuple[Index, ...], tuple[Factor, ...], sp.Expr], Expression | None]
) -> Expression:
    """Return the expression with every term, opened, replaced by what ``change`` makes of it (None: unchanged).

    ``change`` returns the whole new term including its sums; indices it leaves free are those it was given as bound
    and has disposed of.
    """
    terms: list[tuple[tuple[Index, ...], tuple[Factor, ...], sp.Expr]] = []
    for term in expression:
        changed = change(*opened(term[0], term[1]), term[2])
        terms.extend([term] if changed is None else changed)
    return Expression(terms)


def first_factor(expression: Expression, kind: type, change: Callable[..., Expression | None]) -> Expression:
    """Return the expression with, in every term, the first factor of ``kind`` that ``change`` accepts replaced."""

    def go(bound: tuple[Index, ...], factors: tuple[Factor, ...], coefficient: sp.Expr) -> Expression | None:
        for position, factor in enumerate(factors):
            if isinstance(factor, kind):
                new = change(factor)
                if new is not None:
                    rest = factors[:position] + factors[position + 1 :]
                    return rebuilt(bound, coefficient * (monomial(*rest) * new))
        return None

    return each_term(expression, go)


def until_stable(expression: Expression, once: Callable[[Expression], Expression]) -> Expression:
    """Return the expression after applying ``once`` until it changes nothing any more."""
    while (changed := once(expression)) != expression:
        expression = changed
    return expression


def single_term(expression: Expression) -> tuple[tuple[Factor, ...], sp.Expr] | None:
    """Return factors and coefficient of an expression that is one term without sums, else None."""
    terms = list(expression)
    if len(terms) != 1 or terms[0][0]:
        return None
    return terms[0][1], terms[0][2]


def named(expression: Term) -> Atom:
    """Return the name that the left side of a theorem or hypothesis consists of, with generic indices and inputs.

    Raises:
        TypeError: if it is anything but one atom of distinct ranging indices and distinct inputs: a statement about a
            special case must not be used as a general one.
    """
    if isinstance(expression, Expression):
        match list(expression):
            case [((), (Atom() as name,), coefficient)] if coefficient == 1:
                distinct = len(set(name.indices)) == len(name.indices) and len(set(name.inputs)) == len(name.inputs)
                if distinct and not any(i.is_literal for i in name.indices):
                    return name
    raise TypeError(f"expected a statement about a name at generic indices and inputs, got {expression.key}")


def require_same_model(model: Model, theorem: Theorem) -> None:
    """Check that a theorem is about the model it is used in.

    Raises:
        ValueError: if it is about another model.
    """
    if theorem.model is not model:
        raise ValueError(f"a theorem of the model {theorem.model.name!r} says nothing in the model {model.name!r}")
