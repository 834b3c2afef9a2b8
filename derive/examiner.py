"""The examiner: re-checks every step of a theorem on concrete instances, by a path of its own.

Equalities are checked as equalities of polynomials for all values of the free indices at several sizes. A law of large
numbers is checked as ``E[average] = limit`` and ``n Var[average] = constant`` for n = 1, 2, 3, which together are
convergence in mean square. Laws are checked by their fourth moments, an induction by an explicit two-layer network.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import sympy as sp

from derive.duals.examiner import examine_dual, examine_series
from derive.duals.series import HermiteSeries
from derive.duals.theorems import GaussianMean
from derive.explicit_ensembles import examine_agreement, examine_conditioning, examine_moment
from derive.explicit_matrices import examine_descent, examine_flow, examine_rewriting
from derive.explicit_network import TwoLayerNetwork
from derive.instances import Instance, dimensions, environments
from derive.laws import GaussianProcess, Law
from derive.model import Hypothesis, Model
from derive.moments import Moment
from derive.operators import Operator
from derive.rules.inference import scalar_of
from derive.rules.traversal import named
from derive.terms import Atom, Expression, Index, Term
from derive.theorem import Step, StepRefuted, Theorem

_PATTERNS = ((2, 2, 2, 2), (3, 1, 2, 1), (1, 3, 3, 2))
"""Sizes given to the dimensions of a step, in the order of their names; three patterns so that no size is special."""

Assumed = dict[tuple[str, sp.Expr | None], tuple[tuple[Index, ...], Expression]]


@dataclass(frozen=True, slots=True)
class Examination:
    """How often a theorem was re-checked.

    Attributes:
        instances: number of concrete instances of each of its own steps, in order.
        lemmas: number of instances of all steps of the theorems it rests on.
    """

    instances: tuple[int, ...]
    lemmas: int = 0

    @property
    def total(self) -> int:
        """Return the number of instances over the theorem's own steps."""
        return sum(self.instances)


@cache
def examine(theorem: Theorem) -> Examination:
    """Return the record of re-checking every step of a theorem and of all theorems it rests on.

    Raises:
        StepRefuted: if a step is wrong at some instance, or does not follow on the one before it.
        TypeError: if a step's rule has no examiner: such a step must not pass in silence.
    """
    lemmas = sum(_examine_own(lemma).total for lemma in theorem.ancestry() if lemma is not theorem)
    return Examination(_examine_own(theorem).instances, lemmas)


@cache
def _examine_own(theorem: Theorem) -> Examination:
    """Return the record of a theorem's own steps."""
    term = theorem.lhs
    for step in theorem.steps:
        if step.before.key != term.key:
            raise StepRefuted(f"the step {step.rule} does not start where the one before it ended")
        term = step.after
    if term.key != theorem.rhs.key:
        raise StepRefuted("the last step does not end at the right side")
    return Examination(tuple(examine_step(step, theorem) for step in theorem.steps))


def examine_step(step: Step, theorem: Theorem) -> int:
    """Return the number of instances at which one step of a theorem was re-checked; see :func:`examine`."""
    return _inference(step, theorem) if step.rule in _INFERENCES else _rewriting(step)


@cache
def _rewriting(step: Step) -> int:
    """Return the number of instances a rewriting was re-checked at; theorems may share a step and its examination."""
    before, after = step.before, step.after
    if isinstance(before, Operator):
        return examine_rewriting(step)
    if isinstance(before, Moment):
        return examine_moment(step)
    if isinstance(before, GaussianMean):
        return examine_series(step) if isinstance(after, HermiteSeries) else examine_dual(step)
    if not (isinstance(before, Expression) and isinstance(after, Expression)):
        kinds = type(before).__name__, type(after).__name__
        raise StepRefuted(f"no rule {step.rule} turns a {kinds[0]} into a {kinds[1]}")
    if step.rule == "law_of_large_numbers":
        return _average(step, before, after)
    for premise in step.used.premises:
        if not _is_name(premise.lhs):  # nothing can be fixed to hold, but the change must be the one the premise says
            assert isinstance(premise.lhs, Expression) and isinstance(premise.rhs, Expression)  # same language
            before, after = before + premise.rhs, after + premise.lhs
    return _equality(step, before, after)


def sizes_for(found: set[sp.Expr], pattern: tuple[int, ...]) -> dict[sp.Expr, int]:
    """Return sizes for dimensions by cycling through a pattern in the order of their names."""
    return {dimension: pattern[n % len(pattern)] for n, dimension in enumerate(sorted(found, key=str))}


