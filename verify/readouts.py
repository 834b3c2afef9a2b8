"""Networks of which the last layer alone is trained, on the features of one network: what eqs 76 to 80 say of them.

The features stay what they are, so mean and covariance over the last layer are exact at their width. Outputs are
trained by steps of the flow; no statement of the lecture enters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from derive.activations import activation
from derive.claim import Claim, Observable
from derive.lecture.trained_ensembles import final_last_layer_mean, last_layer_mean
from derive.operators import Operator
from derive.terms import Term
from numeric.integrators import STABLE, Schedule
from numeric.linearized import evaluate
from numeric.lower_functions import lowered_activation
from numeric.network import forward, sample_parameters
from verify.ensembles import Ensemble, Statistic, block_key
from verify.inputs import Inputs
from verify.learning_problems import problem
from verify.planning import SIGMA_B, SIGMA_W, Part, Plan, PlannedMutant, resolved
from verify.statistics import Moments

FloatArray = NDArray[np.float64]

PROBLEM = "few digits"
WIDTH = 16
"""Number of features besides the bias; chosen: more than training inputs, so that their kernel is invertible."""
TIMES = 0.25, 1.0
"""Times at which outputs are looked at while they train (chosen: neither start nor end)."""
STEPS, CAUTION = 40, 0.5
"""Steps up to the first of these times; the largest step to the end, over the largest stable one. Chosen."""
LEFT = 1e-7
"""What is left of the slowest mode at the end of training; chosen, far below what samples resolve."""
ALLOWED = 1e-5
"""Relative error allowed for steps and for what is left at the end (chosen)."""
COARSER = 4.0
"""How much coarser readouts are resolved than kernels (chosen: as networks that are trained)."""


@dataclass(frozen=True, slots=True)
class ReadoutEnsemble(Ensemble):
    """Last layers on the features of one network, two outputs each, that are trained by gradient flow.

    Attributes:
        problem: name of what they are trained on.
        finished: whether training goes on to its end.
    """

    problem: str
    finished: bool


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """The features of one network, with a constant one for the bias: (n_points, WIDTH + 1)."""

    training: FloatArray
    test: FloatArray


@cache
def features(ensemble: ReadoutEnsemble) -> Features:
    """Return the features, which are those of one network in every run."""
    data = problem(ensemble.problem).data
    shape = ensemble.shape(data.points.shape[1])
    rng = np.random.Generator(np.random.Philox(block_key(0, "features of one network", 0)))
    phi, _ = lowered_activation(activation(ensemble.activation))
    (hidden, _) = forward(shape, sample_parameters(shape, 1, rng), data.points, [phi])
    scaled = ensemble.sigma_w / np.sqrt(ensemble.widths[0]) * phi(hidden[0]).T
    every = np.column_stack([scaled, np.full(len(scaled), ensemble.sigma_b)])
    return Features(every[: len(data.x)], every[len(data.x) :])


def _schedule(ensemble: ReadoutEnsemble) -> Schedule:
    """Return the steps after which outputs are looked at."""
    if not ensemble.finished:
        step = TIMES[0] / STEPS
        return Schedule("flow", step, tuple(round(time / step) for time in TIMES))
    modes = np.linalg.eigvalsh(features(ensemble).training @ features(ensemble).training.T)
    step = CAUTION * STABLE["flow"] / float(modes[-1])
    return Schedule("flow", step, (int(np.ceil(-np.log(LEFT) / (float(modes[0]) * step))),))


def _outputs(ensemble: ReadoutEnsemble, seed: int, block: int) -> FloatArray:
    """Return outputs at the test inputs, (n_networks, 2, n_times, n_test)."""
    known, targets = features(ensemble), problem(ensemble.problem).data.y
    rng = np.random.Generator(np.random.Philox(block_key(seed, ensemble.name, block)))
    start = rng.standard_normal((known.training.shape[1], 2 * ensemble.block_size))

    def velocity(state: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        return (-known.training.T @ (known.training @ state[0] - targets),)

    states = _schedule(ensemble).states(velocity, (start,))
    found = np.stack([known.test @ state for (state,) in states])
    return found.reshape(*found.shape[:2], ensemble.block_size, 2).transpose(2, 3, 0, 1)


def _means(outputs: FloatArray, centre: FloatArray) -> FloatArray:
    return np.asarray(outputs.mean(axis=1).reshape(len(outputs), -1))


def _products(outputs: FloatArray, centre: FloatArray) -> FloatArray:
    """Return products of deviations from means at pairs of test inputs, of one output and of both."""
    deviations = outputs - centre
    rows, columns = np.tril_indices(outputs.shape[-1])
    first, second = deviations[..., rows], deviations[..., columns]
    same = np.mean(first * second, axis=1)
    crossed = (first[:, 0] * second[:, 1] + first[:, 1] * second[:, 0]) / 2
    return np.hstack([products.reshape(len(outputs), -1) for products in (same, crossed)])


MEANS, PRODUCTS = "means of readouts", "products of deviations of readouts"
STATISTICS: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]] = {MEANS: _means, PRODUCTS: _products}
"""Statistics of outputs of trained readouts, each (n_networks, entries)."""


def readout_block(
    ensemble: ReadoutEnsemble, statistics: tuple[Statistic, ...], seed: int, block: int
) -> tuple[Moments, ...]:
    """Return the power sums of each statistic over one block of readouts."""
    outputs = _outputs(ensemble, seed, block)
    return tuple(Moments.of(STATISTICS[s.name](outputs, s.centre) / s.scale, s.target / s.scale) for s in statistics)


def _ensemble(finished: bool) -> ReadoutEnsemble:
    until = "trained to the end" if finished else "in training"
    name = f"last layers {until}, {PROBLEM}, tanh, width {WIDTH}"
    return ReadoutEnsemble(name, "tanh", (WIDTH,), 1, SIGMA_W, SIGMA_B, 512, PROBLEM, finished)


@cache
def _letters(ensemble: ReadoutEnsemble) -> Mapping[str, FloatArray]:
    """Return the matrices that letters of statements stand for; a mean over readouts has no initial outputs."""
    known, task = features(ensemble), problem(ensemble.problem)
    places = {"X": known.training, "x": known.test, "x'": known.test}
    rows = {"X": slice(task.n_train), "x": slice(task.n_train, None), "x'": slice(task.n_train, None)}
    tangent = ensemble.limit.ntk(task.data.points)
    letters = {"Y": task.data.y, "f_0(X)": np.zeros_like(task.data.y)}
    for a, first in places.items():
        for b, second in places.items():
            letters[f"k({a},{b})"] = first @ second.T
            letters[f"Theta_inf({a},{b})"] = tangent[rows[a], rows[b]]
    return letters


def _value(ensemble: ReadoutEnsemble, term: Term, same_output: bool = True) -> FloatArray:
    """Return a statement at the times that are looked at, (n_times, rows, columns)."""
    if not isinstance(term, Operator):
        raise TypeError(f"expected a statement on linear models, got a {type(term).__name__}")
    times = _schedule(ensemble).times
    root, letters = features(ensemble).training, _letters(ensemble)
    return np.stack([evaluate(term, root, letters, 1.0, time, same_output=same_output) for time in times])


def _labels(names: tuple[str, ...], finished: bool) -> tuple[str, ...]:
    times = ("the end",) if finished else tuple(f"t = {time:g}" for time in TIMES)
    return tuple(f"{time}, {name}" for time in times for name in names)


def _mean_at(ensemble: ReadoutEnsemble, term: Term) -> FloatArray:
    return _value(ensemble, term)[:, :, 0]


def means(claim: Claim, resolution: float, finished: bool) -> tuple[Plan, ...]:
    """Return the plan for the mean over last layers, at the features of one network."""
    ensemble = _ensemble(finished)
    deviations = np.sqrt(np.diag(_letters(ensemble)["k(x,x)"]))

    def value(term: Term) -> FloatArray:
        return _mean_at(ensemble, term).ravel()

    target = value(claim.statement())
    scale = np.resize(deviations, target.shape)
    labels = _labels(problem(PROBLEM).labels, finished)
    return (_plan(claim, ensemble, MEANS, value, np.zeros(1), scale, labels, resolution, "relative to sqrt(K(x,x))"),)


def products(claim: Claim, resolution: float, finished: bool) -> tuple[Plan, ...]:
    """Return the plan for the covariance over last layers at pairs of test inputs, of one output and of two."""
    ensemble = _ensemble(finished)
    mean = (final_last_layer_mean if finished else last_layer_mean)().rhs
    names = problem(PROBLEM).labels
    rows, columns = np.tril_indices(len(names))

    def value(term: Term) -> FloatArray:
        both = (_value(ensemble, term, same)[:, rows, columns].ravel() for same in (True, False))
        return np.concatenate(list(both))

    target = value(claim.statement())
    deviations = np.sqrt(np.diag(_letters(ensemble)["k(x,x)"]))
    scale = np.resize(deviations[rows] * deviations[columns], target.shape)
    pairs = tuple(names[i] if i == j else f"{names[j]} · {names[i]}" for i, j in zip(rows, columns, strict=True))
    labels = _labels(pairs, finished)
    labels += tuple(f"{label}, two outputs" for label in labels)
    centre = _mean_at(ensemble, mean)
    unit = "relative to sqrt(K(x,x) K(x',x'))"
    return (_plan(claim, ensemble, PRODUCTS, value, centre, scale, labels, resolution, unit),)


def _plan(
    claim: Claim,
    ensemble: ReadoutEnsemble,
    statistic: str,
    value: Callable[[Term], FloatArray],
    centre: FloatArray,
    scale: FloatArray,
    labels: tuple[str, ...],
    resolution: float,
    unit: str,
) -> Plan:
    target = value(claim.statement())
    planted = (PlannedMutant(m.name, (value(m.statement) - target) / scale) for m in claim.mutants())
    mutants = tuple(m for m in planted if m.equivalent or m.largest >= COARSER * resolution)
    return Plan(
        claim.id,
        f"{ensemble.name}: {statistic}",
        "monte_carlo",
        (Part(1.0, ensemble, Statistic(statistic, centre, target, scale)),),
        labels,
        mutants,
        ALLOWED,
        resolved(COARSER * resolution, mutants, ALLOWED),
        unit,
        f"gradient flow on {problem(PROBLEM).title}; over last layers on the features of one network, exactly",
    )


def _planner(
    plans: Callable[[Claim, float, bool], tuple[Plan, ...]], finished: bool
) -> Callable[[Claim, Inputs, float], tuple[Plan, ...]]:
    return lambda claim, inputs, resolution: plans(claim, resolution, finished)


PLANNERS: Mapping[Observable, Callable[[Claim, Inputs, float], tuple[Plan, ...]]] = {
    Observable.READOUT_MEAN: _planner(means, False),
    Observable.READOUT_COVARIANCE: _planner(products, False),
    Observable.FINAL_READOUT_MEAN: _planner(means, True),
    Observable.FINAL_READOUT_COVARIANCE: _planner(products, True),
}
"""What is measured of networks whose last layer alone is trained, on data of their own."""
