"""Finite fully connected networks of any width, drawn without their weight matrices; exact in distribution.

Write the input of layer l + 1 with its bias as a matrix of N_l + 1 rows and n columns, one column per input point,

    Ãˡ = [c φ_l(zˡ); σ_b],   c = σ_w/√N_l,   W̃ˡ⁺¹ = [Wˡ⁺¹, bˡ⁺¹],   zˡ⁺¹ = W̃ˡ⁺¹ Ãˡ,   K̂ˡ⁺¹ = Ãˡᵀ Ãˡ.

*Forward.* With Ãˡ = Q S, QᵀQ = 1, the matrix G = W̃ˡ⁺¹ Q has independent standard normal entries, since Q depends on
the layers below alone. So zˡ⁺¹ = G S, and G, the action of W̃ˡ⁺¹ on the range of Q, is what is known of it afterwards.

*Backward.* D = Dˡ⁺¹ = ∂z^{L+1}/∂zˡ⁺¹ = Q_D R depends on the layers above and on G. Orthogonal to Q the weights are
still unknown, and independent of both, so with a standard normal matrix Y in the place of W̃ˡ⁺¹ᵀ Q_D

    W̃ˡ⁺¹ᵀ D = Q Gᵀ D + (1 - Q Qᵀ) Y R = Y R + Q (Gᵀ D - Qᵀ Y R),      Dˡ = c φ_l'(zˡ) ⊙ (that without its last row),

and Θ̂ = Σ_l K̂ˡ ⊙ Dˡᵀ Dˡ. The readout W^{L+1} is drawn itself: it takes the place of Y, with nothing known before.

Units are streamed in blocks, whose normal numbers are keyed and drawn again on the way back, so memory is that of a
block. S and R come from QR decompositions of one block stacked under the triangle so far (TSQR; Demmel, Grigori,
Hoemmen, Langou, SIAM J. Sci. Comput. 34, 2012), in float64: a Gram matrix would lose the directions of Ã below 1e-8 of
the largest one. No matrix is inverted in zˡ, and a column of zeros stays exactly zero in S, R and all that follows.

Source: Bolthausen, Commun. Math. Phys. 325, 2014, for conditioning a Gaussian matrix on what it does to vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numeric.network import Activation, FloatArray, FloatType, NetworkShape, SampledKernels, applied, inner_products

_ENTRIES = 2**15
"""Numbers in a block of units of one network; chosen: its arrays stay in the cache, and a key costs little."""
_RESOLVED = 2.0**-26
"""Directions of Ã with singular values below this part of the largest one, columns scaled to length 1, are not
projected out; the preactivations keep them. Derived: in a direction of relative size s, Q is orthonormal to 2^-52 / s,
and zˡ⁺¹ depends on the weights in it to s only; the larger of both errors is smallest, 1e-8, here."""


class Role(IntEnum):
    """What normal numbers of a layer are for: they multiply from the left, from the right, or are those of the bias."""

    LATENT = 0
    ABOVE = 1
    BIAS = 2


Normals = Callable[[Role, int, int, tuple[int, ...]], NDArray[Any]]
"""Independent standard normal numbers for (role, layer, block of units, shape); the same ones whenever asked again.