def instances_for(model: Model, *expressions: Expression, assumed: Assumed | None = None) -> list[Instance]:
    """Return the concrete instances at which expressions of a model are compared, one for each pattern of sizes."""
    found = set[sp.Expr]().union(*(dimensions(e, model) for e in expressions))
    return [_instance(model, sizes_for(found, p), seed, assumed or {}) for seed, p in enumerate(_PATTERNS)]


_KNOWN_INSTANCES: dict[tuple[object, ...], Instance] = {}
"""Instances by all that determines their values. Steps share them, since one begins with what the last ended with."""


def _instance(model: Model, sizes: dict[sp.Expr, int], seed: int, assumed: Assumed) -> Instance:
    fixed = ((head, str(layer), indices, body.key) for (head, layer), (indices, body) in assumed.items())
    key = id(model), frozenset(sizes.items()), seed, frozenset(fixed)  # an instance keeps its model alive, so its id
    return _KNOWN_INSTANCES.setdefault(key, Instance(model, sizes, seed, assumed))


def _instances(step: Step, *expressions: Expression) -> list[Instance]:
    assumed: Assumed = {}
    conditional = [p for p in step.used.premises if p.relation == "→" or p.hypotheses]
    assumptions: tuple[Hypothesis | Theorem, ...] = (*step.used.hypotheses, *conditional)
    for statement in assumptions:  # what a step may assume is fixed to hold in the instance
        if _is_name(statement.lhs) and isinstance(statement.rhs, Expression):
            subject = named(statement.lhs)
            assumed[subject.head, subject.layer] = (subject.indices, statement.rhs)
    return instances_for(step.model, *expressions, assumed=assumed)


def _is_name(term: Term) -> bool:
    try:
        named(term)
    except TypeError:
        return False
    return True


def _refuted(step: Step, instance: Instance, at: Mapping[Index, int], left: sp.Expr, right: sp.Expr) -> StepRefuted:
    sizes = ", ".join(f"{d} = {n}" for d, n in instance.sizes.items())
    indices = ", ".join(f"{i.name} = {n + 1}" for i, n in at.items())
    difference = textwrap.shorten(str(sp.expand(left - right)), 300, placeholder=" ...")
    return StepRefuted(f"{step.rule} is wrong at {sizes}; {indices or 'no indices'}: the sides differ by {difference}")


def _equality(step: Step, before: Expression, after: Expression) -> int:
    checked = 0
    for instance in _instances(step, before, after):
        for at in environments((before, after), instance.sizes):
            left, right = instance.value(before, at), instance.value(after, at)
            if sp.expand(left - right) != 0:
                raise _refuted(step, instance, at, left, right)
            checked += 1
    return checked


def _average(step: Step, before: Expression, after: Expression) -> int:
    (size,) = step.used.limits
    checked = 0
    for template in _instances(step, before, after)[:1]:
        for at in environments((before, after), template.sizes):
            scaled_variances = set()
            for n in (1, 2, 3):
                instance = Instance(template.model, {**template.sizes, size: n}, template.seed, template.assumed)
                average, limit = instance.value(before, at), instance.value(after, at)
                mean = instance.expectation(average)
                if sp.expand(mean - limit) != 0:
                    raise _refuted(step, instance, at, mean, limit)
                square = instance.expectation(average, average)
                scaled_variances.add(sp.expand(n * (square - mean**2)))
                checked += 1
            if len(scaled_variances) != 1:
                raise StepRefuted(f"n times the variance is not constant in n: {scaled_variances}")
    return checked


def _fourth_moment(instance: Instance, law: Law, entries: tuple[tuple[int, str], ...]) -> sp.Expr:
    """Return the exact mean of a product of entries (unit, input) of the process, given what the law is given."""
    (index,) = law.variable.indices
    values = []
    for unit, x in entries:
        entry = Expression([((), (Atom(law.variable.head, (index,), (x,), law.variable.layer),), sp.S.One)])
        values.append(instance.value(entry, {index: unit}))
    return instance.expectation(*values, given=law.given)


