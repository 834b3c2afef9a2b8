"""Sequences of looks as verify takes them, repeated on data whose truth is known, to count how often they are wrong.

A run errs with probability 1e-6, which no simulation can see, so the errors here are asked for at some percent. What
makes intervals of means fail is, to leading order, |skewness| z^3 / (3 sqrt n), and to the next one z^4 / n. With 300
replicates at these levels both are at least what they are at the first look of a run: the same shortcomings show.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from numeric import MLP
from numeric.finite_width import layer_two
from numeric.sampler import sample_kernels
from verify import error_budget, statistics
from verify.checks import monte_carlo
from verify.ensembles import Ensemble, Statistic
from verify.error_budget import ErrorBudget
from verify.planning import DEEP_WIDTHS, RATE, Part, Plan, PlannedMutant
from verify.rates import ALLOWED, RESOLUTION
from verify.statistics import Interval, Moments, required_samples
from verify.verdict import Verdict

FloatArray = NDArray[np.float64]
Sample = tuple[FloatArray, ...]
"""Replicates (n, entries) of each part of a plan."""
Draw = Callable[[np.random.Generator, int], Sample]

SEED = 20260101
FIRST = 300
"""Replicates at the first look: from there on the error budget promises its errors."""
AT_ONCE = FIRST << 3
"""Replicates that are drawn at least: a few cost as much time as many (chosen)."""
TOTALS = 0.05, 0.01
"""Probabilities of a wrong verdict that are promised; chosen to be seen in some thousand repetitions."""
SAFETY = ErrorBudget(total=TOTALS[0]).safety
"""What the error budget allows for means of skewed data."""
CONFIDENCE = 0.998
"""Level of the Clopper-Pearson intervals, 0.1 % on each side: a hundred comparisons cry wolf once in ten (chosen)."""
POWER = 0.9
"""What a check must reach at its last look, against what it promises to resolve (chosen)."""
COARSE = 0.1
"""Resolution in standard deviations of one replicate (chosen: four looks or five)."""


def strains(alpha: float, entries: int, n: int) -> tuple[float, float]:
    """Return z^3 / (3 sqrt n) and z^4 / n of the first look, with z the quantile of one side of one entry."""
    z = -float(special.ndtri(error_budget.look_alpha(alpha, 0) / entries / 2))
    return z**3 / (3 * math.sqrt(n)), z**4 / n


@dataclass(frozen=True, slots=True)
class Experiment:
    """A check on data whose law is known.

    Attributes:
        name: what is checked on which law.
        draw: further replicates.
        judge: verdict at a look, of (sample, discrepancy, alpha, look), on a statement that is off by a discrepancy.
        true: discrepancies that the statement allows.
        wrong: discrepancies of the size of the resolution.
        looks: number of looks, enough to force a decision.
        safety: how many times more often than asked it may err: the intervals of means of skewed data are approximate.
        repetitions: how often it is simulated.
        plan: what a run would declare for the statement that is off by a discrepancy, where it has such a check.
    """

    name: str
    draw: Draw
    judge: Callable[[Sample, float, float, int], Verdict]
    true: tuple[float, ...]
    wrong: tuple[float, ...]
    looks: int
    safety: float
    repetitions: int = 700
    plan: Callable[[float], Plan] | None = None

    def alpha(self, total: float) -> float:
        """Return what a run that promises a total would ask of its only check."""
        name = (self.name, "calibration")
        return ErrorBudget.share(total, [name], safety=self.safety).alpha(*name)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something happened, with its Clopper-Pearson interval."""

    count: int
    repetitions: int

    @property
    def interval(self) -> tuple[float, float]:
        """Return the ends of the interval of its probability."""
        low, high = stats.binomtest(self.count, self.repetitions).proportion_ci(CONFIDENCE, "exact")
        return float(low), float(high)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.count / self.repetitions:.4f} [{low:.4f}, {high:.4f}]"


@dataclass(frozen=True, slots=True)
class Calibration:
    """What an experiment did at one promise; of several discrepancies, the worst of each rate.

    Attributes:
        promised: probability of a wrong verdict.
        alpha: error probability that the check was given.
        false_alarms: true statements refuted.
        false_confirmations: statements confirmed that are wrong by the resolution.
        power: such statements refuted.
        confirmed: true statements confirmed.
    """

    promised: float
    alpha: float
    false_alarms: Rate
    false_confirmations: Rate
    power: Rate
    confirmed: Rate

    def broken(self) -> list[str]:
        """Return what is certain to be worse than promised, or not certain to be as good as a check must be."""
        rare = {"false alarms": self.false_alarms, "false confirmations": self.false_confirmations}
        usual = {"power": self.power, "confirmed": self.confirmed}
        return [
            *(
                f"{name} {rate}, promised {self.promised}"
                for name, rate in rare.items()
                if rate.interval[0] > self.promised
            ),
            *(f"{name} {rate}, expected {POWER}" for name, rate in usual.items() if rate.interval[0] < POWER),
        ]


