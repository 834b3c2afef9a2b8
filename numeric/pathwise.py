"""What training does to one network beyond its linearization, to leading order, from kernels at its start.

With r = f(X) - Y and ω̇ = -ρ (∂f/∂ω)ᵀ r, every function F of the parameters obeys Ḟ = -Σ_c F'[c] r_c, where F'[c] is its
derivative along ρ ∂f_c/∂ω. So with O3 = Θ̂' and O4 = Θ̂'' at the start, both O(1/N), and O5 and O6 of O(1/N²),

    Θ̂_t - Θ̂₀ = -Σ_c O3[c] I_c + Σ_cd O4[c, d] I_cd + O(1/N²),     İ_c = r_c,     İ_cd = r_c I_d,

for the residual r of the linearization, and δ = f - f_lin follows δ̇ = -Θ̂₀ δ(X) - (Θ̂_t - Θ̂₀) r, from 0.

Source: Dyer, Gur-Ari, "Asymptotics of Wide Networks from Feynman Diagrams", ICLR 2020, arXiv:1909.11304; Huang, Yau,
"Dynamics of Deep Neural Networks and Neural Tangent Hierarchy", ICML 2020, arXiv:1909.08156.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from numeric.gradients import Learner, owned_parameters
from numeric.integrators import Schedule, State
from numeric.network import Parameters
from numeric.threads import one_thread
from numeric.training import Linearization, TrainingData, linearized_in_parts

FloatArray = NDArray[np.float64]
Kernel = Callable[[Parameters], FloatArray]

_STEP = 1e-2
"""Length of the steps of central differences, in units in which the mean squared length of ∂f/∂ω is 1.

Chosen: a preactivation moves by about that much, so differences are off by 1e-4 relative to O3, and twice nested ones
by rounding errors of 1e-16/1e-4 relative to Θ̂, that is 1e-12 N relative to O4. Both are far below the 1/N that the
leading order leaves out at any width that can be trained.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Pathwise:
    """Leading order of what a network and its kernel do beyond the linearization; the arrays are read-only.

    Attributes:
        outputs: prediction of f - f_lin, (n_networks, n_times, outputs, n_points).
        ntk: prediction of Θ̂_t - Θ̂₀, (n_networks, n_times, n_points, n_train, outputs, outputs).
    """

    outputs: FloatArray
    ntk: FloatArray

    def __post_init__(self) -> None:
        self.outputs.setflags(write=False)
        self.ntk.setflags(write=False)

    @property
    def departure(self) -> FloatArray:
        """Maximum of the predicted |f - f_lin| over times, outputs and inputs, shape (n_networks,)."""
        largest: FloatArray = np.abs(self.outputs).max(axis=(1, 2, 3))
        return largest


def higher_kernels(learner: Learner, parameters: Parameters, data: TrainingData) -> tuple[FloatArray, FloatArray]:
    """Return O3 and O4 by central differences; of activations that are smooth.

    Returns:
        The derivatives of Θ̂ (n_networks, n_points, n_train, outputs, outputs) along the gradients of the outputs at
        the training inputs: further axes (outputs, n_train), once for O3 and twice for O4, the axes of the outer
        derivative last.

    Raises:
        ValueError: if something does not fit the shape of the networks.
    """
    start = Linearization.of(learner, parameters, data)
    mean = np.einsum("nii->n", start.gram) / start.gram.shape[1]
    if not np.all(mean > 0):
        raise ValueError("the tangent kernel of a network is zero: train something that the outputs depend on")
    step = _STEP / np.sqrt(mean)

    def ntk(now: Parameters) -> FloatArray:
        return Linearization.of(learner, now, data).ntk

    third = _along_gradients(learner, data, step, ntk)
    return third(parameters), _along_gradients(learner, data, step, third)(parameters)


def predict(learner: Learner, parameters: Parameters, data: TrainingData, schedule: Schedule) -> Pathwise:
    """Predict networks that are trained by gradient flow, from their parameters at time 0.

    Raises:
        ValueError: if the schedule is that of gradient descent, whose steps add terms of its learning rate at the same
            order, or as `train`.
    """
    if schedule.method != "flow":
        raise ValueError(f"expected a schedule of gradient flow, got {schedule.method}: this is what is predicted")
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        starts = linearized_in_parts(learner, parameters, data, schedule)
        parts = [_predicted(start, *higher_kernels(learner, part, data), schedule) for part, start in starts]
    return Pathwise(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _predicted(
    start: Linearization, third: FloatArray, fourth: FloatArray, schedule: Schedule
) -> tuple[FloatArray, FloatArray]:
    """Return the arrays of the prediction of some networks."""

    def drift(once: FloatArray, twice: FloatArray) -> FloatArray:
        first: FloatArray = np.einsum("nabklic,nic->nabkl", third, once)
        second: FloatArray = np.einsum("nabklicjd,nicjd->nabkl", fourth, twice)
        return second - first

    def velocity(state: State) -> State:
        linear, once, twice, beyond = state
        residual = start.residual(linear)
        pull = replace(start, ntk=drift(once, twice)).applied(residual)
        return (
            -start.applied(residual),
            residual,
            residual[:, :, :, None, None] * once[:, None, None],
            -pull - start.applied(beyond[:, :, : residual.shape[2]]),
        )

    once = np.zeros_like(start.residual(start.outputs))
    twice = np.zeros(once.shape + once.shape[1:])
    begin = start.outputs, once, twice, np.zeros_like(start.outputs)
    found = [(beyond, drift(once, twice)) for _, once, twice, beyond in schedule.states(velocity, begin)]
    outputs, ntk = (np.stack(arrays, axis=1) for arrays in zip(*found, strict=True))
    return outputs, ntk


def _along_gradients(learner: Learner, data: TrainingData, step: FloatArray, kernel: Kernel) -> Kernel:
    """Return the derivative of a function of the parameters along ρ ∂f_c/∂ω at c, with axes (outputs, n_train) of c."""

    def derivative(parameters: Parameters) -> FloatArray:
        layers = learner.linearized(parameters, data.x)
        n_networks, outputs, n_train = layers.outputs.shape
        slopes = []
        for index in range(outputs * n_train):
            cotangent = np.zeros((n_networks, outputs * n_train))
            cotangent[:, index] = step
            move = learner.gradient(layers, cotangent.reshape(layers.outputs.shape))
            ends = [kernel(_moved(parameters, sign, move)) for sign in (1, -1)]
            difference = ends[0] - ends[1]
            slopes.append(difference / (2 * step.reshape(-1, *(1,) * (difference.ndim - 1))))
        stacked = np.stack(slopes, axis=-1)
        return stacked.reshape(*stacked.shape[:-1], outputs, n_train)

    return derivative


def _moved(parameters: Parameters, sign: int, move: Parameters) -> Parameters:
    pairs = zip(parameters.weights + parameters.biases, move.weights + move.biases, strict=True)
    return owned_parameters([array + sign * change for array, change in pairs])