def _isserlis(instance: Instance, process: GaussianProcess, entries: tuple[tuple[int, str], ...]) -> sp.Expr:
    """Return the same mean for the Gaussian process, by pairings of its covariance."""
    first, second = sorted(process.covariance.free, key=lambda i: i.name)

    def pair(left: tuple[int, str], right: tuple[int, str]) -> sp.Expr:
        inputs = {"x": left[1], "x'": right[1]}
        at_inputs = process.covariance.map_atoms(
            lambda a: Atom(a.head, a.indices, tuple(inputs.get(x, x) for x in a.inputs), a.layer)
        )
        return instance.value(at_inputs, {first: left[0], second: right[0]})

    p, q, r, s = entries
    return sp.expand(pair(p, q) * pair(r, s) + pair(p, r) * pair(q, s) + pair(p, s) * pair(q, r))


_QUADRUPLES = (
    ((0, "x"), (0, "x"), (0, "x'"), (0, "x'")),
    ((0, "x"), (0, "x"), (1, "x'"), (1, "x'")),
    ((0, "x"), (0, "x"), (0, "x"), (0, "x'")),
    ((0, "x"), (1, "x"), (0, "x'"), (1, "x'")),
)
"""Entries (unit, input) whose mixed fourth moment tells a Gaussian process with independent units from others."""


def _sides(step: Step) -> tuple[Law, GaussianProcess]:
    assert isinstance(step.before, Law) and isinstance(step.after, GaussianProcess)  # checked by examine_step
    return step.before, step.after


def _fourth_moments(step: Step, theorem: Theorem) -> int:
    law, process = _sides(step)
    subject = Expression([((), (law.variable,), sp.S.One)])
    found = dimensions(process.covariance, theorem.model) | dimensions(subject, theorem.model)
    instance = Instance(theorem.model, dict.fromkeys(found, 2), activation_degree=1)
    for entries in _QUADRUPLES:
        exact, gaussian = _fourth_moment(instance, law, entries), _isserlis(instance, process, entries)
        if sp.expand(exact - gaussian) != 0:
            raise _refuted(step, instance, {}, exact, gaussian)
    return len(_QUADRUPLES)


def _vanishing_fourth_cumulants(step: Step, theorem: Theorem) -> int:
    law, process = _sides(step)
    (size,) = (limit for limit in theorem.limits)
    subject = Expression([((), (law.variable,), sp.S.One)])
    found = dimensions(process.covariance, theorem.model) | dimensions(subject, theorem.model)
    for entries in _QUADRUPLES[:2]:
        scaled = set()
        for n in (1, 2, 3):
            instance = Instance(theorem.model, {**dict.fromkeys(found, 2), size: n}, activation_degree=1)
            excess = _fourth_moment(instance, law, entries) - _isserlis(instance, process, entries)
            scaled.add(sp.expand(n * excess))
        if len(scaled) != 1:
            raise StepRefuted(f"the fourth cumulant does not vanish like 1/n: n times it is {scaled}")
    return 3 * len(_QUADRUPLES[:2])


def _induction(step: Step, theorem: Theorem) -> int:
    """Check every definition the theorem introduces on an explicit network, and that its conclusion is the last."""
    network = TwoLayerNetwork(theorem)
    for where in theorem.where:
        exact, claimed = network.exact(where), network.claimed(where)
        if sp.expand(exact - claimed) != 0:
            raise StepRefuted(f"the recursion is wrong on an explicit two-layer network: {exact} against {claimed}")
    rhs = theorem.rhs.covariance if isinstance(theorem.rhs, GaussianProcess) else theorem.rhs
    assert isinstance(rhs, Expression)  # the two kinds of statements about layers
    if scalar_of(rhs).key != theorem.where[-1].symbol.key:
        raise StepRefuted("the conclusion is not the symbol that the recursion defines")
    return len(theorem.where)


_INFERENCES: dict[str, dict[type, Callable[[Step, Theorem], int]]] = {
    "gaussian_law": {Law: _fourth_moments},
    "gaussian_mixture": {Law: _vanishing_fourth_cumulants},
    "induction": {Law: _induction, Expression: _induction},
    "solve_mode": {Operator: examine_flow},
    "integrate_rate": {Operator: examine_flow},
    "solve_recurrence": {Operator: examine_descent},
    "sum_changes": {Operator: examine_descent},
    "conditional_mean": {Moment: examine_conditioning},
    "conditional_covariance": {Moment: examine_conditioning},
    "agreement": {Moment: examine_agreement},
}


def _inference(step: Step, theorem: Theorem) -> int:
    examiners = _INFERENCES[step.rule]
    if type(step.before) not in examiners:
        raise TypeError(f"no examiner is known for {step.rule} about a {type(step.before).__name__}")
    return examiners[type(step.before)](step, theorem)
