"""Ensembles of finite networks that are really trained, in keyed blocks, and which statistics of them are kept.

A block is the unit of randomness as in :mod:`verify.ensembles`; all statistics that are asked for of a block come from
one training of its networks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derive.activations import activation
from numeric.gradients import Learner, Rates
from numeric.lower_functions import lowered_activation
from numeric.network import sample_parameters
from numeric.pathwise import Pathwise, predict
from numeric.training import Trajectories, train
from verify.ensembles import Ensemble, Statistic, block_key, sample_block
from verify.learning_problems import Problem, problem
from verify.readouts import ReadoutEnsemble, readout_block
from verify.statistics import Moments

FloatArray = NDArray[np.float64]

NTK, STANDARD = "NTK parameterization", "standard parameterization"


@dataclass(frozen=True, slots=True)
class TrainedEnsemble(Ensemble):
    """Networks of one shape and one output that are trained by gradient flow.

    Attributes:
        problem: name of what they are trained on.
        parameterization: of the parameters that follow the gradient. In standard parameterization the weights are v
            with ``f = v phi``, and all share the learning rate ``sigma_w^2 / 2N``.
    """

    problem: str
    parameterization: str = NTK

    @property
    def learning_rate(self) -> float:
        """Return the learning rate: 1, or the common one of standard parameterization."""
        return 1.0 if self.parameterization == NTK else self.sigma_w**2 / (2 * self.widths[0])

    def learner(self, dimension: int) -> Learner:
        """Return how its networks learn, on inputs of a dimension."""
        shape, layers = self.shape(dimension), len(self.widths)
        rates = Rates.ntk(shape) if self.parameterization == NTK else Rates.standard(shape, self.learning_rate)
        phi, dphi = lowered_activation(activation(self.activation))
        return Learner(shape, [phi] * layers, [dphi] * layers, rates)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What a block of networks did.

    Attributes:
        problem: what they were trained on.
        found: their trajectories; the first time is 0.
        predicted: what is predicted of them from their start, if it was asked for.
    """

    problem: Problem
    found: Trajectories
    predicted: Pathwise | None

    @property
    def outputs(self) -> FloatArray:
        """Return the outputs, (n_networks, n_times, n_points)."""
        return self.found.outputs[:, :, 0]

    @property
    def tested(self) -> FloatArray:
        """Return the outputs at the test inputs after time 0, (n_networks, n_times - 1, n_test)."""
        return self.outputs[:, 1:, self.problem.n_train :]


def _linear_part(trained: Trained, slopes: FloatArray) -> FloatArray:
    """Return a linear function of the outputs at time 0, whose mean is 0: (n_networks, n_times - 1, n_test)."""
    part: FloatArray = np.einsum("txp,np->ntx", slopes, trained.outputs[:, 0])
    return part


def _mean(trained: Trained, centre: FloatArray) -> FloatArray:
    """Return outputs less a linear function of those at time 0, side by side over times.

    Outputs at time 0 have mean 0 at every width, so whatever the slopes are, the mean is that of the outputs. With
    the slopes of infinitely wide networks only fluctuations of order N^-1/2 are left.

    Args:
        trained: what networks did.
        centre: the slopes, (n_times - 1, n_test, n_points).
    """
    return (trained.tested - _linear_part(trained, centre)).reshape(len(trained.outputs), -1)


def _spread(trained: Trained, centre: FloatArray) -> FloatArray:
    """Return products of deviations from means at pairs of test inputs, with a control variate of known mean.

    Args:
        trained: what networks did.
        centre: for each time and test input the mean, slopes as above, and the covariances of the linear function:
            (n_times - 1, n_test, 1 + n_points + n_test). With one hidden layer these covariances are exact.
    """
    n_points = trained.outputs.shape[2]
    means, slopes, known = centre[:, :, 0], centre[:, :, 1 : 1 + n_points], centre[:, :, 1 + n_points :]
    deviations, linear = trained.tested - means, _linear_part(trained, slopes)
    products = (v[:, :, :, None] * v[:, :, None, :] for v in (deviations, linear))
    rows, columns = np.tril_indices(len(known[0]))
    whole, part = products
    return np.asarray((whole - part + known)[:, :, rows, columns]).reshape(len(deviations), -1)


def _largest(values: FloatArray) -> FloatArray:
    return np.asarray(values.max(axis=1, keepdims=True))


def _departure(trained: Trained, centre: FloatArray) -> FloatArray:
    return trained.found.departure[:, None]


def _kernel_change(trained: Trained, centre: FloatArray) -> FloatArray:
    return _largest(trained.found.kernel_change)


def _squared_displacement(trained: Trained, centre: FloatArray) -> FloatArray:
    return _largest(trained.found.displacement**2)


def _predicted(trained: Trained) -> tuple[FloatArray, FloatArray]:
    """Return the departure from the linearization as it was predicted from the start, and as it was."""
    assert trained.predicted is not None  # asked for by its name
    return trained.predicted.outputs, trained.found.outputs - trained.found.linearized


