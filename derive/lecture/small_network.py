"""A network of one hidden unit in exact numbers: what statements on linearization and training are held against.

``f(x) = v phi(w x + b/2) + c/2`` with ``phi(u) = u^3 - 2u``. Everything here is written out for this network: gradients
by backpropagation, gradient descent step by step, gradient flow as the exponential of its generator.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

import mpmath
import sympy as sp

PARAMETERS = sp.Matrix(sp.symbols("w b v c", real=True))
START = sp.Matrix([sp.Rational(1, 2), 1, -2, 3])
OTHER_START = sp.Matrix([sp.Rational(-1, 2), 1, 1, -1])
MOVED = sp.Matrix([1, sp.Rational(1, 2), -1, 4])
"""Parameters at two initializations, and elsewhere on the way from the first."""

TRAINING_INPUTS = (sp.Integer(1), sp.Integer(-2), sp.Rational(1, 2))
TEST_INPUTS = (sp.Rational(3, 2), sp.Integer(-1))
TARGETS = sp.Matrix([1, -3, 2])
OTHER_TARGETS = sp.Matrix([2, 0, -1])
RATE, TIME = sp.Rational(1, 20), sp.Integer(10)
"""Learning rate and time of training."""

DIGITS = 30
"""Digits of exponentials of matrices."""

Inputs: TypeAlias = "tuple[sp.Expr, ...]"


def network(inputs: Inputs) -> sp.Matrix:
    """Return the outputs at some inputs as functions of the parameters."""
    w, b, v, c = PARAMETERS
    return sp.Matrix([v * ((w * x + b / 2) ** 3 - 2 * (w * x + b / 2)) + c / 2 for x in inputs])


def outputs(inputs: Inputs, at: sp.Matrix) -> sp.Matrix:
    """Return the outputs at some inputs for some parameters."""
    return network(inputs).subs(dict(zip(PARAMETERS, at, strict=True)))


def jacobian(inputs: Inputs, at: sp.Matrix) -> sp.Matrix:
    """Return the Jacobian at some inputs for some parameters, by backpropagation: a row for each input."""
    rows = []
    for x in inputs:
        u = at[0] * x + at[1] / 2
        back = at[2] * (3 * u**2 - 2)
        rows.append([back * x, back / 2, u**3 - 2 * u, sp.Rational(1, 2)])
    return sp.Matrix(rows)


def tangent(rows: Inputs, columns: Inputs, at: sp.Matrix) -> sp.Matrix:
    """Return the empirical tangent kernel between inputs for some parameters."""
    return jacobian(rows, at) * jacobian(columns, at).T


def along(inputs: Inputs, start: sp.Matrix, direction: sp.Matrix) -> sp.Matrix:
    """Return the derivative of the outputs at some inputs along a direction in the space of parameters."""
    t = sp.Dummy()
    return outputs(inputs, start + t * direction).diff(t).subs(t, 0)


@cache
def _expansion(inputs: Inputs, start: sp.ImmutableMatrix) -> tuple[sp.Matrix, sp.Matrix]:
    """Return the outputs for some parameters and their derivatives by each, one column at a time."""
    directions = (sp.eye(len(start)).col(p) for p in range(len(start)))
    return outputs(inputs, start), sp.Matrix.hstack(*(along(inputs, start, direction) for direction in directions))


def tangent_model(inputs: Inputs, start: sp.Matrix, at: sp.Matrix) -> sp.Matrix:
    """Return the linear part of the network around ``start``, at other parameters."""
    constant, columns = _expansion(inputs, sp.ImmutableMatrix(start))
    return constant + columns * (at - start)


def gradient(of: Callable[[sp.Matrix], sp.Expr], at: sp.Matrix) -> sp.Matrix:
    """Return the gradient of a polynomial in the parameters, direction by direction."""
    t = sp.Dummy()
    directions = (sp.eye(len(at)).col(p) for p in range(len(at)))
    return sp.Matrix([sp.Poly(of(at + t * direction), t).coeff_monomial(t) for direction in directions])


def descended(
    loss: Callable[[sp.Matrix], sp.Expr], start: sp.Matrix, steps: int, inputs: Inputs = TRAINING_INPUTS
) -> sp.Matrix:
    """Return the parameters after steps of gradient descent of the linear model on a loss of its outputs."""
    at = start
    for _ in range(steps):
        at = at - RATE * gradient(lambda parameters: loss(tangent_model(inputs, start, parameters)), at)
    return at


def squares(targets: sp.Matrix = TARGETS) -> Callable[[sp.Matrix], sp.Expr]:
    """Return half the sum of squares of the residuals as a loss."""
    return lambda f: (f - targets).dot(f - targets) / 2


def exponential(matrix: sp.Matrix) -> sp.Matrix:
    """Return the exponential of a matrix of numbers, to more digits than are compared."""
    with mpmath.workdps(DIGITS + 15):
        found = mpmath.expm(
            mpmath.matrix([[mpmath.mpmathify(sp.N(x, DIGITS + 15)) for x in row] for row in matrix.tolist()])
        )
        return sp.Matrix(*matrix.shape, [sp.Float(x, DIGITS + 15) for x in found])


def flowed(start: sp.Matrix, targets: sp.Matrix = TARGETS, time: sp.Expr = TIME) -> sp.Matrix:
    """Return the displacement of the parameters by gradient flow of the linear model on half the sum of squares.

    It is a component of the exponential of the affine generator of the flow, in the space of parameters: neither the
    tangent kernel nor an inverse occurs.
    """
    j = jacobian(TRAINING_INPUTS, start)
    drift = j.T * (outputs(TRAINING_INPUTS, start) - targets)
    generator = -RATE * sp.Matrix.vstack(sp.Matrix.hstack(j.T * j, drift), sp.zeros(1, len(start) + 1))
    return exponential(time * generator)[:-1, -1]


def slope(kernel: sp.Matrix, time: sp.Expr = TIME) -> sp.Matrix:
    """Return ``Theta^-1 (I - exp(-eta Theta t))``, which is a function of an invertible kernel."""
    return kernel.inv() * (sp.eye(kernel.rows) - exponential(-RATE * time * kernel))
