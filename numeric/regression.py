"""Regression with a kernel: the posterior of a Gaussian process, and ridge regression on features.

The prior is f ~ GP(0, K), the targets are y = f(X) + s e with standard normal e. The mean of the posterior is kernel
ridge regression with penalty s^2. Source: Rasmussen and Williams 2006, section 2.2 (algorithm 2.1).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg

FloatArray = NDArray[np.float64]

EPS = float(np.finfo(float).eps)
TOLERATED_CONDITION = EPS**-0.5
"""Above this condition number a warning is given; chosen: half of the digits of float64 are lost."""


class IllConditioned(UserWarning):
    """A kernel matrix that may take more than half of the digits of float64; the text says how many at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """A Gaussian law of outputs at test points; several outputs are independent with one covariance.

    Attributes:
        mean: (n_test,), or (n_test, k) for targets (n, k); one more axis in front for several times.
        covariance: (n_test, n_test) of each output, with the same axis in front; None where it was not asked for.
    """

    mean: FloatArray
    covariance: FloatArray | None


def posterior(K_xx: ArrayLike | None, K_xX: ArrayLike, K_XX: ArrayLike, y: ArrayLike, noise: float = 0.0) -> Prediction:
    """Return the posterior of a centred Gaussian process at test points x, given targets at training points X.

    By Cholesky's factorization. Where ``K + s^2`` is singular to rounding, by its eigenvectors, without those whose
    eigenvalues cannot be told from 0: the limit of little noise. Inputs that K cannot tell apart to rounding thus count
    as repeated, and share the mean of their targets.

    Args:
        K_xx: prior covariance of the test points (n_test, n_test); None if only the mean is asked for.
        K_xX: prior covariance of test and training points (n_test, n).
        K_XX: prior covariance of the training points (n, n).
        y: targets (n,) or (n, k).
        noise: standard deviation s of the noise on the targets.

    Returns:
        The law of f(x), without noise. Variances that rounding makes negative are 0.

    Raises:
        ValueError: if shapes do not fit, a matrix or a target is not finite, or the noise is negative or not finite.

    Warns:
        IllConditioned: if less than half of the digits may be left.
    """
    known, between = as_matrix("K_XX", K_XX), as_matrix("K_xX", K_xX)
    prior = None if K_xx is None else as_matrix("K_xx", K_xx)
    n_test, n = between.shape
    for name, matrix, size in (("K_XX", known, n), ("K_xx", prior, n_test)):
        if matrix is not None and matrix.shape != (size, size):
            raise ValueError(f"{name} must have shape {(size, size)} beside K_xX of {(n_test, n)}, got {matrix.shape}")
    _require_symmetric("K_XX", known)
    targets = as_targets(y, n)
    whiten = _whitening(known + as_scale("noise", noise) ** 2 * np.eye(n), between)
    explained = whiten(between.T)
    mean = explained.T @ whiten(targets)
    if prior is None:
        return Prediction(mean, None)
    covariance = prior - explained.T @ explained
    np.fill_diagonal(covariance, np.maximum(np.diag(covariance), 0.0))
    return Prediction(mean, covariance)


def ridge(features: ArrayLike, y: ArrayLike, noise: float = 0.0) -> FloatArray:
    """Return the weights w that minimize ``|y - F w|^2 + s^2 |w|^2``: (p,) or (p, k).

    By orthogonal transformations of F itself, whose condition number is the root of that of ``F F^T``. They predict the
    mean of :func:`posterior` with the kernel ``F F^T``, since ``(F^T F + s^2)^-1 F^T = F^T (F F^T + s^2)^-1`` (the
    push-through identity); without noise they are the shortest of the weights that fit best.

    Args:
        features: F, shape (n, p).
        y: targets (n,) or (n, k).
        noise: s.

    Raises:
        ValueError: as :func:`posterior`.
    """
    matrix = as_matrix("features", features)
    targets = as_targets(y, len(matrix))
    scale = as_scale("noise", noise)
    size = matrix.shape[1]
    if scale > 0:
        matrix = np.vstack([matrix, scale * np.eye(size)])
        targets = np.concatenate([targets, np.zeros((size, *targets.shape[1:]))])
    return np.asarray(np.linalg.lstsq(matrix, targets, rcond=None)[0], dtype=float)