def _pathwise_ratio(trained: Trained, bounds: FloatArray) -> FloatArray:
    """Return the part of the prediction along what happened, over what happened, cut off at bounds."""
    predicted, found = (part.reshape(len(part), -1) for part in _predicted(trained))
    low, high = bounds
    ratio = np.einsum("ni,ni->n", predicted, found) / np.einsum("ni,ni->n", found, found)
    return np.asarray(np.clip(ratio, low, high))[:, None]


def _pathwise_error(trained: Trained, centre: FloatArray) -> FloatArray:
    """Return the root of the 2-norm of the error of the prediction; norms themselves have heavy tails."""
    predicted, found = _predicted(trained)
    return np.asarray(np.sqrt(np.linalg.norm((predicted - found).reshape(len(found), -1), axis=1)))[:, None]


def _final(trained: Trained) -> FloatArray:
    return trained.tested[:, -1]


def _inside(trained: Trained, band: FloatArray) -> FloatArray:
    """Return the fraction of test inputs at which a network lies within a band, (low, high) at each."""
    low, high = band
    return np.asarray(np.mean((_final(trained) >= low) & (_final(trained) <= high), axis=1, keepdims=True))


def _squared_distance(trained: Trained, centre: FloatArray) -> FloatArray:
    """Return the squared distance of each network from what its own start lets expect, averaged over test inputs.

    Args:
        trained: what networks did.
        centre: for each test input mean, unit and slopes at the end, (n_test, 2 + n_points).
    """
    mean, unit, slopes = centre[:, 0], centre[:, 1], centre[:, 2:]
    distance = (_final(trained) - mean - trained.outputs[:, 0] @ slopes.T) / unit
    return np.asarray(np.mean(distance**2, axis=1, keepdims=True))


def _squared_error(trained: Trained, answers: FloatArray) -> FloatArray:
    return np.asarray(np.mean((_final(trained) - answers) ** 2, axis=1, keepdims=True))


PATHWISE = "path-wise"
MEAN, SPREAD = "outputs of trained networks", "products of deviations of trained networks"
DEPARTURE, KERNEL_CHANGE = "departure from the linearization", "change of the tangent kernel"
SQUARED_KERNEL_CHANGE = "squared change of the tangent kernel"
DISPLACEMENT = "squared displacement of the parameters"
PATHWISE_ERROR, PATHWISE_RATIO = f"error of the {PATHWISE} prediction", f"{PATHWISE} prediction over what happened"
FINAL, INSIDE, SQUARED_ERROR = "outputs at the end", "inside the band", "squared test error"
SQUARED_DISTANCE = "squared distance from what the start lets expect"

STATISTICS: Mapping[str, Callable[[Trained, FloatArray], FloatArray]] = {
    MEAN: _mean,
    SPREAD: _spread,
    DEPARTURE: _departure,
    KERNEL_CHANGE: _kernel_change,
    SQUARED_KERNEL_CHANGE: lambda trained, centre: _kernel_change(trained, centre) ** 2,
    DISPLACEMENT: _squared_displacement,
    PATHWISE_ERROR: _pathwise_error,
    PATHWISE_RATIO: _pathwise_ratio,
    FINAL: lambda trained, centre: _final(trained),
    INSIDE: _inside,
    SQUARED_DISTANCE: _squared_distance,
    SQUARED_ERROR: _squared_error,
}
"""Statistics of trained networks, each (n_networks, entries)."""


def trained_networks(ensemble: TrainedEnsemble, seed: int, block: int, pathwise: bool = False) -> Trained:
    """Return what the networks of a block do, and what is predicted of them if that is asked for."""
    task = problem(ensemble.problem)
    learner = ensemble.learner(task.data.x.shape[1])
    rng = np.random.Generator(np.random.Philox(block_key(seed, ensemble.name, block)))
    parameters = sample_parameters(learner.shape, ensemble.block_size, rng)
    found = train(learner, parameters, task.data, task.schedule)
    return Trained(task, found, predict(learner, parameters, task.data, task.schedule) if pathwise else None)


def trained_block(
    ensemble: TrainedEnsemble, statistics: tuple[Statistic, ...], seed: int, block: int
) -> tuple[Moments, ...]:
    """Return the power sums of each statistic over one block of networks."""
    pathwise = any(PATHWISE in statistic.name for statistic in statistics)
    trained = trained_networks(ensemble, seed, block, pathwise)
    return tuple(Moments.of(STATISTICS[s.name](trained, s.centre) / s.scale, s.target / s.scale) for s in statistics)


def block_of(
    ensemble: Ensemble, x: FloatArray, statistics: tuple[Statistic, ...], seed: int, block: int
) -> tuple[Moments, ...]:
    """Return the power sums of each statistic over one block of networks, trained or not.

    Networks that are trained have data of their own; others are evaluated on the inputs x.
    """
    if isinstance(ensemble, ReadoutEnsemble):
        return readout_block(ensemble, statistics, seed, block)
    if isinstance(ensemble, TrainedEnsemble):
        return trained_block(ensemble, statistics, seed, block)
    return sample_block(ensemble, x, statistics, seed, block)
