"""Finite networks that are trained, beside their linearizations.

Loss ½ Σ |f(X) - Y|² over all training inputs and outputs, full batch. With r = f(X) - Y the parameters follow
ω̇ = -ρ (∂f/∂ω)ᵀ r (:mod:`numeric.gradients` has the rates ρ), and the linearization at the start follows

    ḟ_lin(x) = -Θ̂₀(x, X) (f_lin(X) - Y),     f_lin = f at time 0,

which is advanced by the same steps (:mod:`numeric.integrators`). Parameters are measured in ω/√ρ, the coordinates in
which the flow is that of the gradient itself, so that to leading order

    |Δω/√ρ|² = cᵀ Θ̂₀ c (1 + O(1/N)),     c = ∫ (f_lin(X) - Y) dt.

For NTK parameterization these are the parameters. For standard parameterization with learning rate η they are the
parameters v divided by √η.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from numeric.gradients import Learner, owned_parameters
from numeric.integrators import Schedule, State
from numeric.network import Parameters
from numeric.threads import one_thread

FloatArray = NDArray[np.float64]

_PARAMETERS = 2**18
"""Parameters that are trained together; chosen: their seven copies in a step of the flow take 15 MB, near what caches
hold, and the time of a step is not that of the interpreter."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Inputs with targets, and inputs at which the network is only looked at; read-only copies.

    Attributes:
        x: (n_train, dimension).
        y: targets (n_train, outputs); for one output also (n_train,).
        test: (n_test, dimension); none if not given.

    Raises:
        ValueError: if shapes do not fit or a number is not finite.
    """

    x: FloatArray
    y: FloatArray
    test: FloatArray | None = None

    def __post_init__(self) -> None:
        x, y = np.array(self.x, dtype=np.float64), np.array(self.y, dtype=np.float64)
        if x.ndim != 2 or not len(x):
            raise ValueError(f"x must have shape (n_train, dimension), got {x.shape}: one input per row")
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or len(y) != len(x):
            raise ValueError(f"y must have shape ({len(x)}, outputs), got {y.shape}: one target per row of x")
        test = np.empty((0, x.shape[1])) if self.test is None else np.array(self.test, dtype=np.float64)
        if test.ndim != 2 or test.shape[1] != x.shape[1]:
            raise ValueError(f"test must have shape (n_test, {x.shape[1]}), got {test.shape}: as x")
        for name, array in (("x", x), ("y", y), ("test", test)):
            if not np.all(np.isfinite(array)):
                raise ValueError(f"{name} must be finite, got {array[~np.isfinite(array)][0]}: remove such points")
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def points(self) -> FloatArray:
        """All inputs, training inputs first, shape (n_points, dimension)."""
        return self.x if self.test is None else np.concatenate([self.x, self.test])


@dataclass(frozen=True, slots=True, eq=False)
class Linearization:
    """Networks linearized in their parameters, on training data.

    Attributes:
        outputs: at all inputs, (n_networks, outputs, n_points).
        ntk: Θ̂ at all inputs and training inputs, (n_networks, n_points, n_train, outputs, outputs).
        targets: (outputs, n_train).
    """

    outputs: FloatArray
    ntk: FloatArray
    targets: FloatArray

    @classmethod
    def of(cls, learner: Learner, parameters: Parameters, data: TrainingData) -> Self:
        """Linearize networks at their parameters.

        Raises:
            ValueError: if something does not fit the shape of the networks.
        """
        if data.y.shape[1] != learner.shape.outputs:
            raise ValueError(
                f"y must have {learner.shape.outputs} columns, one per output of the network, got {data.y.shape[1]}"
            )
        layers = learner.linearized(parameters, data.points)
        ntk = learner.tangent_kernel(parameters, layers)[:, :, : len(data.x)]
        return cls(layers.outputs, ntk, data.y.T)

    def residual(self, outputs: FloatArray) -> FloatArray:
        """Return f(X) - Y, shape (n_networks, outputs, n_train), from outputs at all inputs."""
        difference: FloatArray = outputs[:, :, : self.targets.shape[1]] - self.targets
        return difference

    def applied(self, residual: FloatArray) -> FloatArray:
        """Return Θ̂ applied to a residual, shape (n_networks, outputs, n_points)."""
        change: FloatArray = np.einsum("nabkl,nlb->nka", self.ntk, residual)
        return change

    @property
    def gram(self) -> FloatArray:
        """Θ̂ at the training inputs as a matrix for each network, (n_networks, outputs n_train, outputs n_train)."""
        count, _, n_train, outputs, _ = self.ntk.shape
        square = self.ntk[:, :n_train].transpose(0, 3, 1, 4, 2)
        return square.reshape(count, outputs * n_train, outputs * n_train)


@dataclass(frozen=True, slots=True, eq=False)
class Trajectories:
    """What networks did while they were trained; the arrays are read-only.

    Attributes:
        times: (n_times,).
        outputs: f at training and then test inputs, (n_networks, n_times, outputs, n_points).
        linearized: f_lin, of the same shape.
        ntk: Θ̂ at all inputs and training inputs, (n_networks, n_times, n_points, n_train, outputs, outputs).
        squared_displacement: squared 2-norms of the displacement of weights and of biases, of each layer, in units of
            √ρ; zero where ρ is. Shape (n_networks, n_times, layers, 2).
        largest_displacement: maximum norms, likewise.
        linear_displacement: √(cᵀ Θ̂₀ c), the 2-norm of the displacement of the linearization, (n_networks, n_times).
    """

    times: FloatArray
    outputs: FloatArray
    linearized: FloatArray
    ntk: FloatArray
    squared_displacement: FloatArray
    largest_displacement: FloatArray
    linear_displacement: FloatArray

    def __post_init__(self) -> None:
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    @property
    def displacement(self) -> FloatArray:
        """|ω_t - ω_0| of all parameters in units of √ρ, shape (n_networks, n_times)."""
        total: FloatArray = np.sqrt(self.squared_displacement.sum(axis=(2, 3)))
        return total

    @property
    def departure(self) -> FloatArray:
        """Maximum of |f - f_lin| over times, outputs and inputs, shape (n_networks,)."""
        largest: FloatArray = np.abs(self.outputs - self.linearized).max(axis=(1, 2, 3))
        return largest

    @property
    def kernel_change(self) -> FloatArray:
        """Frobenius norm of Θ̂_t - Θ̂ at the first time, at the training inputs, shape (n_networks, n_times)."""
        n_train = self.ntk.shape[3]
        change = self.ntk[:, :, :n_train] - self.ntk[:, :1, :n_train]
        norm: FloatArray = np.sqrt(np.sum(change**2, axis=(2, 3, 4, 5)))
        return norm


def train(learner: Learner, parameters: Parameters, data: TrainingData, schedule: Schedule) -> Trajectories:
    """Train networks and their linearizations.

    A network's trajectory depends on its own parameters only, so whoever draws these from keys has keyed results.

    Args:
        learner: kind of network, and what of it is trained.
        parameters: of the networks at time 0, in float64.
        data: inputs and targets.
        schedule: steps, and when is recorded.

    Raises:
        ValueError: if something does not fit the shape, a step is too large for the kernel of a network at time 0, or
            a network overflows all the same.
    """
    # Products on several threads round differently. What overflows is seen in the outputs.
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        starts = linearized_in_parts(learner, parameters, data, schedule)
        parts = [_trained(learner, part, start, data, schedule) for part, start in starts]
    names = [field.name for field in fields(Trajectories)]
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names if name != "times"}
    if not all(np.all(np.isfinite(array)) for array in arrays.values()):
        raise ValueError(
            f"networks overflowed while they were trained with a step of {schedule.step:.6g}: take a smaller one"
        )
    return Trajectories(schedule.times, **arrays)


def linearized_in_parts(
    learner: Learner, parameters: Parameters, data: TrainingData, schedule: Schedule
) -> Iterator[tuple[Parameters, Linearization]]:
    """Return so many networks at a time as memory is meant for, with their linearizations.

    Raises:
        ValueError: before the first are returned, if the parameters are not float64, a kernel is not finite, or the
            step is too large for a network.
    """
    if parameters.weights[0].dtype != np.float64:
        raise ValueError(f"parameters must be float64, got {parameters.weights[0].dtype}: sample them as float64")
    size = max(1, _PARAMETERS * parameters.n_networks // sum(weight.size for weight in parameters.weights))
    places = [slice(first, first + size) for first in range(0, parameters.n_networks, size)]
    starts = [Linearization.of(learner, _networks(parameters, place), data) for place in places]
    if not all(np.all(np.isfinite(start.outputs)) and np.all(np.isfinite(start.ntk)) for start in starts):
        raise ValueError("the kernel of a network is not finite before training: take smaller inputs or sigma_w")
    schedule.check_stable(max(float(np.linalg.eigvalsh(start.gram)[:, -1].max()) for start in starts))
    return ((_networks(parameters, place), start) for place, start in zip(places, starts, strict=True))


def _networks(parameters: Parameters, place: slice) -> Parameters:
    return Parameters(
        tuple(weight[place] for weight in parameters.weights), tuple(bias[place] for bias in parameters.biases)
    )


def _trained(
    learner: Learner, parameters: Parameters, start: Linearization, data: TrainingData, schedule: Schedule
) -> dict[str, FloatArray]:
    """Return the arrays of the trajectories of some networks."""

    def velocity(state: State) -> State:
        layers = learner.linearized(owned_parameters(state), data.x)
        downhill = learner.gradient(layers, -start.residual(layers.outputs))
        return downhill.weights + downhill.biases

    def linear_velocity(state: State) -> State:
        residual = start.residual(state[0])
        return -start.applied(residual), residual

    first = parameters.weights + parameters.biases
    linear_first = start.outputs, np.zeros_like(start.residual(start.outputs))
    found = []
    for state, (linear, integral) in zip(
        schedule.states(velocity, first), schedule.states(linear_velocity, linear_first), strict=True
    ):
        now = owned_parameters(state)
        layers = learner.linearized(now, data.points)
        gram = np.einsum("nka,nka->n", integral, start.applied(integral)[:, :, : len(data.x)])
        found.append(
            {
                "outputs": layers.outputs,
                "linearized": linear,
                "ntk": learner.tangent_kernel(now, layers)[:, :, : len(data.x)],
                "linear_displacement": np.sqrt(np.maximum(gram, 0.0)),
                **_displacements(learner, parameters, now),
            }
        )
    return {name: np.stack([record[name] for record in found], axis=1) for name in found[0]}


def _displacements(learner: Learner, before: Parameters, after: Parameters) -> dict[str, FloatArray]:
    """Return 2-norms (squared) and maximum norms of the displacement, (n_networks, layers, 2), in units of √ρ."""
    pairs = zip(before.weights + before.biases, after.weights + after.biases, strict=True)
    moved = [(new - old).reshape(before.n_networks, -1) for old, new in pairs]
    rates = np.array(learner.rates.weights + learner.rates.biases)
    inverse = np.divide(1.0, rates, out=np.zeros_like(rates), where=rates > 0)
    squares = np.stack([np.einsum("np,np->n", move, move) for move in moved], axis=1) * inverse
    largest = np.stack([np.abs(move).max(axis=1) for move in moved], axis=1) * np.sqrt(inverse)
    shape = (before.n_networks, 2, -1)
    return {
        "squared_displacement": squares.reshape(shape).transpose(0, 2, 1),
        "largest_displacement": largest.reshape(shape).transpose(0, 2, 1),
    }
