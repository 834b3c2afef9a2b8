"""Sections 4.6.3 to 4.6.5 in concrete numbers: a layer's own part, both parts together, and the first layer."""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture import three_layers as net
from derive.lecture.tangent_exhibits import NETWORK
from derive.lecture.tangent_kernel_exhibits import limit_of_outputs
from derive.lecture.three_layers import SIGMA_B, SIGMA_W, SIZES, X, Y


def _own(of_layer: int, kernel: sp.Expr | None = None) -> sp.Matrix:
    return (net.empirical_kernel(of_layer) if kernel is None else kernel) * sp.eye(SIZES[of_layer])


def _activations_of(of_layer: int) -> sp.Expr:
    """Return the mean product with the activations of the layer itself, over the width of the layer below."""
    product = net.activations(of_layer, X).dot(net.activations(of_layer, Y))
    return SIGMA_B**2 + SIGMA_W**2 / SIZES[of_layer - 1] * product


def _own_part(n: int) -> Exhibit:
    """Return the own part of a layer."""
    kernel = net.empirical_kernel(n)
    below, above = SIZES[n - 1], SIZES[n]
    return Exhibit(
        setting=f"the own part of layer {n}, {NETWORK}",
        left=net.tangent(n, (n,)),
        right=_own(n),
        wrong={
            "the products are divided by the layer's own width": lambda: _own(
                n, SIGMA_B**2 + (kernel - SIGMA_B**2) * sp.Rational(below, above)
            ),
            "σ_b stands for σ_b²": lambda: _own(n, kernel - SIGMA_B**2 + SIGMA_B),
            "outputs are not told apart": lambda: kernel * sp.ones(above, above),
        },
        printed=lambda: _own(n, _activations_of(n)),
    )


def own_part() -> tuple[Exhibit, ...]:
    """Return the own part of both deeper layers."""
    return _own_part(2), _own_part(3)


def own_index() -> tuple[Exhibit, ...]:
    """Return an entry of the own part, and what the first layer's derivatives would give instead."""

    def entry(first: int, second: int) -> sp.Expr:
        rows = (net.jacobian(layer, x, (2,))[0, :] for layer, x in ((first, X), (second, Y)))
        return next(rows).dot(next(rows))

    return (
        Exhibit(
            setting=f"the first entry of the own part of layer 2, {NETWORK}",
            left=entry(2, 2),
            right=net.empirical_kernel(2),
            wrong={
                "both units are of layer 1": lambda: entry(1, 1),
                "the second unit is of layer 1": lambda: entry(2, 1),
            },
            printed=lambda: entry(1, 2),
        ),
    )


def first_layer() -> tuple[Exhibit, ...]:
    """Return the tangent kernel of the first layer."""
    kernel = net.first_kernel()
    return (
        Exhibit(
            setting=f"the tangent kernel of the first layer, {NETWORK}",
            left=net.tangent(1),
            right=kernel * sp.eye(SIZES[1]),
            wrong={
                "outputs are not told apart": lambda: kernel * sp.ones(SIZES[1], SIZES[1]),
                "the product of inputs is not divided by d": lambda: (
                    (SIGMA_B**2 + (kernel - SIGMA_B**2) * SIZES[0]) * sp.eye(SIZES[1])
                ),
            },
        ),
    )


def step() -> tuple[Exhibit, ...]:
    """Return the second layer assembled from the exact first one, and a part from another layer's units."""
    w = net.weights(2)
    products = sp.diag(*(a * b for a, b in zip(net.slopes(1, X), net.slopes(1, Y), strict=True)))
    average = SIGMA_W**2 / SIZES[1] * w * products * w.T
    first = net.jacobian(1, X, (1,))[: SIZES[2], :] * net.jacobian(2, Y, (1,)).T
    return (
        Exhibit(
            setting=f"the tangent kernel of layer 2, {NETWORK}",
            left=net.tangent(2),
            right=_own(2) + net.first_kernel() * average,
            wrong={
                "the own part is that of the layer below": lambda: (
                    net.first_kernel() * sp.eye(SIZES[2]) + net.first_kernel() * average
                ),
                "the kernel below is the layer's own": lambda: _own(2) + net.empirical_kernel(2) * average,
            },
            printed=lambda: _own(2) + first,
        ),
    )


def widths() -> tuple[Exhibit, ...]:
    """Return that it takes hidden widths, not the number of outputs."""
    return (limit_of_outputs(4), limit_of_outputs(6))


def no_parameters_below() -> tuple[Exhibit, ...]:
    """Return why the first layer has an own part only."""
    inputs = (sp.S.One, sp.Rational(1, 2))
    step_size = sp.Rational(1, 4)
    quotients = [(sp.Max(0, u + step_size) - sp.Max(0, u - step_size)) / (2 * step_size) for u in inputs]
    kernel = net.first_kernel()
    return (
        Exhibit(
            setting=f"the tangent kernel of the first layer less its own part, {NETWORK}",
            left=net.tangent(1) - net.tangent(1, (1,)),
            right=sp.zeros(SIZES[1], SIZES[1]),
            wrong={
                "the derivative is 1 and the kernel below is x·x'/d": lambda: (kernel - SIGMA_B**2) * sp.eye(SIZES[1]),
                "the own part is inherited too": lambda: kernel * sp.eye(SIZES[1]),
            },
        ),
        Exhibit(
            setting="the derivative of relu at 1 and at 1/2, as a difference quotient",
            left=sp.Matrix([quotients]),
            right=sp.Matrix([[1 if u > 0 else 0 for u in inputs]]),
            wrong={"it is relu itself": lambda: sp.Matrix([[sp.Max(0, u) for u in inputs]])},
            printed=lambda: sp.zeros(1, 2),
        ),
    )
