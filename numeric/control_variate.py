"""A telescoping control variate for the bias of the empirical NNGP kernel, a 1/N under fluctuations of 1/sqrt(N).

Given K^l of a network, the mean of its K^{l+1} is G(K^l), with G the recursion of infinite width. So with the limits
k^l and any linear maps J_l,

    u^1 = K^1 - k^1 = 0,    u^{l+1} = J_l u^l + G(K^l) - k^{l+1} - J_l (K^l - k^l)

has the mean of K^{l+1} - k^{l+1} EXACTLY, at every width. With J_l the derivative of G at k^l only terms of second
order are left, so that u scatters by 1/N.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation
from derive.duals.kernel_side import KernelDual
from numeric.kernels import MLP, as_inputs, derived_recursion, determinant_of
from numeric.leading_order import Units, first_layer, first_root
from numeric.lower_duals import lowered_dual

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ControlVariate:
    """The function from sampled kernels to u, for one network and its inputs.

    Attributes:
        net: the network.
        limits: k^1 .. k^{L+1}, shape (L + 1, n, n).
        maps: the derivative of G at (a, b) by K_aa, K_ab = K_ba and K_bb, shape (L, 3, n, n).
    """

    net: MLP
    limits: FloatArray
    maps: FloatArray

    def __call__(self, sampled: ArrayLike) -> FloatArray:
        """Return u^{L+1}, whose mean is the bias of K^{L+1}, shape (n_networks, n, n).

        Args:
            sampled: K^1 .. K^{L+1} of each network, shape (n_networks, L + 1, n, n); the last does not enter.

        Raises:
            ValueError: if the shape does not fit, or K^1 is not that of these inputs.
        """
        kernels = np.asarray(sampled, dtype=float)
        if kernels.shape[1:] != self.limits.shape:
            shape = ", ".join(map(str, self.limits.shape))
            raise ValueError(f"expected sampled kernels of shape (n_networks, {shape}), got {kernels.shape}")
        if not np.allclose(kernels[:, 0], self.limits[0], rtol=1e-6):
            raise ValueError("K^1 of the samples is not that of these inputs; sample with the same inputs and sigmas")
        u = np.zeros_like(kernels[:, 0])
        for layer, (row, scales) in enumerate(zip(self.net.activations, self.net.scales[1:], strict=True)):
            deviation = kernels[:, layer] - self.limits[layer]
            moved = next_kernel(row, *scales, kernels[:, layer]) - self.limits[layer + 1]
            u = moved + _applied(self.maps[layer], u - deviation)
        return u


def control_variate(net: MLP, x: ArrayLike) -> ControlVariate:
    """Return the control variate of a network at inputs.

    Args:
        net: a network of any depth, with the derived recursion.
        x: inputs (n, d).

    Raises:
        ValueError: if a mean of four activations does not exist.
        TypeError: for a dual given as a kernel, whose activation nobody knows.
    """
    inputs = as_inputs(x)
    state, _ = first_layer(net, inputs)
    limits = [state.c]
    for row, scales in zip(net.activations, net.scales[1:], strict=True):
        limits.append(next_kernel(row, *scales, limits[-1]))
    maps = np.zeros((net.hidden_layers, 3, len(inputs), len(inputs)))
    for i, j in combinations_with_replacement(range(len(inputs)), 2):
        root = first_root(state, i, j)
        for layer, (row, scales) in enumerate(zip(net.activations, net.scales[1:], strict=True)):
            units = Units.of(row, root, *scales)
            back = np.linalg.pinv(root)
            derivative = back.T @ units.gradient(units.at_inputs[0] * units.at_inputs[-1]) @ back
            if i == j:
                maps[layer, 0, i, i] = derivative[0, 0]
            else:
                maps[layer, :, i, j] = derivative[0, 0], derivative[0, 1], derivative[1, 1]
                maps[layer, :, j, i] = derivative[1, 1], derivative[0, 1], derivative[0, 0]
            root = units.root
    return ControlVariate(net, np.stack(limits), maps)


def next_kernel(row: Activation | KernelDual, sigma_w: float, sigma_b: float, kernels: FloatArray) -> FloatArray:
    """Return G(K), the mean of the kernel matrix above ones of shape (..., n, n)."""
    i, j = np.triu_indices(kernels.shape[-1])
    a, b, c = kernels[..., i, i], kernels[..., j, j], kernels[..., i, j]
    dual = lowered_dual(row).value(a, b, c, determinant_of(a, b, c))
    result = np.empty_like(kernels)
    result[..., i, j] = derived_recursion().lowered.kernel(dual, 0.0, 0.0, c, sigma_w, sigma_b)
    result[..., j, i] = result[..., i, j]
    return result


def _applied(derivative: FloatArray, change: FloatArray) -> FloatArray:
    diagonal = np.einsum("saa->sa", change)
    by_first, by_covariance, by_second = derivative
    moved = by_first * diagonal[:, :, None] + 2 * by_covariance * change + by_second * diagonal[:, None, :]
    return np.asarray(moved)
