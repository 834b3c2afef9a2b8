"""Steps of gradient flow and gradient descent, the same for a network and for its linearization.

For the linear flow ṙ = -λ r both are polynomials of z = step · λ: one step multiplies r by 1 - z (descent, or Euler's
method) or by 1 - z + z²/2 - z³/6 + z⁴/24 (flow, by the classical method of Runge and Kutta). A network and its
linearization differ by O(1/N), so they are compared after the same steps: against the exact exponential the error of
the method, which does not depend on N, would be a floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
State = tuple[FloatArray, ...]
Velocity = Callable[[State], State]
Method = Literal["flow", "descent"]

STABLE = {"flow": 2.785293563405282, "descent": 2.0}
"""Largest z at which a step does not enlarge a linear mode; derived: where the polynomials above are 1 in magnitude."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long is trained, and when is looked.

    Attributes:
        method: `flow` (fourth order in the step) or `descent`.
        step: the step in time, which for descent is the learning rate.
        record: numbers of steps after which the state is recorded, ascending; the time is their product with the step.

    Raises:
        ValueError: if the method is unknown, the step is not positive and finite, or the record is empty, negative,
            not of integers or not ascending.
    """

    method: Method
    step: float
    record: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {self.method!r}")
        if not (math.isfinite(self.step) and self.step > 0):
            raise ValueError(f"step must be positive and finite, got {self.step}: it is a time, or the learning rate")
        record = tuple(self.record)
        counts = all(isinstance(number, Integral) and number >= 0 for number in record)
        if not record or not counts or any(a >= b for a, b in pairwise(record)):
            raise ValueError(
                f"record must have ascending numbers of steps, not negative, got {record}: for example (0, 10, 20)"
            )
        object.__setattr__(self, "record", tuple(int(number) for number in record))

    @property
    def times(self) -> FloatArray:
        """Times of the record."""
        return self.step * np.array(self.record, dtype=np.float64)

    def check_stable(self, largest: float) -> None:
        """Check the step against the largest eigenvalue of a kernel.

        Raises:
            ValueError: if the linear flow would not be stable, with the largest step.
        """
        if self.step * largest > STABLE[self.method]:
            raise ValueError(
                f"expected step * (largest eigenvalue of the tangent kernel) <= {STABLE[self.method]:.4g}, got "
                f"{self.step:.6g} * {largest:.6g} = {self.step * largest:.4g}: take a step of at most "
                f"{STABLE[self.method] / largest:.6g}"
            )

    def states(self, velocity: Velocity, start: State) -> Iterator[State]:
        """Yield the state at each time of the record, of the flow with this velocity from time 0."""
        advanced = _runge_kutta if self.method == "flow" else _euler
        state, done = start, 0
        for number in self.record:
            for _ in range(number - done):
                state = advanced(velocity, state, self.step)
            done = number
            yield state


def _euler(velocity: Velocity, state: State, step: float) -> State:
    return _moved(state, step, velocity(state))


def _runge_kutta(velocity: Velocity, state: State, step: float) -> State:
    first = velocity(state)
    second = velocity(_moved(state, step / 2, first))
    third = velocity(_moved(state, step / 2, second))
    fourth = velocity(_moved(state, step, third))
    slopes = zip(first, second, third, fourth, strict=True)
    return _moved(state, step / 6, tuple(a + 2 * (b + c) + d for a, b, c, d in slopes))


def _moved(state: State, step: float, velocity: State) -> State:
    return tuple(array + step * change for array, change in zip(state, velocity, strict=True))
