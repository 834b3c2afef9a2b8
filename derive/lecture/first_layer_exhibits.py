"""Sections 3.1 to 3.3 on concrete numbers: small layers written out, inputs of unequal norms, exact normal moments."""

from __future__ import annotations

from itertools import product

import mpmath
import sympy as sp

from derive.exhibit import Exhibit

_X, _Y = sp.Matrix([1, 2]), sp.Matrix([3, -1])
_WEIGHTS = sp.Matrix([[1, -2], [sp.Rational(1, 2), 3], [0, 1]])
_BIASES = sp.Matrix([sp.Rational(1, 3), -1, 2])
_BIAS = sp.Rational(1, 4)
_SETTING = "x = (1, 2), x' = (3, -1), σ_w = 1, σ_b² = 1/4"
_FOURTH = 3
"""Fourth moment of a standard normal."""


def _kernel(x: sp.Matrix, y: sp.Matrix, bias: sp.Expr = _BIAS) -> sp.Expr:
    return bias + x.dot(y) / 2


def _made_of(x: sp.Matrix, units: int = 2) -> sp.Matrix:
    """Return the rows of coefficients of the units at an input in all weights, unit by unit, and all biases."""
    weights = sp.kronecker_product(sp.eye(units), x.T / sp.sqrt(2))
    return weights.row_join(sp.sqrt(_BIAS) * sp.eye(units))


def _integral(f: object) -> sp.Float:
    """Return the mean of a function of a standard normal, on both half-lines, to 20 digits."""
    with mpmath.workdps(25):
        found = mpmath.quad(lambda t: f(t) * mpmath.npdf(t), [-14, -4, 0, 4, 14])  # type: ignore[operator]
        return sp.Float(str(found), 22)


def kernel_of_relu() -> tuple[Exhibit, ...]:
    """Return a kernel of the second layer by integration over the first, and by the arc-cosine formula."""
    angle = sp.pi / 3
    right = (sp.sin(angle) + (sp.pi - angle) * sp.cos(angle)) / (2 * sp.pi)
    mean = 1 / sp.sqrt(2 * sp.pi)
    with mpmath.workdps(25):
        spread = mpmath.sqrt(3) / 2

        def inner(t: mpmath.mpf) -> mpmath.mpf:
            """Return E[relu(t/2 + spread w)] over w."""
            return t / 2 * mpmath.ncdf(t / 2 / spread) + spread * mpmath.npdf(t / 2 / spread)

        left = sp.Float(str(mpmath.quad(lambda t: t * inner(t) * mpmath.npdf(t), [0, 2, 5, 14])), 22)
    return (
        Exhibit(
            setting="relu, K¹ = 1 at both inputs, 1/2 between them, σ_w = 1, σ_b = 0",
            left=left,
            right=right,
            wrong={
                "the covariance stands for the second moment": lambda: right - mean**2,
                "the mean is over the layer itself: K² for K¹": lambda: right / 2,
                "σ_b stands for σ_b², with σ_b = 1/2": lambda: right + sp.Rational(1, 2) - sp.Rational(1, 4),
            },
            digits=18,
        ),
        Exhibit(
            setting="relu at one input, K¹ = 1, σ_w = 1, σ_b = 0",
            left=_integral(lambda t: t * t if t > 0 else 0),
            right=sp.Rational(1, 2),
            wrong={"the variance stands for the second moment": lambda: sp.Rational(1, 2) - mean**2},
            digits=18,
        ),
    )


def dependent_units() -> tuple[Exhibit, ...]:
    """Return the correlation of squares of two units on relu units, summed unit by unit and in closed form."""
    units = 4
    second, fourth = sp.Rational(1, 2), sp.Rational(_FOURTH, 2)
    pairs = [fourth if i == j else second**2 for i, j in product(range(units), repeat=2)]
    square = sum(pairs, sp.S.Zero) / units**2  # E q^2, with q the mean square of the units
    covariance, variance = square - second**2, _FOURTH * square - second**2
    spread = (fourth - second**2) / units
    return (
        Exhibit(
            setting="squares of two outputs on four relu units, K¹ = 1, σ_w = 1, σ_b = 0: their correlation",
            left=covariance / variance,
            right=spread / (_FOURTH * spread + (_FOURTH - 1) * second**2),
            wrong={
                "what is uncorrelated is independent": lambda: sp.S.Zero,
                "it does not fall with the width": lambda: (4 * spread) / (12 * spread + 2 * second**2),
            },
        ),
    )


