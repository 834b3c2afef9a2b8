"""Sections 4.1 to 4.4 in concrete numbers: the tangent kernel as a sum over parameters, and the parameterization."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture import three_layers as net
from derive.lecture.tangent_exhibits import NETWORK
from derive.lecture.tangent_kernel_exhibits import limit_of_outputs, relu_layer_two
from derive.lecture.three_layers import SIGMA_B, SIGMA_W, SIZES, X, Y

_ALL = (1, 2)
_HALF = sp.Rational(1, 2)


def limit() -> tuple[Exhibit, ...]:
    """Return that more outputs do not make the tangent kernel deterministic."""
    return (limit_of_outputs(4),)


def diagonal() -> tuple[Exhibit, ...]:
    """Return the own part between different outputs, and the spread of the inherited part between them."""
    own = net.tangent(2, (2,))
    _, _, between = relu_layer_two()
    width = 4
    on = [sum((n >> j) & 1 for j in range(width)) for n in range(2**width)]
    return (
        Exhibit(
            setting=f"the own part of layer 2, {NETWORK}",
            left=own,
            right=own[0, 0] * sp.eye(SIZES[2]),
            wrong={"all outputs share one kernel": lambda: own[0, 0] * sp.ones(SIZES[2], SIZES[2])},
        ),
        Exhibit(
            setting=f"relu, N_2 = {width}, no biases, x·x = d: variance of the kernel between two outputs",
            left=sp.Rational(sum(on), len(on) * width**2),  # given m units that are on: m products of two weights
            right=between / width,
            wrong={
                "zero at every width": lambda: sp.S.Zero,
                "it does not shrink with the width": lambda: between,
            },
        ),
    )


def definition() -> tuple[Exhibit, ...]:
    """Return the sum over parameters, one by one, and as a product of Jacobians."""
    first, second = net.jacobian(2, X, _ALL), net.jacobian(2, Y, _ALL)
    terms = (first[:, d] * second[:, d].T for d in range(first.cols))
    return (
        Exhibit(
            setting=f"the tangent kernel of layer 2, {NETWORK}",
            left=sum(terms, sp.zeros(SIZES[2], SIZES[2])),
            right=first * second.T,
            wrong={
                "only the parameters of the layer itself": lambda: net.tangent(2, (2,)),
                "both gradients at one input": lambda: first * first.T,
                "the transpose is on the other factor": lambda: first.T * second,
            },
            printed=lambda: first * second,
        ),
    )


def features() -> tuple[Exhibit, ...]:
    """Return that the gradient is a feature map: quadratic forms of its Gram matrix are squares."""
    rows = [net.jacobian(2, x, _ALL)[0, :] for x in (X, Y)]
    features = sp.Matrix.vstack(*rows)
    weights = sp.Matrix([2, -3])
    combined = weights[0] * rows[0] + weights[1] * rows[1]
    return (
        Exhibit(
            setting=f"a quadratic form of the kernel of both inputs, one output of layer 2, {NETWORK}",
            left=(weights.T * (features * features.T) * weights)[0, 0],
            right=combined.dot(combined),
            wrong={
                "the product between inputs is left out": lambda: 4 * rows[0].dot(rows[0]) + 9 * rows[1].dot(rows[1]),
                "the gradient is by the input": lambda: sum(
                    ((2 * x - 3 * y) ** 2 for x, y in zip(X, Y, strict=True)), sp.S.Zero
                ),
            },
        ),
    )


def variance_of_a_unit() -> tuple[Exhibit, ...]:
    """Return the variance of a first unit, with the second argument of N(., .) read in both ways."""
    inputs, bias = 100, _HALF
    fair = [Fraction(1, 100) for _ in range(inputs)]  # variances of the weights, each the square of 1/√100
    return (
        Exhibit(
            setting="100 inputs that are all 1, σ_b = 1/2: variance of a unit of the first layer",
            left=sp.Rational(sum(fair).numerator, sum(fair).denominator) + bias**2,
            right=inputs * (1 / sp.sqrt(inputs)) ** 2 + bias**2,
            wrong={
                "1/√N is a variance": lambda: inputs / sp.sqrt(inputs) + bias,
                "1/√N is a variance, σ_b is not": lambda: inputs / sp.sqrt(inputs) + bias**2,
                "the bias is not scaled": lambda: sp.Integer(1) + 1,
            },
        ),
    )


def bias_scale() -> tuple[Exhibit, ...]:
    """Return what the biases contribute to the tangent kernel, and to the law of a unit."""
    rows = net.jacobian(1, X, (1,))[:, -SIZES[1] :]
    fourth, second = 3, 1
    return (
        Exhibit(
            setting=f"the part of the biases in the tangent kernel of layer 1, {NETWORK}",
            left=rows * rows.T,
            right=SIGMA_B**2 * sp.eye(SIZES[1]),
            wrong={
                "σ_b stands for σ_b²": lambda: SIGMA_B * sp.eye(SIZES[1]),
                "standard parameterization: 1": lambda: sp.eye(SIZES[1]),
                "one bias for all units": lambda: SIGMA_B**2 * sp.ones(SIZES[1], SIZES[1]),
            },
        ),
        Exhibit(
            setting="kurtosis of the bias term σ_b b of a unit, b a standard normal",
            left=SIGMA_B**4 * fourth / (SIGMA_B**2 * second) ** 2,
            right=sp.Integer(3),
            wrong={"the bias is no Gaussian": lambda: sp.Integer(1)},
            printed=lambda: sp.Integer(fourth * fourth),  # a normal scale times a normal bias
        ),
    )


def parameterizations() -> tuple[Exhibit, ...]:
    """Return the own part of layer 2 in standard parameterization: same function, another kernel."""
    count = SIZES[1] * SIZES[2]
    rescaled = [net.jacobian(2, x, (2,)) * sp.diag(*[3 / SIGMA_W] * count, *[1] * SIZES[2]) for x in (X, Y)]
    products = sum(u * v for u, v in zip(net.activations(1, X), net.activations(1, Y), strict=True))
    return (
        Exhibit(
            setting=f"the own part of layer 2 by the weights ω = σ_w W/√N, {NETWORK}",
            left=rescaled[0] * rescaled[1].T,
            right=(products + SIGMA_B**2) * sp.eye(SIZES[2]),
            wrong={
                "it is that of the NTK parameterization": lambda: net.tangent(2, (2,)),
                "it is N times as large as a whole": lambda: SIZES[1] * net.tangent(2, (2,)),
                "the scale enters once": lambda: (products * SIGMA_W / 3 + SIGMA_B**2) * sp.eye(SIZES[2]),
            },
        ),
    )


def stacked() -> tuple[Exhibit, ...]:
    """Return the units of layer 2 as a vector."""
    w, incoming, biases = net.weights(2), net.activations(1, X), net.biases(2)
    return (
        Exhibit(
            setting=f"the units of layer 2 as a vector, {NETWORK}",
            left=net.units(2, X),
            right=SIGMA_W / 3 * w * incoming + SIGMA_B * biases,
            wrong={
                "a row of the weights meets one activation": lambda: sp.Matrix(
                    [SIGMA_W / 3 * sum(w[k, :]) * incoming[k] + SIGMA_B * biases[k] for k in range(SIZES[2])]
                ),
                "the weights are transposed": lambda: SIGMA_W / 3 * w.T * incoming + SIGMA_B * biases,
            },
        ),
    )


def not_random() -> tuple[Exhibit, ...]:
    """Return that two draws have one tangent kernel at the first layer, and not at the second."""
    return (
        Exhibit(
            setting=f"the tangent kernel of layer 1 at one draw less that at another, {NETWORK}",
            left=net.tangent(1) - net.tangent(1, seed=1),
            right=sp.zeros(SIZES[1], SIZES[1]),
            wrong={
                "every layer is like that": lambda: net.tangent(2) - net.tangent(2, seed=1),
                "only the part of the biases is": lambda: (
                    (net.first_kernel() - SIGMA_B**2) * (net.weights(1) - net.weights(1, 1))[0, 0] * sp.eye(SIZES[1])
                ),
            },
        ),
    )


def hypothesis() -> tuple[Exhibit, ...]:
    """Return eq 41 at the first layer, with the parameters of the next one too, and at the second for any N_3."""
    spread = limit_of_outputs(4)
    return (
        two_units()[0],
        Exhibit(
            setting=f"all parameters up to layer 1, {NETWORK}",
            left=net.tangent(1, (1,)),
            right=net.first_kernel() * sp.eye(SIZES[1]),
            wrong={"parameters of the layer above alone": lambda: net.tangent(1, (2,))},
            same={
                "the parameters θˡ in place of θˡ⁻¹: no unit of layer l-1 depends on the rest": (
                    lambda: net.tangent(1, (1, 2))
                )
            },
        ),
        replace(
            spread, wrong={**spread.wrong, "N_l tends to infinity in place of N_{l-1}": lambda: sp.S.Zero}, printed=None
        ),
    )


def two_units() -> tuple[Exhibit, ...]:
    """Return the inner product of gradients of two different units of the first layer."""
    x, y = sp.Matrix([1, _HALF, sp.Rational(-3, 10)]), sp.Matrix([sp.Rational(1, 5), -1, sp.Rational(4, 5)])
    bias, zero = sp.Rational(3, 10), sp.zeros(4, 1)

    def gradient(of: sp.Matrix, first: bool) -> sp.Matrix:
        own = sp.Matrix([*(of / sp.sqrt(3)), bias])
        return sp.Matrix.vstack(own, zero) if first else sp.Matrix.vstack(zero, own)

    kernel = x.dot(y) / 3 + bias**2
    return (
        Exhibit(
            setting="layer 1, x = (1, 1/2, -3/10), x' = (1/5, -1, 4/5), σ_b = 3/10: units 1 and 2",
            left=gradient(x, True).dot(gradient(y, False)),
            right=kernel * sp.KroneckerDelta(1, 2),
            wrong={"all outputs share one kernel": lambda: kernel},
            printed=lambda: gradient(x, True).dot(gradient(y, True)),
        ),
        Exhibit(
            setting=f"the units of layer 1 depend on no parameters of layer 2, {NETWORK}",
            left=net.tangent(1, (1, 2)),
            right=net.first_kernel() * sp.eye(SIZES[1]),
            wrong={"only the parameters of the layer above": lambda: net.tangent(1, (2,))},
        ),
    )
