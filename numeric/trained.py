"""Ensembles of trained wide networks: mean and covariance of the outputs over the initialization (section 5.2).

The outputs at initialization are a centred Gaussian process with covariance K, and training maps them affinely to the
outputs at time t: eq 73. So with K = F F^T at test and training points together, the mean is what eq 73 makes of
f_0 = 0, and its response S to the columns of F gives the covariance S S^T. No formula for it is typed here, and no
rounding makes a variance negative.

In the eigenbasis of Theta(X, X) every function of Theta is diagonal, so one eigendecomposition serves all times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

from derive.lecture import trained_ensembles
from derive.lecture.trained_ensembles import DESCENT_LIMIT, FLOW_LIMIT
from derive.operators import Operator
from derive.rules.spectral import range_of_jacobian
from numeric.lower import spectral_functions
from numeric.regression import Prediction, resolution, smallest_on_range, warn_of_condition

FloatArray = NDArray[np.float64]
SpectralFunctions = Mapping[tuple[str, ...], tuple[Callable[..., Any], ...]]


@cache
def prediction(steps: bool) -> tuple[SpectralFunctions, SpectralFunctions]:
    """Return eq 73 as functions of an eigenvalue: as it is, and with the null space of Theta left out, which is equal.

    Args:
        steps: whether for gradient descent in place of gradient flow.
    """
    theorem = trained_ensembles.prediction(by=DESCENT_LIMIT if steps else FLOW_LIMIT)
    sides = (side for side in (theorem.rhs, theorem.by(range_of_jacobian).rhs) if isinstance(side, Operator))
    entire, on_range = map(spectral_functions, sides)
    return entire, on_range


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """When an ensemble is looked at.

    Attributes:
        times: times of gradient flow, or numbers of steps of gradient descent; a scalar or (n_t,), infinity allowed.
        rate: learning rate eta.
        steps: whether times are numbers of steps.
    """

    times: FloatArray
    rate: float
    steps: bool


def schedule(t: ArrayLike | None, steps: ArrayLike | None, learning_rate: float) -> Schedule:
    """Return when to look at an ensemble: after a time of gradient flow, or after steps of gradient descent.

    Args:
        t: times >= 0; if neither times nor steps are given, infinity.
        steps: numbers of steps, integers >= 0 or infinity.
        learning_rate: eta > 0.

    Raises:
        ValueError: if both are given, one is negative, NaN or of more than one dimension, a number of steps is not
            whole, or the learning rate is not positive and finite.
    """
    if t is not None and steps is not None:
        raise ValueError("expected t (gradient flow) or steps (gradient descent), got both; leave one out")
    rate = np.asarray(learning_rate, dtype=float)
    if rate.ndim or not np.isfinite(rate) or rate <= 0:
        raise ValueError(f"learning_rate must be a finite number > 0, got {learning_rate!r}")
    name, given = ("t", np.inf if t is None else t) if steps is None else ("steps", steps)
    times = np.array(given, dtype=float)
    if times.ndim > 1 or not times.size:
        raise ValueError(f"{name} must be a number or a sequence of them, got shape {times.shape}")
    if not (times >= 0).all():
        raise ValueError(f"{name} must be >= 0, got {times[~(times >= 0)].flat[0]}")
    if steps is not None and not (np.floor(times) == times).all():
        raise ValueError(f"steps must be integers, got {times[np.floor(times) != times].flat[0]}; t takes times")
    return Schedule(times, float(rate), steps is not None)


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """Theta(X, X) by eigenvalues (n,), ascending and >= 0, and eigenvectors, the columns of (n, n)."""

    eigenvalues: FloatArray
    vectors: FloatArray

    @classmethod
    def of(cls, theta: FloatArray) -> Spectrum:
        """Return the spectrum of a kernel matrix; eigenvalues that rounding makes negative are 0."""
        eigenvalues, vectors = np.linalg.eigh(theta)
        return cls(np.maximum(eigenvalues, 0.0), vectors)

    def require_stable(self, plan: Schedule) -> None:
        """Refuse a step of gradient descent that diverges.

        Raises:
            ValueError: if ``eta lambda_max > 2``, or is 2 and the number of steps infinite; names the largest step.
        """
        largest = float(self.eigenvalues[-1])
        reached = plan.rate * largest
        if plan.steps and (reached > 2 or (reached == 2 and np.isinf(plan.times).any())):
            raise ValueError(
                f"learning_rate must be below 2 / lambda_max = {2 / largest:.6g} for gradient descent on these inputs, "
                f"got {plan.rate:g}: the outputs would diverge"
            )


def ensemble(
    spectrum: Spectrum,
    plan: Schedule,
    theta_xX: FloatArray,
    targets: FloatArray,
    prior: FloatArray | None,
) -> Prediction:
    """Return mean and covariance of the outputs at test points over the initialization.

    Args:
        spectrum: of Theta(X, X).
        plan: the times.
        theta_xX: Theta(x, X), shape (n_test, n).
        targets: (n,) or (n, k).
        prior: K at the test points, then the training points, shape (n_test + n, n_test + n); None if only the mean is
            asked for.

    Returns:
        The mean with shape (*times.shape, n_test, *targets.shape[1:]), the covariance of each output with shape
        (*times.shape, n_test, n_test).

    Warns:
        IllConditioned: if less than half of the digits may be left at some time.
    """
    n_test = len(theta_xX)
    count = plan.times.size
    known = {"Y": spectrum.vectors.T @ targets.reshape(len(targets), -1)}
    deviation: dict[str, FloatArray] = {}
    if prior is not None:
        root = _root(prior)
        deviation = {"f_0(x)": root[:n_test], "f_0(X)": spectrum.vectors.T @ root[n_test:]}
    mean = np.empty((count, n_test, known["Y"].shape[1]))
    covariance = None if prior is None else np.empty((count, n_test, n_test))
    rotated = theta_xX @ spectrum.vectors
    for n, functions in enumerate(_at_times(spectrum, plan, rotated)):
        mean[n] = _outputs(functions, rotated, known)
        if covariance is not None:
            response = _outputs(functions, rotated, deviation)
            np.matmul(response, response.T, out=covariance[n])
    shape = plan.times.shape
    return Prediction(
        mean.reshape(*shape, n_test, *targets.shape[1:]),
        None if covariance is None else covariance.reshape(*shape, n_test, n_test),
    )


def _outputs(
    functions: Mapping[tuple[str, ...], FloatArray], theta_xX: FloatArray, sources: Mapping[str, FloatArray]
) -> FloatArray:
    """Return eq 73 in the eigenbasis of Theta(X, X), for the sources that are not zero."""
    total = np.zeros((len(theta_xX), next(iter(sources.values())).shape[1]))
    for (*path, source), function in functions.items():
        if source in sources:
            match path:
                case []:
                    total += function * sources[source]  # a constant
                case ["Theta_inf(x,X)"]:
                    total += (theta_xX * function) @ sources[source]
                case _:
                    raise TypeError(f"the prediction has a word that is not known here: {' '.join(path)} {source}")
    return total


def _at_times(spectrum: Spectrum, plan: Schedule, theta_xX: FloatArray) -> Iterator[dict[tuple[str, ...], FloatArray]]:
    """Yield the functions of Theta at the eigenvalues, for each time; ``theta_xX`` is in the eigenbasis.

    The functions are entire, so no eigenvalue need be told from 0 until rounding errors of the smallest have had time
    to act. But if Theta has a null space, it is left out from the beginning: what rounding leaves of Theta(x, X) on it
    would grow with time. Rounding errors on the rest grow by at most lambda_max min(eta t, 1/lambda_min), at infinite
    time the condition number, which is warned of.
    """
    entire, on_range = prediction(plan.steps)
    eigenvalues = spectrum.eigenvalues
    largest, least = float(eigenvalues[-1]), resolution(eigenvalues)
    smallest = smallest_on_range(eigenvalues, theta_xX)
    growth = largest * min(plan.rate * float(np.max(plan.times)), 1 / smallest)
    warn_of_condition("Theta(X, X) up to the last time", growth, "train less long, or remove nearly equal inputs")
    for time in plan.times.flat:
        leave_out = smallest > least or plan.rate * time * least > 1
        positive = eigenvalues > (least if leave_out else 0.0)
        safe = np.where(positive, eigenvalues, 1.0)
        yield {
            word: _values(functions, positive, safe, plan.rate, time)
            for word, functions in (on_range if leave_out else entire).items()
        }


def _values(
    functions: tuple[Callable[..., Any], ...],
    positive: NDArray[np.bool_],
    eigenvalues: FloatArray,
    rate: float,
    time: float,
) -> FloatArray:
    """Return a function of Theta at its eigenvalues, or the constant of a word without one."""
    others = rate, time, 0.0, 1.0  # no noise; one output
    if len(functions) == 1:
        return np.asarray(functions[0](*others), float)
    above, at_zero = functions
    return np.asarray(np.where(positive, above(eigenvalues, *others), at_zero(0.0, *others)), float)


def _root(covariance: FloatArray) -> FloatArray:
    """Return F with ``F F^T`` a positive semidefinite matrix, and no more columns than its rank to rounding.

    Cholesky's factorization with pivots (LAPACK), which needs no positive eigenvalues.
    """
    factor, pivots, rank, _ = linalg.lapack.dpstrf(covariance, lower=1)
    root = np.empty((len(covariance), rank))
    root[pivots - 1] = np.tril(factor)[:, :rank]
    return root
