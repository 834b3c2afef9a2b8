"""Gradients of finite networks with respect to their parameters, and the tangent kernel of what is trained.

A network whose parameters ω (standard normal at the start, NTK parameterization) move at rates ρ along the gradient,

    dω/dt = -ρ ∂Loss/∂ω,     so     df/dt = -Θ̂ ∂Loss/∂f     with     Θ̂ = Σ ρ (∂f/∂ω)(∂f/∂ω)ᵀ,

has one rate per layer for the weights and one for the biases. Every usual parameterization is a choice of rates:

* NTK parameterization: all rates are 1.
* Only the last layer is trained: all other rates are 0, and Θ̂ is the empirical NNGP kernel.
* Standard parameterization: the weights are v = σ_w ω/√fan-in, the biases σ_b ω, so that a learning rate η of v is the
  rate ρ = η fan-in/σ_w² of ω, and η of a bias is ρ = η/σ_b². The learning rates that give NTK parameterization are
  σ_w²/fan-in and σ_b². A common one η = η₀/N at widths N gives, as N grows, the kernel of a network of which only the
  weights above the first layer learn, at the rate η₀/σ_w²; first layer and biases stand still, as their ρ are
  O(1/N).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from numeric.network import (
    Activation,
    NetworkShape,
    Parameters,
    kernels_of_layers,
    linearized_layers,
)

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates ρ at which weights and biases of each layer follow the gradient; 0 for what stays as it was drawn.

    Raises:
        ValueError: if a rate is negative or not finite, or the two lengths differ.
    """

    weights: tuple[float, ...]
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("weights", "biases"):
            object.__setattr__(self, name, tuple(float(rate) for rate in getattr(self, name)))
        if len(self.weights) != len(self.biases):
            raise ValueError(
                f"expected a rate of weights and one of biases per layer, got {len(self.weights)} and "
                f"{len(self.biases)}: write 0 for what is not trained"
            )
        if not all(math.isfinite(rate) and rate >= 0 for rate in self.weights + self.biases):
            raise ValueError(f"rates must be finite and not negative, got {self}: 0 is for what is not trained")

    @classmethod
    def ntk(cls, shape: NetworkShape) -> Self:
        """Return the rates of NTK parameterization: every parameter is trained at rate 1."""
        ones = (1.0,) * len(shape.fan_in)
        return cls(ones, ones)

    @classmethod
    def last_layer(cls, shape: NetworkShape) -> Self:
        """Return the rates of a network of which the output layer alone is trained, in NTK parameterization."""
        rates = (*(0.0,) * shape.hidden_layers, 1.0)
        return cls(rates, rates)

    @classmethod
    def standard(cls, shape: NetworkShape, learning_rate: float) -> Self:
        """Return the rates of standard parameterization with one learning rate for all layers.

        Parameters of a scale σ = 0 do not exist in NTK parameterization, so they are not trained.
        """
        return cls(
            tuple(
                learning_rate * fan_in / sigma**2 if sigma else 0.0
                for fan_in, sigma in zip(shape.fan_in, shape.sigma_w, strict=True)
            ),
            tuple(learning_rate / sigma**2 if sigma else 0.0 for sigma in shape.sigma_b),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """A network's layers at n inputs, linearized.

    Attributes:
        inputs: what each layer is fed, (n_networks or 1, fan_in, n).
        sensitivities: D of each hidden layer, ∂ outputs / ∂ preactivations, (n_networks, units, outputs * n).
        outputs: (n_networks, outputs, n).
    """

    inputs: tuple[FloatArray, ...]
    sensitivities: tuple[FloatArray, ...]
    outputs: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Learner:
    """A kind of network, and what of it is trained.

    Attributes:
        shape: sizes and scales.
        activations: φ of each hidden layer.
        derivatives: φ' of each hidden layer.
        rates: at which the layers follow the gradient.

    Raises:
        ValueError: if the rates do not fit the shape.
    """

    shape: NetworkShape
    activations: Sequence[Activation]
    derivatives: Sequence[Activation]
    rates: Rates

    def __post_init__(self) -> None:
        if len(self.rates.weights) != len(self.shape.fan_in):
            raise ValueError(
                f"expected rates of {len(self.shape.fan_in)} layers, got {len(self.rates.weights)}: one per layer, "
                "output layer included"
            )

    def linearized(self, parameters: Parameters, x: FloatArray) -> Layers:
        """Return the layers at inputs (n, dimension).

        Raises:
            ValueError: if the parameters, inputs or activations do not fit the shape.
        """
        preactivations, inputs, sensitivities = linearized_layers(
            self.shape, parameters, x, self.activations, self.derivatives
        )
        return Layers(inputs, sensitivities, preactivations[-1])

    def gradient(self, layers: Layers, cotangent: FloatArray) -> Parameters:
        """Return ρ ∂/∂ω of Σ cotangent · outputs: the vector-Jacobian product, times the rates.

        Args:
            layers: of the networks, at n inputs.
            cotangent: (n_networks, outputs, n).

        Returns:
            One number per parameter, arranged as the parameters are.
        """
        count = len(cotangent)
        signals = [
            np.einsum("nikb,nkb->nib", d.reshape(count, -1, *cotangent.shape[1:]), cotangent, optimize=False)
            for d in layers.sensitivities
        ]
        signals.append(cotangent)
        weights, biases = [], []
        for layer, (signal, fed) in enumerate(zip(signals, layers.inputs, strict=True)):
            scale = self.rates.weights[layer] * self.shape.sigma_w[layer] / math.sqrt(self.shape.fan_in[layer])
            weights.append(np.matmul(scale * signal, fed.transpose(0, 2, 1)))
            biases.append(self.rates.biases[layer] * self.shape.sigma_b[layer] * signal.sum(axis=2))
        return owned_parameters([*weights, *biases])

    def jacobian(self, layers: Layers) -> Iterator[FloatArray]:
        """Yield ∂ outputs / ∂ω, one layer at a time, since the whole is as large as n · outputs sets of parameters.

        Returns:
            Per layer weights and then biases (n_networks, n, outputs, parameters), each in C order; without the rates.
        """
        count, outputs, n_points = layers.outputs.shape
        unit = np.broadcast_to(np.eye(outputs)[None, :, :, None], (count, outputs, outputs, n_points))
        slopes = [d.reshape(count, -1, outputs, n_points) for d in layers.sensitivities] + [unit]
        for layer, (slope, fed) in enumerate(zip(slopes, layers.inputs, strict=True)):
            scale = self.shape.sigma_w[layer] / math.sqrt(self.shape.fan_in[layer])
            signal = slope.transpose(0, 3, 2, 1)  # (n_networks, n, outputs, units)
            fed_rows = fed.transpose(0, 2, 1)[:, :, None, None, :]
            yield (scale * signal[..., None] * fed_rows).reshape(count, n_points, outputs, -1)
            yield self.shape.sigma_b[layer] * signal

    def tangent_kernel(self, parameters: Parameters, layers: Layers) -> FloatArray:
        """Return Θ̂ with the rates, shape (n_networks, n, n, outputs, outputs)."""
        # A layer of rate ρ contributes as one of rate 1 would whose scales are larger by √ρ.
        scaled = replace(
            self.shape,
            sigma_w=tuple(s * math.sqrt(rate) for s, rate in zip(self.shape.sigma_w, self.rates.weights, strict=True)),
            sigma_b=tuple(s * math.sqrt(rate) for s, rate in zip(self.shape.sigma_b, self.rates.biases, strict=True)),
        )
        fed = (layers.inputs, layers.sensitivities)
        return kernels_of_layers(scaled, parameters, fed, fed)[1]


def owned_parameters(arrays: Sequence[FloatArray]) -> Parameters:
    """Return weights and then biases as parameters without a copy: they are new arrays, and read-only from now on."""
    for array in arrays:
        array.setflags(write=False)
    half = len(arrays) // 2
    return Parameters(tuple(arrays[:half]), tuple(arrays[half:]))
