"""The inputs a run is about: real images with unequal norms and degenerate pairs, or the user's own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from numeric.kernels import as_inputs

_LARGEST = 1e6
"""Largest magnitude of an input; fourth powers of kernels must stay far from overflow (chosen)."""
_MOST_POINTS = 12
"""Checks look at every pair of inputs; 12 inputs are 78 pairs. Chosen to keep a quick run quick."""


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """Inputs with a name for each.

    Attributes:
        source: where they come from.
        x: array (n_points, dimension), read-only.
        labels: one name per row.
    """

    source: str
    x: NDArray[np.float64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        x = np.array(as_inputs(self.x))
        if len(x) > _MOST_POINTS:
            raise ValueError(f"expected at most {_MOST_POINTS} inputs, got {len(x)}; choose a handful of rows")
        if np.abs(x).max() > _LARGEST:
            raise ValueError(f"expected numbers up to {_LARGEST:g}, got {np.abs(x).max():g}; scale the inputs")
        if len(self.labels) != len(x):
            raise ValueError(f"expected one label per input, got {len(self.labels)} for {len(x)} inputs")
        x.setflags(write=False)
        object.__setattr__(self, "x", x)

    @property
    def sha256(self) -> str:
        """Return the hash of the numbers."""
        return hashlib.sha256(np.ascontiguousarray(self.x, dtype="<f8").tobytes()).hexdigest()

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows of all unordered pairs, equal ones included."""
        return np.tril_indices(len(self.x))

    @property
    def pair_labels(self) -> tuple[str, ...]:
        """Return a name for each pair."""
        rows, columns = self.pairs
        return tuple(
            self.labels[i] if i == j else f"{self.labels[j]} · {self.labels[i]}"
            for i, j in zip(rows, columns, strict=True)
        )


def default_inputs() -> Inputs:
    """Return four digit images of unequal norms, a copy of one, the scaled negative of another, and zero."""
    images = load_digits()
    rows = [3, 10, 22, 41]
    scale = np.array([0.08, 0.12, 0.16, 0.2])  # unequal norms even where the images' own are alike
    digits = images.data[rows] * scale[:, None]
    x = np.vstack([digits, digits[1], -0.75 * digits[2], np.zeros(digits.shape[1])])
    names = [f"digit {images.target[row]}" for row in rows]
    labels = (*names, f"copy of {names[1]}", f"-0.75 {names[2]}", "zero")
    return Inputs("scikit-learn digits, rows 3, 10, 22, 41, with a copy, a negative and zero", x, labels)


def read_inputs(path: Path) -> Inputs:
    """Return inputs from a file: ``.npy``, or ``.csv`` with one row per input and no header.

    Raises:
        ValueError: if the file is missing, of another kind, empty, or does not hold a table of finite numbers.
    """
    if not path.is_file():
        raise ValueError(f"expected a file of inputs, but {path} does not exist or is not a file")
    try:
        if path.suffix == ".npy":
            x = np.load(path, allow_pickle=False)
        elif path.suffix == ".csv":
            if not path.read_text(encoding="utf-8").strip():
                raise ValueError("the file is empty")
            x = np.loadtxt(path, delimiter=",", ndmin=2)
        else:
            raise ValueError(f"the suffix {path.suffix or '(none)'} is not known")
        x = np.asarray(x, dtype=float)
        return Inputs(path.name, x, tuple(f"row {n + 1}" for n in range(len(x) if x.ndim else 0)))
    except (ValueError, EOFError, OSError, TypeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"cannot use {path}: {reason}; give a .npy array or a .csv table of numbers, one input per row"
        ) from error