A shape starts with the number of networks, and fewer networks get the first of the same numbers.
"""


def keyed_normals(key: np.random.SeedSequence, dtype: FloatType = np.float64) -> Normals:
    """Return normal numbers that depend on a key, role, layer and block alone."""

    def normals(role: Role, layer: int, block: int, shape: tuple[int, ...]) -> NDArray[Any]:
        sequence = np.random.SeedSequence(key.entropy, spawn_key=(*key.spawn_key, role, layer, block))
        return np.random.Generator(np.random.Philox(sequence)).standard_normal(shape, dtype=dtype)

    return normals


def block_units(n_points: int, outputs: int) -> int:
    """Return the number of units in a block; at least a few times the columns of D, so that triangles cost little."""
    columns = n_points * outputs
    return max(_ENTRIES // columns, 4 * columns)


def matrix_free_kernels(
    shape: NetworkShape,
    x: FloatArray,
    activations: Sequence[Activation],
    derivatives: Sequence[Activation],
    n_networks: int,
    normals: Normals,
) -> SampledKernels:
    """Return outputs and kernels of independent networks, in law those of :func:`numeric.network.sampled_kernels`.

    Args:
        shape: sizes and scales.
        x: inputs (n_points, dimension). Equal ones have equal results up to rounding.
        activations: φ of each hidden layer.
        derivatives: φ' of each hidden layer.
        n_networks: networks drawn side by side; memory is that of one block of units of each of them.
        normals: the random numbers, for example of :func:`keyed_normals`.

    Raises:
        ValueError: if the inputs or activations do not fit the shape, or a K̂ is not finite.
    """
    hidden = shape.hidden_layers
    if x.ndim != 2 or x.shape[1] != shape.dimension or not len(activations) == len(derivatives) == hidden:
        raise ValueError(
            f"expected inputs (n_points, {shape.dimension}), {hidden} activations and as many derivatives, got "
            f"{x.shape}, {len(activations)} and {len(derivatives)}: one input per row, one function per hidden layer"
        )
    # Networks of one block per layer remember their numbers, which takes no more memory than a block.
    one_block = max(shape.fan_in) <= block_units(len(x), shape.outputs)
    sampler = _Sampler(shape, x, activations, derivatives, n_networks, cache(normals) if one_block else normals)
    inputs = sampler.forward()
    layers = np.stack([np.broadcast_to(fed.gram, (n_networks, len(x), len(x))) for fed in inputs], axis=1)
    outputs = inputs[-1].met.transpose(0, 2, 1)
    return SampledKernels(layers[:, -1], sampler.tangent_kernel(inputs), layers, outputs)


@dataclass(frozen=True, slots=True, eq=False)
class _Inputs:
    """What the forward pass keeps of Ã = Q S, with Q = Ã P; the first axis is that of networks, or 1 for the inputs x.

    Attributes:
        gram: Ãᵀ Ã, shape (., n, n).
        factor: S, shape (., rank, n).
        basis: P, shape (., n, rank).
        met: Ãᵀ Y with the normals Y of these units, shape (n_networks, n, columns of Y).
    """

    gram: FloatArray
    factor: FloatArray
    basis: FloatArray
    met: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Sampler:
    """Networks drawn side by side; layer 0 are the inputs, all arrays (n_networks, units, columns)."""

    shape: NetworkShape
    x: FloatArray
    activations: Sequence[Activation]
    derivatives: Sequence[Activation]
    n_networks: int
    normals: Normals

    def forward(self) -> list[_Inputs]:
        """Return what each layer is fed, first to last."""
        inputs: list[_Inputs] = []
        for layer in range(self.shape.hidden_layers + 1):
            bias = np.full((1, 1, len(self.x)), self.shape.sigma_b[layer])
            gram, triangle, met = inner_products(bias, bias), bias, np.zeros(())
            # Nothing is propagated back to the inputs; the readout is met wherever it is.
            meets = layer > 0 or self.shape.hidden_layers == 0
            if meets:
                columns = self._columns_above(layer)
                met = inner_products(bias, self.normals(Role.BIAS, layer, 0, (self.n_networks, 1, columns)))
            for block, count in self._blocks(layer):
                fed = self._units(layer, block, count, inputs)[-1]
                gram = gram + inner_products(fed, fed)
                triangle = _triangle(triangle, fed)
                if meets:
                    met = met + inner_products(fed, self._above(layer, block, count))
            if not np.all(np.isfinite(gram)):
                raise ValueError(f"the kernel of layer {layer + 1} is not finite: take smaller inputs or sigma_w")
            inputs.append(_Inputs(gram, *_factor_and_basis(triangle), met))
        return inputs

    def tangent_kernel(self, inputs: Sequence[_Inputs]) -> FloatArray:
        """Return Θ̂ (n_networks, n, n, outputs, outputs), by one pass through the layers from the last to the first."""
        n, outputs = len(self.x), self.shape.outputs
        columns = outputs * n  # of D, an output's inputs side by side
        triangle = np.kron(np.eye(outputs), np.ones((1, n)))[None]
        known = np.zeros((1, n, columns))
        theta = np.zeros((self.n_networks, outputs, n, outputs, n))
        theta += _per_layer(inner_products(triangle, triangle), inputs[-1].gram)
        for layer in range(self.shape.hidden_layers, 0, -1):
            scale, derivative = self._scale(layer), self.derivatives[layer - 1]
            squares = seen = np.zeros(())
            upper = np.empty((self.n_networks, 0, columns))
            for block, count in self._blocks(layer):
                latent, z, fed = self._units(layer, block, count, inputs)
                pulled = _times(self._above(layer, block, count), triangle) + fed @ known
                slope = scale * applied(derivative, z)[:, :, None, :]
                sensitivity = (pulled.reshape(self.n_networks, count, outputs, n) * slope).reshape(pulled.shape)
                squares = squares + inner_products(sensitivity, sensitivity)
                if layer > 1:
                    upper = _triangle(upper, sensitivity)
                    seen = seen + inner_products(latent, sensitivity)
            theta += _per_layer(squares, inputs[layer - 1].gram)
            if layer > 1:
                triangle, known = upper, _conditioned(inputs[layer - 1], seen, upper)
        return theta.transpose(0, 2, 4, 1, 3)

    def _units(
        self, layer: int, block: int, count: int, inputs: Sequence[_Inputs]
    ) -> tuple[NDArray[Any], NDArray[Any], FloatArray]:
        """Return G, z and the rows of Ã of a block of units."""
        if layer == 0:
            start = block * block_units(len(self.x), self.shape.outputs)
            points: NDArray[Any] = self.x.T[None, start : start + count]
            return points, points, self._scale(0) * points
        factor = inputs[layer - 1].factor
        latent = self.normals(Role.LATENT, layer, block, (self.n_networks, count, factor.shape[1]))
        z = _times(latent, factor)
        return latent, z, (self._scale(layer) * applied(self.activations[layer - 1], z)).astype(np.float64, copy=False)

    def _above(self, layer: int, block: int, count: int) -> NDArray[Any]:
        """Return the rows of Y, or of the transposed readout, of a block of units."""
        return self.normals(Role.ABOVE, layer, block, (self.n_networks, count, self._columns_above(layer)))

    def _columns_above(self, layer: int) -> int:
        """Return the largest possible rank of the sensitivities of the layer above."""
        return min(self.shape.fan_out[layer], len(self.x) * self.shape.outputs)

    def _scale(self, layer: int) -> float:
        return self.shape.sigma_w[layer] / math.sqrt(self.shape.fan_in[layer])

    def _blocks(self, layer: int) -> Iterator[tuple[int, int]]:
        """Yield number and size of each block of units of a layer."""
        size, width = block_units(len(self.x), self.shape.outputs), self.shape.fan_in[layer]
        for block, start in enumerate(range(0, width, size)):
            yield block, min(size, width - start)


def _times(normals: NDArray[Any], factor: NDArray[Any]) -> NDArray[Any]:
    """Return a product in the type of the normals."""
    result: NDArray[Any] = np.matmul(normals, factor.astype(normals.dtype, copy=False))
    return result


def _triangle(upper: FloatArray, rows: FloatArray) -> FloatArray:
    """Return R of the QR decomposition of a triangle and more rows below it; it has at most as many rows as columns."""
    above = np.broadcast_to(upper, (len(rows), *upper.shape[1:]))
    decomposed: Any = np.linalg.qr(np.concatenate([above, rows], axis=1), mode="r")  # R alone; annotated as Q and R
    result: FloatArray = decomposed
    return result


def _factor_and_basis(triangle: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return S and P, with Ã = Q S and Q = Ã P, from any matrix R with Rᵀ R = Ãᵀ Ã.

    Columns are scaled to length 1 first, so that small inputs have as many digits as large ones, and a zero column of Ã
    is one of S. Q has zero columns for directions of Ã that are not resolved.
    """
    lengths = np.linalg.norm(triangle, axis=1, keepdims=True)
    inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    _, sizes, directions = np.linalg.svd(triangle * inverse, full_matrices=False)
    resolved = sizes > _RESOLVED * sizes[:, :1]
    reciprocal = np.divide(1.0, sizes, out=np.zeros_like(sizes), where=resolved)
    basis = (directions * inverse).transpose(0, 2, 1) * reciprocal[:, None, :]
    return sizes[:, :, None] * directions * lengths, basis


def _conditioned(below: _Inputs, seen: FloatArray, triangle: FloatArray) -> FloatArray:
    """Return P (Gᵀ D - Qᵀ Y R): what the forward pass knows of W̃ᵀ D beyond Y R, as a factor of Ã."""
    result: FloatArray = below.basis @ (seen - below.basis.transpose(0, 2, 1) @ below.met @ triangle)
    return result


def _per_layer(squares: FloatArray, gram: FloatArray) -> FloatArray:
    """Return Dᵀ D ⊙ K̂ (., outputs, n, outputs, n), the part of the parameters of one layer."""
    n = gram.shape[-1]
    outputs = squares.shape[-1] // n
    result: FloatArray = squares.reshape(-1, outputs, n, outputs, n) * gram[:, None, :, None, :]
    return result