def standard_deviations() -> tuple[Exhibit, ...]:
    """Return the variance of a unit with standard deviations as second arguments of the normal laws."""
    count, bias = 100, sp.Rational(1, 2)
    deviation = 1 / sp.sqrt(count)
    return (
        Exhibit(
            setting="100 inputs of size 1, σ_b = 1/2: the variance of a unit",
            left=sum((deviation**2 for _ in range(count)), bias**2),
            right=bias**2 + sp.Integer(count) / count,
            wrong={"the second argument is a variance": lambda: bias + count * deviation},
        ),
    )


def two_forms() -> tuple[Exhibit, ...]:
    """Return the variances of the summands of a unit in both forms."""
    count, bias, activations = 3, sp.Rational(1, 2), (sp.Integer(2), sp.Integer(-1), sp.Rational(1, 3))
    scaled = sp.Matrix([*(a**2 / count for a in activations), bias**2])

    def explicit(scale: sp.Expr, shift: sp.Expr) -> sp.Matrix:
        return sp.Matrix([*((scale * a) ** 2 for a in activations), shift**2])

    return (
        Exhibit(
            setting="activations 2, -1, 1/3, σ_b = 1/2: variances of the summands",
            left=scaled,
            right=explicit(1 / sp.sqrt(count), bias),
            wrong={
                "the scale is 1/N": lambda: explicit(sp.Rational(1, count), bias),
                "the bias is scaled by σ_b²": lambda: explicit(1 / sp.sqrt(count), bias**2),
            },
        ),
    )


def _sums(x: sp.Matrix, weights: sp.Matrix = _WEIGHTS) -> sp.Matrix:
    """Return the units as sums over inputs."""
    rows = ((sum(weights[k, j] * x[j] for j in range(2)) + _BIASES[k]) for k in range(3))
    return sp.Matrix(list(rows))


def affine() -> tuple[Exhibit, ...]:
    """Return the first layer as sums and as a product of matrices."""
    return (
        Exhibit(
            setting="three units at x = (3, -1)",
            left=_sums(_Y),
            right=_WEIGHTS * _Y + _BIASES,
            wrong={
                "the activation acts on the input: relu": lambda: (
                    _WEIGHTS * _Y.applyfunc(lambda v: max(v, 0)) + _BIASES
                ),
                "the weights are transposed": lambda: _WEIGHTS.T * _Y + _BIASES,
                "the bias is missing": lambda: _WEIGHTS * _Y,
            },
        ),
    )


def same_weights() -> tuple[Exhibit, ...]:
    """Return the difference of the layer at two inputs, which sees the weights alone."""
    others = sp.Matrix([[0, 1], [1, 1], [2, -1]])
    return (
        Exhibit(
            setting="three units at x' = (3, -1) less those at x = (1, 2)",
            left=_sums(_Y) - _sums(_X),
            right=_WEIGHTS * (_Y - _X),
            wrong={
                "other weights at the other input": lambda: others * _Y - _WEIGHTS * _X,
                "other biases at the other input": lambda: _WEIGHTS * (_Y - _X) + sp.ones(3, 1),
            },
        ),
    )


def all_units() -> tuple[Exhibit, ...]:
    """Return the covariance of two units at two inputs, by all weights and biases that they are made of."""
    return (
        Exhibit(
            setting=f"{_SETTING}: covariance of two units with two units",
            left=_made_of(_X) * _made_of(_Y).T,
            right=_kernel(_X, _Y) * sp.eye(2),
            wrong={
                "all units share one bias": lambda: (_kernel(_X, _Y) - _BIAS) * sp.eye(2) + _BIAS * sp.ones(2, 2),
                "all units share all weights": lambda: _kernel(_X, _Y) * sp.ones(2, 2),
            },
        ),
    )


