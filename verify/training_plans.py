"""What is measured of networks that are really trained: means and covariances, and how lazy they are (section 5.3).

Targets and mutants of means and covariances are the statements of section 5.2 on the kernels of infinite width. Only
terms of order 1/N separate them from finite networks; two widths are combined so that these cancel. Of orders in the
width the exponents are fitted, for the bound that eq 81 licenses on one side only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim, Observable
from derive.laws import Order
from derive.lecture import trained_ensembles, trained_networks
from derive.terms import Term
from verify.ensembles import Statistic
from verify.inputs import Inputs
from verify.learning_problems import problem
from verify.planning import SIGMA_B, SIGMA_W, Part, Plan, PlannedMutant, expression, plan_of_mean, resolved
from verify.statistics import bernstein_interval
from verify.trained_ensembles import (
    DEPARTURE,
    DISPLACEMENT,
    KERNEL_CHANGE,
    MEAN,
    NTK,
    PATHWISE_ERROR,
    PATHWISE_RATIO,
    SPREAD,
    SQUARED_KERNEL_CHANGE,
    STANDARD,
    TrainedEnsemble,
)
from verify.wide_limits import at_times, slopes_of, wide_limit

FloatArray = NDArray[np.float64]

PROBLEM, FAINT = "few digits", "faint digits"
WIDTHS = 16, 64
"""Widths that are combined; chosen: narrow, so that thousands of networks train in seconds."""
ALLOWED = 8.0 / (WIDTHS[0] * WIDTHS[1])
"""Deviation allowed for terms in 1/N^2, whose coefficient over the product of the widths it is; chosen."""
COARSER = 4.0
"""How much coarser networks that are trained are resolved than kernels (chosen: each costs a training)."""
RATE_ALLOWED, RATE_RESOLUTION = 0.1, 0.8
"""Error of an exponent of the fitted model that is allowed, and how far from it the exponent must not be, in units of
the distance of the nearest wrong one; chosen."""
RATIO_WIDTH, RATIO_BOUNDS = 128, (0.5, 1.5)
RATIO_ALLOWED, RATIO_RESOLUTION = 10 / RATIO_WIDTH, 0.2
"""Where the path-wise prediction is compared with what happens, where the ratio is cut off, and how far from 1 its mean
may be for terms in 1/N, and must not be; chosen."""
_BLOCKS: Mapping[tuple[str, str], Mapping[int, int]] = {
    (NTK, "trained"): {16: 64, 32: 64, 64: 48, 128: 24, 256: 12},
    (NTK, "predicted"): {16: 24, 32: 24, 64: 24, 128: 20, 256: 10},
    (STANDARD, "trained"): {16: 64, 32: 112, 64: 10, 128: 26},
}
_UNITS_OF_A_BLOCK = 2**11
"""Networks in a block by width, and hidden units in a layer of all of them at other widths; chosen so that a first look
decides, in least time: exponents are decided by the narrowest and the widest networks."""


def trained_ensemble(
    width: int, parameterization: str = NTK, purpose: str = "trained", data: str = PROBLEM
) -> TrainedEnsemble:
    """Return networks that are trained, with one hidden layer, or with two in standard parameterization.

    With one hidden layer and standard parameterization, nothing but the output layer learns in the limit.
    """
    depth, activation = (1, "tanh") if parameterization == NTK else (2, "erf")
    size = _BLOCKS[parameterization, purpose].get(width, max(1, _UNITS_OF_A_BLOCK // width))
    layers = ("one hidden layer", "two hidden layers")[depth - 1]
    return TrainedEnsemble(
        f"{purpose}, {data}, {parameterization}, {layers}, {activation}, width {width}",
        activation,
        (width,) * depth,
        1,
        SIGMA_W,
        SIGMA_B,
        size,
        data,
        parameterization,
    )


def _combined(
    claim: Claim,
    statistic: str,
    value: Callable[[Term], FloatArray],
    centre: FloatArray,
    scale: FloatArray,
    labels: tuple[str, ...],
    resolution: float,
    unit: str,
) -> tuple[Plan, ...]:
    """Return the plan that compares a mean over trained networks, at two widths combined, with a statement."""
    target = value(claim.statement())
    mutants = tuple(PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
    small, large = WIDTHS
    weights = -small / (large - small), large / (large - small)
    planned = Statistic(statistic, centre, target, scale)
    parts = tuple(Part(weight, trained_ensemble(width), planned) for weight, width in zip(weights, WIDTHS, strict=True))
    return (
        Plan(
            claim.id,
            f"trained on {problem(PROBLEM).title}; one hidden layer, tanh, widths {small} and {large}",
            "monte_carlo",
            parts,
            labels,
            mutants,
            ALLOWED,
            resolved(COARSER * resolution, mutants, ALLOWED),
            unit,
            f"{NTK}, gradient flow; two widths combined so that the term in 1/N cancels; model-based: the next term is "
            "allowed",
        ),
    )


def _time_labels(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"t = {time:g}, {name}" for time in problem(PROBLEM).schedule.times[1:] for name in names)


def mean(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plan for the mean of trained networks; they are trained on data of their own, not on the inputs."""
    ensemble = trained_ensemble(WIDTHS[0])
    letters = wide_limit(ensemble).letters
    n_times, labels = len(problem(PROBLEM).schedule.times) - 1, problem(PROBLEM).labels
    scale = np.tile(np.sqrt(np.diag(letters["K(x,x)"])), n_times)

    def value(term: Term) -> FloatArray:
        return at_times(ensemble, term).ravel()

    unit = "relative to sqrt(K(x,x))"
    return _combined(claim, MEAN, value, slopes_of(ensemble), scale, _time_labels(labels), resolution, unit)