def as_targets(y: ArrayLike, n: int) -> FloatArray:
    """Return targets as a float array (n,) or (n, k).

    Raises:
        ValueError: if they are of another shape, or not finite.
    """
    targets = np.asarray(y, dtype=float)
    if targets.ndim not in (1, 2) or len(targets) != n or not targets.size:
        raise ValueError(f"targets must have shape ({n},) or ({n}, n_outputs), one per input, got {targets.shape}")
    if not np.isfinite(targets).all():
        row = int(np.argwhere(~np.isfinite(targets))[0, 0])
        raise ValueError(f"targets must be finite, got NaN or infinity in row {row}; remove or replace it")
    return targets


def as_matrix(name: str, given: ArrayLike) -> FloatArray:
    """Return a finite matrix.

    Raises:
        ValueError: if it is not a matrix, empty, or not finite.
    """
    matrix = np.asarray(given, dtype=float)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"{name} must be a matrix with at least one row and column, got shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} must be finite, got NaN or infinity")
    return matrix


def _require_symmetric(name: str, matrix: FloatArray) -> None:
    if np.max(np.abs(matrix - matrix.T)) > EPS**0.5 * np.max(np.abs(matrix)):
        raise ValueError(f"{name} must be symmetric, it differs from its transpose by more than rounding")


def as_scale(name: str, given: float) -> float:
    """Return a finite number >= 0.

    Raises:
        ValueError: if it is something else.
    """
    value = np.asarray(given, dtype=float)
    if value.ndim or not np.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a finite number >= 0, got {given!r}; it is a standard deviation")
    return float(value)


def resolution(eigenvalues: FloatArray) -> float:
    """Return below what an eigenvalue cannot be told from 0: the rounding error of the eigendecomposition (derived)."""
    return len(eigenvalues) * EPS * float(np.max(np.abs(eigenvalues)))


def smallest_on_range(eigenvalues: FloatArray, coupling: FloatArray) -> float:
    """Return the smallest eigenvalue on the range of a kernel matrix, as far as rounding lets one say.

    Eigenvalues that cannot be told from 0 are 0 if a gap parts them from the others and the kernel between test and
    training points vanishes on their eigenvectors, as it must on a null space. Otherwise they may be anything up to the
    resolution, which is returned. Of the zero matrix, whose range is empty, it is infinite.

    Args:
        eigenvalues: (n,), ascending.
        coupling: kernel between test points and eigenvectors (n_test, n).
    """
    least, largest = resolution(eigenvalues), float(eigenvalues[-1])
    kept = eigenvalues > least
    if not kept.any():
        return float("inf")
    smallest = float(eigenvalues[kept][0])
    # what rounding mixes into a null vector is resolution / smallest of an eigenvector, on which, for a positive
    # semidefinite kernel of the size of the largest eigenvalue, the coupling is up to sqrt(largest * smallest)
    rounding = least * (largest / smallest) ** 0.5
    vanishes = np.max(np.abs(coupling[:, ~kept]), initial=0.0) <= rounding
    return smallest if kept.all() or (vanishes and smallest * TOLERATED_CONDITION >= largest) else least


def warn_of_condition(name: str, condition: float, advice: str) -> None:
    """Warn if a condition number, largest by smallest eigenvalue above 0, may take more than half of the digits.

    It bounds what rounding does to the mean; most targets lose less.
    """
    if condition > TOLERATED_CONDITION:
        digits = max(0, int(-np.log10(EPS * condition)))
        text = f"{name} has condition number {condition:.1e}: as few as {digits} of 16 digits may be left; {advice}"
        warnings.warn(text, IllConditioned, stacklevel=4)


def _whitening(kernel: FloatArray, between: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return the map W with ``W^T W`` the inverse of a kernel, on the range that can be told from its null space."""
    advice = "give more noise, or remove nearly equal inputs"
    lower, failed = linalg.lapack.dpotrf(kernel, lower=1)
    reciprocal = 0.0 if failed else linalg.lapack.dpocon(lower, np.linalg.norm(kernel, 1), uplo="L")[0]
    if reciprocal > len(kernel) * EPS:
        warn_of_condition("K + noise^2", 1 / reciprocal, advice)
        return lambda right: np.asarray(linalg.solve_triangular(lower, right, lower=True))
    eigenvalues, vectors = np.linalg.eigh(kernel)
    if eigenvalues[0] < -(EPS**0.5) * eigenvalues[-1]:
        raise ValueError(f"K + noise^2 must be positive semidefinite, got the eigenvalue {eigenvalues[0]:.2e}")
    kept = eigenvalues > resolution(eigenvalues)
    smallest = smallest_on_range(eigenvalues, between @ vectors)
    warn_of_condition("K + noise^2", float(eigenvalues[-1]) / smallest, advice)
    whitening = (vectors[:, kept] / np.sqrt(eigenvalues[kept])).T
    return lambda right: np.asarray(whitening @ right)
