"""The suite: claims times checks, from declared budget to run record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, as_completed, wait
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from derive.claim import Claim, Kind, Observable
from derive.lecture import CLAIMS
from derive.lecture.contents import contents_record
from derive.record import claim_record, typeset
from derive.theorem import Theorem
from numeric.threads import one_thread
from verify import real_data
from verify.checks.exhibits import exhibited
from verify.checks.monte_carlo import judge
from verify.checks.precision import precision
from verify.checks.symbolic import comparable, printed, right_side, symbolic, with_equals
from verify.ensembles import Ensemble, Statistic
from verify.error_budget import ErrorBudget
from verify.inputs import Inputs
from verify.planning import SIGMA_B, SIGMA_W, Part, Plan
from verify.plans import plans_for
from verify.record import SCHEMA, CheckResult, ClaimResult, PrintedResult
from verify.statistics import Moments
from verify.store import BlockStore, environment, specification, versions
from verify.trained_ensembles import TrainedEnsemble, block_of
from verify.verdict import Verdict

FALSE_ALARMS = 1e-6
"""Probability that any verdict of a run is wrong, shared among its checks."""


@dataclass(frozen=True, slots=True)
class Tier:
    """How much a run may sample.

    Attributes:
        name: quick, standard or deep.
        resolution: smallest relative deviation that must not be confirmed.
        first_blocks: blocks of every ensemble at the first look; doubled at every further one.
        looks: most looks.
        widest: up to which width convergence is followed.
    """

    name: str
    resolution: float
    first_blocks: int
    looks: int
    widest: int = 128


TIERS = {
    tier.name: tier
    for tier in (
        Tier("quick", 0.02, 32, 9),
        Tier("standard", 0.01, 64, 10, 2**12),
        Tier("deep", 0.002, 256, 14, 2**16),
    )
}

Progress = Callable[[str, float], None]
"""Called with what is being done and the fraction of the whole that is done."""


Place = tuple[Ensemble, int]
"""An ensemble and the number of one of its statistics."""
_BLOCKS_OF_A_TASK = 8
"""A unit of work and of what is written at once, or a single block where networks are trained: some tenths of a second
(chosen)."""
_TASKS_AHEAD = 512
"""Tasks handed over and not yet kept: enough for a cluster, few enough for the memory (chosen)."""


def _in_memory() -> BlockStore:
    return BlockStore(None, environment())


@dataclass
class _Ensembles:
    """The ensembles of a run with what was sampled so far of each statistic, block by block in order.

    Attributes:
        inputs: what the networks are evaluated on.
        seed: key of all random numbers.
        store: where blocks are kept, and found if they were sampled before.
        statistics: of each ensemble.
        totals: moments over the first blocks of each statistic.
        merged: number of these blocks.
        until: number of blocks that the totals may include at this look; the store may have more.
        specifications: under which the store knows the statistics.
    """

    inputs: Inputs
    seed: int
    store: BlockStore = field(default_factory=_in_memory)
    statistics: dict[Ensemble, list[Statistic]] = field(default_factory=dict)
    totals: dict[Place, Moments] = field(default_factory=dict)
    merged: dict[Place, int] = field(default_factory=dict)
    until: int = 0
    specifications: dict[Place, str] = field(default_factory=dict)

    def places(self, parts: Sequence[Part]) -> tuple[Place, ...]:
        """Return where the moments of each part of a plan are found, registering its statistics."""
        found = []
        for part in parts:
            kept = self.statistics.setdefault(part.ensemble, [])
            if not any(s.same_as(part.statistic) for s in kept):
                kept.append(part.statistic)
            found.append((part.ensemble, next(n for n, s in enumerate(kept) if s.same_as(part.statistic))))
        return tuple(found)

    def sample(self, executor: Executor, needed: Sequence[Place], blocks: range) -> Iterator[float]:
        """Bring the totals of the statistics that are needed up to the end of further blocks; yield the fraction done.

        What a task found is kept as soon as it is there.
        """
        waiting: dict[Future[Any], list[Place]] = {}
        for start in blocks[::_BLOCKS_OF_A_TASK]:
            chunk = range(start, min(start + _BLOCKS_OF_A_TASK, blocks.stop))
            waiting |= self.submit(executor, needed, chunk)
            ahead = _TASKS_AHEAD if chunk.stop < blocks.stop else 0
            while done := wait(waiting, None if len(waiting) > ahead else 0, FIRST_COMPLETED).done:
                for future in done:
                    self.add(waiting.pop(future), future.result())
                yield (min(self.merged.get(place, 0) for place in needed) - blocks.start) / len(blocks)
        assert all(self.merged[place] == blocks.stop for place in needed)

    def submit(self, executor: Executor, needed: Sequence[Place], blocks: range) -> dict[Future[Any], list[Place]]:
        """Merge those of the further blocks that are in the store; return futures of the others, in order of blocks."""
        self.until = blocks.stop
        waiting: dict[Future[Any], list[Place]] = {}
        for ensemble in dict.fromkeys(e for e, _ in needed):
            wanted = [place for place in needed if place[0] == ensemble]
            known = {place: self.store.numbers(self._specification(place), blocks) for place in wanted}
            tasks: dict[tuple[Place, ...], list[int]] = {}
            for block in blocks:
                if missing := tuple(place for place in wanted if block not in known[place]):
                    tasks.setdefault(missing, []).append(block)
            for missing, numbers in tasks.items():
                statistics = tuple(self.statistics[ensemble][n] for _, n in missing)
                size = 1 if isinstance(ensemble, TrainedEnsemble) else _BLOCKS_OF_A_TASK
                for first in range(0, len(numbers), size):
                    chunk = numbers[first : first + size]
                    future = executor.submit(_sample_blocks, ensemble, self.inputs.x, statistics, self.seed, chunk)
                    waiting[future] = list(missing)
            self._merge(wanted)
        return waiting

    def add(self, wanted: Sequence[Place], found: Sequence[tuple[int, tuple[Moments, ...]]]) -> None:
        """Keep further blocks, and merge those whose turn it is."""
        self.store.keep([self._specification(place) for place in wanted], found)
        self._merge(wanted)

    def _merge(self, places: Sequence[Place]) -> None:
        """Merge stored blocks one by one and in order, so that the sums do not depend on how and when they came."""
        for place in places:
            due = self.merged.get(place, 0)
            for block, moments in self.store.moments(self._specification(place), range(due, self.until)):
                if block != due:
                    break
                before = self.totals.get(place)
                self.totals[place] = moments if before is None else before + moments
                due = self.merged[place] = block + 1

    def _specification(self, place: Place) -> str:
        if place not in self.specifications:
            ensemble, number = place
            self.specifications[place] = specification(
                ensemble=ensemble, statistic=self.statistics[ensemble][number], inputs=self.inputs.x, seed=self.seed
            )
        return self.specifications[place]


def _sample_blocks(
    ensemble: Ensemble, x: np.ndarray, statistics: tuple[Statistic, ...], seed: int, blocks: Sequence[int]
) -> list[tuple[int, tuple[Moments, ...]]]:
    return [(block, block_of(ensemble, x, statistics, seed, block)) for block in blocks]


@dataclass(frozen=True, slots=True)
class _Deterministic:
    """What is known of a claim without sampling: its checks, the record of what is stated, and what was printed.

    ``right_side`` is what its derivation ends in, "" without one.
    """

    symbolic: CheckResult | None
    right_side: str
    others: tuple[CheckResult, ...]
    record: dict[str, Any]
    printed: PrintedResult | None


def _deterministic(ids: Sequence[str]) -> list[_Deterministic]:
    """Return what is known of claims without sampling."""
    results = []
    for key in ids:
        claim = CLAIMS[key]
        check, examination = symbolic(claim) if claim.theorem else (None, None)
        record = claim_record(claim, examination)
        as_printed = printed(claim, claim.printed) if claim.printed else None
        others = tuple(c for c in (precision(claim), exhibited(claim)) if c is not None)
        ends = right_side(claim) if claim.theorem else ""
        results.append(_Deterministic(check, ends, others, record, as_printed))
    return results


def _right_sides(ids: Sequence[str]) -> list[str]:
    """Return what the derivations of claims that nobody asked for end in."""
    return [right_side(CLAIMS[key]) for key in ids]


def _comparable(keys: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of all registered claims that derivations could be found to end like those of others."""
    return tuple(dict.fromkeys(other for key in keys if CLAIMS[key].theorem for other in comparable(key, CLAIMS)))


