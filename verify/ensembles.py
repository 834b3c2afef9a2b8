"""Ensembles of sampled networks: what is drawn, in keyed blocks, and which statistics are kept.

A block is the unit of randomness: its bits depend on the seed, the ensemble's name and the block's number alone, so
results depend neither on how blocks are spread over workers nor on when they are run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from derive.activations import activation
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, empirical_kernels, empirical_nngp, forward, sample_parameters
from verify.statistics import Moments

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Networks of one shape.

    Attributes:
        name: the key of its random numbers.
        activation: name of the activation of every hidden layer.
        widths: hidden widths.
        outputs: number of outputs.
        sigma_w, sigma_b: the same for all layers.
        block_size: networks in a block.
    """

    name: str
    activation: str
    widths: tuple[int, ...]
    outputs: int
    sigma_w: float
    sigma_b: float
    block_size: int

    def shape(self, dimension: int) -> NetworkShape:
        """Return the shape of its networks on inputs of a dimension."""
        layers = len(self.widths) + 1
        return NetworkShape(dimension, self.widths, self.outputs, (self.sigma_w,) * layers, (self.sigma_b,) * layers)


@dataclass(frozen=True, slots=True, eq=False)
class Statistic:
    """One vector statistic of a network, in units in which its claimed value is ``target / scale``.

    Attributes:
        name: which function of a network, see :data:`STATISTICS`.
        centre: array subtracted before squaring, for spreads; empty otherwise.
        target: claimed value, shape (entries,).
        scale: unit of each entry, positive.
    """

    name: str
    centre: FloatArray
    target: FloatArray
    scale: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a block of networks showed.

    Attributes:
        outputs: (n_networks, outputs, n_points).
        nngp: (n_networks, n_points, n_points).
        ntk: (n_networks, n_points, n_points, outputs, outputs).
        pairs: rows of all pairs of inputs.
    """

    outputs: FloatArray
    nngp: FloatArray
    ntk: FloatArray
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]

    def at_pairs(self, matrices: FloatArray) -> FloatArray:
        """Return the entries of matrices (n, p, p) at the pairs."""
        return matrices[:, self.pairs[0], self.pairs[1]]


def _same_and_different(values: FloatArray, sample: Sample) -> FloatArray:
    """Return means of products of values at two inputs over equal and over different units, side by side."""
    units = values.shape[1]
    equal = np.matmul(values.transpose(0, 2, 1), values)
    sums = values.sum(axis=1)
    every = sums[:, :, None] * sums[:, None, :]
    return np.hstack([sample.at_pairs(equal) / units, sample.at_pairs(every - equal) / (units * (units - 1))])


def _over_outputs(values: FloatArray, sample: Sample) -> FloatArray:
    """Return means of (n, p, p, k, k') over equal outputs and, side by side, over different ones if there are several.

    Outputs are exchangeable, so averaging over them changes no mean and saves networks.
    """
    outputs = values.shape[-1]
    equal = np.einsum("nabkk->nab", values)
    if outputs == 1:
        return sample.at_pairs(equal)
    different = (values.sum(axis=(3, 4)) - equal) / (outputs * (outputs - 1))
    return np.hstack([sample.at_pairs(equal / outputs), sample.at_pairs(different)])


def _without_own_part(sample: Sample) -> FloatArray:
    """Return the tangent kernel without the part of the output layer's own parameters, which is the NNGP kernel."""
    difference: FloatArray = sample.ntk - sample.nngp[..., None, None] * np.eye(sample.ntk.shape[-1])
    return difference


def _squared_spread(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return squared deviations of the tangent kernel from its mean, which is zero between different outputs."""
    rows, columns = sample.pairs
    mean = np.zeros(sample.ntk.shape[1:3])
    mean[rows, columns] = mean[columns, rows] = centre[: len(rows)]
    deviation = sample.ntk - mean[..., None, None] * np.eye(sample.ntk.shape[-1])
    return _over_outputs(deviation**2, sample)


def _joint_spread(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return products of the deviations of both kernels of one output from their means."""
    tangent = sample.at_pairs(np.einsum("nabkk->nab", sample.ntk)) / sample.ntk.shape[-1]
    result: FloatArray = (sample.at_pairs(sample.nngp) - centre[0]) * (tangent - centre[1])
    return result


def _mean_relative(squares: FloatArray, scale: FloatArray) -> FloatArray:
    """Return the mean over entries of squared deviations relative to the squared scale of their pair, (n, 1)."""
    repeated = np.tile(scale**2, squares.shape[1] // len(scale))
    result: FloatArray = np.mean(squares / repeated, axis=1, keepdims=True)
    return result


STATISTICS: Mapping[str, Callable[[Sample, FloatArray], FloatArray]] = {
    "second moments of units": lambda s, centre: _same_and_different(s.outputs, s),
    "fourth moments of units": lambda s, centre: _same_and_different(s.outputs**2, s),
    "nngp": lambda s, centre: s.at_pairs(s.nngp),
    "ntk": lambda s, centre: _over_outputs(s.ntk, s),
    "inherited ntk": lambda s, centre: _over_outputs(_without_own_part(s), s),
    "squared spread of nngp": lambda s, centre: (s.at_pairs(s.nngp) - centre) ** 2,
    "squared spread of ntk": _squared_spread,
    "product of deviations of nngp and ntk": _joint_spread,
    "squared error of nngp": lambda s, centre: _mean_relative((s.at_pairs(s.nngp) - centre[0]) ** 2, centre[1]),
    "squared error of ntk": lambda s, centre: _mean_relative(_squared_spread(s, centre[0]), centre[1]),
}
"""Statistics of a sample, each (n_networks, entries)."""


_NOT_NEEDED: FloatArray = np.empty((0, 0, 0, 0, 0))
"""Stands for what no statistic of a sample asks for, which is not computed."""


def block_generator(seed: int, name: str, block: int) -> np.random.Generator:
    """Return the random numbers of one block, keyed by seed, ensemble and block."""
    digest = hashlib.sha256(name.encode()).digest()
    words = [int.from_bytes(digest[n : n + 4], "little") for n in range(0, 32, 4)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words], spawn_key=(block,))))


def sample_block(
    ensemble: Ensemble, x: FloatArray, statistics: tuple[Statistic, ...], seed: int, block: int
) -> tuple[Moments, ...]:
    """Return the power sums of each statistic over one block of networks."""
    with threadpool_limits(1):  # products on several threads round differently
        shape = ensemble.shape(x.shape[1])
        rng = block_generator(seed, ensemble.name, block)
        parameters = sample_parameters(shape, ensemble.block_size, rng)
        phi, dphi = lowered_activation(activation(ensemble.activation))
        layers = len(ensemble.widths)
        networks = shape, parameters, x, [phi] * layers
        names = " ".join(statistic.name for statistic in statistics)
        outputs = nngp = ntk = _NOT_NEEDED
        if "units" in names:
            outputs = forward(*networks)[-1]
        if "ntk" in names:
            nngp, ntk = empirical_kernels(*networks, [dphi] * layers)
        elif "nngp" in names:
            nngp = empirical_nngp(*networks)
        sample = Sample(outputs, nngp, ntk, np.tril_indices(len(x)))
        return tuple(Moments.of(STATISTICS[s.name](sample, s.centre) / s.scale, s.target / s.scale) for s in statistics)
