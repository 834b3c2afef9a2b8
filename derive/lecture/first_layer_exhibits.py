"""The network and its first layer at concrete numbers (eqs 10-20)."""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture.wide_layers import (
    BIAS,
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


def recursion() -> tuple[Exhibit, ...]:
    """Return eq 10 at one input of a rectified layer, where K¹ = 1 and σ_b = 1/2."""
    return (
        Exhibit(
            setting="relu, K¹(x, x) = 1, σ_b = 1/2",
            left=rectified_moment(2) + BIAS**2,
            right=sp.Rational(3, 4),
            wrong={
                "the variance of φ stands for its second moment": lambda: BIAS**2 + rectified_variance(),
                "σ_b stands for σ_b²": lambda: BIAS + sp.Rational(1, 2),
            },
        ),
        Exhibit(
            setting="the bias in the kernel matrix of two inputs whose activations vanish, σ_b = 1/2",
            left=sp.Matrix(2, 2, lambda i, j: averaged((BIAS * normals(0)[2]) ** 2, normals(0))),
            right=BIAS**2 * sp.ones(2, 2),
            wrong={"σ_b² is added to the diagonal only": lambda: BIAS**2 * sp.eye(2)},
        ),
    )


def squares_of_units() -> tuple[Exhibit, ...]:
    """Return the covariance of the squares of two units on 4 rectified units, which vanishes in the limit only."""
    return tuple(
        Exhibit(
            setting=f"covariance of the squares of two units on N₂ = {units} relu units, K¹ = 1, σ_b = 0",
            left=mean_square_of_average(units) - rectified_moment(2) ** 2,
            right=sp.Rational(5, 4) / units,
            wrong={
                "units are independent at finite width": lambda: sp.S.Zero,
                "the dependence falls like N⁻²": lambda units=units: sp.Rational(5, 4) / units**2,
            },
        )
        for units in (4, 16)
    )


def reading_of_the_scale() -> tuple[Exhibit, ...]:
    """Return the variance of a unit at 100 ones for both readings of the second argument."""
    weights, bias = sp.symbols("w1:101", real=True), sp.Symbol("b", real=True)
    unit = sum(weights) / sp.sqrt(100) + BIAS * bias
    return (
        Exhibit(
            setting="N₁ = 100, every component of x is 1, σ_b = 1/2: the variance of a unit",
            left=sum(unit.coeff(s) ** 2 for s in (*weights, bias)),
            right=BIAS**2 + sp.Rational(100, 100),
            wrong={
                "the second arguments are read as variances": lambda: BIAS + 100 / sp.sqrt(100),
                "the weights are not scaled": lambda: BIAS**2 + 100,
            },
        ),
    )


def two_forms() -> tuple[Exhibit, ...]:
    """Return second and fourth moment of a unit in both forms, the first with scaled normals as parameters."""
    x = INPUTS[0]
    *weights, bias = normals(0)
    unit = sum(w * c for w, c in zip(weights, x, strict=True)) + bias
    scale_of_weights = 1 / sp.sqrt(2)
    scales = dict(zip(normals(0), (scale_of_weights, scale_of_weights, BIAS), strict=True))

    def moment(power: int) -> sp.Expr:
        """Return a moment of the first form, from those of each of its parameters."""
        polynomial = sp.Poly(sp.expand(unit**power), *normals(0))
        terms = (
            c * sp.prod([averaged((s * n) ** p, (n,)) for (n, s), p in zip(scales.items(), powers, strict=True)])
            for powers, c in polynomial.terms()
        )
        return sp.Add(*terms)

    def explicit(power: int, scale: sp.Expr = scale_of_weights, of_bias: sp.Expr = BIAS) -> sp.Expr:
        form = of_bias * bias + scale * sum(w * c for w, c in zip(weights, x, strict=True))
        return averaged(form**power, normals(0))

    return tuple(
        Exhibit(
            setting=f"moment {power} of a unit on x = (1, 2), σ_b = 1/2",
            left=moment(power),
            right=explicit(power),
            wrong={
                "the scale is 1/N_l": lambda power=power: explicit(power, sp.Rational(1, 2)),
                "the bias is scaled by σ_b²": lambda power=power: explicit(power, of_bias=BIAS**2),
            },
        )
        for power in (2, 4)
    )


def _component(rows: sp.Matrix, x: sp.Matrix, unit: int) -> sp.Expr:
    return sum(rows[unit, p] * x[p] for p in range(len(x))) + SHIFTS[unit]


def affine() -> tuple[Exhibit, ...]:
    """Return eq 12 for a layer of 3 units on 2 inputs."""
    x = INPUTS[0]
    return (
        Exhibit(
            setting="N₁ = 2, N₂ = 3, x = (1, 2)",
            left=sp.Matrix([_component(ROWS, x, unit) for unit in range(3)]),
            right=ROWS * x + SHIFTS,
            wrong={
                "an activation acts on the input": lambda: ROWS * activation(x) + SHIFTS,
                "the weights are N₁ x N₂": lambda: ROWS.T * x + SHIFTS,
                "the bias is dropped": lambda: ROWS * x,
            },
        ),
    )


def affine_elsewhere() -> tuple[Exhibit, ...]:
    """Return eq 13, and that its weights are those of eq 12: the layer moves by W (x' - x)."""
    x, y = INPUTS[:2]
    return (
        Exhibit(
            setting="N₁ = 2, N₂ = 3: the change of the layer from x = (1, 2) to x' = (3, -1)",
            left=sp.Matrix([sum(ROWS[unit, p] * (y[p] - x[p]) for p in range(2)) for unit in range(3)]),
            right=ROWS * y + SHIFTS - (ROWS * x + SHIFTS),
            wrong={
                "x' has weights of its own": lambda: OTHER_ROWS * y + SHIFTS - (ROWS * x + SHIFTS),
                "the bias has the other sign at x'": lambda: ROWS * y - SHIFTS - (ROWS * x + SHIFTS),
            },
        ),
    )


def _kernel(i: int, j: int) -> sp.Expr:
    return BIAS**2 + INPUTS[i].dot(INPUTS[j]) / 2


def normal_unit(at: int) -> tuple[Exhibit, ...]:
    """Return the fourth moment of a unit at an input: that of a normal number."""
    unit = first_unit(0, INPUTS[at])
    variance = _kernel(at, at)
    return (
        Exhibit(
            setting=f"fourth moment of a unit at x = ({', '.join(map(str, INPUTS[at]))}), σ_w = 1, σ_b = 1/2",
            left=averaged(unit**4, normals(0)),
            right=3 * variance**2,
            wrong={"it has the kurtosis of a uniform number": lambda: sp.Rational(9, 5) * variance**2},
        ),
    )


def three_inputs() -> tuple[Exhibit, ...]:
    """Return a mixed fourth moment over three inputs: pairings of the kernel."""
    value = first_unit(0, INPUTS[0]) ** 2 * first_unit(0, INPUTS[1]) * first_unit(0, INPUTS[2])

    def pairings(bias: sp.Expr = BIAS**2) -> sp.Expr:
        def k(i: int, j: int) -> sp.Expr:
            return bias + INPUTS[i].dot(INPUTS[j]) / 2

        return k(0, 0) * k(1, 2) + 2 * k(0, 1) * k(0, 2)

    return (
        Exhibit(
            setting="E[z(x)² z(x') z(x'')], x = (1, 2), x' = (3, -1), x'' = (-2, 1), σ_b = 1/2",
            left=averaged(value, normals(0)),
            right=pairings(),
            wrong={
                "the bias is only on the diagonal": lambda: (
                    _kernel(0, 0) * (_kernel(1, 2) - BIAS**2)
                    + 2 * (_kernel(0, 1) - BIAS**2) * (_kernel(0, 2) - BIAS**2)
                ),
                "one of the three pairings is missing": lambda: (
                    _kernel(0, 0) * _kernel(1, 2) + _kernel(0, 1) * _kernel(0, 2)
                ),
            },
        ),
    )


def elementwise() -> tuple[Exhibit, ...]:
    """Return eq 20 for 3 units; as printed the vector ends at a unit k < N_2."""
    units = ROWS * INPUTS[0] + SHIFTS
    return (
        Exhibit(
            setting="N₂ = 3, x = (1, 2), φ(u) = u + u², k = 2",
            left=sp.Matrix([u + u**2 for u in units]),
            right=activation(units),
            wrong={
                "the vector ends at the unit k": lambda: activation(units[:2, :]),
                "the components are summed before φ acts": lambda: activation(sp.Matrix([sum(units)] * 3)),
            },
            printed=lambda: activation(units[:2, :]),
        ),
    )


def image_of_a_normal_law() -> tuple[Exhibit, ...]:
    """Return moments of activations: relu has half its mass at 0, erf(z/√2) is uniform on (-1, 1) where K¹ = 1."""
    u = sp.Symbol("u", real=True)
    density = sp.exp(-(u**2) / 2) / sp.sqrt(2 * sp.pi)
    primitive = sp.erf(u / sp.sqrt(2)) ** 5 / 10  # its derivative is density times the fourth power: 2 density = (erf)'
    assert sp.simplify(sp.diff(primitive, u) - density * sp.erf(u / sp.sqrt(2)) ** 4) == 0
    uniform = sp.Symbol("t", real=True)
    return (
        Exhibit(
            setting="fourth moment of erf(z/√2), K¹ = 1",
            left=sp.limit(primitive, u, sp.oo) - sp.limit(primitive, u, -sp.oo),
            right=sp.integrate(uniform**4 / 2, (uniform, -1, 1)),
            wrong={"it is normal with variance 1/3": lambda: sp.Rational(3, 9)},
        ),
        Exhibit(
            setting="mean square of relu, K¹ = 1",
            left=rectified_moment(2),
            right=sp.Rational(1, 2),
            wrong={"there is no atom at 0": lambda: sp.S.One},
        ),
    )
