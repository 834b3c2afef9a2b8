"""A unit at two inputs, and Gaussian processes, at concrete numbers (eqs 27-33)."""

from __future__ import annotations

from itertools import product

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture.wide_layers import (
    BIAS,
    INPUTS,
    averaged,
    first_unit,
    normals,
    rectified_moment,
    rectified_variance,
)

_ACTIVATION = "φ(u) = u + u², x = (1, 2), x' = (3, -1), σ_b = 1/2"


def _kernel(i: int, j: int) -> sp.Expr:
    return BIAS**2 + INPUTS[i].dot(INPUTS[j]) / 2


def _product_of_activations(centred: bool = False) -> sp.Expr:
    """Return E[(u + u²)(v + v²)] or the covariance of the two, by pairings of the kernel of the first layer."""
    a, b, c = _kernel(0, 0), _kernel(1, 1), _kernel(0, 1)
    return c + 2 * c**2 + (sp.S.Zero if centred else a * b)


def frozen_weight() -> tuple[Exhibit, ...]:
    """Return the variance of a sum over 100 relu units; with the weight of the first unit in all terms it diverges."""
    units = 100
    weights = {(i, j): sp.Integer(i == j) / units for i, j in product(range(units), repeat=2)}

    def variance(of_weights: dict[tuple[int, int], sp.Expr]) -> sp.Expr:
        square, pair = rectified_moment(2), rectified_moment(1) ** 2
        diagonal = sum(of_weights[i, i] for i in range(units))
        return square * diagonal + pair * (sum(of_weights.values()) - diagonal)

    def frozen() -> sp.Expr:
        return variance(dict.fromkeys(weights, sp.Integer(1) / units))

    return (
        Exhibit(
            setting=f"relu, K¹(x, x) = 1, σ_b = 0, N_l = {units}: the variance of the sum",
            left=variance(weights),
            right=sp.Rational(1, 2),
            wrong={
                "W_k1 is in all terms": frozen,
                "the variance of φ stands for its second moment": rectified_variance,
            },
            printed=frozen,
        ),
    )


def second_moments() -> tuple[Exhibit, ...]:
    """Return the covariance of a pair of centred numbers, and what becomes of it if they are not centred."""
    first, second = sp.symbols("g h", real=True)
    image = sp.Matrix([[1, 2], [3, -1]])
    pair = image * sp.Matrix([first, second])
    shift = sp.Matrix([1, 2])
    return (
        Exhibit(
            setting="y = (g + 2h, 3g - h), g and h standard normal",
            left=(pair * pair.T).applyfunc(lambda entry: averaged(entry, (first, second))),
            right=image * image.T,
            wrong={
                "the pair is not centred": lambda: image * image.T + shift * shift.T,
                "the off-diagonal is left out": lambda: sp.diag(5, 10),
                "it is a number, yᵀ y": lambda: sp.Integer(15),
            },
        ),
    )


def diagonal() -> tuple[Exhibit, ...]:
    """Return the diagonal for relu: as printed it is less than the off-diagonal at correlation .999."""
    rho = sp.Rational(999, 1000)
    between = (sp.sqrt(1 - rho**2) + rho * (sp.pi - sp.acos(rho))) / (2 * sp.pi)

    def definite(diagonal: sp.Expr) -> sp.Expr:
        """Return 1 if the matrix with this diagonal is a covariance of two different numbers, else 0."""
        return sp.Integer(bool(sp.N(diagonal**2 - between**2, 30) > 0))

    return (
        Exhibit(
            setting="relu, K¹(x, x) = 1: N_l times the variance of a term",
            left=rectified_moment(2),
            right=sp.Rational(1, 2),
            wrong={"the variance of φ stands for its second moment": rectified_variance},
            printed=rectified_variance,
        ),
        Exhibit(
            setting="relu, correlation .999, off-diagonal .4995: 1 if the determinant is positive, else 0",
            left=definite(rectified_moment(2)),
            right=sp.S.One,
            wrong={"the diagonal has the variance of φ": lambda: definite(rectified_variance())},
            printed=lambda: definite(rectified_variance()),
        ),
    )


