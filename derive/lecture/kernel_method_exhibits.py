"""Section 2 on concrete numbers: two features of three inputs of unequal norms, in exact arithmetic.

Left sides are sums written out, solutions of equations or features; right sides the matrix formulas of the lecture.
"""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit

_INPUTS = (sp.Rational(1, 2), sp.Integer(-2), sp.Integer(3))
_QUERY = sp.Integer(1)
_TARGETS = sp.Matrix([1, -2, 4])
_WEIGHTS = sp.Matrix([sp.Rational(1, 3), -2])
_RIDGE = sp.Rational(3, 4)
_SETTING = "the features 1 and x² of x = 1/2, -2, 3"
_RIDGED = f"{_SETTING}, targets 1, -2, 4, λ = 3/4"


def _features(x: sp.Expr) -> tuple[sp.Expr, ...]:
    """Return the features 1 and x^2 of a number."""
    return sp.S.One, x**2


def _design() -> sp.Matrix:
    """Return the design matrix, a row for each input."""
    return sp.Matrix([_features(x) for x in _INPUTS])


def linear_model() -> tuple[Exhibit, ...]:
    """Return the model at one input, as a sum over features and as a product."""
    vector = sp.Matrix(_features(_INPUTS[2]))
    return (
        Exhibit(
            setting="the features 1 and x² of x = 3, weights 1/3 and -2",
            left=sum((f * w for f, w in zip(_features(_INPUTS[2]), _WEIGHTS, strict=True)), sp.S.Zero),
            right=(vector.T * _WEIGHTS)[0],
            wrong={
                "the transpose is missing": lambda: vector * _WEIGHTS,
                "the product is that of entries": lambda: vector.multiply_elementwise(_WEIGHTS),
            },
        ),
    )


def design_matrix() -> tuple[Exhibit, ...]:
    """Return the design matrix, by rows and by entries."""
    entry = sp.Matrix(len(_INPUTS), 2, lambda i, j: _features(_INPUTS[i])[j])
    return (
        Exhibit(
            setting=_SETTING,
            left=_design(),
            right=entry,
            wrong={
                "a column for each input": lambda: entry.T,
                "the features of one input in all rows": lambda: sp.Matrix([_features(_INPUTS[0])] * 3),
            },
        ),
    )


def _loss(weights: sp.Matrix, ridge: sp.Expr = _RIDGE) -> sp.Expr:
    """Return the objective of ridge regression as a sum over inputs and weights."""
    fits = [sum((f * w for f, w in zip(_features(x), weights, strict=True)), sp.S.Zero) for x in _INPUTS]
    squares = [(y - fit) ** 2 for y, fit in zip(_TARGETS, fits, strict=True)]
    return sum(squares, sp.S.Zero) + ridge * sum((w**2 for w in weights), sp.S.Zero)


def objective() -> tuple[Exhibit, ...]:
    """Return the objective as a sum and as norms."""
    residual = _TARGETS - _design() * _WEIGHTS
    fit, size = residual.dot(residual), _WEIGHTS.dot(_WEIGHTS)
    return (
        Exhibit(
            setting=f"{_RIDGED}, weights 1/3 and -2",
            left=_loss(_WEIGHTS),
            right=fit + _RIDGE * size,
            wrong={
                "the mean of the squared residuals": lambda: fit / 3 + _RIDGE * size,
                "a half in front of the residuals only": lambda: fit / 2 + _RIDGE * size,
                "λ inside the sum over inputs": lambda: fit + 3 * _RIDGE * size,
            },
        ),
    )


def _solved() -> sp.Matrix:
    """Return the weights at which both derivatives of the objective vanish, by solving the equations."""
    w = sp.Matrix(sp.symbols("w1 w2"))
    solution = sp.solve([sp.diff(_loss(w), v) for v in w], list(w))
    return w.subs(solution)


