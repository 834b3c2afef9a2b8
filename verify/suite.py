"""The suite: claims times checks, from declared budget to run record."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np

from derive.claim import Claim, Observable
from derive.lecture import CLAIMS
from derive.record import limits, theorem_record, typeset
from verify.checks.monte_carlo import judge
from verify.checks.precision import precision
from verify.checks.symbolic import printed, symbolic
from verify.ensembles import Ensemble, Statistic, sample_block
from verify.error_budget import ErrorBudget
from verify.inputs import Inputs
from verify.plans import SIGMA_B, SIGMA_W, Plan, plans_for
from verify.record import SCHEMA, CheckResult, ClaimResult
from verify.statistics import Moments
from verify.verdict import Verdict

FALSE_ALARMS = 1e-6
"""Probability that any verdict of a run is wrong, shared among its checks."""
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "scikit-learn", "widelimit")


@dataclass(frozen=True, slots=True)
class Tier:
    """How much a run may sample.

    Attributes:
        name: quick, standard or deep.
        resolution: smallest relative deviation that must not be confirmed.
        first_blocks: blocks of every ensemble at the first look; doubled at every further one.
        looks: most looks.
    """

    name: str
    resolution: float
    first_blocks: int
    looks: int


TIERS = {
    tier.name: tier
    for tier in (Tier("quick", 0.02, 32, 9), Tier("standard", 0.01, 64, 10), Tier("deep", 0.002, 256, 14))
}

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole that is done."""


Place = tuple[Ensemble, int]
"""An ensemble and the number of one of its statistics."""
_BLOCKS_OF_A_TASK = 8


@dataclass
class _Ensembles:
    """The ensembles of a run with what was sampled so far of each statistic, block by block in order."""

    inputs: Inputs
    seed: int
    statistics: dict[Ensemble, list[Statistic]] = field(default_factory=dict)
    totals: dict[Place, Moments] = field(default_factory=dict)

    def places(self, plan: Plan) -> tuple[Place, ...]:
        """Return where the moments of each part of a plan are found, registering its statistics."""
        found = []
        for part in plan.parts:
            kept = self.statistics.setdefault(part.ensemble, [])
            if not any(s is part.statistic for s in kept):
                kept.append(part.statistic)
            found.append((part.ensemble, next(n for n, s in enumerate(kept) if s is part.statistic)))
        return tuple(found)

    def submit(self, executor: Executor, needed: Sequence[Place], blocks: range) -> dict[Future[Any], list[Place]]:
        """Return futures of further blocks of the statistics that are needed, in order of blocks."""
        waiting: dict[Future[Any], list[Place]] = {}
        for ensemble in dict.fromkeys(e for e, _ in needed):
            wanted = [place for place in needed if place[0] == ensemble]
            statistics = tuple(self.statistics[ensemble][n] for _, n in wanted)
            for start in blocks[::_BLOCKS_OF_A_TASK]:
                chunk = range(start, min(start + _BLOCKS_OF_A_TASK, blocks.stop))
                future = executor.submit(_sample_blocks, ensemble, self.inputs.x, statistics, self.seed, chunk)
                waiting[future] = wanted
        return waiting

    def add(self, wanted: Sequence[Place], found: Sequence[tuple[Moments, ...]]) -> None:
        """Merge the moments of further blocks one by one, so that the sums do not depend on how blocks were grouped."""
        for block in found:
            for place, moments in zip(wanted, block, strict=True):
                before = self.totals.get(place)
                self.totals[place] = moments if before is None else before + moments


def _sample_blocks(
    ensemble: Ensemble, x: np.ndarray, statistics: tuple[Statistic, ...], seed: int, blocks: range
) -> list[tuple[Moments, ...]]:
    return [sample_block(ensemble, x, statistics, seed, block) for block in blocks]


def _deterministic(ids: Sequence[str]) -> list[tuple[CheckResult, CheckResult | None, dict[str, Any], Any]]:
    """Return symbolic check, precision check, derivation record and printed result of each claim."""
    results = []
    for key in ids:
        claim = CLAIMS[key]
        check, examination = symbolic(claim)
        record = theorem_record(claim.theorem(), key, claim.title, examination)
        as_printed = printed(claim, claim.printed) if claim.printed else None
        results.append((check, precision(claim), record, as_printed))
    return results


def _task_groups(ids: Sequence[str]) -> list[list[str]]:
    """Return the claims in groups that share expensive references, so that a group runs in one process."""
    groups: dict[str, list[str]] = {}
    for key in ids:
        claim = CLAIMS[key]
        group = key.removesuffix("-derivative") if claim.observable is Observable.DUAL else claim.slot or "other"
        groups.setdefault(group, []).append(key)
    return list(groups.values())


