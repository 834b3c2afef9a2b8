"""Trained networks of growing width on real data, beside what infinitely wide ones predict: a picture, not a verdict.

For each problem the record has the mean and band of networks at the time where training stops, the same at the end of
training, the NNGP posterior, and for each width what an ensemble of trained networks did: mean and spread at every
test input, test error, and how many outputs lie within the band.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numeric.regression import IllConditioned, Prediction
from verify.ensembles import Statistic
from verify.learning_problems import Problem, problem
from verify.planning import SIGMA_B, SIGMA_W, Part
from verify.statistics import Moments, mean_interval
from verify.trained_ensembles import FINAL, INSIDE, NTK, SQUARED_DISTANCE, SQUARED_ERROR, TrainedEnsemble
from verify.wide_limits import slopes_of

FloatArray = NDArray[np.float64]

PROBLEMS = "digits", "diabetes"
WIDTHS, WIDER = (16, 64, 256), 1024
"""Hidden widths of every run, and one more where there is time for it."""
ACTIVATION, BLOCK = "erf", 12
"""Activation, and networks in a block at width 256: more are narrower, as they cost less. Chosen."""
DEVIATIONS, NOMINAL = 1.959963984540054, 0.95
"""Half the width of the band in standard deviations, and how much of a normal law it covers."""
LEVEL = 0.05
"""One minus the level of the intervals of coverage, which decide nothing."""


def widths_up_to(widest: int) -> tuple[int, ...]:
    """Return the widths of a run that follows convergence up to a width."""
    return (*WIDTHS, WIDER) if widest >= WIDER else WIDTHS


def _ensemble(name: str, width: int) -> TrainedEnsemble:
    label = f"real data, {name}, one hidden layer, {ACTIVATION}, width {width}"
    size = round(BLOCK * math.sqrt(WIDTHS[-1] / width))
    return TrainedEnsemble(label, ACTIVATION, (width,), 1, SIGMA_W, SIGMA_B, size, name)


def _laws(task: Problem, name: str) -> dict[str, Prediction]:
    """Return the laws of infinitely wide networks at the test inputs: when training stops, at its end, conditioned."""
    net = _ensemble(name, WIDTHS[0]).limit
    x, y, stop = task.data.x, task.data.y[:, 0], task.schedule.times[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error", IllConditioned)  # these problems are far from it
        return {
            "stopped": net.trained(x, y, task.tests, t=stop),
            "trained to the end": net.trained(x, y, task.tests),
            "posterior": net.posterior(x, y, task.tests),
        }


def _deviations(law: Prediction) -> FloatArray:
    assert law.covariance is not None  # it was asked for
    return np.sqrt(np.diag(law.covariance))


def parts(name: str, widest: int) -> tuple[tuple[Part, ...], ...]:
    """Return what is measured of trained networks, for each width: outputs, coverage, distances, errors."""
    task = problem(name)
    law = _laws(task, name)["stopped"]
    deviations = _deviations(law)
    band = np.stack([law.mean - DEVIATIONS * deviations, law.mean + DEVIATIONS * deviations])
    one = np.ones(1)
    slopes = slopes_of(_ensemble(name, WIDTHS[0]))[-1]
    expected = np.column_stack([law.mean, deviations, slopes])
    statistics = (
        Statistic(FINAL, np.empty(0), law.mean, np.ones_like(law.mean)),
        Statistic(INSIDE, band, NOMINAL * one, one),
        Statistic(SQUARED_DISTANCE, expected, 0.0 * one, one),
        Statistic(SQUARED_ERROR, task.answers, np.mean((law.mean - task.answers) ** 2) * one, one),
    )
    return tuple(tuple(Part(1.0, _ensemble(name, width), s) for s in statistics) for width in widths_up_to(widest))


def record(name: str, widest: int, found: Sequence[Sequence[Moments]]) -> dict[str, Any]:
    """Return what a run has of one problem, from the moments of the parts of each width."""
    task = problem(name)
    laws = _laws(task, name)
    stopped = laws["stopped"]
    predictors = {
        "infinitely wide networks when training stops": stopped.mean,
        "infinitely wide networks trained to the end": laws["trained to the end"].mean,
        "NNGP posterior": laws["posterior"].mean,
    }
    widths = []
    for width, (outputs, inside, distance, squared) in zip(widths_up_to(widest), found, strict=True):
        predictors[f"mean of networks of width {width}"] = outputs.mean
        coverage = mean_interval(inside, LEVEL)
        finite = np.isfinite([coverage.low[0], coverage.high[0]]).all()
        off = (outputs.mean - stopped.mean) / _deviations(stopped)
        spread = np.sqrt(outputs.variance) / _deviations(stopped) - 1
        widths.append(
            {
                "width": width,
                "networks": outputs.count,
                "mean": outputs.mean.tolist(),
                "deviation": np.sqrt(outputs.variance).tolist(),
                "coverage": float(inside.mean[0]),
                "interval": [float(coverage.low[0]), float(coverage.high[0])] if finite else None,
                "error": float(np.sqrt(squared.mean[0])),
                "off": float(np.sqrt(np.mean(off**2))),
                "off_by_chance": float(outputs.count**-0.5),
                "spread": float(np.mean(spread)),
                "distance": float(np.sqrt(distance.mean[0])),
            }
        )
    return {
        "name": name,
        "title": task.title,
        "networks": f"one hidden layer, {ACTIVATION}, {NTK}, gradient flow up to t = {task.schedule.times[-1]:g}",
        "points": [
            {"label": label, "target": float(answer)} for label, answer in zip(task.labels, task.answers, strict=True)
        ],
        "laws": {key: {"mean": law.mean.tolist(), "deviation": _deviations(law).tolist()} for key, law in laws.items()},
        "band": {"deviations": DEVIATIONS, "nominal": NOMINAL},
        "predictors": [_errors(task, label, mean) for label, mean in predictors.items()],
        "widths": widths,
    }


def _errors(task: Problem, label: str, mean: FloatArray) -> Mapping[str, Any]:
    """Return the test error of a predictor, and how many classes it gets wrong where there are two."""
    wrong = int(np.sum(np.sign(mean) != np.sign(task.answers))) if task.signs else None
    return {"label": label, "error": float(np.sqrt(np.mean((mean - task.answers) ** 2))), "wrong": wrong}
