"""A deeper layer at concrete numbers (eqs 21-26): relu on normal units of variance 1, where E[φ²] = 1/2."""

from __future__ import annotations

import mpmath
import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture.wide_layers import (
    BIAS,
    DEEP_ROWS,
    DEEP_SHIFTS,
    INPUTS,
    OTHER_ROWS,
    ROWS,
    SHIFTS,
    activation,
    averaged,
    first_unit,
    mean_square_of_average,
    normals,
    rectified_moment,
    rectified_variance,
)

_UNITS = 4
_DIGITS = 20
_SIZES = "N_l = 3, N_{l+1} = 2"
_RELU = "relu, K¹(x, x) = 1"


def _below(x: sp.Matrix) -> sp.Matrix:
    return activation(ROWS * x + SHIFTS)


def _written_out(x: sp.Matrix) -> sp.Matrix:
    """Return the deeper layer with every sum and activation written out."""
    first = [sum(ROWS[j, p] * x[p] for p in range(2)) + SHIFTS[j] for j in range(3)]
    return sp.Matrix([sum(DEEP_ROWS[k, j] * (u + u**2) for j, u in enumerate(first)) + DEEP_SHIFTS[k] for k in (0, 1)])


def affine() -> tuple[Exhibit, ...]:
    """Return eq 21 for a layer of 2 units on 3."""
    x = INPUTS[0]
    return (
        Exhibit(
            setting=f"{_SIZES}, x = (1, 2), φ(u) = u + u²",
            left=_written_out(x),
            right=DEEP_ROWS * _below(x) + DEEP_SHIFTS,
            wrong={
                "the weights are N_l x N_{l+1}": lambda: DEEP_ROWS.T * _below(x) + DEEP_SHIFTS,
                "no activation acts": lambda: DEEP_ROWS * (ROWS * x + SHIFTS) + DEEP_SHIFTS,
                "the bias is dropped": lambda: DEEP_ROWS * _below(x),
            },
        ),
    )


def affine_elsewhere() -> tuple[Exhibit, ...]:
    """Return eq 22, by the change of the layer from one input to another."""
    x, y = INPUTS[:2]
    here = DEEP_ROWS * _below(x) + DEEP_SHIFTS
    return (
        Exhibit(
            setting=f"{_SIZES}: the change of layer l from x = (1, 2) to x' = (3, -1)",
            left=_written_out(y) - _written_out(x),
            right=DEEP_ROWS * _below(y) + DEEP_SHIFTS - here,
            wrong={
                "x' has weights of its own": lambda: OTHER_ROWS.T * _below(y) + DEEP_SHIFTS - here,
                "the bias has the other sign at x'": lambda: DEEP_ROWS * _below(y) - DEEP_SHIFTS - here,
            },
        ),
    )


def row() -> tuple[Exhibit, ...]:
    """Return eq 23 as a row of eq 21."""
    x = INPUTS[0]
    return (
        Exhibit(
            setting=f"{_SIZES}, k = 2, x = (1, 2)",
            left=(DEEP_ROWS * _below(x) + DEEP_SHIFTS)[1],
            right=_written_out(x)[1],
            wrong={
                "W_jk stands for W_kj": lambda: sum(DEEP_ROWS[j, 1] * _below(x)[j] for j in range(2)) + DEEP_SHIFTS[1],
                "the bias is that of another unit": lambda: _written_out(x)[1] - DEEP_SHIFTS[1] + DEEP_SHIFTS[0],
            },
        ),
    )


def uncorrelated() -> tuple[Exhibit, ...]:
    """Return the covariance of two units that share the two units below, with quadratic activations."""
    weights = sp.symbols("v1_1 v1_2 v2_1 v2_2 c1 c2", real=True)
    below = [u + u**2 for u in (first_unit(j, INPUTS[0]) for j in (0, 1))]
    below_there = [u + u**2 for u in (first_unit(j, INPUTS[1]) for j in (0, 1))]
    first = sum(w * u for w, u in zip(weights[:2], below, strict=True)) / sp.sqrt(2) + BIAS * weights[4]

    def other(row: tuple[sp.Symbol, ...], bias: sp.Symbol) -> sp.Expr:
        return sum(w * u for w, u in zip(row, below_there, strict=True)) / sp.sqrt(2) + BIAS * bias

    def covariance(row: tuple[sp.Symbol, ...], bias: sp.Symbol) -> sp.Expr:
        outer = averaged(first * other(row, bias), weights)
        return averaged(outer, (*normals(0), *normals(1)))

    return (
        Exhibit(
            setting="N₂ = 2, φ(u) = u + u², x = (1, 2), x' = (3, -1): the covariance of two units",
            left=covariance(weights[2:4], weights[5]),
            right=sp.S.Zero,
            wrong={
                "units share their bias": lambda: covariance(weights[2:4], weights[4]),
                "k = k'": lambda: covariance(weights[:2], weights[4]),
            },
        ),
    )


