"""Kernels of section 4.6 in concrete numbers: Gaussian means of a polynomial activation, by nodes and by moments."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import sympy as sp

from derive.exhibit import Exhibit

_A, _B, _C = sp.Integer(4), sp.Rational(13, 4), sp.Integer(-2)
"""Variances and covariance of the pre-activations below; the first has deviation 2, the rest of the second 3/2."""

_WEIGHT, _BIAS = sp.Rational(3, 2), sp.Rational(1, 2)
_SETTING = "φ(u) = u + u²/2, variances 4 and 13/4, covariance -2, σ_w = 3/2, σ_b = 1/2"
_NODES = ((-sp.sqrt(3), sp.Rational(1, 6)), (sp.S.Zero, sp.Rational(2, 3)), (sp.sqrt(3), sp.Rational(1, 6)))
"""Three Gauss-Hermite nodes, exact up to degree 5 in each of two variables."""


def _phi(u: sp.Expr) -> sp.Expr:
    return u + u**2 / 2


def _slope(u: sp.Expr) -> sp.Expr:
    return 1 + u


def _over_nodes(f: Callable[[sp.Expr], sp.Expr], covariance: sp.Expr = _C) -> sp.Expr:
    """Return the Gaussian mean of ``f(u) f(v)`` by nodes."""
    deviation, rest = sp.sqrt(_A), sp.sqrt(_B - covariance**2 / _A)
    pairs = product(_NODES, repeat=2)
    return sp.expand(
        sum(p * q * f(deviation * s) * f(covariance / deviation * s + rest * t) for (s, p), (t, q) in pairs)
    )


def _kernel(c: sp.Expr = _C, a: sp.Expr = _A, b: sp.Expr = _B) -> sp.Expr:
    """Return the kernel by moments of the pair below."""
    return _BIAS**2 + _WEIGHT**2 * (c + (a * b + 2 * c**2) / 4)


def _derivative_kernel(c: sp.Expr = _C) -> sp.Expr:
    """Return the derivative kernel by moments: the derivative of the activation is 1 + u."""
    return _WEIGHT**2 * (1 + c)


def derivative_kernel() -> tuple[Exhibit, ...]:
    """Return the derivative kernel by nodes, and as the derivative of the kernel by the covariance (Price)."""
    c = sp.Symbol("c", real=True)
    return (
        Exhibit(
            setting=_SETTING,
            left=sp.diff(_kernel(c), c).subs(c, _C),
            right=_WEIGHT**2 * _over_nodes(_slope),
            wrong={
                "the activation is not differentiated": lambda: _WEIGHT**2 * _over_nodes(_phi),
                "σ_w stands for σ_w²": lambda: _WEIGHT * _over_nodes(_slope),
                "a bias is added": lambda: _WEIGHT**2 * _over_nodes(_slope) + _BIAS**2,
                "the second derivative": lambda: _WEIGHT**2 * _over_nodes(lambda u: sp.S.One),
                "one variable of variance c instead of two": lambda: _WEIGHT**2 * (1 + _C) ** 2,
            },
        ),
    )


def kernel() -> tuple[Exhibit, ...]:
    """Return the kernel by nodes and by moments, and the base that the variance of weights must enter too."""
    variance = sp.Integer(2)
    return (
        Exhibit(
            setting=_SETTING,
            left=_BIAS**2 + _WEIGHT**2 * _over_nodes(_phi),
            right=_kernel(),
            wrong={
                "σ_w stands for σ_w²": lambda: _BIAS**2 + _WEIGHT * _over_nodes(_phi),
                "σ_w² multiplies the bias too": lambda: _WEIGHT**2 * (_BIAS**2 + _over_nodes(_phi)),
                "the activation is differentiated": lambda: _BIAS**2 + _derivative_kernel(),
            },
        ),
        Exhibit(
            setting="relu, σ_w² = 2, σ_b = 0, x·x = d: the tangent kernel of two layers",
            left=2 * variance,  # l K^l with K^l = K^1 at the variance that keeps relu's kernel
            right=variance * (variance / 2) + (variance / 2) * variance,
            wrong={"the base has no σ_w²": lambda: variance * sp.Rational(1, 2) + (variance / 2)},
        ),
    )


def one_argument() -> tuple[Exhibit, ...]:
    """Return that the derivative kernel of a layer needs the kernel below only, not the derivative kernel below."""
    kernel_above = _kernel()
    return (
        Exhibit(
            setting=f"the derivative kernel of the layer above, {_SETTING}",
            left=_WEIGHT**2 * _over_nodes(_slope, _C),
            right=_derivative_kernel(),
            wrong={
                "it is made from the derivative kernel below": lambda: _derivative_kernel(_WEIGHT**2 * (1 + _C)),
                "it is made from the kernel of the same layer": lambda: _derivative_kernel(kernel_above),
            },
        ),
    )


def recursion() -> tuple[Exhibit, ...]:
    """Return the tangent kernel of three layers, as a sum over the layers and by the recursion.

    The derivative kernels of the sum are derivatives of the kernel by the covariance (Price).
    """
    c = sp.Symbol("c", real=True)
    first = _A, _B, _C
    second = _kernel(_A, _A, _A), _kernel(_B, _B, _B), _kernel()
    third = _kernel(second[2], second[0], second[1])
    slopes = [sp.diff(_kernel(c, a, b), c).subs(c, at) for a, b, at in (first, second)]

    def step(kernel: sp.Expr, derivative: sp.Expr, below: sp.Expr) -> sp.Expr:
        return kernel + derivative * below

    dots = [_derivative_kernel(at[2]) for at in (first, second)]
    two = step(second[2], dots[0], first[2])
    return (
        Exhibit(
            setting=f"three layers, {_SETTING} at the first",
            left=third + slopes[1] * second[2] + slopes[1] * slopes[0] * first[2],
            right=step(third, dots[1], two),
            wrong={
                "the layer is off by one: K̇ˡ⁻¹ for K̇ˡ": lambda: step(third, dots[0], two),
                "Kˡ and K̇ˡ are swapped": lambda: step(dots[1], third, two),
                "the layer is off by one: Kˡ⁻¹ for Kˡ": lambda: step(second[2], dots[1], two),
                "Kˡ⁻¹ stands for Θˡ⁻¹": lambda: step(third, dots[1], second[2]),
                "the inherited term is dropped": lambda: third,
            },
        ),
    )


def relu_layer_two() -> tuple[sp.Rational, sp.Rational, sp.Rational]:
    """Return mean, variance, and variance between two outputs, times the width, of relu's tangent kernel at layer 2.

    One input with ``x·x = d``, no biases: a unit below is on half the time, and gives ``w² + v²`` to one output, and
    ``v v'`` to two different ones, with standard normal w, v, v'.
    """
    square, fourth = 1, 3
    on = sp.Rational(1, 2)
    mean = on * (square + square)
    return mean, on * (fourth + 2 * square + fourth) - mean**2, on * square


def scalar() -> tuple[Exhibit, ...]:
    """Return that the tangent kernel is not the derivative kernel."""
    kernel, derivative, below = sp.Rational(1, 2), sp.Rational(1, 2), sp.S.One
    return (
        Exhibit(
            setting="relu, σ_b = 0, x·x = d, the second layer: an entry of the diagonal",
            left=relu_layer_two()[0],
            right=kernel + derivative * below,
            wrong={
                "the own part is dropped": lambda: derivative * below,
                "the inherited part is dropped": lambda: kernel,
                "both parts are multiplied": lambda: kernel * derivative * below,
            },
            printed=lambda: derivative,
        ),
    )


def limit_of_outputs(width: int = 4) -> Exhibit:
    """Return that the spread of the tangent kernel does not shrink with the number of outputs."""
    _, variance, _ = relu_layer_two()
    signs = list(product((0, 1), repeat=width))
    # given the m units that are on, the kernel is a chi-squared of 2m degrees of freedom over the width
    second = sp.Rational(sum((2 * sum(on)) ** 2 + 4 * sum(on) for on in signs), len(signs) * width**2)
    return Exhibit(
        setting=f"relu, N_2 = {width} and any N_3, no biases, x·x = d: variance of the tangent kernel of layer 2",
        left=second - 1,
        right=variance / width,
        wrong={
            "it shrinks like 1/N²": lambda: variance / width**2,
            "the outer weights do not spread": lambda: (variance - 1) / width,
        },
        printed=lambda: sp.S.Zero,
    )


def reversed_order(width: int = 4) -> tuple[Exhibit, ...]:
    """Return the kurtosis of an output where the outer width is infinite and the inner one is not."""
    on = sp.Rational(1, 2)
    counts = [sum(signs) for signs in product((0, 1), repeat=width)]
    # given the m units that are on, q is a chi-squared of m degrees of freedom over the width
    first = sp.Rational(sum(counts), len(counts) * width)
    second = sp.Rational(sum(m**2 + 2 * m for m in counts), len(counts) * width**2)
    return (
        Exhibit(
            setting=f"relu, N_2 = {width}, N_3 infinite, no biases, x·x = d: kurtosis of a unit of layer 3",
            left=3 * second / first**2,
            right=3 + 3 * (3 * on - on**2) / (width * on**2),
            wrong={
                "the order of limits does not matter": lambda: sp.Integer(3),
                "the kernel has the spread of one unit": lambda: 3 + 3 * (3 * on - on**2) / on**2,
            },
        ),
    )