class GrowingSample:
    """One sample, drawn as far as it is looked at."""

    def __init__(self, draw: Draw, rng: np.random.Generator) -> None:
        self._draw, self._rng = draw, rng
        self._drawn = draw(rng, AT_ONCE)

    def at(self, look: int) -> Sample:
        """Return the sample at a look, which has twice as many replicates as the one before."""
        n = FIRST << look
        if (missing := n - len(self._drawn[0])) > 0:
            fresh = self._draw(self._rng, missing)
            self._drawn = tuple(np.concatenate(parts) for parts in zip(self._drawn, fresh, strict=True))
        return tuple(values[:n] for values in self._drawn)


def outcome(experiment: Experiment, sample: GrowingSample, discrepancy: float, alpha: float) -> tuple[Verdict, int]:
    """Return the verdict of the first look that decides, as a run takes them, or of the last one; and which it was."""
    for look in range(experiment.looks):
        verdict = experiment.judge(sample.at(look), discrepancy, alpha, look)
        if verdict is not Verdict.INCONCLUSIVE:
            break
    return verdict, look


def calibrate(experiment: Experiment) -> list[Calibration]:
    """Return what an experiment does at each promise; the same samples serve for all statements and promises."""
    asked = {total: experiment.alpha(total) for total in TOTALS}
    counts: Counter[tuple[float, float, Verdict]] = Counter()
    for repetition in range(experiment.repetitions):
        rng = np.random.default_rng([SEED, zlib.crc32(experiment.name.encode()), repetition])
        sample = GrowingSample(experiment.draw, rng)
        for (total, alpha), off in itertools.product(asked.items(), experiment.true + experiment.wrong):
            counts[total, off, outcome(experiment, sample, off, alpha)[0]] += 1

    def rates(total: float, discrepancies: Sequence[float], verdict: Verdict) -> Iterator[int]:
        return (counts[total, off, verdict] for off in discrepancies)

    return [
        Calibration(
            total,
            alpha,
            *(
                Rate(worst(rates(total, discrepancies, verdict)), experiment.repetitions)
                for worst, discrepancies, verdict in (
                    (max, experiment.true, Verdict.REFUTED),
                    (max, experiment.wrong, Verdict.CONFIRMED),
                    (min, experiment.wrong, Verdict.REFUTED),
                    (min, experiment.true, Verdict.CONFIRMED),
                )
            ),
        )
        for total, alpha in asked.items()
    ]


# Means, judged as in a run


def _plan(targets: FloatArray, weights: Sequence[float], distance: FloatArray, allowed: float) -> Plan:
    ensembles = [Ensemble(f"simulated {n}", "identity", (), 1, 1.0, 0.0, FIRST) for n in range(len(weights))]
    statistic = Statistic("simulated", np.empty(0), targets, np.ones_like(targets))
    return Plan(
        "calibration",
        "mean",
        "monte_carlo",
        tuple(Part(weight, ensemble, statistic) for weight, ensemble in zip(weights, ensembles, strict=True)),
        tuple(map(str, range(len(targets)))),
        (PlannedMutant("too high", distance), PlannedMutant("too low", -distance)),
        allowed,
        float(np.max(np.abs(distance))),
        "one",
    )


def mean(
    name: str,
    draw: Draw,
    means: FloatArray,
    deviations: FloatArray,
    skewness: float,
    *,
    weights: Sequence[float] = (1.0,),
    allowed: float = 0.0,
    safety: float = SAFETY,
    repetitions: int = 700,
) -> Experiment:
    """Return the check of weighted means of parts of one law, which is off at the entry that spreads most.

    Args:
        name: of the law.
        draw: replicates of each part.
        means: of every entry, of the combination.
        deviations: standard deviations of a replicate, of the combination.
        skewness: of a replicate of the combination, the largest.
        weights: of the parts.
        allowed: part of the resolution that the statement allows.
        safety: see :class:`Experiment`.
        repetitions: see :class:`Experiment`.
    """
    hardest = np.zeros(len(means))
    hardest[np.argmax(deviations)] = 1.0
    spread = float(np.max(deviations))
    resolution = COARSE * spread

    def plan(discrepancy: float) -> Plan:
        return _plan(means - discrepancy * hardest, weights, resolution * hardest, allowed * resolution)

    def judge(sample: Sample, discrepancy: float, alpha: float, look: int) -> Verdict:
        moments = tuple(Moments.of(values, means) for values in sample)
        return monte_carlo.judge(plan(discrepancy), moments, alpha, look).verdict

    alpha = min(TOTALS) / safety

    def enough(look: int) -> bool:
        level = error_budget.look_alpha(alpha, look)
        needed = required_samples(spread, allowed * resolution, resolution, level, len(means), skewness)
        return FIRST << look >= needed

    true = (-allowed * resolution, allowed * resolution) if allowed else (0.0,)
    # One look more than required: the spread of a sample is an estimate.
    looks = 2 + next(look for look in itertools.count() if enough(look))
    return Experiment(name, draw, judge, true, (-resolution, resolution), looks, safety, repetitions, plan)


