"""Section 5.1.4 in concrete numbers: gradient flow of small systems, as the exponential of its generator."""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit
from derive.lecture.small_network import (
    DIGITS,
    RATE,
    START,
    TARGETS,
    TEST_INPUTS,
    TIME,
    TRAINING_INPUTS,
    exponential,
    flowed,
    jacobian,
    outputs,
    slope,
    tangent,
)

HALF = sp.Rational(1, 2)

_KERNEL = sp.Matrix([[2, 1], [1, 2]])
_TURN = sp.Matrix([[1, 1], [1, -1]]) / sp.sqrt(2)
"""A kernel on two training inputs with eigenvalues 3 and 1, and its eigenvectors."""


def ordered() -> tuple[Exhibit, ...]:
    """Return outputs on two training inputs, and other orders of the factors."""
    start, targets = sp.Matrix([3, 0]), sp.Matrix([1, -2])
    decay = exponential(-HALF * _KERNEL)
    modes = _TURN * sp.diag(sp.exp(-3 * HALF), sp.exp(-HALF)) * _TURN.T
    return (
        Exhibit(
            setting="Θ = [[2, 1], [1, 2]], f₀(X) = (3, 0), Y = (1, -2), η t = 1/2",
            left=targets + decay * (start - targets),
            right=targets + modes * (start - targets),
            wrong={
                "the residual stands before the exponential": lambda: targets + (start - targets) * modes,
                "the exponential is taken entry by entry": lambda: (
                    targets + (-HALF * _KERNEL).applyfunc(sp.exp) * (start - targets)
                ),
            },
            digits=DIGITS,
        ),
    )


def singular() -> tuple[Exhibit, ...]:
    """Return the end of training on one input with two targets."""
    kernel, start, targets = sp.ones(2, 2), sp.Matrix([HALF, sp.Rational(1, 5)]), sp.Matrix([1, -1])
    silent = sp.Matrix(sp.Matrix.hstack(*kernel.nullspace()))
    silent = silent * (silent.T * silent).inv() * silent.T
    return (
        Exhibit(
            setting="one input twice, Θ = [[1, 1], [1, 1]], with targets 1 and -1, f₀(X) = (1/2, 1/5), η t = 100",
            left=targets + exponential(-100 * kernel) * (start - targets),
            right=targets + silent * (start - targets),
            wrong={
                "the outputs end at the targets although Θ is singular": lambda: targets,
                "the outputs on the kernel of Θ end at 0": lambda: targets - silent * targets,
            },
            digits=DIGITS,
        ),
    )


def overshooting() -> tuple[Exhibit, ...]:
    """Return an output that starts and ends at 0 and leaves it in between."""
    kernel, start = sp.Matrix([[1, sp.Rational(9, 10)], [sp.Rational(9, 10), 1]]), sp.Matrix([1, 0])
    times = HALF, sp.S.One, sp.Integer(2), sp.Integer(5)
    slow, fast = ([sp.exp(-t * x) for t in times] for x in (sp.Rational(1, 10), sp.Rational(19, 10)))
    return (
        Exhibit(
            setting="Θ = [[1, 0.9], [0.9, 1]], f₀(X) = (1, 0), Y = (0, 0): the second output at η t = 1/2, 1, 2, 5",
            left=sp.Matrix([[(exponential(-t * kernel) * start)[1] for t in times]]),
            right=sp.Matrix([[(y - x) / 2 for x, y in zip(slow, fast, strict=True)]]),
            wrong={
                "each output stays between its start and its target": lambda: sp.zeros(1, 4),
            },
            digits=DIGITS,
        ),
        Exhibit(
            setting="the same: the coefficients on the eigenvectors (1, 1) and (1, -1) at η t = 1/2",
            left=_TURN * exponential(-HALF * kernel) * start,
            right=sp.Matrix([fast[0], slow[0]]) / sp.sqrt(2),
            wrong={
                "all coefficients go at the same speed": lambda: sp.Matrix([slow[0], slow[0]]) / sp.sqrt(2),
                "the coefficients go at each other's speed": lambda: sp.Matrix([slow[0], fast[0]]) / sp.sqrt(2),
            },
            digits=DIGITS,
        ),
    )


_SETTING = "a network of one hidden unit, 4 parameters, 3 training inputs"
_DOUBLED = 2 * TIME


def moved_parameters() -> tuple[Exhibit, ...]:
    """Return the displacement of the parameters of an explicit network."""
    j, kernel = jacobian(TRAINING_INPUTS, START), tangent(TRAINING_INPUTS, TRAINING_INPUTS, START)
    residual = outputs(TRAINING_INPUTS, START) - TARGETS
    return (
        Exhibit(
            setting=f"{_SETTING}, η t = {RATE * TIME}",
            left=flowed(START),
            right=-j.T * slope(kernel) * residual,
            wrong={
                "the Jacobian is that at the test inputs": lambda: (
                    -jacobian(TEST_INPUTS, START).T * slope(kernel) * residual
                ),
                "Θ stands for its inverse": lambda: -j.T * kernel * kernel * slope(kernel) * residual,
                "there is a 2 in the exponent": lambda: -j.T * slope(kernel, _DOUBLED) * residual,
                "the minus sign is missing": lambda: j.T * slope(kernel) * residual,
            },
            digits=DIGITS,
        ),
    )


def predicted() -> tuple[Exhibit, ...]:
    """Return the prediction of an explicit network."""
    kernel, cross = (tangent(x, TRAINING_INPUTS, START) for x in (TRAINING_INPUTS, TEST_INPUTS))
    residual, start = outputs(TRAINING_INPUTS, START) - TARGETS, outputs(TEST_INPUTS, START)
    return (
        Exhibit(
            setting=f"{_SETTING}, 2 test inputs, η t = {RATE * TIME}",
            left=start + jacobian(TEST_INPUTS, START) * flowed(START),
            right=start - cross * slope(kernel) * residual,
            wrong={
                "the kernel of test and training inputs is transposed": lambda: (
                    start - cross.T * slope(kernel) * residual
                ),
                "the correction is added": lambda: start + cross * slope(kernel) * residual,
                "Θ is not inverted": lambda: start - cross * kernel * slope(kernel) * residual,
            },
            digits=DIGITS,
        ),
    )
