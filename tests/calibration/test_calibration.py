"""Whole sequences of looks err as rarely as the error budget promises, and planted errors of the method do not."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from simulation import (
    CONFIDENCE,
    EXPERIMENTS,
    FIRST,
    SCALES,
    SEED,
    TOTALS,
    Experiment,
    GrowingSample,
    Rate,
    calibrate,
    outcome,
    strains,
)

from verify import runs, statistics, suite
from verify.checks import monte_carlo
from verify.ensembles import Ensemble
from verify.error_budget import ErrorBudget
from verify.execution import SerialExecutor
from verify.inputs import Inputs
from verify.statistics import Interval, Moments, decide, kolmogorov_interval, slope_interval
from verify.verdict import Verdict


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_verdicts_err_as_rarely_as_promised(name: str, record_property: Callable[[str, object], None]) -> None:
    found = calibrate(EXPERIMENTS[name])
    for each in found:
        rates = each.false_alarms, each.false_confirmations, each.power, each.confirmed
        record_property("calibration", [name, f"{each.promised:g}", *map(str, rates)])
    assert [each.broken() for each in found] == [[]] * len(TOTALS)


# Planted errors


def decide_by_estimates(interval: Interval, allowed: float, resolution: float) -> Any:
    point = Interval(low=interval.estimate, high=interval.estimate, estimate=interval.estimate)
    return decide(point, np.nextafter(resolution, 0), resolution)


def bernstein_without_range(moments: Moments, bounds: tuple[float, float], alpha: float) -> Interval:
    half = np.sqrt(2 * moments.variance * math.log(4 / alpha) / moments.count)
    return Interval(low=moments.mean - half, high=moments.mean + half, estimate=moments.mean)


def kolmogorov_of_twice_the_sample(values: np.ndarray, cdf: Any, alpha: float) -> Interval:
    return kolmogorov_interval(np.repeat(values, 2), cdf, alpha)


def slope_with_half_the_errors(widths: np.ndarray, logs: np.ndarray, errors: np.ndarray, alpha: float) -> Any:
    return slope_interval(widths, logs, errors / 2, alpha)


PLANTED: dict[str, tuple[str, str, list[tuple[Any, str, Any]]]] = {
    "skewness is ignored": (
        "squared spreads of networks, erf, width 3",
        "false alarms",
        [
            (statistics, "_skewness_correction", lambda skewness, level: np.zeros_like(skewness)),
            (statistics, "_fewest_replicates", lambda level: 0.0),
        ],
    ),
    "looks are not paid for": ("normal", "false alarms", [(monte_carlo, "look_alpha", lambda alpha, look: alpha)]),
    "entries are not paid for": ("normal", "false alarms", [(statistics, "_level", lambda alpha, entries: alpha)]),
    "estimates decide": (
        "normal",
        "false confirmations",
        [(monte_carlo, "decide", decide_by_estimates), (monte_carlo, "excludes", lambda interval, mutant: True)],
    ),
    "errors of an exponent are halved": (
        "exponent of chi-squared(1) squares",
        "false alarms",
        [(monte_carlo, "slope_interval", slope_with_half_the_errors)],
    ),
    "what never happened is impossible": (
        "Bernstein, rare events",
        "false alarms",
        [(statistics, "bernstein_interval", bernstein_without_range)],
    ),
    "values are counted twice": (
        "Kolmogorov distance, normal",
        "false alarms",
        [(statistics, "kolmogorov_interval", kolmogorov_of_twice_the_sample)],
    ),
}


@pytest.mark.parametrize("error", PLANTED)
def test_an_error_of_the_method_is_seen(error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, expected, changes = PLANTED[error]
    for module, function, wrong in changes:
        monkeypatch.setattr(module, function, wrong)
    assert any(expected in line for each in calibrate(EXPERIMENTS[name]) for line in each.broken())


def test_a_check_that_looks_too_little_is_seen() -> None:
    (normal, *_) = EXPERIMENTS.values()
    broken = [line for each in calibrate(replace(normal, looks=1, repetitions=100)) for line in each.broken()]
    assert {line.split()[0] for line in broken} == {"power", "confirmed"}


# The simulation itself


def in_a_run(experiment: Experiment, sample: GrowingSample, discrepancy: float) -> tuple[Verdict, int]:
    """Verdict and number of replicates of a run whose blocks have the replicates of a sample, in order."""
    plan = experiment.plan(discrepancy)
    budget = ErrorBudget.share(TOTALS[0], [plan.name], safety=experiment.safety)
    parts = {part.ensemble: values for part, values in zip(plan.parts, sample.at(experiment.looks - 1), strict=True)}

    def blocks(ensemble: Ensemble, x: object, statistics: Any, seed: int, numbers: Sequence[int]) -> list[Any]:
        values = parts[ensemble].reshape(-1, FIRST, parts[ensemble].shape[1])
        return [(n, (Moments.of(values[n], statistics[0].target),)) for n in numbers]

    tier = suite.Tier("calibration", plan.resolution, 1, experiment.looks)
    inputs = Inputs("none", np.eye(1), ("none",))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(suite, "_sample_blocks", blocks)
        ((_, result),) = suite._sampled([plan], budget, tier, SEED, inputs, SerialExecutor(), lambda *_: None)
    return result.verdict, result.samples


@pytest.mark.parametrize("name", ["normal", "lognormal(1), extrapolated from two widths"])
def test_the_sequence_of_looks_is_that_of_a_run(name: str) -> None:
    experiment, seen = EXPERIMENTS[name], set()
    for repetition in range(12):
        sample = GrowingSample(experiment.draw, np.random.default_rng([SEED, repetition]))
        for discrepancy in experiment.true + experiment.wrong:
            verdict, look = outcome(experiment, sample, discrepancy, experiment.alpha(TOTALS[0]))
            n = FIRST << look
            assert in_a_run(experiment, sample, discrepancy) == (verdict, len(sample.at(look)) * n)
            seen.add((verdict, look))
    assert len(seen) > 3


def test_the_simulation_strains_intervals_at_least_as_much_as_a_run() -> None:
    reference, _ = runs.read_run(Path(__file__).parents[2] / "reports" / "reference")
    n = suite.TIERS["quick"].first_blocks * 1024
    of_a_run = [
        strains(check["alpha"], len(check["entries"]), n)
        for claim in reference["claims"]
        for check in claim["checks"]
        if check["kind"] == "monte_carlo"
    ]
    skewed = EXPERIMENTS["lognormal(1)"]
    simulated = strains(skewed.alpha(min(TOTALS)), len(SCALES), FIRST)
    assert len(of_a_run) > 30
    assert np.all(np.max(of_a_run, axis=0) <= simulated)
    assert np.all(np.max(of_a_run, axis=0) > strains(skewed.alpha(min(TOTALS)), len(SCALES), 100 * FIRST))


def test_a_rate_has_the_interval_of_its_binomial_law() -> None:
    low, high = Rate(7, 200).interval
    assert math.isclose(stats.binom.sf(6, 200, low), (1 - CONFIDENCE) / 2)
    assert math.isclose(stats.binom.cdf(7, 200, high), (1 - CONFIDENCE) / 2)