def covariance(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plan for the covariance of trained networks at pairs of test inputs."""
    ensemble, task = trained_ensemble(WIDTHS[0]), problem(PROBLEM)
    letters = wide_limit(ensemble).letters
    rows, columns = np.tril_indices(len(task.labels))
    slopes, nngp = slopes_of(ensemble), ensemble.limit.nngp(task.data.points)
    known = slopes @ nngp @ slopes.transpose(0, 2, 1)
    means = at_times(ensemble, trained_ensembles.mean_output().rhs)
    deviations = np.sqrt(np.diag(letters["K(x,x)"]))
    scale = np.tile(deviations[rows] * deviations[columns], len(slopes))

    def value(term: Term) -> FloatArray:
        return at_times(ensemble, term)[:, rows, columns].ravel()

    pairs = tuple(
        task.labels[i] if i == j else f"{task.labels[j]} · {task.labels[i]}" for i, j in zip(rows, columns, strict=True)
    )
    centre = np.concatenate([means, slopes, known], axis=2)
    unit = "relative to sqrt(K(x,x) K(x',x'))"
    return _combined(claim, SPREAD, value, centre, scale, _time_labels(pairs), resolution, unit)


@dataclass(frozen=True, slots=True)
class _Followed:
    """What is followed along widths.

    Attributes:
        what: in words.
        statistic: whose mean it is.
        power: of what is followed, whose mean that is.
        unit: of the statistic, for an ensemble.
        purpose: of the networks; those of another are others.
    """

    what: str
    statistic: str
    power: float = 1.0
    unit: Callable[[TrainedEnsemble], float] = lambda ensemble: 1.0
    purpose: str = "trained"


_FOLLOWED: Mapping[str, _Followed] = {
    trained_networks.DEPARTURE: _Followed("departure from the linearization", DEPARTURE),
    trained_networks.KERNEL_CHANGE: _Followed("change of the tangent kernel", KERNEL_CHANGE),
    trained_networks.DISPLACEMENT: _Followed(
        "displacement of the parameters", DISPLACEMENT, 2.0, lambda ensemble: 1 / ensemble.learning_rate
    ),
    trained_networks.RELATIVE_DISPLACEMENT: _Followed(
        "displacement over the root of the width", DISPLACEMENT, 2.0, lambda ensemble: float(ensemble.widths[0])
    ),
    trained_networks.RAW_KERNEL_CHANGE: _Followed(
        "change of J Jᵀ", SQUARED_KERNEL_CHANGE, 2.0, lambda ensemble: ensemble.learning_rate**2
    ),
    trained_networks.PATHWISE: _Followed("error of the path-wise prediction", PATHWISE_ERROR, 0.5, purpose="predicted"),
}


_REACH: Mapping[tuple[str, str], tuple[int, float, int]] = {
    (NTK, "trained"): (16, 2.0, 2**12),
    (NTK, "predicted"): (16, 2.0, 2**9),
    (STANDARD, "trained"): (16, 1.0, 2**8),
}
"""The narrowest width that is followed, how many times as wide as kernels alone networks that train are followed, and
the widest of all; chosen by what a network costs."""


def _widths(parameterization: str, purpose: str, widest: int) -> tuple[int, ...]:
    """Return the widths that are followed, powers of 2."""
    narrowest, factor, last = _REACH[parameterization, purpose]
    wide = min(factor * widest, last)
    return tuple(width for width in (narrowest << n for n in range(16)) if width <= wide)


def laziness(claim: Claim, widest: int) -> tuple[Plan, ...]:
    """Return the plans for the order of what training does along widths; none for other claims."""
    if claim.observable not in (Observable.LAZINESS, Observable.STANDARD_LAZINESS):
        return ()
    statement = _order(claim.statement())
    parameterization = NTK if claim.observable is Observable.LAZINESS else STANDARD
    followed, rate = _FOLLOWED[claim.slot], float(statement.power)
    widths = _widths(parameterization, followed.purpose, widest)
    ensembles = tuple(trained_ensemble(width, parameterization, followed.purpose, FAINT) for width in widths)
    statistics = (
        Statistic(followed.statistic, np.empty(0), np.zeros(1), np.array([followed.unit(ensemble)]))
        for ensemble in ensembles
    )
    mutants = tuple(PlannedMutant(m.name, np.array([float(_order(m.statement).power) - rate])) for m in claim.mutants())
    layers = "one hidden layer, tanh" if parameterization == NTK else "two hidden layers, erf"
    return (
        Plan(
            claim.id,
            f"{'rate' if statement.tight else 'bound'} of the {followed.what}, {layers}",
            "convergence",
            tuple(Part(1.0, *pair) for pair in zip(ensembles, statistics, strict=True)),
            (f"exponent of the {followed.what}, {parameterization}",),
            mutants,
            RATE_ALLOWED,
            RATE_RESOLUTION * min(mutant.largest for mutant in mutants),
            f"difference from the exponent {rate:g}"
            if statement.tight
            else f"by how much the exponent exceeds {rate:g}",
            f"{parameterization}, gradient flow on {problem(FAINT).title}; model-based: fitted by a + p log N + c/N",
            rate,
            power=followed.power,
            bound=not statement.tight,
            axis=followed.what,
        ),
    )


def pathwise_ratio(claim: Claim, inputs: Inputs, resolution: float) -> tuple[Plan, ...]:
    """Return the plan that compares the path-wise prediction with what happens to each network, at one width."""

    def value(term: Term) -> FloatArray:
        ((_, _, stated),) = expression(term)
        return np.asarray(np.clip([float(stated)], *RATIO_BOUNDS))

    plan = plan_of_mean(
        claim,
        f"ratio of the path-wise prediction, one hidden layer, tanh, width {RATIO_WIDTH}",
        trained_ensemble(RATIO_WIDTH, purpose="predicted", data=FAINT),
        PATHWISE_RATIO,
        value,
        np.ones(1),
        (f"mean ratio, {NTK}",),
        RATIO_RESOLUTION,
        "difference of the ratio from 1",
        centre=np.array(RATIO_BOUNDS),
        note=f"{NTK}; ratios beyond {RATIO_BOUNDS} count as these; 10/N is allowed for terms of higher order",
        interval=partial(bernstein_interval, bounds=RATIO_BOUNDS),
    )
    return (replace(plan, allowed=RATIO_ALLOWED),)


def _order(term: Term) -> Order:
    if not isinstance(term, Order):
        raise TypeError(f"expected an order in the width, got a {type(term).__name__}")
    return term