def squares_in_the_first_layer() -> tuple[Exhibit, ...]:
    """Return the covariance of the squares of two units of the first layer, written out in their weights."""
    first, second = first_unit(0, INPUTS[0]), first_unit(1, INPUTS[1])
    variances = [averaged(u**2, (*normals(0), *normals(1))) for u in (first, second)]
    mixed = averaged(first**2 * second**2, (*normals(0), *normals(1)))
    same = averaged(first_unit(0, INPUTS[0]) ** 2 * first_unit(0, INPUTS[1]) ** 2, normals(0))
    return (
        Exhibit(
            setting="N₁ = 2, x = (1, 2), x' = (3, -1), σ_b = 1/2: the covariance of the squares of two units",
            left=mixed - variances[0] * variances[1],
            right=sp.S.Zero,
            wrong={"both have the same weights and bias": lambda: same - variances[0] * variances[1]},
        ),
    )


def _covariance_of_squares(units: int) -> sp.Expr:
    return mean_square_of_average(units) - rectified_moment(2) ** 2


def hypothesis() -> tuple[Exhibit, ...]:
    """Return that the hypothesis is exact for the first layer, and not for one on 4 units."""
    (base,) = squares_in_the_first_layer()
    return (
        Exhibit(
            setting=f"l - 1 = 1; {base.setting}",
            left=base.left,
            right=sp.S.Zero,
            wrong={"that of layer 2 on 4 relu units": lambda: _covariance_of_squares(_UNITS)},
        ),
        Exhibit(
            setting=f"l - 1 = 2, {_RELU}, σ_b = 0, N₂ = 4: the covariance of the squares of two units",
            left=_covariance_of_squares(_UNITS),
            right=sp.Rational(5, 4) / _UNITS,
            wrong={"uncorrelated units are independent": lambda: sp.S.Zero},
        ),
    )


def second_moment_of_relu(with_bias: bool = False) -> tuple[Exhibit, ...]:
    """Return the variance of a sum over relu units, exact at every width, and of a unit with its bias."""
    bias = BIAS**2 if with_bias else sp.S.Zero
    half = sp.Rational(1, 2)

    def variance(units: int) -> sp.Expr:
        """Return the variance term by term: weights have variance 1/N, products of two different ones mean 0."""
        return bias + sum(rectified_moment(2) / units for _ in range(units))

    return tuple(
        Exhibit(
            setting=f"{_RELU}, σ_b = {BIAS if with_bias else 0}, N_l = {units}: the variance",
            left=variance(units),
            right=half + bias,
            wrong={
                "the variance of φ stands for its second moment": lambda: rectified_variance() + bias,
                "the square of the mean of φ stands for it": lambda: rectified_moment(1) ** 2 + bias,
            },
            printed=lambda: rectified_variance() + bias,
        )
        for units in (4, 16)
    )


def dependence() -> tuple[Exhibit, ...]:
    """Return E[z₁² z₂²] where two units have covariance 0 and yet are dependent."""
    sign, normal = sp.symbols("s z", real=True)
    product = normal**2 * (sign * normal) ** 2
    signed = sum(averaged(product.subs(sign, s), (normal,)) for s in (-1, 1)) / 2
    return (
        Exhibit(
            setting="z₂ = s z₁ with a random sign s, both standard normal with covariance 0: E[z₁² z₂²]",
            left=signed,
            right=sp.Integer(3),
            wrong={"covariance 0 makes them independent": lambda: sp.S.One},
            printed=lambda: sp.S.One,
        ),
        Exhibit(
            setting=f"{_RELU}, σ_b = 0, N₂ = 4: E[(z²_1)² (z²_2)²] of two units",
            left=mean_square_of_average(_UNITS),
            right=sp.Rational(1, 4) + sp.Rational(5, 16),
            wrong={"normal limits of each make them independent": lambda: sp.Rational(1, 4)},
            printed=lambda: sp.Rational(1, 4),
        ),
        Exhibit(
            setting=f"{_RELU}, σ_b = 0, N₂ = 4: the correlation of the squares of two units, 5/23 or .2174",
            left=_covariance_of_squares(_UNITS) / (3 * mean_square_of_average(_UNITS) - rectified_moment(2) ** 2),
            right=sp.Rational(5, 23),
            wrong={"it is 0 at finite width": lambda: sp.S.Zero},
        ),
    )


