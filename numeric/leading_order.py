"""LEADING ORDER in 1/N: bias and fluctuations of the empirical kernels of deep networks with widths N_l = ratio_l N.

Given the kernel matrix of layer l, units are iid Gaussian, so the empirical kernels form a Markov chain in l, whose
moments of first order in 1/N close. What a wrong kernel below does to a mean is written with Hermite polynomials
instead of derivatives of the activation, E[h He_2] for first and E[h He_4] for second derivatives, so that kinks and
jumps are allowed. A coefficient at two inputs needs no other inputs. It is computed in the standard normal coordinates
g of z = L g, L L^T = K^l, where nearly and perfectly correlated inputs lose nothing.

Source: Yaida 2019 (arXiv:1910.00019) for the kernel, Roberts, Yaida, Hanin 2021 (arXiv:2106.10165), chapters 4 and 8,
for both kernels; Guillen, Misof, Gerken 2025 (arXiv:2508.11522) for the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation
from derive.duals.kernel_side import KernelDual
from numeric.kernels import MLP, LayerState, as_inputs
from numeric.lower_functions import lowered_activation
from numeric.pair_moments import Nodes, covariance_root, gaussian_nodes

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LeadingOrder:
    """What N times bias, variance and covariance of the empirical kernels tend to: LEADING ORDER, not exact at any N.

    Every array is (n, n) over pairs of inputs; k and k' are two different outputs. The mean of Theta_kk' is 0.

    Attributes:
        nngp_variance: of N Var K.
        nngp_bias: of N (E[K] - its limit).
        tangent_variance: of N Var Theta_kk.
        tangent_bias: of N (E[Theta_kk] - its limit).
        cross_variance: of N Var Theta_kk'.
        nngp_tangent_covariance: of N Cov(K, Theta_kk).
        tangent_between_outputs: of N Cov(Theta_kk, Theta_k'k').
    """

    nngp_variance: FloatArray
    nngp_bias: FloatArray
    tangent_variance: FloatArray
    tangent_bias: FloatArray
    cross_variance: FloatArray
    nngp_tangent_covariance: FloatArray
    tangent_between_outputs: FloatArray


def leading_order(net: MLP, x: ArrayLike, ratios: Sequence[float] | None = None) -> LeadingOrder:
    """Return the leading 1/N coefficients of the kernels of the output layer.

    Args:
        net: a network of any depth, with the derived recursion.
        x: inputs (n, d); duplicates and zeros are allowed.
        ratios: width of each hidden layer in units of N; by default all are N.

    Raises:
        ValueError: if a ratio is not positive or their number is wrong, or a mean of four activations does not exist.
        TypeError: for a dual given as a kernel, whose activation nobody knows.
    """
    inputs, widths = as_inputs(x), _ratios(ratios, net.hidden_layers)
    state, tangent = first_layer(net, inputs)
    results = {f.name: np.zeros((len(inputs), len(inputs))) for f in fields(LeadingOrder)}
    known: dict[tuple[bytes, bytes], dict[str, float]] = {}  # inputs may be copies of others
    for i, j in combinations_with_replacement(range(len(inputs)), 2) if net.hidden_layers else ():
        points = [i] if i == j else [i, j]
        root, below = first_root(state, i, j), tangent[np.ix_(points, points)]
        key = root.tobytes(), below.tobytes()
        if key not in known:
            known[key] = _of_pair(net, root, below, widths)
        for name, value in known[key].items():
            results[name][i, j] = results[name][j, i] = value
    return LeadingOrder(**results)


def _of_pair(net: MLP, root: FloatArray, tangent: FloatArray, widths: tuple[float, ...]) -> dict[str, float]:
    """Return the coefficients at one or two inputs, from L and Theta of the first layer."""
    layer = _undisturbed(root, tangent)
    steps = list(zip(net.activations, net.scales[1:], widths, strict=True))
    for row, scales, ratio in steps[:-1]:
        layer = _next_layer(layer, Units.of(row, layer.root, *scales), ratio)
    row, scales, ratio = steps[-1]
    units = Units.of(row, layer.root, *scales)
    return _coefficients(_next_layer(layer, units.in_place, ratio))


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What one unit of a hidden layer contributes to the next layer, at quadrature nodes for z = L g.

    Attributes:
        nodes: of one or two inputs.
        values: sigma_w phi(z) in the coordinates of the next layer, shape (next rank, n_nodes).
        at_inputs: the same at the inputs themselves, shape (n_points, n_nodes).
        slopes: sigma_w phi'(z), shape (n_points, n_nodes).
        root: L of the next layer, shape (n_points, next rank).
        sigma_b: of the next layer.
    """

    nodes: Nodes
    values: FloatArray
    at_inputs: FloatArray
    slopes: FloatArray
    root: FloatArray
    sigma_b: float

    @classmethod
    def of(cls, row: Activation | KernelDual, root: FloatArray, sigma_w: float, sigma_b: float) -> Units:
        """Return the units above preactivations of covariance L L^T."""
        phi, slope = lowered_activation(row)
        nodes = gaussian_nodes(row, root)
        values = sigma_w * phi(nodes.z)
        above = _next_root(values, nodes.weights, sigma_b)
        inverse = np.linalg.inv(above) if above.shape[0] == above.shape[1] else np.linalg.pinv(above)
        return cls(nodes, inverse @ values, values, sigma_w * slope(nodes.z), above, sigma_b)

    @property
    def in_place(self) -> Units:
        """Return the units with the inputs as coordinates of the next layer."""
        identity = np.eye(len(self.root))
        return Units(self.nodes, self.at_inputs, self.at_inputs, self.slopes, identity, self.sigma_b)

    def mean(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Return E[first second] for all entries of two arrays whose last axis is that of the nodes."""
        return np.asarray(np.tensordot(first * self.nodes.weights, second, axes=(-1, -1)))

    def covariance(self, first: FloatArray, second: FloatArray) -> FloatArray:
        """Return Cov(first, second), in the shapes of :meth:`mean`."""
        return self.mean(self._centred(first), self._centred(second))

    def gradient(self, function: FloatArray) -> FloatArray:
        """Return the derivative of E[function] by K^l in the coordinates g: E[function He_2] / 2."""
        g = self.nodes.g
        return self.mean(self._centred(function), _products(g) - np.eye(len(g))[..., None]) / 2

    def second_order(self, function: FloatArray, covariance: FloatArray) -> FloatArray:
        """Return what a covariance of K^l in the coordinates g adds to E[function]: E[function He_4] covariance / 8."""
        products = _products(self.nodes.g)
        quartic = np.einsum("efm,efgh,ghm->m", products, covariance, products, optimize=True)
        paired = 2 * np.einsum("eegh->gh", covariance) + 4 * np.einsum("efeh->fh", covariance)
        constant = np.einsum("eegg->", covariance) + 2 * np.einsum("efef->", covariance)
        hermite = quartic - np.einsum("ghm,gh->m", products, paired) + constant
        return self.mean(self._centred(function), hermite) / 8

    def _centred(self, function: FloatArray) -> FloatArray:
        return function - (function @ self.nodes.weights)[..., None]


def _products(values: FloatArray) -> FloatArray:
    return values[:, None] * values[None]


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """A layer at n inputs with r coordinates g: its limit, and N times fluctuation and bias of what is empirical.

    The kernel matrix K is in the coordinates g, (r, r), Theta at the inputs, (n, n); j and m are two units.

    Attributes:
        root: L with K = L L^T, shape (n, r).
        tangent: Theta.
        kernel: Cov(K, K).
        mixed: Cov(Theta_jj, K).
        between: Cov(Theta_jj, Theta_mm).
        cross: E[Theta_jm Theta_jm].
        response: E[Theta_jm g_j g_m], where Theta_jm is at the inputs (a, b) and g_j at the first, g_m at the second.
        kernel_bias: of K.
        tangent_bias: of Theta_jj.
    """

    root: FloatArray
    tangent: FloatArray
    kernel: FloatArray
    mixed: FloatArray
    between: FloatArray
    cross: FloatArray
    response: FloatArray
    kernel_bias: FloatArray
    tangent_bias: FloatArray


def _undisturbed(root: FloatArray, tangent: FloatArray) -> _Layer:
    """Return the first layer, whose kernels are deterministic."""
    n, r = root.shape
    fourth = np.zeros((n,) * 4)
    mixed = np.zeros((n, n, r, r))
    zeros = np.zeros((r, r)), np.zeros((n, n))
    return _Layer(root, tangent, np.zeros((r,) * 4), mixed, fourth, fourth, mixed, *zeros)


def _next_layer(below: _Layer, units: Units, ratio: float) -> _Layer:
    """Return the next layer: what its finite width injects, and what the fluctuations below become.

    Theta of the next layer is the kernel plus the sum over units i, i' of W_i W_i' phi'_i phi'_i' Theta_ii' / N, whose
    mean over W is that over i = i'. With Omega = phi phi + phi' phi' Theta the summand of one unit, covariances are
    injected as those of Omega and phi phi, and propagated as derivatives of their means.
    """
    kernel, slopes = _products(units.values), _products(units.slopes)
    omega = _products(units.at_inputs) + slopes * below.tangent[..., None]
    slope_mean = slopes @ units.nodes.weights
    by_kernel, by_omega, by_slopes = (units.gradient(f) for f in (kernel, omega, slopes))
    turned = np.einsum("am,im,em,m->aie", units.slopes, units.values, units.nodes.g, units.nodes.weights, optimize=True)

    def carried(first: FloatArray, covariance: FloatArray, second: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("abef,efgh,cdgh->abcd", first, covariance, second, optimize=True))

    mixed_with_kernel, mixed_with_omega = (
        np.einsum("ab,abgh,cdgh->abcd", slope_mean, below.mixed, by, optimize=True) for by in (by_kernel, by_omega)
    )
    injected_cross = units.mean(slopes, slopes) * np.multiply.outer(below.tangent, below.tangent)
    injected_response = units.mean(slopes, kernel) * below.tangent[..., None, None]
    return _Layer(
        root=units.root,
        tangent=units.sigma_b**2 + omega @ units.nodes.weights,
        kernel=units.covariance(kernel, kernel) / ratio + carried(by_kernel, below.kernel, by_kernel),
        mixed=units.covariance(omega, kernel) / ratio + carried(by_omega, below.kernel, by_kernel) + mixed_with_kernel,
        between=units.covariance(omega, omega) / ratio
        + carried(by_omega, below.kernel, by_omega)
        + np.einsum("ab,cd,abcd->abcd", slope_mean, slope_mean, below.between)
        + mixed_with_omega
        + mixed_with_omega.transpose(2, 3, 0, 1),
        cross=injected_cross / ratio + np.einsum("ac,bd,abcd->abcd", slope_mean, slope_mean, below.cross),
        response=injected_response / ratio
        + np.einsum("aie,bjf,abef->abij", turned, turned, below.response, optimize=True),
        kernel_bias=np.tensordot(by_kernel, below.kernel_bias) + units.second_order(kernel, below.kernel),
        tangent_bias=slope_mean * below.tangent_bias
        + np.tensordot(by_omega, below.kernel_bias)
        + units.second_order(omega, below.kernel)
        # Theta_jj is correlated with K, and with z_j itself through the weights of unit j
        + np.einsum("abef,abef->ab", by_slopes, below.mixed + 2 * below.response),
    )


def _coefficients(output: _Layer) -> dict[str, float]:
    """Return the entries of :class:`LeadingOrder` at the first and last input, from an output layer in place."""
    at = 0, -1, 0, -1
    values = {
        "nngp_variance": output.kernel[at],
        "nngp_bias": output.kernel_bias[0, -1],
        "tangent_variance": output.between[at] + output.cross[at] + output.cross[0, -1, -1, 0],
        "tangent_bias": output.tangent_bias[0, -1],
        "cross_variance": output.cross[at],
        "nngp_tangent_covariance": output.mixed[at],
        "tangent_between_outputs": output.between[at],
    }
    return {name: float(value) for name, value in values.items()}


def first_layer(net: MLP, inputs: FloatArray) -> tuple[LayerState, FloatArray]:
    """Return what :meth:`numeric.kernels.MLP.first_layer` does, for a network with the derived recursion.

    Raises:
        ValueError: for another recursion, which finite networks do not follow.
    """
    if net.recursion is not None:
        raise ValueError("laws at finite width are those of the derived recursion, got a changed one; leave it out")
    return net.first_layer(inputs)


def first_root(state: LayerState, i: int, j: int) -> FloatArray:
    """Return L of the first layer at two inputs, or at one."""
    pair = covariance_root(*(float(v) for v in (state.a[i, 0], state.b[0, j], state.c[i, j], state.D[i, j])))
    return pair if i != j else pair[:1]


def _next_root(values: FloatArray, weights: FloatArray, sigma_b: float) -> FloatArray:
    """Return L of the next layer; its determinant is a times the mean square of what regression leaves."""
    second_moments = (values * weights) @ values.T + sigma_b**2
    a, b, c = second_moments[0, 0], second_moments[-1, -1], second_moments[0, -1]
    slope = c / a if a > 0 else 0.0
    left = float((values[-1] - slope * values[0]) ** 2 @ weights + (sigma_b * (1 - slope)) ** 2)
    return covariance_root(float(a), float(b), float(c), float(a) * left)[: len(values)]


def _ratios(ratios: Sequence[float] | None, layers: int) -> tuple[float, ...]:
    given = (1.0,) * layers if ratios is None else tuple(float(ratio) for ratio in ratios)
    if len(given) != layers or not all(np.isfinite(ratio) and ratio > 0 for ratio in given):
        raise ValueError(f"ratios must be {layers} positive numbers, one per hidden layer, got {ratios}")
    return given