def minimizer() -> tuple[Exhibit, ...]:
    """Return the minimizer, by solving for vanishing derivatives and by the closed form."""
    design = _design()

    def closed(ridge: sp.Expr) -> sp.Matrix:
        return (design.T * design + ridge * sp.eye(2)).inv() * design.T * _TARGETS

    return (
        Exhibit(
            setting=_RIDGED,
            left=_solved(),
            right=closed(_RIDGE),
            wrong={
                "λ times the number of inputs": lambda: closed(3 * _RIDGE),
                "λ is halved": lambda: closed(_RIDGE / 2),
                "ΦΦᵀ stands for ΦᵀΦ": lambda: (design * design.T + _RIDGE * sp.eye(3)).inv() * design.T * _TARGETS,
            },
        ),
    )


def moved_inverse() -> tuple[Exhibit, ...]:
    """Return both sides of the push-through identity."""
    design = _design()
    left = (design.T * design + _RIDGE * sp.eye(2)).inv() * design.T

    def right(ridge: sp.Expr) -> sp.Matrix:
        return design.T * (design * design.T + ridge * sp.eye(3)).inv()

    return (
        Exhibit(
            setting=f"{_SETTING}, λ = 3/4",
            left=left,
            right=right(_RIDGE),
            wrong={
                "another λ on the right": lambda: right(2 * _RIDGE),
                "Φᵀ stays on the right of the inverse": lambda: (
                    (design * design.T + _RIDGE * sp.eye(3)).inv() * design.T
                ),
                "both inverses are of size m": lambda: design.T * (design.T * design + _RIDGE * sp.eye(2)).inv(),
            },
        ),
    )


def predictions() -> tuple[Exhibit, ...]:
    """Return a prediction by weights in feature space and by inner products alone."""
    design, query = _design(), sp.Matrix(_features(_QUERY))

    def dual(ridge: sp.Expr) -> sp.Expr:
        return (query.T * design.T * (design * design.T + ridge * sp.eye(3)).inv() * _TARGETS)[0]

    return (
        Exhibit(
            setting=f"{_RIDGED}, prediction at x = 1",
            left=query.dot(_solved()),
            right=dual(_RIDGE),
            wrong={
                "λ on one side only": lambda: dual(sp.Rational(1, 10**6)),
                "Φᵀ is missing before the inverse": lambda: (
                    query.T * (design * design.T + _RIDGE * sp.eye(3)).inv() * _TARGETS
                ),
            },
        ),
    )


def _kernel(x: sp.Expr, y: sp.Expr) -> sp.Expr:
    return 1 + (x * y) ** 2


def kernel_values() -> tuple[Exhibit, ...]:
    """Return inner products of features and values of the kernel 1 + (x x')^2."""
    design, query = _design(), sp.Matrix(_features(_QUERY))
    products = sp.Matrix.vstack(design * design.T, query.T * design.T)
    points = (*_INPUTS, _QUERY)
    return (
        Exhibit(
            setting=f"{_SETTING} and x = 1, kernel 1 + (x x')²",
            left=products,
            right=sp.Matrix(4, 3, lambda i, j: _kernel(points[i], points[j])),
            wrong={
                "products of features instead of inputs": lambda: sp.Matrix.vstack(design.T * design, sp.ones(2, 2)),
                "the kernel takes one input": lambda: sp.Matrix(4, 3, lambda i, j: _kernel(points[i], points[i])),
            },
        ),
    )


def kernel_alone() -> tuple[Exhibit, ...]:
    """Return a prediction by weights in feature space and by the kernel alone."""

    def by(kernel: sp.Lambda) -> sp.Expr:
        gram = sp.Matrix(3, 3, lambda i, j: kernel(_INPUTS[i], _INPUTS[j]))
        row = sp.Matrix(1, 3, lambda _, j: kernel(_QUERY, _INPUTS[j]))
        return (row * (gram + _RIDGE * sp.eye(3)).inv() * _TARGETS)[0]

    x, y = sp.symbols("x y")
    return (
        Exhibit(
            setting=f"{_RIDGED}, prediction at x = 1, kernel 1 + (x x')²",
            left=sp.Matrix(_features(_QUERY)).dot(_solved()),
            right=by(sp.Lambda((x, y), _kernel(x, y))),
            wrong={
                "the kernel of other features": lambda: by(sp.Lambda((x, y), 1 + x * y)),
                "the kernel without its constant": lambda: by(sp.Lambda((x, y), (x * y) ** 2)),
            },
        ),
    )