def lower_layer() -> tuple[Exhibit, ...]:
    """Return the correlation of the squares of two units of layer 2, as it falls with the width below."""
    return tuple(
        Exhibit(
            setting=f"l - 1 = 2, {_RELU}, σ_b = 0, N₂ = {units}: the correlation of the squares of two units",
            left=_covariance_of_squares(units) / (3 * mean_square_of_average(units) - rectified_moment(2) ** 2),
            right=sp.Rational(5, 2 * units + 15),
            wrong={
                "units below are independent at finite width": lambda: sp.S.Zero,
                "the correlation falls like N⁻²": lambda units=units: sp.Rational(5, 2 * units**2 + 15),
            },
        )
        for units in (4, 16)
    )


def summand() -> tuple[Exhibit, ...]:
    """Return N_l times the variance of a term, for relu."""
    weight = sp.Symbol("w", real=True)
    return (
        Exhibit(
            setting=f"{_RELU}, N_l = 3, σ_w = 1: the variance of a term",
            left=averaged((weight / sp.sqrt(3)) ** 2 * rectified_moment(2), (weight,)),
            right=sp.Rational(1, 6),
            wrong={
                "the variance of φ stands for its second moment": lambda: rectified_variance() / 3,
                "1/√N_l stands for 1/N_l": lambda: rectified_moment(2) / sp.sqrt(3),
            },
            printed=lambda: rectified_variance() / 3,
        ),
    )


def growth() -> tuple[Exhibit, ...]:
    """Return the second moment of exp(z²/4), which grows without bound as the variance tends to 1."""

    def integral(variance: sp.Rational) -> sp.Expr:
        with mpmath.workdps(_DIGITS + 10):
            v = mpmath.mpf(variance.p) / variance.q
            found = mpmath.quad(
                lambda u: mpmath.exp(u**2 / 2 - u**2 / (2 * v)) / mpmath.sqrt(2 * mpmath.pi * v),
                [-mpmath.inf, -20, 0, 20, mpmath.inf],
            )
            return sp.Float(found, _DIGITS + 10)

    return tuple(
        Exhibit(
            setting=f"φ(z) = exp(z²/4), K = {variance}: E[φ²], which is infinite at K = 1",
            left=integral(variance),
            right=1 / sp.sqrt(1 - variance),
            wrong={"every activation has a bounded one, as if it were K": lambda variance=variance: variance},
            digits=_DIGITS,
        )
        for variance in (sp.Rational(9, 10), sp.Rational(3, 4))
    )


def summands() -> tuple[Exhibit, ...]:
    """Return the covariance of the squares of two terms: 0 at l = 2, positive at l = 3 on 4 units."""
    width = 3
    return (
        Exhibit(
            setting=f"l = 3, {_RELU}, σ_b = 0, N₂ = 4, N₃ = 3: the covariance of the squares of two terms",
            left=(mean_square_of_average(_UNITS) / 4 - (rectified_moment(2) / 2) ** 2) / width**2,
            right=sp.Rational(5, 16) / 4 / width**2,
            wrong={
                "uncorrelated terms are independent": lambda: sp.S.Zero,
                "the weights are not scaled": lambda: sp.Rational(5, 64),
            },
        ),
    )


def kurtosis() -> tuple[Exhibit, ...]:
    """Return the kurtosis of a unit on relu units, 3 + 15/N₂: a mixture of normal laws is not normal."""
    return tuple(
        Exhibit(
            setting=f"{_RELU}, σ_b = 0, N₂ = {units}: the kurtosis of a unit of layer 2",
            left=3 * mean_square_of_average(units) / rectified_moment(2) ** 2,
            right=3 + sp.Rational(15, units),
            wrong={"units are normal at finite width": lambda: sp.Integer(3)},
        )
        for units in (4, 16)
    )