SCALES = np.array([1.0, 0.4, 7.0])
"""Of three entries: unequal, so that they are decided at different looks."""


def _scaled(draw: Callable[[np.random.Generator, tuple[int, int]], FloatArray], parts: int = 1) -> Draw:
    return lambda rng, n: tuple(SCALES * draw(rng, (n, len(SCALES))) for _ in range(parts))


def _lognormal(sigma: float) -> tuple[float, float, float]:
    """Return mean, standard deviation and skewness of exp(sigma z)."""
    w = math.exp(sigma**2)
    return math.sqrt(w), math.sqrt(w * (w - 1)), (w + 2) * math.sqrt(w - 1)


def means_of_laws() -> Iterator[Experiment]:
    """Yield the checks of means of laws known in closed form."""
    chi, log = math.sqrt(8), _lognormal(1.0)
    yield mean("normal", _scaled(lambda rng, s: rng.standard_normal(s)), 0 * SCALES, SCALES, 0.0, safety=1.0)
    yield mean("uniform", _scaled(lambda rng, s: rng.random(s)), SCALES / 2, SCALES / math.sqrt(12), 0.0, safety=1.0)
    yield mean("chi-squared(1)", _scaled(lambda rng, s: rng.chisquare(1, s)), SCALES, math.sqrt(2) * SCALES, chi)
    draw = _scaled(lambda rng, s: np.exp(rng.standard_normal(s)))
    yield mean("lognormal(1)", draw, log[0] * SCALES, log[1] * SCALES, log[2])
    yield mean(
        "lognormal(1), a quarter of the resolution allowed",
        draw,
        log[0] * SCALES,
        log[1] * SCALES,
        log[2],
        allowed=0.25,
        repetitions=500,
    )
    weights = -DEEP_WIDTHS[0], DEEP_WIDTHS[-1]
    weights = tuple(weight / (DEEP_WIDTHS[-1] - DEEP_WIDTHS[0]) for weight in weights)
    spread = math.hypot(*weights)
    third = sum(abs(weight) ** 3 for weight in weights) / spread**3
    pair = _scaled(lambda rng, s: np.exp(rng.standard_normal(s)), parts=2)
    yield mean(
        "lognormal(1), extrapolated from two widths",
        pair,
        log[0] * SCALES,
        spread * log[1] * SCALES,
        third * log[2],
        weights=weights,
    )


# Kernels of sampled networks

WIDTH = 3
"""Hidden width: nearly the smallest, since narrow networks are the most skewed."""
INPUTS = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5]])
PAIRS = np.tril_indices(len(INPUTS))


def _kernels(net: MLP, rng: np.random.Generator, n: int) -> FloatArray:
    """Return both empirical kernels at the pairs of inputs, (n, 6)."""
    found = sample_kernels(net, INPUTS, width=WIDTH, n_networks=n, seed=int(rng.integers(2**62)))
    tangent = found.ntk[:, :, :, 0, 0]
    return np.hstack([kernel[:, PAIRS[0], PAIRS[1]] for kernel in (found.nngp, tangent)])


def means_of_networks() -> Iterator[Experiment]:
    """Yield the checks of means and variances of both kernels of networks whose laws are known."""
    for activation in ("relu", "erf"):
        net = MLP(activation, 1, 1.4, 0.3)
        law = layer_two(net, INPUTS, WIDTH)
        means = np.concatenate([kernel[PAIRS] for kernel in (net.nngp(INPUTS), law.tangent_mean)])
        variances = np.concatenate([kernel[PAIRS] for kernel in (law.nngp_variance, law.tangent_variance)])
        pilot = _kernels(net, np.random.default_rng([SEED, 1]), 100_000)  # no law is known for its spread and skewness

        def kernels(rng: np.random.Generator, n: int, net: MLP = net) -> Sample:
            return (_kernels(net, rng, n),)

        def spreads(rng: np.random.Generator, n: int, net: MLP = net, means: FloatArray = means) -> Sample:
            return ((_kernels(net, rng, n) - means) ** 2,)

        what = f"of networks, {activation}, width {WIDTH}"
        for name, draw, truth, values in (
            (f"kernels {what}", kernels, means, pilot),
            (f"squared spreads {what}", spreads, variances, (pilot - means) ** 2),
        ):
            skewness = float(np.max(np.abs(stats.skew(values))))
            yield mean(name, draw, truth, values.std(axis=0), skewness, repetitions=400)