def _task_groups(ids: Sequence[str]) -> list[list[str]]:
    """Return the claims in groups that share a theorem or expensive references, so that a group runs in one process."""
    groups: dict[str, list[str]] = {}
    homes: dict[Callable[[], Theorem], str] = {}
    for key in ids:
        claim = CLAIMS[key]
        dual = claim.observable is Observable.DUAL
        group = key.removesuffix("-derivative") if dual else claim.slot or f"section {claim.section}"
        if claim.theorem:
            group = homes.setdefault(claim.theorem, group)
        groups.setdefault(group, []).append(key)
    return list(groups.values())


def run(
    ids: Sequence[str],
    tier: Tier,
    seed: int,
    inputs: Inputs,
    executor: Executor,
    progress: Progress,
    command: str,
    store: BlockStore | None = None,
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
        store: where blocks are kept as they come, and found instead of sampled again; in memory if not given.

    Raises:
        KeyError: for an unknown id.
        UserError: if the store cannot be used, or what runs tasks is lost.
    """
    keys = CLAIMS.selected(ids)
    waiting = {executor.submit(_deterministic, group): group for group in _task_groups(keys)}
    others = [other for other in _comparable(keys) if other not in keys]
    ends = {executor.submit(_right_sides, group): group for group in _task_groups(others)}
    plans: list[Plan] = []
    for number, key in enumerate(keys):
        progress(f"planning {key}", number / len(keys))
        with one_thread():  # the other threads would only take their turns from the workers
            plans.extend(plans_for(CLAIMS[key], inputs, tier.resolution, tier.widest))
    budget = ErrorBudget.share(FALSE_ALARMS, [plan.name for plan in plans]) if plans else None
    sampled = _sampled(plans, budget, tier, seed, inputs, executor, progress, store)
    pictures = []
    if any(CLAIMS[key].observable in (Observable.TRAINED_MEAN, Observable.TRAINED_COVARIANCE) for key in keys):
        pictures = _real_data(tier, seed, inputs, executor, progress, store)
    deterministic: dict[str, _Deterministic] = {}
    for done in as_completed(waiting):
        deterministic.update(zip(waiting[done], done.result(), strict=True))
        progress("derivations", len(deterministic) / len(keys))
    ending = {key: side for end in ends for key, side in zip(ends[end], end.result(), strict=True)}
    ending |= {key: found.right_side for key, found in deterministic.items() if found.symbolic}
    right_sides = {key: ending[key] for key in CLAIMS.selected(list(ending))}  # in order
    for key, found in deterministic.items():
        if found.symbolic:
            deterministic[key] = replace(found, symbolic=with_equals(found.symbolic, key, right_sides))
    claims = [_claim_result(CLAIMS[key], deterministic[key], [r for c, r in sampled if c == key]) for key in keys]
    open_claims = {claim.id for claim in claims if claim.verdict not in (Verdict.CONFIRMED, None)}
    claims = [
        replace(
            claim,
            resting=tuple(a for a in CLAIMS.ancestors(claim.id) if a in open_claims),
            assuming=tuple(a for a in CLAIMS.ancestors(claim.id) if CLAIMS[a].kind is Kind.ASSUMPTION),
        )
        for claim in claims
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
            "widest": tier.widest,
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
        "lecture": contents_record(CLAIMS),
        "real_data": pictures,
    }


def _sampled(
    plans: Sequence[Plan],
    budget: ErrorBudget | None,
    tier: Tier,
    seed: int,
    inputs: Inputs,
    executor: Executor,
    progress: Progress,
    store: BlockStore | None = None,
) -> list[tuple[str, CheckResult]]:
    """Return the result of every plan, looking at doubling samples until all are decided or the tier is used up."""
    ensembles = _Ensembles(inputs, seed, store or _in_memory())
    places = [ensembles.places(plan.parts) for plan in plans]
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
        stage = f"sampling, look {look + 1}: {len(plans) - len(undecided)} of {len(plans)} checks decided"
        for what, some in _stages(needed, len(blocks)):
            progress(stage + what, 0.0)
            for fraction in ensembles.sample(executor, some, blocks):
                progress(stage + what, fraction)
        for n in undecided:
            assert budget is not None  # there are plans, so there is a budget
            moments = tuple(ensembles.totals[place] for place in places[n])
            results[n] = judge(plans[n], moments, budget.alpha(*plans[n].name), look)
    return [(plan.claim, results[n]) for n, plan in enumerate(plans)]


def _stages(needed: Sequence[Place], blocks: int) -> Iterator[tuple[str, list[Place]]]:
    """Yield what is sampled one after another, with words: networks that are trained, ensemble by ensemble, last."""
    if sampled := [place for place in needed if not isinstance(place[0], TrainedEnsemble)]:
        yield "", sampled
    trained = dict.fromkeys(ensemble for ensemble, _ in needed if isinstance(ensemble, TrainedEnsemble))
    for ensemble in trained:
        what = f", training {blocks * ensemble.block_size} networks of width {ensemble.widths[0]}"
        yield f"{what} on {ensemble.problem}", [place for place in needed if place[0] == ensemble]


_BLOCKS_OF_A_PICTURE = 8
"""How many fewer blocks a picture on real data has than a first look; chosen."""


def _real_data(
    tier: Tier, seed: int, inputs: Inputs, executor: Executor, progress: Progress, store: BlockStore | None
) -> list[dict[str, Any]]:
    """Return what networks of growing width do on real data, problem by problem; a picture that decides nothing."""
    ensembles = _Ensembles(inputs, seed, store or _in_memory())
    blocks, records = range(max(1, tier.first_blocks // _BLOCKS_OF_A_PICTURE)), []
    for name in real_data.PROBLEMS:
        found = []
        for parts in real_data.parts(name, tier.widest):
            places = ensembles.places(parts)
            for what, _ in _stages(places, len(blocks)):
                for fraction in ensembles.sample(executor, places, blocks):
                    progress(f"real data{what}", fraction)
            found.append([ensembles.totals[place] for place in places])
        records.append(real_data.record(name, tier.widest, found))
    return records


def _claim_result(claim: Claim, found: _Deterministic, sampled: list[CheckResult]) -> ClaimResult:
    record = found.record
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
        limits=tuple(record["limits"]),
        derivation=record if claim.theorem else None,
        source=claim.cited.source if claim.cited else None,
        not_derived=claim.stated.why if claim.stated else None,
        unchecked=(claim.stated.unchecked or None) if claim.stated else None,
        unsampled=None if sampled else claim.why_unsampled or None,
        checks=(*((found.symbolic,) if found.symbolic else ()), *found.others, *sampled),
        printed=found.printed,
    )
