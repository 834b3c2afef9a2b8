"""Finite fully connected networks with real weight matrices, many at a time, and their empirical kernels.

NTK parameterization with L hidden layers of widths N_1 .. N_L:

    z¹ = (σ_w[0]/√d) W¹ x + σ_b[0] b¹,     zˡ⁺¹ = (σ_w[l]/√N_l) Wˡ⁺¹ φ_l(zˡ) + σ_b[l] bˡ⁺¹,     all W, b iid N(0, 1),

so the outputs are z^{L+1}. Every array carries a leading axis of independent networks; nothing here is split into
chunks, the caller chooses `n_networks`. The tangent kernel comes from layer-wise backpropagation,

    Θ̂[a, b, k, k'] = Σ_l K̂ˡ[a, b] Σ_i Dˡ[k, i, a] Dˡ[k', i, b],     Dˡ[k, i, a] = ∂z_k^{L+1}(x_a) / ∂z_iˡ(x_a),

where K̂ˡ[a, b] = σ_b² + (σ_w²/fan-in) · (inner product of the inputs of layer l) is what the weights and biases of
layer l contribute per unit. The Jacobian with respect to the parameters is never formed.

Networks whose parameters are float32 are evaluated in float32; inner products over their units are taken in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
FloatType = type[np.float64] | type[np.float32]
Activation = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class NetworkShape:
    """Sizes and scales of a fully connected network.

    Attributes:
        dimension: length d of an input.
        widths: units of each hidden layer, first to last; empty for a linear model.
        outputs: units of the output layer.
        sigma_w: standard deviations of the weights before the 1/√fan-in, one per layer including the output layer.
        sigma_b: standard deviations of the biases, one per layer including the output layer.

    Raises:
        ValueError: if a size is not a positive integer, a scale is negative or not finite, or a length does not fit.
    """

    dimension: int
    widths: tuple[int, ...]
    outputs: int
    sigma_w: tuple[float, ...]
    sigma_b: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "dimension", positive("dimension", self.dimension))
        object.__setattr__(self, "widths", tuple(positive("width", width) for width in self.widths))
        object.__setattr__(self, "outputs", positive("outputs", self.outputs))
        for name in ("sigma_w", "sigma_b"):
            scales = tuple(float(scale) for scale in getattr(self, name))
            if len(scales) != len(self.widths) + 1:
                raise ValueError(
                    f"{name} must have {len(self.widths) + 1} values for {len(self.widths)} hidden layers, "
                    f"got {len(scales)}: give one per layer, output layer included"
                )
            if not all(math.isfinite(scale) and scale >= 0 for scale in scales):
                raise ValueError(f"{name} must be finite and not negative, got {scales}: it is a standard deviation")
            object.__setattr__(self, name, scales)

    @property
    def hidden_layers(self) -> int:
        """Number L of hidden layers."""
        return len(self.widths)

    @property
    def fan_in(self) -> tuple[int, ...]:
        """Number of inputs of a unit, for each of the L + 1 layers."""
        return (self.dimension, *self.widths)

    @property
    def fan_out(self) -> tuple[int, ...]:
        """Number of units of each of the L + 1 layers."""
        return (*self.widths, self.outputs)


@dataclass(frozen=True, slots=True, eq=False)
class SampledKernels:
    """What several networks of one shape show at n inputs; the arrays are read-only, in float64.

    Attributes:
        nngp: K̂^{L+1}, shape (n_networks, n, n).
        ntk: Θ̂, shape (n_networks, n, n, outputs, outputs).
        layers: K̂¹ .. K̂^{L+1}, shape (n_networks, L + 1, n, n).
        outputs: z^{L+1}, shape (n_networks, outputs, n).
    """

    nngp: FloatArray
    ntk: FloatArray
    layers: FloatArray
    outputs: FloatArray

    def __post_init__(self) -> None:
        for name in ("nngp", "ntk", "layers", "outputs"):
            object.__setattr__(self, name, _sealed(np.array(getattr(self, name), dtype=np.float64, order="C")))


@dataclass(frozen=True, slots=True, eq=False)
class Parameters:
    """The standard normal weights and biases of several networks of one shape.

    Attributes:
        weights: per layer, an array (n_networks, fan_out, fan_in), float64 or float32.
        biases: per layer, an array (n_networks, fan_out), of the same type.

    Raises:
        ValueError: if the arrays do not form a chain of layers for one number of networks.
    """

    weights: tuple[FloatArray, ...]
    biases: tuple[FloatArray, ...]

    def __post_init__(self) -> None:
        weights, biases = tuple(map(_frozen, self.weights)), tuple(map(_frozen, self.biases))
        if not weights or len(weights) != len(biases):
            raise ValueError(
                f"expected one weight and one bias array per layer, got {len(weights)} and {len(biases)}: "
                "give at least the output layer"
            )
        fan_in = None
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            fits = weight.ndim == 3 and bias.shape == weight.shape[:2] and len(weight) == len(weights[0])
            if not fits or fan_in not in (None, weight.shape[2]):
                raise ValueError(
                    f"layer {layer}: weights {weight.shape} and biases {bias.shape} do not fit the layer below: "
                    "expected (n_networks, fan_out, fan_in) and (n_networks, fan_out)"
                )
            fan_in = weight.shape[1]
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "biases", biases)

    @property
    def n_networks(self) -> int:
        """Number of networks."""
        return len(self.weights[0])


def sample_parameters(
    shape: NetworkShape, n_networks: int, rng: np.random.Generator, dtype: FloatType = np.float64
) -> Parameters:
    """Independent standard normal weights and biases of `n_networks` networks.

    The stream is consumed layer by layer, weights before biases, each array in C order; so the first networks of a
    large batch are not those of a small one.

    Raises:
        ValueError: if `n_networks` is not a positive integer.
    """
    count = positive("n_networks", n_networks)
    weights, biases = [], []
    for fan_out, fan_in in zip(shape.fan_out, shape.fan_in, strict=True):
        weights.append(_sealed(rng.standard_normal((count, fan_out, fan_in), dtype=dtype)))
        biases.append(_sealed(rng.standard_normal((count, fan_out), dtype=dtype)))
    return Parameters(tuple(weights), tuple(biases))


def forward(
    shape: NetworkShape, parameters: Parameters, x: FloatArray, activations: Sequence[Activation]
) -> tuple[FloatArray, ...]:
    """Preactivations z¹ .. z^{L+1}, each of shape (n_networks, units, n_points); the last are the outputs.

    Args:
        shape: sizes and scales.
        parameters: networks of that shape.
        x: inputs (n_points, dimension).
        activations: φ of each hidden layer, elementwise functions of an array.

    Raises:
        ValueError: if the parameters, inputs or activations do not fit the shape, or an activation changes the shape
            of its argument.
    """
    return _forward(shape, parameters, x, activations)[0]


def empirical_nngp(
    shape: NetworkShape,
    parameters: Parameters,
    x1: FloatArray,
    activations: Sequence[Activation],
    x2: FloatArray | None = None,
) -> FloatArray:
    """Covariance K̂^{L+1} of one output given the layers below it, shape (n_networks, n_points_1, n_points_2).

    It is σ_b² + (σ_w²/N_L) φ(z^L(x1))·φ(z^L(x2)), the inputs themselves taking the place of φ(z^L) without hidden
    layers. The parameters of the output layer do not enter.

    Raises:
        ValueError: as `forward`.
    """
    left = _forward(shape, parameters, x1, activations)[1]
    right = left if x2 is None else _forward(shape, parameters, x2, activations)[1]
    gram = _layer_gram(shape, shape.hidden_layers, left[-1], right[-1])
    return np.array(np.broadcast_to(gram, (parameters.n_networks, *gram.shape[1:])))


def empirical_ntk(
    shape: NetworkShape,
    parameters: Parameters,
    x1: FloatArray,
    activations: Sequence[Activation],
    derivatives: Sequence[Activation],
    x2: FloatArray | None = None,
) -> FloatArray:
    """Tangent kernel Θ̂[n, a, b, k, k'] = ∇f_k(x1_a)·∇f_k'(x2_b) over all weights and biases.

    Args:
        shape: sizes and scales.
        parameters: networks of that shape.
        x1: inputs (n_points_1, dimension).
        activations: φ of each hidden layer.
        derivatives: φ' of each hidden layer; its value at a kink is the caller's choice, as in backpropagation.
        x2: inputs (n_points_2, dimension) of the second argument; x1 if not given.

    Returns:
        Array (n_networks, n_points_1, n_points_2, outputs, outputs).

    Raises:
        ValueError: as `forward`.

    Source: Jacot, Gabriel, Hongler, "Neural Tangent Kernel", NeurIPS 2018, section 4, for the kernel.
    """
    return empirical_kernels(shape, parameters, x1, activations, derivatives, x2)[1]


def empirical_kernels(
    shape: NetworkShape,
    parameters: Parameters,
    x1: FloatArray,
    activations: Sequence[Activation],
    derivatives: Sequence[Activation],
    x2: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Both kernels of the same networks, (`empirical_nngp`, `empirical_ntk`), for the work of the second alone.

    Raises:
        ValueError: as `forward`.
    """
    left = linearized_layers(shape, parameters, x1, activations, derivatives)[1:]
    right = left if x2 is None else linearized_layers(shape, parameters, x2, activations, derivatives)[1:]
    layers, theta = kernels_of_layers(shape, parameters, left, right)
    return np.array(layers[:, -1]), theta


def sampled_kernels(
    shape: NetworkShape,
    parameters: Parameters,
    x: FloatArray,
    activations: Sequence[Activation],
    derivatives: Sequence[Activation],
) -> SampledKernels:
    """Outputs, tangent kernel and the kernels of all layers of the same networks; arguments as `empirical_ntk`.

    Raises:
        ValueError: as `forward`.
    """
    preactivations, *fed = linearized_layers(shape, parameters, x, activations, derivatives)
    layers, theta = kernels_of_layers(shape, parameters, fed, fed)
    return SampledKernels(layers[:, -1], theta, layers, preactivations[-1])


def kernels_of_layers(
    shape: NetworkShape,
    parameters: Parameters,
    left: Sequence[tuple[FloatArray, ...]],
    right: Sequence[tuple[FloatArray, ...]],
) -> tuple[FloatArray, FloatArray]:
    """Return K̂¹ .. K̂^{L+1} and Θ̂ from what the layers are fed and their sensitivities, at both arguments."""
    (inputs, sensitivities), (inputs_2, sensitivities_2) = left, right
    n_networks, outputs = parameters.n_networks, shape.outputs
    n1, n2 = inputs[0].shape[-1], inputs_2[0].shape[-1]
    layers = np.empty((n_networks, shape.hidden_layers + 1, n1, n2))
    for layer, (first, second) in enumerate(zip(inputs, inputs_2, strict=True)):
        layers[:, layer] = _layer_gram(shape, layer, first, second)

    # Axes (n, k, a, k', b) while summing: the Gram matrices of the sensitivities come out this way. The last two are
    # one axis, so that products with kernels run over long rows.
    rows = np.zeros((n_networks, outputs, n1, outputs * n2))
    for layer, (first, second) in enumerate(zip(sensitivities, sensitivities_2, strict=True)):
        products = inner_products(first, second).reshape(rows.shape)
        products *= np.tile(layers[:, layer], (1, 1, outputs))[:, None]
        rows += products
    theta = rows.reshape(n_networks, outputs, n1, outputs, n2)
    # The output layer: unit k depends on its own parameters only, so its D is the identity.
    for k in range(outputs):
        theta[:, k, :, k, :] += layers[:, -1]
    return layers, theta.transpose(0, 2, 4, 1, 3)


def _forward(
    shape: NetworkShape, parameters: Parameters, x: FloatArray, activations: Sequence[Activation]
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Preactivations of every layer and what each layer is fed: x as (1, dimension, n_points), then φ(z¹) .. φ(z^L)."""
    _check_parameters(shape, parameters)
    _check_length("activations", activations, shape)
    fed = _points(shape, x).T[None]
    preactivations, inputs = [], [fed]
    for layer, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
        if layer == 0:
            # All networks see the same inputs: one large product instead of n_networks small ones.
            points = fed[0].astype(weight.dtype, copy=False)
            z = (weight.reshape(-1, weight.shape[2]) @ points).reshape(*bias.shape, fed.shape[2])
        else:
            z = np.matmul(weight, fed)
        z *= shape.sigma_w[layer] / math.sqrt(shape.fan_in[layer])
        z += shape.sigma_b[layer] * bias[:, :, None]
        preactivations.append(z)
        if layer < shape.hidden_layers:
            fed = applied(activations[layer], z)
            inputs.append(fed)
    return tuple(preactivations), tuple(inputs)


def linearized_layers(
    shape: NetworkShape,
    parameters: Parameters,
    x: FloatArray,
    activations: Sequence[Activation],
    derivatives: Sequence[Activation],
) -> tuple[tuple[FloatArray, ...], tuple[FloatArray, ...], tuple[FloatArray, ...]]:
    """Return preactivations, what each layer is fed, and D¹ .. D^L, each (n_networks, units, outputs * n_points).

    Raises:
        ValueError: as `forward`.
    """
    _check_length("derivatives", derivatives, shape)
    preactivations, inputs = _forward(shape, parameters, x, activations)
    sensitivities: list[FloatArray] = []
    for layer in range(shape.hidden_layers, 0, -1):
        weight = parameters.weights[layer].transpose(0, 2, 1)
        slope = applied(derivatives[layer - 1], preactivations[layer - 1])
        slope = (slope * (shape.sigma_w[layer] / math.sqrt(shape.fan_in[layer])))[:, :, None, :]
        if sensitivities:
            above = np.matmul(weight, sensitivities[-1]).reshape(*weight.shape[:2], shape.outputs, -1)
        else:
            above = weight[:, :, :, None]
        sensitivities.append((above * slope).reshape(*weight.shape[:2], -1))
    return preactivations, inputs, tuple(reversed(sensitivities))


def _layer_gram(shape: NetworkShape, layer: int, left: FloatArray, right: FloatArray) -> FloatArray:
    """K̂ of the layer fed with `left` and `right`: the squared length its parameters' gradients have per unit."""
    gram = inner_products(left, right)
    gram *= shape.sigma_w[layer] ** 2 / shape.fan_in[layer]
    gram += shape.sigma_b[layer] ** 2
    return gram


def inner_products(left: NDArray[Any], right: NDArray[Any]) -> FloatArray:
    """Return leftᵀ right of every network, summed over units in float64 whatever the networks are evaluated in."""
    first = left.astype(np.float64, copy=False)
    second = first if right is left else right.astype(np.float64, copy=False)
    gram: FloatArray = np.matmul(first.transpose(0, 2, 1), second)
    return gram


def applied(function: Activation, z: FloatArray) -> FloatArray:
    """Return an elementwise function of an array in the array's type, or raise ValueError if the shape changes."""
    values = np.asarray(function(z), dtype=z.dtype)
    if values.shape != z.shape:
        raise ValueError(
            f"an activation must keep the shape of its argument, got {values.shape} from {z.shape}: "
            "write a constant as c * np.ones_like(z)"
        )
    return values


def _points(shape: NetworkShape, x: FloatArray) -> FloatArray:
    points = np.asarray(x, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != shape.dimension:
        raise ValueError(f"inputs must have shape (n_points, {shape.dimension}), got {points.shape}: one input per row")
    return points


def _check_parameters(shape: NetworkShape, parameters: Parameters) -> None:
    expected = list(zip(shape.fan_out, shape.fan_in, strict=True))
    found = [weight.shape[1:] for weight in parameters.weights]
    if found != expected:
        raise ValueError(f"parameters have layers {found}, the shape asks for {expected}: sample them with this shape")


def _check_length(name: str, functions: Sequence[Activation], shape: NetworkShape) -> None:
    if len(functions) != shape.hidden_layers:
        raise ValueError(f"{name} must have {shape.hidden_layers} entries, got {len(functions)}: one per hidden layer")


def positive(name: str, value: object) -> int:
    """Return a size as an integer, or raise ValueError: it must be a positive one."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} must be a positive integer, got {value!r}: use 1 or more")
    return int(value)


def _sealed(array: NDArray[Any]) -> FloatArray:
    array.setflags(write=False)
    return array


def _frozen(array: FloatArray) -> FloatArray:
    """The array itself if nobody can write to it, else a read-only copy: batches are large."""
    values: FloatArray = np.asarray(array)
    if values.dtype != np.float32:
        values = values.astype(np.float64, copy=False)
    return values if values.flags.owndata and not values.flags.writeable else _sealed(values.copy())