# Exponents


def _exponent(sample: Sample, discrepancy: float, alpha: float, look: int) -> Verdict:
    """Return the verdict on the rate -1/2 of root mean squares that fall like N^(discrepancy - 1/2)."""
    statistic = Statistic("simulated", np.empty(0), np.ones(1), np.ones(1))
    parts = tuple(Part(1.0, Ensemble("simulated", "relu", (n,), 1, 1.0, 0.0, FIRST), statistic) for n in DEEP_WIDTHS)
    mutants = tuple(PlannedMutant(f"{off:g}", np.array([off])) for off in (-2 * RESOLUTION, 2 * RESOLUTION))
    plan = Plan(
        "calibration", "rate", "convergence", parts, ("exponent",), mutants, ALLOWED, RESOLUTION, "", "", RATE,
        tuple(n**RATE for n in DEEP_WIDTHS),
    )  # fmt: skip
    moments = tuple(
        Moments.of(values * n ** (2 * (RATE + discrepancy)), np.ones(1))
        for n, values in zip(DEEP_WIDTHS, sample, strict=True)
    )
    return monte_carlo.judge(plan, moments, alpha, look).verdict


def exponents() -> Iterator[Experiment]:
    """Yield the checks of an exponent on squares that are chi-squared, and lognormal, at every width."""
    for name, draw in (
        ("exponent of chi-squared(1) squares", lambda rng, n: rng.chisquare(1, (n, 1))),
        ("exponent of lognormal(1) squares", lambda rng, n: np.exp(rng.standard_normal((n, 1)))),
    ):

        def parts(rng: np.random.Generator, n: int, draw: Callable[..., FloatArray] = draw) -> Sample:
            return tuple(draw(rng, n) for _ in DEEP_WIDTHS)

        yield Experiment(name, parts, _exponent, (-ALLOWED, ALLOWED), (-RESOLUTION, RESOLUTION), 9, SAFETY)


# Intervals that are valid at every sample size


def _off(interval: Interval, target: float) -> Interval:
    return Interval(low=interval.low - target, high=interval.high - target, estimate=interval.estimate - target)


def _bounded(name: str, draw: Draw, truth: float, bounds: tuple[float, float], resolution: float) -> Experiment:
    def judge(sample: Sample, discrepancy: float, alpha: float, look: int) -> Verdict:
        moments = Moments.of(sample[0], np.array([truth]))
        interval = statistics.bernstein_interval(moments, bounds, error_budget.look_alpha(alpha, look))
        return statistics.decide(_off(interval, truth - discrepancy), 0.0, resolution)[0]

    return Experiment(name, draw, judge, (0.0,), (-resolution, resolution), 9, 1.0)


def _law(sample: Sample, discrepancy: float, alpha: float, look: int) -> Verdict:
    """Return the verdict on the law N(0, 1), from normal values whose law is at that Kolmogorov distance."""
    shift = 2 * special.ndtri((1 + discrepancy) / 2)
    values = sample[0][:, 0] + shift
    interval = statistics.kolmogorov_interval(values, special.ndtr, error_budget.look_alpha(alpha, look))
    return statistics.decide(interval, 0.0, COARSE)[0]


def bounded() -> Iterator[Experiment]:
    """Yield the checks of bounded values by the empirical Bernstein inequality, and of a law by Massart's."""
    yield _bounded(
        "Bernstein, rare events", lambda rng, n: (np.float64(rng.random((n, 1)) < 0.002),), 0.002, (0, 1), 0.1
    )
    yield _bounded(
        "Bernstein, cosines",
        lambda rng, n: (np.cos(1.5 * rng.standard_normal((n, 1))),),
        math.exp(-1.125),
        (-1, 1),
        0.1,
    )
    yield Experiment(
        "Kolmogorov distance, normal", lambda rng, n: (rng.standard_normal((n, 1)),), _law, (0.0,), (COARSE,), 6, 1.0
    )


EXPERIMENTS: Mapping[str, Experiment] = {
    experiment.name: experiment
    for group in (means_of_laws(), means_of_networks(), exponents(), bounded())
    for experiment in group
}