def run(
    ids: Sequence[str], tier: Tier, seed: int, inputs: Inputs, executor: Executor, progress: Progress, command: str
) -> dict[str, Any]:
    """Return the run record of the claims: the same for the same seed, inputs and versions.

    Args:
        ids: claims to verify; all if empty.
        tier: how much to sample.
        seed: key of all random numbers.
        inputs: what the networks are evaluated on.
        executor: where blocks and checks run.
        progress: told what is happening.
        command: how to get these numbers again.

    Raises:
        KeyError: for an unknown id.
    """
    keys = CLAIMS.selected(ids)
    waiting = {executor.submit(_deterministic, group): group for group in _task_groups(keys)}
    plans: list[Plan] = []
    for number, key in enumerate(keys):
        progress(f"planning {key}", number / len(keys))
        plans.extend(plans_for(CLAIMS[key], inputs, tier.resolution))
    budget = ErrorBudget.share(FALSE_ALARMS, [plan.name for plan in plans]) if plans else None
    sampled = _sampled(plans, budget, tier, seed, inputs, executor, progress)
    deterministic: dict[str, Any] = {}
    for done in as_completed(waiting):
        deterministic.update(zip(waiting[done], done.result(), strict=True))
        progress("derivations", len(deterministic) / len(keys))
    claims = [_claim_result(CLAIMS[key], deterministic[key], [r for c, r in sampled if c == key]) for key in keys]
    open_claims = {claim.id for claim in claims if claim.verdict is not Verdict.CONFIRMED}
    claims = [
        replace(claim, resting=tuple(a for a in CLAIMS.ancestors(claim.id) if a in open_claims)) for claim in claims
    ]
    records = [claim.to_json() for claim in claims]
    spent = sum(budget.alpha(*plan.name) for plan in plans) if budget else 0.0
    shares = (
        [{"claim": c, "check": k, "alpha": budget.alpha(c, k)} for c, k in (p.name for p in plans)] if budget else []
    )
    return {
        "schema": SCHEMA,
        "run": {
            "tier": tier.name,
            "seed": seed,
            "inputs": {
                "source": inputs.source,
                "n_points": len(inputs.x),
                "dimension": inputs.x.shape[1],
                "sha256": inputs.sha256,
                "labels": list(inputs.labels),
            },
            "networks": {"sigma_w": SIGMA_W, "sigma_b": SIGMA_B},
            "command": command,
            "versions": versions(),
            "digest": hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest(),
        },
        "budget": {"total": FALSE_ALARMS, "safety": budget.safety if budget else 1.0, "spent": spent, "checks": shares},
        "claims": records,
    }


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    return {"python": platform.python_version(), "machine": platform.machine(), "system": sys.platform} | {
        name: version(name) for name in PACKAGES
    }


def _sampled(
    plans: Sequence[Plan],
    budget: ErrorBudget | None,
    tier: Tier,
    seed: int,
    inputs: Inputs,
    executor: Executor,
    progress: Progress,
) -> list[tuple[str, CheckResult]]:
    """Return the result of every plan, looking at doubling samples until all are decided or the tier is used up."""
    ensembles = _Ensembles(inputs, seed)
    places = [ensembles.places(plan) for plan in plans]
    results: dict[int, CheckResult] = {}
    sampled = 0
    for look in range(tier.looks):
        undecided = [
            n
            for n, plan in enumerate(plans)
            if n not in results or (results[n].verdict is Verdict.INCONCLUSIVE and not plan.out_of_reach)
        ]
        if not undecided:
            break
        blocks = range(sampled, tier.first_blocks << look)
        sampled = blocks.stop
        needed = list(dict.fromkeys(place for n in undecided for place in places[n]))
        waiting = ensembles.submit(executor, needed, blocks)
        decided = len(plans) - len(undecided)
        for count, _ in enumerate(as_completed(waiting), start=1):
            progress(f"sampling, look {look + 1}: {decided} of {len(plans)} checks decided", count / len(waiting))
        for future, wanted in waiting.items():
            ensembles.add(wanted, future.result())
        for n in undecided:
            assert budget is not None  # there are plans, so there is a budget
            moments = tuple(ensembles.totals[place] for place in places[n])
            results[n] = judge(plans[n], moments, budget.alpha(*plans[n].name), look)
    return [(plan.claim, results[n]) for n, plan in enumerate(plans)]


def _claim_result(claim: Claim, deterministic: Any, sampled: list[CheckResult]) -> ClaimResult:
    check, precise, record, as_printed = deterministic
    theorem = claim.theorem()
    return ClaimResult(
        id=claim.id,
        title=claim.title,
        section=claim.section,
        equation=claim.equation,
        kind=str(claim.kind),
        statement=record["statement"] | {"right": typeset(claim.statement())},
        status_as_printed=None if claim.status is None else str(claim.status),
        rests_on=claim.rests_on,
        assumptions=tuple(record["assumptions"]),
        limits=tuple(limits(theorem)),
        derivation=record,
        checks=tuple(c for c in (check, precise, *sampled) if c is not None),
        printed=as_printed,
    )
