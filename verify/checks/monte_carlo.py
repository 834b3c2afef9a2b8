"""Monte Carlo checks: what sampled networks say about a plan, in a sequence of looks at doubling sizes.

The sample that confirms a claim is the sample that must kill its mutants: a mutant is killed when the interval around
the discrepancy excludes the discrepancy it would cause. Nothing is sampled for mutants.
"""

from __future__ import annotations

import numpy as np

from verify.error_budget import look_alpha
from verify.planning import RATE, Plan
from verify.record import CheckResult, Curve, Entry, MutantResult, Series
from verify.statistics import Interval, Moments, combination_interval, decide, excludes, slope_interval
from verify.verdict import Verdict

ROUNDING = 1e-12
"""Relative rounding error granted to a kernel of a sampled network that is not random (chosen: 5e3 units in the last
place, for sums of at most a few hundred products)."""
CLEAR, FEWEST, FITTED, SHOWN = 3.0, 300, 3, 5.0
"""Standard errors that a mean must be from zero, and networks that it must be of, to be fitted; parameters of the fit;
standard errors that are drawn, to be seen at all on a logarithmic scale. Chosen, but for the number of parameters."""


def judge(plan: Plan, moments: tuple[Moments, ...], alpha: float, look: int) -> CheckResult:
    """Return the result of a plan at a look, from the moments of its parts in order.

    Args:
        plan: what was declared.
        moments: power sums of each part over all its networks so far.
        alpha: the share of the error budget of this check.
        look: number of looks before this one.
    """
    level = look_alpha(alpha, look)
    if plan.kind == "convergence":
        interval, series = _exponent(plan, moments, level)
    else:
        weighted = [(part.weight, m) for part, m in zip(plan.parts, moments, strict=True)]
        if plan.interval:
            interval = plan.interval(moments[0], alpha=level)
        else:
            interval = combination_interval(weighted, level, rounding=ROUNDING)
        series = ()
        target = plan.parts[0].statistic.target / plan.parts[0].statistic.scale
        interval = _shifted(interval, target)
    shown = _excess(interval) if plan.bound else interval
    verdict, each = decide(shown, plan.allowed, plan.resolution)
    mutants = tuple(_mutant(plan, interval, n) for n in range(len(plan.mutants)))
    if verdict is Verdict.CONFIRMED and any(not (m.killed or m.equivalent) for m in mutants):
        verdict = Verdict.INCONCLUSIVE
    worst = int(np.argmax(np.abs(shown.estimate)))
    targets = plan.parts[0].statistic.target if plan.kind != "convergence" else np.array([plan.rate])
    return CheckResult(
        name=plan.check,
        kind=plan.kind,
        verdict=verdict,
        estimate=float(shown.estimate[worst]),
        interval=(float(shown.low[worst]), float(shown.high[worst])),
        allowed=plan.allowed,
        resolution=plan.resolution,
        alpha=alpha,
        samples=sum(m.count for m in moments),
        unit=plan.unit,
        note=plan.note,
        mutants=mutants,
        entries=tuple(
            Entry(label, float(t), float(e), (float(lo), float(hi)), Verdict(v))
            for label, t, e, lo, hi, v in zip(
                plan.labels, targets, shown.estimate, shown.low, shown.high, each, strict=True
            )
        ),
        series=series,
    )


def _shifted(interval: Interval, target: np.ndarray) -> Interval:
    return Interval(low=interval.low - target, high=interval.high - target, estimate=interval.estimate - target)


def _excess(interval: Interval) -> Interval:
    """Return by how much something exceeds a bound: nothing below it counts."""
    low, high, estimate = (np.maximum(end, 0.0) for end in (interval.low, interval.high, interval.estimate))
    return Interval(low=low, high=high, estimate=estimate)


def _mutant(plan: Plan, interval: Interval, number: int) -> MutantResult:
    mutant = plan.mutants[number]
    if mutant.equivalent:
        return MutantResult(
            mutant.name, False, mutant.largest, True, "the same numbers in this setting, found before sampling"
        )
    # were the mutant true, the claim's own allowance would still apply around it, and all below a bound be allowed
    high = np.full_like(interval.high, np.inf) if plan.bound else interval.high + plan.allowed
    reached = Interval(low=interval.low - plan.allowed, high=high, estimate=interval.estimate)
    killed = excludes(reached, mutant.distance)
    nearest = mutant.distance[int(np.argmax(np.abs(mutant.distance)))]
    reason = "the interval excludes it" if killed else "the interval contains it"
    if mutant in plan.out_of_reach and not killed:
        reason = "too near the statement to be told apart on these inputs; give inputs of larger norm"
    return MutantResult(mutant.name, killed, float(nearest), reason=reason)


def _exponent(plan: Plan, moments: tuple[Moments, ...], level: float) -> tuple[Interval, tuple[Series, ...]]:
    """Return the interval of the exponent less the claimed one, and the picture of it.

    Means of powers are followed by their roots. Without a prediction, powers of the width through the first mean are
    drawn for comparison. A mean that is not clearly positive has no logarithm, and that of few
    networks has no standard error to rely on: such widths are drawn and not fitted.
    """
    widths = np.array([part.ensemble.widths[-1] for part in plan.parts], dtype=float)
    means = np.array([m.mean[0] for m in moments])
    errors = np.array([np.sqrt(m.variance[0] / m.count) for m in moments])
    clear = (errors > 0) & (means > CLEAR * errors) & (np.array([m.count for m in moments]) >= FEWEST)
    interval = Interval(*(np.array([v]) for v in (-np.inf, np.inf, 0.0)))
    if clear.sum() > FITTED:
        relative = errors[clear] / means[clear] / plan.power
        exponent, _, _ = slope_interval(widths[clear], np.log(means[clear]) / plan.power, relative, level)
        interval = _shifted(exponent, np.array([plan.rate]))
    sizes, low, high = (np.maximum(means + side * SHOWN * errors, 0.0) ** (1 / plan.power) for side in (0, -1, 1))
    curves = [Curve("sampled, with five standard errors", tuple(sizes), "measured", tuple(low), tuple(high))]
    if plan.predicted:
        curves.append(Curve(plan.prediction, plan.predicted, "predicted"))
    else:
        powers = dict.fromkeys((plan.rate, RATE))
        curves += [Curve(f"N^{p:g}", tuple(sizes[0] * (widths / widths[0]) ** p), "guide") for p in powers]
    title = plan.check.removeprefix("rate of the ").capitalize()
    return interval, (Series(title, "width N", plan.axis, tuple(widths), tuple(curves)),)
