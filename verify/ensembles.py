"""Ensembles of sampled networks: what is drawn, in keyed blocks, and which statistics are kept.

A block is the unit of randomness: its bits depend on the seed, the ensemble's name and the block's number alone, so
results depend neither on how blocks are spread over workers nor on when they are run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from derive.activations import activation
from numeric.control_variate import ControlVariate, control_variate
from numeric.kernels import MLP
from numeric.lower_functions import lowered_activation
from numeric.matrix_free import keyed_normals, matrix_free_kernels
from numeric.network import (
    Activation,
    NetworkShape,
    Parameters,
    empirical_kernels,
    empirical_nngp,
    forward,
    sample_parameters,
    sampled_kernels,
)
from numeric.threads import one_thread
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

    @property
    def limit(self) -> MLP:
        """Return the network of infinite width."""
        return MLP(self.activation, len(self.widths), self.sigma_w, self.sigma_b)


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

    def same_as(self, other: Statistic) -> bool:
        """Return whether another statistic is the same: plans of several claims may ask for one."""
        arrays = zip((self.centre, self.target, self.scale), (other.centre, other.target, other.scale), strict=True)
        return self.name == other.name and all(np.array_equal(one, two) for one, two in arrays)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What a block of networks showed at the distinct inputs, which are fewer than the inputs if some are copies.

    Attributes:
        outputs: (n_networks, outputs, n_distinct).
        nngp: (n_networks, n_distinct, n_distinct).
        ntk: (n_networks, n_distinct, n_distinct, outputs, outputs).
        control: a control variate for the bias of the NNGP kernel, (n_networks, n_distinct, n_distinct).
        place: for each input, which of the distinct ones it is.
        readout: weights of the outputs on the last hidden units, (n_networks, outputs, units).
        terms: of the sums that outputs are but for their biases, (n_networks, outputs, units, n_distinct).
        own: the part of the tangent kernel of two outputs that is of their own parameters, from differences of outputs,
            (n_networks, n_distinct, n_distinct, 2, 2).
    """

    outputs: FloatArray
    nngp: FloatArray
    ntk: FloatArray
    control: FloatArray
    place: NDArray[np.intp]
    readout: FloatArray = field(default_factory=lambda: _NOT_NEEDED)
    terms: FloatArray = field(default_factory=lambda: _NOT_NEEDED)
    own: FloatArray = field(default_factory=lambda: _NOT_NEEDED)

    @property
    def pairs(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return where all unordered pairs of inputs are."""
        rows, columns = np.tril_indices(len(self.place))
        return self.place[rows], self.place[columns]

    def at_pairs(self, matrices: FloatArray) -> FloatArray:
        """Return the entries of matrices (n, p, p) at all pairs of inputs, whatever further axes there are."""
        return matrices[:, *self.pairs]

    def at_inputs(self, matrices: FloatArray) -> FloatArray:
        """Return the diagonal entries of matrices (n, p, p) at all inputs, whatever further axes there are."""
        return matrices[:, self.place, self.place]

    @property
    def outputs_at_inputs(self) -> FloatArray:
        """Return the outputs at all inputs, (n_networks, outputs, n_points)."""
        return self.outputs[:, :, self.place]


def _same_and_different(values: FloatArray, sample: Sample) -> FloatArray:
    """Return means of products of values at two inputs over equal and over different units, side by side."""
    units = values.shape[1]
    equal = np.matmul(values.transpose(0, 2, 1), values)
    sums = values.sum(axis=1)
    every = sums[:, :, None] * sums[:, None, :]
    return np.hstack([sample.at_pairs(equal) / units, sample.at_pairs(every - equal) / (units * (units - 1))])


def _over_outputs(values: FloatArray) -> FloatArray:
    """Return means of (n, pairs, k, k') over equal outputs and, side by side, over different ones if there are several.

    Outputs are exchangeable, so averaging over them changes no mean and saves networks.
    """
    outputs = values.shape[-1]
    equal = np.einsum("npkk->np", values)
    if outputs == 1:
        return np.asarray(equal)
    different = (values.sum(axis=(2, 3)) - equal) / (outputs * (outputs - 1))
    return np.hstack([equal / outputs, different])


def _without_own_part(sample: Sample) -> FloatArray:
    """Return the tangent kernel without the part of the output layer's own parameters, which is the NNGP kernel."""
    own = sample.at_pairs(sample.nngp)[..., None, None] * np.eye(sample.ntk.shape[-1])
    return np.asarray(sample.at_pairs(sample.ntk) - own)


def _squared_spread(values: FloatArray, centre: FloatArray) -> FloatArray:
    """Return squared deviations of (n, pairs, k, k') from a mean, which is zero between different outputs."""
    mean = centre[: values.shape[1], None, None] * np.eye(values.shape[-1])
    return _over_outputs((values - mean) ** 2)


def _different_units(values: FloatArray, sample: Sample) -> FloatArray:
    """Return means of products of values at two inputs over different units."""
    return _same_and_different(values, sample)[:, len(sample.pairs[0]) :]


def _at_four_inputs(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return products of four, over equal and over different units, at inputs that follow one another in a circle.

    Of different units, the first two factors are of one and the last two of the other.
    """
    z = sample.outputs_at_inputs
    first = z * np.roll(z, -1, axis=2)
    second = np.roll(first, -2, axis=2)
    units = z.shape[1]
    equal = np.einsum("nka,nka->na", first, second)
    different = first.sum(axis=1) * second.sum(axis=1) - equal
    return np.hstack([equal / units, different / (units * (units - 1))])


def _terms(sample: Sample) -> FloatArray:
    """Return the terms of sums with units of the layer below in front, (n_networks * units, outputs, n_points)."""
    n_networks, outputs, units, n_points = sample.terms.shape
    return sample.terms.transpose(0, 2, 1, 3).reshape(n_networks * units, outputs, n_points)


def _over_units(values: FloatArray, sample: Sample) -> FloatArray:
    """Return means over the units of the layer below of what :func:`_terms` has in front."""
    return np.asarray(values.reshape(len(sample.terms), -1, values.shape[1]).mean(axis=1))


def _squares_of_terms(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return products of squares of an output's terms at two inputs, over different units of the layer below."""
    n_networks, outputs, units, n_points = sample.terms.shape
    squares = sample.terms.reshape(n_networks * outputs, units, n_points) ** 2
    return np.asarray(_different_units(squares, sample).reshape(n_networks, outputs, -1).mean(axis=1))


def _second_moments_of_weights(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return means of products of two weights on one hidden unit, for equal and for different outputs."""
    weights, outputs = sample.readout, sample.readout.shape[1]
    equal = np.mean(weights**2, axis=(1, 2))
    every = np.mean(weights.sum(axis=1) ** 2, axis=1)
    return np.stack([equal, (every - outputs * equal) / (outputs * (outputs - 1))], axis=1)


def _biases(sample: Sample) -> FloatArray:
    """Return what outputs are besides the sums of their terms, (n_networks, outputs, n_points)."""
    return np.asarray(sample.outputs - sample.terms.sum(axis=2))


CONTROL_VARIATE = "control variate of the bias of nngp"
PROJECTED_BIAS = f"projection of the {CONTROL_VARIATE}"
INHERITED, OWN = "inherited ntk", "own part"
KERNELS = "nngp", "ntk", "ntk between outputs", INHERITED
"""The NNGP kernel, the tangent kernel of one output, that of two different ones, and what one output inherits of it."""


def moment_name(kernel: str, power: int, single: bool) -> str:
    """Return the name of the first or second moment of a kernel about a centre, at single inputs or at all pairs."""
    return (
        f"{('deviation', 'squared deviation')[power - 1]} of {kernel}{' at single inputs' if single else ' at pairs'}"
    )


def _of_kernel(sample: Sample, kernel: str) -> FloatArray:
    """Return a kernel with its versions for different outputs on the last axis, shape (n_networks, p, p, versions)."""
    if kernel == "nngp":
        return sample.nngp[..., None]
    if kernel in ("ntk", INHERITED):
        own = sample.nngp[..., None] if kernel == INHERITED else 0.0
        return np.asarray(np.einsum("nabkk->nabk", sample.ntk) - own)
    rows, columns = np.nonzero(~np.eye(sample.ntk.shape[-1], dtype=bool))
    return np.asarray(sample.ntk[..., rows, columns])


def _moment(kernel: str, power: int, single: bool) -> Callable[[Sample, FloatArray], FloatArray]:
    """Return the statistic that is a power of the deviation of a kernel from the centre, averaged over outputs."""

    def statistic(sample: Sample, centre: FloatArray) -> FloatArray:
        at = sample.at_inputs if single else sample.at_pairs
        deviations = at(_of_kernel(sample, kernel)) - centre[:, None]
        result: FloatArray = np.mean(deviations**power, axis=-1)
        return result

    return statistic


def _joint_spread(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return products of the deviations of both kernels of one output from their means."""
    tangent = sample.at_pairs(np.einsum("nabkk->nab", sample.ntk)) / sample.ntk.shape[-1]
    result: FloatArray = (sample.at_pairs(sample.nngp) - centre[0]) * (tangent - centre[1])
    return result


def error_name(kernel: str) -> str:
    """Return the name of the mean over pairs of the squared deviation of a kernel, relative to a scale."""
    return f"squared error of {kernel}"


def _error(kernel: str) -> Callable[[Sample, FloatArray], FloatArray]:
    squares = _moment(kernel, 2, single=False)

    def statistic(sample: Sample, centre: FloatArray) -> FloatArray:
        return np.asarray(np.mean(squares(sample, centre[0]) / centre[1] ** 2, axis=1, keepdims=True))

    return statistic


COSINES = "product of deviations of cosines of units"
CDF = "indicators of units up to points"
MEAN_COSINES = "squared deviation of the mean cosine given nngp"
NORMAL_EXCESS = "excess over the normal law given nngp"


def _cosines(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return products of deviations of cosines at two inputs from their means, over different units.

    Args:
        sample: what networks showed.
        centre: frequencies and means at each input.
    """
    frequencies, means = centre
    deviations = np.cos(frequencies * sample.outputs_at_inputs) - means
    everywhere = replace(sample, place=np.arange(len(sample.place)))
    return _same_and_different(deviations, everywhere)[:, len(sample.pairs[0]) :]


def _indicators(sample: Sample, points: FloatArray) -> FloatArray:
    """Return whether the first unit is at most so much, all inputs side by side; other units depend on it."""
    below = sample.outputs_at_inputs[:, 0, :, None] <= points
    return below.reshape(len(below), -1).astype(float)


def _mean_cosines(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return squared deviations of E[cos(w z) | K] from their means, averaged over inputs; frequencies and means given.

    Units are independent given K, so their mean is the covariance of the cosines of two units at one input.
    """
    frequencies, means = centre
    kernels = sample.at_inputs(sample.nngp)
    deviations = np.exp(-(frequencies**2) * kernels / 2) - means
    return np.asarray(np.mean(deviations**2, axis=1, keepdims=True))


def _normal_excess(sample: Sample, centre: FloatArray) -> FloatArray:
    """Return P(z <= q | K) less the normal value, averaged over inputs; variances and q in standard deviations given.

    What is linear in K has mean 0 and is left out, which takes nearly all of the spread away.
    """
    variances, points = centre
    ratio = sample.at_inputs(sample.nngp) / variances
    density = np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)
    linear = -points * density / 2 * (ratio - 1)
    excess = special.ndtr(points / np.sqrt(ratio)) - special.ndtr(points) - linear
    return np.asarray(np.mean(excess, axis=1, keepdims=True))


STATISTICS: Mapping[str, Callable[[Sample, FloatArray], FloatArray]] = {
    "second moments of units": lambda s, centre: _same_and_different(s.outputs, s),
    "fourth moments of units": lambda s, centre: _same_and_different(s.outputs**2, s),
    "nngp": lambda s, centre: s.at_pairs(s.nngp),
    "ntk": lambda s, centre: _over_outputs(s.at_pairs(s.ntk)),
    INHERITED: lambda s, centre: _over_outputs(_without_own_part(s)),
    OWN: lambda s, centre: _over_outputs(s.at_pairs(s.own)),
    f"squared spread of {OWN}": lambda s, centre: _squared_spread(s.at_pairs(s.own), centre),
    "squared spread of nngp": lambda s, centre: (s.at_pairs(s.nngp) - centre) ** 2,
    "squared spread of ntk": lambda s, centre: _squared_spread(s.at_pairs(s.ntk), centre),
    f"squared spread of {INHERITED}": lambda s, centre: _squared_spread(_without_own_part(s), centre),
    "second moments of different units": lambda s, centre: _different_units(s.outputs, s),
    "fourth moments of units at four inputs": _at_four_inputs,
    "means of terms": lambda s, centre: np.mean(s.terms, axis=(1, 2))[:, s.place],
    "second moments of terms": lambda s, centre: _over_units(_same_and_different(_terms(s), s), s),
    "second moments of terms at single inputs": lambda s, centre: np.mean(s.terms**2, axis=(1, 2))[:, s.place],
    "products of squares of terms": _squares_of_terms,
    "second moments of weights in terms": _second_moments_of_weights,
    "second moments of units without their terms": lambda s, centre: _same_and_different(_biases(s), s),
    "product of deviations of nngp and ntk": _joint_spread,
    COSINES: _cosines,
    CDF: _indicators,
    MEAN_COSINES: _mean_cosines,
    NORMAL_EXCESS: _normal_excess,
    CONTROL_VARIATE: lambda s, centre: s.at_pairs(s.control),
    PROJECTED_BIAS: lambda s, centre: (s.at_pairs(s.control) @ centre)[:, None],
    **{error_name(kernel): _error(kernel) for kernel in KERNELS},
    **{
        moment_name(kernel, power, single): _moment(kernel, power, single)
        for kernel in KERNELS
        for power in (1, 2)
        for single in (True, False)
    },
}
"""Statistics of a sample, each (n_networks, entries)."""


def block_key(seed: int, name: str, block: int) -> np.random.SeedSequence:
    """Return the key of one block, of seed, ensemble and block."""
    digest = hashlib.sha256(name.encode()).digest()
    words = [int.from_bytes(digest[n : n + 4], "little") for n in range(0, 32, 4)]
    return np.random.SeedSequence([seed, *words], spawn_key=(block,))


def sample_block(
    ensemble: Ensemble, x: FloatArray, statistics: tuple[Statistic, ...], seed: int, block: int
) -> tuple[Moments, ...]:
    """Return the power sums of each statistic over one block of networks."""
    names = " ".join(statistic.name for statistic in statistics)
    with one_thread():  # products on several threads round differently
        samples = _samples(ensemble, x, names, seed, block)
        found = [[STATISTICS[s.name](sample, s.centre) / s.scale for s in statistics] for sample in samples]
        return tuple(
            Moments.of(np.concatenate(values), s.target / s.scale)
            for s, values in zip(statistics, zip(*found, strict=True), strict=True)
        )


_WIDE = 256
"""Hidden width from which on networks are sampled without weight matrices; chosen, near the crossover."""
_PORTION = 2**18
"""Numbers in the weights and sensitivities of networks that are drawn at a time; chosen: they stay in the cache."""
_FEWEST = 32
"""Networks drawn at a time at least, so that calls cost little (chosen)."""
_NOT_NEEDED: FloatArray = np.empty((0, 0, 0, 0, 0))
"""Stands for what no statistic of a sample asks for, which is not computed."""


def in_their_span(x: FloatArray) -> FloatArray:
    """Return inputs of as many dimensions as they span, with the same kernel x x' / d.

    A network's first weights have no preferred directions, so to networks with a hidden layer these are the same
    inputs, jointly in all layers' outputs and derivatives. Equal inputs stay equal, zeros zero, and weights become few.
    """
    distinct, place = np.unique(x, axis=0, return_inverse=True)
    norms = np.linalg.norm(distinct, axis=1)
    directions = distinct / np.where(norms > 0, norms, 1.0)[:, None]
    triangle, order = linalg.qr(directions.T, mode="r", pivoting=True)
    rank = max(1, int(np.sum(np.abs(triangle.diagonal()) > _SPANNED)))
    if rank >= x.shape[1]:
        return x
    coordinates = np.empty((len(distinct), rank))
    coordinates[order] = triangle[:rank].T * norms[order, None]
    return np.asarray(coordinates[place.ravel()] * np.sqrt(rank / x.shape[1]))


_SPANNED = 2e-15
"""Part of an input outside of the span of others that is rounding error of its digits; chosen, some ulps."""


@lru_cache(maxsize=8)
def _distinct(x: bytes, shape: tuple[int, ...]) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    """Return the distinct inputs, the same in their span, and which of them each input is."""
    distinct, place = np.unique(np.frombuffer(x).reshape(shape), axis=0, return_inverse=True)
    return distinct, in_their_span(distinct), place.ravel()


def _samples(ensemble: Ensemble, x: FloatArray, names: str, seed: int, block: int) -> Iterator[Sample]:
    """Yield what the networks of a block show of what is named, in portions."""
    distinct, in_span, place = _distinct(x.tobytes(), x.shape)
    inputs = in_span if ensemble.widths else distinct
    shape, key = ensemble.shape(inputs.shape[1]), block_key(seed, ensemble.name, block)
    if max(ensemble.widths, default=0) >= _WIDE:
        yield _without_weights(ensemble, shape, distinct, inputs, place, names, key)
        return
    numbers = sum(out * fed for out, fed in zip(shape.fan_out, shape.fan_in, strict=True))
    numbers += sum(shape.widths) * shape.outputs * len(inputs)
    size = max(_FEWEST, _PORTION // numbers)
    if not any(name in names for name in ("units", "terms", "ntk", OWN, CONTROL_VARIATE)):
        shape = replace(shape, outputs=1)  # drawn last, and nobody looks at them
    starts = range(0, ensemble.block_size, size)
    for start, own in zip(starts, key.spawn(len(starts)), strict=True):
        networks = min(size, ensemble.block_size - start)
        yield _with_weights(ensemble, shape, networks, distinct, inputs, place, names, own)


@cache
def _functions(ensemble: Ensemble) -> tuple[list[Activation], list[Activation]]:
    phi, dphi = lowered_activation(activation(ensemble.activation))
    layers = len(ensemble.widths)
    return [phi] * layers, [dphi] * layers


def _without_weights(
    ensemble: Ensemble,
    shape: NetworkShape,
    distinct: FloatArray,
    inputs: FloatArray,
    place: NDArray[np.intp],
    names: str,
    key: np.random.SeedSequence,
) -> Sample:
    kernels = matrix_free_kernels(shape, inputs, *_functions(ensemble), ensemble.block_size, keyed_normals(key))
    control = _control(ensemble, distinct, names, kernels.layers)
    return Sample(kernels.outputs, kernels.nngp, kernels.ntk, control, place)


def _with_weights(
    ensemble: Ensemble,
    shape: NetworkShape,
    size: int,
    distinct: FloatArray,
    inputs: FloatArray,
    place: NDArray[np.intp],
    names: str,
    key: np.random.SeedSequence,
) -> Sample:
    """Return what a portion of networks shows; the weights depend on the key alone, not on what is named."""
    functions = _functions(ensemble)
    parameters = sample_parameters(shape, size, np.random.Generator(np.random.Philox(key)))
    outputs = nngp = ntk = every = terms = _NOT_NEEDED
    if any(name in names for name in ("units", "terms", OWN)):
        *_, hidden, outputs = (_NOT_NEEDED, *forward(shape, parameters, inputs, functions[0]))
    if "terms" in names:
        scale = shape.sigma_w[-1] / np.sqrt(shape.fan_in[-1])
        terms = scale * parameters.weights[-1][..., None] * functions[0][-1](hidden)[:, None]
    if CONTROL_VARIATE in names:
        kernels = sampled_kernels(shape, parameters, inputs, *functions)
        nngp, ntk, every = kernels.nngp, kernels.ntk, kernels.layers
    elif "ntk" in names:
        nngp, ntk = empirical_kernels(shape, parameters, inputs, *functions)
    elif "nngp" in names:
        nngp = empirical_nngp(shape, parameters, inputs, functions[0])
    own = _own_part(shape, parameters, functions[0][-1](hidden)) if OWN in names else _NOT_NEEDED
    control = _control(ensemble, distinct, names, every)
    return Sample(outputs, nngp, ntk, control, place, parameters.weights[-1], terms, own)


def _own_part(shape: NetworkShape, parameters: Parameters, fed: FloatArray) -> FloatArray:
    """Return sums of products of derivatives of the first two outputs by their weights and biases.

    Outputs are affine in these, so that differences for steps of 1 are derivatives; no formula for them is used.
    """
    weights, biases = (each[-1][:, :2].copy() for each in (parameters.weights, parameters.biases))
    scale, of_bias = shape.sigma_w[-1] / np.sqrt(shape.fan_in[-1]), shape.sigma_b[-1]

    def outputs() -> FloatArray:
        return np.asarray(scale * np.matmul(weights, fed) + of_bias * biases[:, :, None])

    start, differences = outputs(), []
    for moved in (weights, biases):
        for place in np.ndindex(moved.shape[1:]):
            before = moved[:, *place].copy()
            moved[:, *place] += 1.0
            differences.append(outputs() - start)
            moved[:, *place] = before  # adding and taking away rounds
    jacobian = np.stack(differences, axis=-1)
    rows = jacobian.reshape(len(jacobian), -1, len(differences))
    products = np.matmul(rows, rows.transpose(0, 2, 1)).reshape(*jacobian.shape[:3], *jacobian.shape[1:3])
    return np.asarray(products.transpose(0, 2, 4, 1, 3))


def _control(ensemble: Ensemble, x: FloatArray, names: str, layers: FloatArray) -> FloatArray:
    if CONTROL_VARIATE not in names:
        return _NOT_NEEDED
    return _control_variate(ensemble.limit, x.tobytes(), x.shape)(layers)


@cache
def _control_variate(limit: MLP, x: bytes, shape: tuple[int, ...]) -> ControlVariate:
    return control_variate(limit, np.frombuffer(x).reshape(shape))
