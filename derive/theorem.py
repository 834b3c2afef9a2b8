"""Theorems: statements that carry their derivation, their assumptions and their limits.

Only the rules build theorems. Python cannot enforce this against ill will; it is enforced against accident: the
constructor wants a key that only :func:`rule` and :func:`inference` hold, and every step keeps what the examiner
needs to re-check it by an independent path. What is trusted is the small set of rules, the term constructors and
SymPy's scalar arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

import sympy as sp

from derive.model import Hypothesis, Model
from derive.terms import Relation, Term


@dataclass(frozen=True, slots=True)
class Where:
    """A recursive definition that a theorem by induction introduces: ``symbol`` is ``value`` at ``layer``."""

    symbol: Term
    value: Term


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What a rule returns: the new term and what it needed.

    Attributes:
        after: the term that replaces the old one.
        assumptions: side conditions, in words.
        limits: dimensions sent to infinity.
        hypotheses: hypotheses used.
        premises: theorems used.
        where: recursive definitions that premises introduced.
        meanings: names the step replaced and what they stand for, where the model does not say it.
        note: what this application used, in words, for people.
    """

    after: Term
    assumptions: tuple[str, ...] = ()
    limits: tuple[sp.Expr, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    premises: tuple[Theorem, ...] = ()
    where: tuple[Where, ...] = ()
    meanings: tuple[tuple[Term, Term], ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One application of a rule: ``before relation after`` in a model. Steps are compared by identity."""

    rule: str
    why: str
    before: Term
    relation: Relation
    after: Term
    used: Rewriting
    model: Model


class StepRefuted(Exception):
    """A step of a derivation is wrong on a concrete instance; the message shows the instance."""


_KEY = object()


@dataclass(frozen=True, slots=True, eq=False)
class Theorem:
    """``lhs = rhs`` or ``lhs → rhs`` with the steps that prove it.

    Attributes:
        model: the probability model the statement is about.
        assumptions: side conditions used by any step, in words.
        limits: dimensions sent to infinity, in the order in which the limits are taken.
        hypotheses: open hypotheses; a theorem with none stands alone.
        where: recursive definitions introduced by induction.
        premises: theorems used by the steps.
    """

    lhs: Term
    relation: Relation
    rhs: Term
    model: Model
    steps: tuple[Step, ...]
    assumptions: tuple[str, ...] = ()
    limits: tuple[sp.Expr, ...] = ()
    hypotheses: tuple[Hypothesis, ...] = ()
    where: tuple[Where, ...] = ()
    premises: tuple[Theorem, ...] = ()
    key: object = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.key is not _KEY:
            raise TypeError("only rules build theorems: start from derive.theorem.reflexivity and apply rules with .by")
        object.__setattr__(self, "key", None)  # so that no copy of a theorem carries the key

    def by(self, applied: Rule, *arguments: Any) -> Theorem:
        """Return the theorem one rule further: the rule rewrites the right side (transitivity).

        Raises:
            ValueError: if the rule changes nothing, since a step that does nothing hides a misunderstanding.
        """
        step = applied(self.rhs, self.model, *arguments)
        if step.before.key == step.after.key:
            raise ValueError(f"the rule {step.rule} does not apply to {self.rhs.key}")
        used = step.used
        return Theorem(
            lhs=self.lhs,
            relation="→" if "→" in (self.relation, step.relation) else "=",
            rhs=step.after,
            model=self.model,
            steps=(*self.steps, step),
            assumptions=_joined(self.assumptions, used.assumptions),
            limits=_joined(self.limits, used.limits),
            hypotheses=_joined(self.hypotheses, used.hypotheses),
            where=_joined(self.where, used.where),
            premises=_joined(self.premises, used.premises),
            key=_KEY,
        )

    def ancestry(self) -> Iterator[Theorem]:
        """Yield the theorems this one rests on, the deepest first, and then itself."""
        seen: list[Theorem] = []
        for premise in self.premises:
            for theorem in premise.ancestry():
                if theorem not in seen:
                    seen.append(theorem)
                    yield theorem
        yield self


T = TypeVar("T")
Rule = Callable[..., Step]


def _joined(first: tuple[T, ...], second: tuple[T, ...]) -> tuple[T, ...]:
    return first + tuple(x for x in second if x not in first)


def reflexivity(term: Term, model: Model) -> Theorem:
    """Return the theorem ``term = term``, where every derivation starts."""
    return Theorem(lhs=term, relation="=", rhs=term, model=model, steps=(), key=_KEY)


def rule(why: str, relation: Relation = "=") -> Callable[[Callable[..., Term | Rewriting]], Rule]:
    """Return a decorator that makes a function ``(term, model, ...) -> term`` a rule of the system.

    Args:
        why: the mathematical fact the rule stands for, one sentence, shown in every derivation.
        relation: ``=`` or ``→``; a rule that uses a limit hypothesis is ``→``.
    """

    def decorate(function: Callable[..., Term | Rewriting]) -> Rule:
        @wraps(function)
        def apply(term: Term, model: Model, *arguments: Any) -> Step:
            result = function(term, model, *arguments)
            used = result if isinstance(result, Rewriting) else Rewriting(result)
            limiting = used.hypotheses and any(h.relation == "→" for h in used.hypotheses)
            limiting = limiting or any(p.relation == "→" for p in used.premises)
            return Step(function.__name__, why, term, "→" if limiting else relation, used.after, used, model)

        return apply

    return decorate


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What an inference concludes from theorems: a new statement, with what it adds and what it discharges."""

    lhs: Term
    relation: Relation
    rhs: Term
    assumptions: tuple[str, ...] = ()
    discharged: tuple[Hypothesis, ...] = ()
    limits: tuple[sp.Expr, ...] | None = None
    where: tuple[Where, ...] = ()
    meanings: tuple[tuple[Term, Term], ...] = ()


def inference(why: str) -> Callable[[Callable[..., Conclusion]], Callable[..., Theorem]]:
    """Return a decorator that makes a function of theorems a rule of inference whose result is a theorem."""

    def decorate(function: Callable[..., Conclusion]) -> Callable[..., Theorem]:
        @wraps(function)
        def apply(*arguments: Any) -> Theorem:
            premises = tuple(x for x in arguments if isinstance(x, Theorem))
            if not premises:
                raise TypeError(f"the inference {function.__name__} needs at least one theorem to start from")
            conclusion = function(*arguments)
            assumptions: tuple[str, ...] = conclusion.assumptions
            hypotheses: tuple[Hypothesis, ...] = ()
            limits: tuple[sp.Expr, ...] = ()
            where: tuple[Where, ...] = ()
            for premise in premises:
                assumptions = _joined(premise.assumptions, assumptions)
                hypotheses = _joined(hypotheses, premise.hypotheses)
                limits = _joined(limits, premise.limits)
                where = _joined(where, premise.where)
            used = Rewriting(conclusion.rhs, conclusion.assumptions, premises=premises, meanings=conclusion.meanings)
            step = Step(
                function.__name__, why, conclusion.lhs, conclusion.relation, conclusion.rhs, used, premises[-1].model
            )
            return Theorem(
                lhs=conclusion.lhs,
                relation=conclusion.relation,
                rhs=conclusion.rhs,
                model=premises[-1].model,
                steps=(step,),
                assumptions=assumptions,
                limits=limits if conclusion.limits is None else conclusion.limits,
                hypotheses=tuple(h for h in hypotheses if h not in conclusion.discharged),
                where=_joined(where, conclusion.where),
                premises=premises,
                key=_KEY,
            )

        return apply

    return decorate