def weight_of_the_layer_below() -> tuple[Exhibit, ...]:
    """Return E[(W φ(z))²] where z = W' is a unit on one input 1: W is another weight, or as printed the same."""
    weight = sp.Symbol("w", real=True)
    return (
        Exhibit(
            setting="l = 2, relu, N₁ = N₂ = 1, x = 1, σ_b = 0: E[(W φ(z¹))²]",
            left=averaged(weight**2 * rectified_moment(2), (weight,)),
            right=sp.Rational(1, 2),
            wrong={"W is that of z¹": lambda: rectified_moment(4)},
            printed=lambda: rectified_moment(4),
        ),
    )


def summand() -> tuple[Exhibit, ...]:
    """Return the covariance of a term at two inputs, written out in all weights."""
    weight = sp.Symbol("w", real=True)
    u, v = (first_unit(0, x) for x in INPUTS[:2])
    return (
        Exhibit(
            setting=f"l = 2, N_l = 3, {_ACTIVATION}",
            left=averaged((weight / sp.sqrt(3)) ** 2 * (u + u**2) * (v + v**2), (weight, *normals(0))),
            right=_product_of_activations() / 3,
            wrong={
                "the means of activations are subtracted": lambda: _product_of_activations(centred=True) / 3,
                "1/√N_l stands for 1/N_l": lambda: _product_of_activations() / sp.sqrt(3),
            },
        ),
    )


def bias_in_every_entry() -> tuple[Exhibit, ...]:
    """Return the covariance of a unit at two orthogonal inputs, where only the bias is left off the diagonal."""
    points = INPUTS[0], INPUTS[2]
    units = sp.Matrix([first_unit(0, x) for x in points])
    return (
        Exhibit(
            setting="x = (1, 2), x' = (-2, 1), σ_w = 1, σ_b = 1/2",
            left=(units * units.T).applyfunc(lambda entry: averaged(entry, normals(0))),
            right=BIAS**2 * sp.ones(2, 2) + sp.diag(*(x.dot(x) / 2 for x in points)),
            wrong={
                "σ_b² is on the diagonal only": lambda: sp.diag(*(BIAS**2 + x.dot(x) / 2 for x in points)),
                "σ_b² is off the diagonal only": lambda: (
                    BIAS**2 * (sp.ones(2, 2) - sp.eye(2)) + sp.diag(*(x.dot(x) / 2 for x in points))
                ),
            },
        ),
    )


def pairs_do_not_suffice() -> tuple[Exhibit, ...]:
    """Return the mean of Z₁ Z₂ Z₃ with Z₃ = |V| sign(Z₁ Z₂): normal in pairs, 0 if they were jointly normal."""
    size = 2 * rectified_moment(1)  # E|Z|
    signs = tuple(product((-1, 1), repeat=2))
    triple = sum(sp.Rational(s * t * (s * t), len(signs)) for s, t in signs) * size**3
    pair = sum(sp.Rational(s * (s * t), len(signs)) for s, t in signs) * size**2
    return (
        Exhibit(
            setting="Z₁, Z₂, V iid standard normal, Z₃ = |V| sign(Z₁ Z₂), normal in pairs: E[Z₁ Z₂ Z₃]",
            left=triple,
            right=(2 / sp.pi) ** sp.Rational(3, 2),
            wrong={
                "normal pairs are jointly normal": lambda: sp.S.Zero,
                "Z₃ is V itself": lambda: sum(sp.Rational(s * t, len(signs)) for s, t in signs) * size**3,
            },
            printed=lambda: sp.S.Zero,
        ),
        Exhibit(
            setting="the same numbers: E[Z₁ Z₃]",
            left=pair,
            right=sp.S.Zero,
            wrong={"Z₃ = |V| sign(Z₁)": lambda: size**2},
        ),
    )


def second_moment_at_finite_width() -> tuple[Exhibit, ...]:
    """Return the covariance of a unit on 2 units at two inputs, with all parameters averaged."""
    weights = sp.symbols("v1 v2 c", real=True)
    here, there = (
        sum(v * (u + u**2) for v, u in zip(weights, (first_unit(j, x) for j in (0, 1)), strict=False)) / sp.sqrt(2)
        + BIAS * weights[2]
        for x in INPUTS[:2]
    )
    outer = averaged(here * there, weights)
    return (
        Exhibit(
            setting=f"l = 2, N₂ = 2, {_ACTIVATION}",
            left=averaged(outer, (*normals(0), *normals(1))),
            right=BIAS**2 + _product_of_activations(),
            wrong={
                "the means of activations are subtracted": lambda: BIAS**2 + _product_of_activations(centred=True),
                "the kernel of the layer below is meant": lambda: _kernel(0, 1),
            },
        ),
    )
