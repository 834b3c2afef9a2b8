"""What networks are trained on: real data that scikit-learn brings along.

Images of two digits are regressed on targets -1 and 1, the diabetes data on the standardized progression of the
disease. A handful of images, of unequal norms, is for verdicts, where hundreds of thousands of networks are trained;
the larger problems are for the picture of what trained networks predict. Steps are so short that
even the rarest kernel among millions of narrow networks is far from making them unstable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits

from numeric.integrators import Schedule
from numeric.training import TrainingData
from verify.ensembles import in_their_span

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A regression problem, and how long is trained.

    Attributes:
        title: what it is, in words.
        data: training inputs with targets, and test inputs.
        answers: targets at the test inputs, (n_test,); never trained on.
        labels: a name for each test input.
        schedule: steps of gradient flow, and when is looked.
        signs: whether targets are two classes, -1 and 1.
    """

    title: str
    data: TrainingData
    answers: FloatArray
    labels: tuple[str, ...]
    schedule: Schedule
    signs: bool

    def __post_init__(self) -> None:
        answers = np.array(self.answers, dtype=np.float64)
        answers.setflags(write=False)
        object.__setattr__(self, "answers", answers)

    @property
    def n_train(self) -> int:
        """Return the number of training inputs."""
        return len(self.data.x)

    @property
    def tests(self) -> FloatArray:
        """Return the test inputs, (n_test, dimension)."""
        return self.data.points[self.n_train :]


def _split(
    title: str,
    inputs: FloatArray,
    targets: FloatArray,
    names: tuple[str, ...],
    n_train: int,
    schedule: Schedule,
    signs: bool = False,
) -> Problem:
    """Return the problem whose first rows are trained on; inputs are turned into their span, which changes no law."""
    inputs = in_their_span(inputs)
    data = TrainingData(inputs[:n_train], targets[:n_train], inputs[n_train:])
    return Problem(title, data, targets[n_train:], names[n_train:], schedule, signs)


def _digits(first: int, second: int, count: int) -> tuple[FloatArray, FloatArray, tuple[str, ...]]:
    """Return images of two digits less their mean over all of these, targets and names."""
    images = load_digits()
    rows = np.flatnonzero((images.target == first) | (images.target == second))
    pixels = images.data[rows] - images.data[rows].mean(axis=0)
    targets = np.where(images.target[rows] == first, -1.0, 1.0)
    return pixels[:count], targets[:count], tuple(f"{images.target[row]} (image {row})" for row in rows[:count])


def _few_digits() -> Problem:
    pixels, targets, names = _digits(1, 7, 6)
    # Norms are unequal even where the images' own are alike; at these, K and Theta are far from having one eigenbasis.
    scale = np.array([0.18, 0.39, 0.36, 0.42, 0.48, 0.15])
    title = "images of 1 and 7, 4 to train on and 2 to test"
    return _split(title, pixels * scale[:, None], targets, names, 4, Schedule("flow", 0.08, (0, 3, 12)), signs=True)


def _faint_digits() -> Problem:
    pixels, targets, names = _digits(0, 1, 4)
    scale = 0.15 * np.array([0.8, 1.0, 1.2, 0.9])  # so faint that orders in 1/N show at narrow widths already
    title = "faint images of 0 and 1, 3 to train on and 1 to test"
    return _split(title, pixels * scale[:, None], targets, names, 3, Schedule("flow", 0.15, (0, 3, 8)), signs=True)


def _many_digits() -> Problem:
    pixels, targets, names = _digits(3, 8, 32)
    title = "images of 3 and 8 as targets -1 and 1, 16 to train on and 16 to test"
    return _split(title, 0.2 * pixels, targets, names, 16, Schedule("flow", 0.04, (0, 50)), signs=True)


def _diabetes() -> Problem:
    table = load_diabetes()
    inputs = (table.data - table.data.mean(axis=0)) / table.data.std(axis=0)
    targets = (table.target - table.target.mean()) / table.target.std()
    names = tuple(f"patient {row}" for row in range(40))
    title = "progression of diabetes, standardized, 20 patients to train on and 20 to test"
    return _split(title, inputs[:40], targets[:40], names, 20, Schedule("flow", 0.04, (0, 50)))


_PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "few digits": _few_digits,
    "faint digits": _faint_digits,
    "digits": _many_digits,
    "diabetes": _diabetes,
}


@cache
def problem(name: str) -> Problem:
    """Return a problem by name.

    Raises:
        KeyError: for an unknown name.
    """
    return _PROBLEMS[name]()
