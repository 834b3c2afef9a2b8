"""Infinitely wide networks on a learning problem: kernels by letter, and statements of section 5.2 at its times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from derive.lecture import trained_ensembles
from derive.operators import Operator
from derive.terms import Term
from numeric.linearized import evaluate
from numeric.network import sample_parameters
from numeric.training import Linearization
from verify.ensembles import block_key
from verify.learning_problems import problem
from verify.trained_ensembles import TrainedEnsemble

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WideLimit:
    """What the letters of statements stand for.

    Attributes:
        letters: matrices by letter. That of the tangent kernel of one network is the kernel of a network of the
            ensemble, the same in every run.
        root: J with ``J J^T = Theta(X, X)``.
    """

    letters: Mapping[str, FloatArray]
    root: FloatArray


@cache
def wide_limit(ensemble: TrainedEnsemble) -> WideLimit:
    """Return the limit of an ensemble as its width grows, on what it is trained on."""
    task = problem(ensemble.problem)
    places = {"X": slice(task.n_train), "x": slice(task.n_train, None), "x'": slice(task.n_train, None)}
    learner = ensemble.learner(task.data.x.shape[1])
    rng = np.random.Generator(np.random.Philox(block_key(0, "one network", 0)))
    one = Linearization.of(learner, sample_parameters(learner.shape, 1, rng), task.data)
    nngp, ntk = ensemble.limit.kernels(task.data.points)
    letters = {"Y": task.data.y, "Theta(x,X)": one.ntk[0, places["x"], :, 0, 0]}
    for a, rows in places.items():
        for b, columns in places.items():
            letters[f"K({a},{b})"] = nngp[rows, columns]
            letters[f"Theta_inf({a},{b})"] = ntk[rows, columns]
    root = np.asarray(np.linalg.cholesky(ntk[places["X"], places["X"]]), dtype=np.float64)
    return WideLimit(letters, root)


def at_times(ensemble: TrainedEnsemble, term: Term, **more: FloatArray) -> FloatArray:
    """Return a statement at the times after 0 at which networks are looked at, (n_times, n_test, columns).

    Args:
        ensemble: whose limit it is about.
        term: the statement.
        more: matrices of letters that are in it, or stand in place of others.

    Raises:
        TypeError: if it is not a statement on linear models.
    """
    if not isinstance(term, Operator):
        raise TypeError(f"expected a statement on linear models, got a {type(term).__name__}")
    limit, times = wide_limit(ensemble), problem(ensemble.problem).schedule.times[1:]
    return np.stack([evaluate(term, limit.root, {**limit.letters, **more}, 1.0, time) for time in times])


def slopes_of(ensemble: TrainedEnsemble) -> FloatArray:
    """Return how infinitely wide networks depend on their outputs at time 0, (n_times, n_test, n_points): eq 73."""
    task = problem(ensemble.problem)
    every = np.eye(len(task.data.points))
    starts = {"f_0(X)": every[: task.n_train], "f_0(x)": every[task.n_train :]}
    prediction = trained_ensembles.prediction().rhs
    return at_times(ensemble, prediction, Y=np.zeros((task.n_train, len(every))), **starts)