def characteristic_function() -> tuple[Exhibit, ...]:
    """Return E cos(z) of a unit, a product over its independent normals, and by its variance."""
    factors = [sp.exp(-(c**2) / 2) for x in (_X, _Y) for c in _made_of(x, 1)]
    left = sp.Matrix([sp.prod(factors[:3]), sp.prod(factors[3:])])

    def right(variance: object) -> sp.Matrix:
        return sp.Matrix([sp.exp(-variance(x) / 2) for x in (_X, _Y)])  # type: ignore[operator]

    return (
        Exhibit(
            setting=f"{_SETTING}: E cos z at both inputs",
            left=left,
            right=right(lambda x: _kernel(x, x)),
            wrong={
                "x·x without 1/d": lambda: right(lambda x: _BIAS + x.dot(x)),
                "x·x over the root of d": lambda: right(lambda x: _BIAS + x.dot(x) / sp.sqrt(2)),
                "σ_b stands for σ_b²": lambda: right(lambda x: _kernel(x, x, sp.sqrt(_BIAS))),
            },
        ),
    )


def gram_of_first_layer() -> tuple[Exhibit, ...]:
    """Return the covariance of a unit at four inputs, and how many normals it is made of."""
    points = (_X, _Y, sp.Matrix([0, 1]), sp.Matrix([-2, 5]))
    root = sp.Matrix([list(_made_of(x, 1)) for x in points])
    gram = sp.Matrix(4, 4, lambda i, j: _kernel(points[i], points[j]))
    return (
        Exhibit(
            setting="x = (1, 2), (3, -1), (0, 1), (-2, 5), σ_b² = 1/4",
            left=root * root.T,
            right=gram,
            wrong={
                "the bias is on the diagonal alone": lambda: gram - _BIAS * (sp.ones(4, 4) - sp.eye(4)),
                "the root of the inner product": lambda: gram.applyfunc(lambda v: sp.Abs(v)),
            },
        ),
        Exhibit(
            setting="the rank of the same kernel: at most d + 1",
            left=sp.Integer((root * root.T).rank()),
            right=sp.Integer(3),
            wrong={"inputs are told apart by independent variables": lambda: sp.Integer(4)},
        ),
    )


def elementwise() -> tuple[Exhibit, ...]:
    """Return the activations of three units."""
    units = sp.Matrix([2, -1, sp.Rational(1, 3)])
    cubes = sp.Matrix([v**3 for v in units])
    return (
        Exhibit(
            setting="φ(z) = z³, N₂ = 3, z = (2, -1, 1/3)",
            left=cubes,
            right=units.applyfunc(lambda v: v**3),
            wrong={
                "the vector ends at unit k = 2": lambda: cubes[:2, :],
                "the activation acts on the sum": lambda: sp.ones(3, 1) * sum(units) ** 3,
            },
            printed=lambda: cubes[:2, :],
        ),
    )


def images_of_normals() -> tuple[Exhibit, ...]:
    """Return second and fourth moments of activations: of erf(z/√2), uniform, and of relu, with half its mass at 0."""
    uniform = sp.Matrix([sp.Rational(1, 3), sp.Rational(1, 5)])
    found = [_integral(lambda t, n=n: mpmath.erf(t / mpmath.sqrt(2)) ** n) for n in (2, 4)]
    return (
        Exhibit(
            setting="erf(z/√2), K¹ = 1: second and fourth moments",
            left=sp.Matrix(found),
            right=uniform,
            wrong={"activations are normal": lambda: sp.Matrix([sp.Rational(1, 3), sp.Rational(_FOURTH, 9)])},
            digits=18,
        ),
        Exhibit(
            setting="relu, K¹ = 1: second and fourth moments",
            left=sp.Matrix([_integral(lambda t, n=n: t**n if t > 0 else 0) for n in (2, 4)]),
            right=sp.Matrix([sp.Rational(1, 2), sp.Rational(_FOURTH, 2)]),
            wrong={"activations are normal": lambda: sp.Matrix([sp.Rational(1, 2), sp.Rational(_FOURTH, 4)])},
            digits=18,
        ),
    )
