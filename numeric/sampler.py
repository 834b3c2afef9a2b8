"""Sampled networks and their kernels, with weight matrices or without, whichever is faster at their widths."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from numeric.kernels import MLP, as_inputs
from numeric.lower_functions import lowered_activation
from numeric.matrix_free import block_units, keyed_normals, matrix_free_kernels
from numeric.network import (
    FloatType,
    NetworkShape,
    SampledKernels,
    positive,
    sample_parameters,
    sampled_kernels,
)
from numeric.threads import one_thread

Method = Literal["auto", "weights", "matrix-free"]

_PARAMETERS = 2**16
"""Parameters of the networks that are drawn from one key by `weights`; chosen: a key costs little beside them."""


def sample_kernels(
    net: MLP,
    x: ArrayLike,
    *,
    width: int | Sequence[int],
    n_networks: int,
    seed: int = 0,
    outputs: int = 1,
    method: Method = "auto",
    dtype: DTypeLike = np.float64,
) -> SampledKernels:
    """Return outputs and kernels of independent networks with standard normal parameters.

    A network's numbers depend on the arguments other than `n_networks`: more networks have the same first ones. Equal
    inputs have exactly equal results.

    Args:
        net: activations and scales.
        x: inputs (n, dimension).
        width: units of every hidden layer, or a sequence with those of each.
        n_networks: how many.
        seed: key of the random numbers, not negative.
        outputs: units of the output layer.
        method: `weights` draws weight matrices (the definition); `matrix-free` draws what they do to the inputs, which
            has the same law and takes time in proportion to the width and no memory; `auto` takes the faster one. The
            two give different networks for a seed.
        dtype: type of the random numbers and preactivations, float64 or float32, whose relative errors of 6e-8 in
            each unit average out in the kernels; inner products over units are summed in float64.

    Raises:
        ValueError: if an argument is out of range, or a kernel is not finite.
        TypeError: for a dual given as a kernel, whose activation nobody knows.
    """
    distinct, place = np.unique(as_inputs(x) + 0.0, axis=0, return_inverse=True)  # + 0.0: -0.0 is 0.0
    shape = _shape(net, distinct.shape[1], width, outputs)
    pairs = [lowered_activation(row) for row in net.activations]
    activations, derivatives = [phi for phi, _ in pairs], [derivative for _, derivative in pairs]
    number_type, count, entropy = _float_type(dtype), positive("n_networks", n_networks), _seed(seed)
    with_weights = _with_weights(method, shape, len(distinct))
    size = _batch_size(with_weights, shape, len(distinct))

    def drawn(batch: int, wanted: int) -> SampledKernels:
        key = np.random.SeedSequence(entropy, spawn_key=(batch,))
        if not with_weights:
            normals = keyed_normals(key, number_type)
            return matrix_free_kernels(shape, distinct, activations, derivatives, wanted, normals)
        # The whole batch, since its numbers come layer by layer and its products may round by their size.
        parameters = sample_parameters(shape, size, np.random.Generator(np.random.Philox(key)), number_type)
        return sampled_kernels(shape, parameters, distinct, activations, derivatives)

    # Products on several threads round differently. What overflows is seen in the kernels.
    with one_thread(), np.errstate(over="ignore", invalid="ignore"):
        batches = [drawn(batch, min(size, count - start)) for batch, start in enumerate(range(0, count, size))]
    nngp, ntk, layers, values = (
        np.concatenate([getattr(batch, name) for batch in batches])[:count]
        for name in ("nngp", "ntk", "layers", "outputs")
    )
    if not (np.all(np.isfinite(layers)) and np.all(np.isfinite(ntk))):
        raise ValueError("the kernels are not finite: take smaller inputs or sigma_w")
    rows, columns = place.ravel()[:, None], place.ravel()
    return SampledKernels(
        nngp[:, rows, columns], ntk[:, rows, columns], layers[:, :, rows, columns], values[:, :, columns]
    )


def _shape(net: MLP, dimension: int, width: int | Sequence[int], outputs: int) -> NetworkShape:
    widths = tuple(width) if isinstance(width, Sequence | np.ndarray) else (width,) * net.hidden_layers
    if len(widths) != net.hidden_layers:
        raise ValueError(
            f"width must be one number or {net.hidden_layers} of them, one per hidden layer, got {len(widths)}"
        )
    sigma_w, sigma_b = zip(*net.scales, strict=True)
    return NetworkShape(dimension, widths, outputs, sigma_w, sigma_b)


def _with_weights(method: Method, shape: NetworkShape, n_points: int) -> bool:
    if method not in get_args(Method):
        raise ValueError(f"method must be one of {', '.join(get_args(Method))}, got {method!r}")
    if method != "auto":
        return method == "weights"
    # The one that draws fewer normal numbers: where the counts are equal, times are within a factor of 2 of each other
    # from 2 to 30 inputs, 1 to 10 outputs and 1 to 3 hidden layers; measured by tests/benchmarks/bench_sampler.py.
    weights = sum(inputs * units for inputs, units in zip(shape.fan_in, shape.fan_out, strict=True))
    return weights <= 2 * sum(shape.widths) * n_points * (1 + shape.outputs)


def _batch_size(with_weights: bool, shape: NetworkShape, n_points: int) -> int:
    """Return the number of networks of one key."""
    if with_weights:
        parameters = sum((inputs + 1) * units for inputs, units in zip(shape.fan_in, shape.fan_out, strict=True))
        return max(1, _PARAMETERS // parameters)
    return max(1, block_units(n_points, shape.outputs) // max(shape.fan_in))


def _float_type(dtype: DTypeLike) -> FloatType:
    for allowed in (np.float64, np.float32):
        if np.dtype(dtype) == allowed:
            return allowed
    raise ValueError(f"dtype must be float64 or float32, got {np.dtype(dtype)}")


def _seed(seed: int) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be an integer that is not negative, got {seed!r}")
    return int(seed)
