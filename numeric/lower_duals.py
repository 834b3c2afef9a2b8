"""Activations and their duals as callables: NumPy arrays, mpmath numbers of any precision, certified balls.

A dual with an elementary closed form is lowered from its theorem, after a rewriting for float64. One whose closed form
has normal cdfs in it, or that has none, is summed as a Hermite-Mehler series of the activation itself: the closed form
is a difference of terms that can be far larger than it (:mod:`derive.duals.stable` cannot help), the series is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from flint import arb
from numpy.typing import NDArray
from scipy.special import expit

from derive import notation
from derive.activations import Activation
from derive.duals import dual
from derive.duals.evaluation import enclosure
from derive.duals.function_class import NotInClass
from derive.duals.functions import BivariateTail, NormalCdf, precise_bivariate_tail
from derive.duals.integration import gaussian_mean
from derive.duals.kernel_side import KernelDual
from derive.duals.stable import stable
from derive.duals.theorems import ClosedForm, mean_theorem
from derive.pieces import Piece, pieces
from numeric import special
from numeric.series import HermiteMehler

FloatArray = NDArray[np.float64]

CLOSED_FORM = "closed form"
SERIES = "Hermite-Mehler series"
ROUNDING = 1e-14
"""Error of a closed form in float64 relative to ``sqrt(k(a, a) k(b, b))``: chosen, measured in tests/benchmarks."""

_ARGUMENTS = notation.a, notation.b, notation.c, notation.D


class Expit(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``1 / (1 + exp(-x))`` without overflow."""

    nargs = 1


class Softplus(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """``log(1 + exp(x))`` without overflow."""

    nargs = 1


NUMPY: list[Any] = [
    {
        "Max": np.maximum,
        "Atan2": np.arctan2,
        "ArcMoment": special.arc_moment,
        "Spread": special.spread,
        "ExpSpread": special.exp_spread,
        "OneMinusExp": lambda x: -np.expm1(-x),
        "Expit": expit,
        "Softplus": lambda x: np.logaddexp(0.0, x),
    },
    "scipy",
    "numpy",
]
"""Where lambdify finds the functions of stable expressions."""


@dataclass(frozen=True, slots=True)
class LoweredMean:
    """A Gaussian mean of a product as a function of arrays (a, b, c, D).

    Attributes:
        function: the mean.
        route: how it is evaluated, :data:`CLOSED_FORM` or :data:`SERIES`.
        error: bound of its absolute error relative to ``sqrt(k(a, a) k(b, b))``.
    """

    function: Callable[..., FloatArray]
    route: str
    error: float

    def __call__(self, a: Any, b: Any, c: Any, D: Any) -> FloatArray:
        """Return the mean at variances a, b, covariance c and determinant D, broadcast.

        Raises:
            ValueError: if a condition of the closed form is violated.
        """
        return self.function(a, b, c, D)


@dataclass(frozen=True, slots=True)
class LoweredDual:
    """The two duals of an activation as functions of arrays (a, b, c, D)."""

    value: LoweredMean
    derivative: LoweredMean


@cache
def lowered_dual(activation: Activation | KernelDual) -> LoweredDual:
    """Return the duals of an activation, or a dual given as a kernel, for NumPy; by closed form if it is elementary.

    Raises:
        ValueError: if the activation has parameters without a value.
    """
    if isinstance(activation, KernelDual):
        given = activation.closed_forms
        return LoweredDual(_lowered(given[0]), _lowered(given[1]))
    if activation.parameters:
        names = ", ".join(map(str, activation.parameters))
        raise ValueError(f"expected an activation in z alone, {activation.name} has parameters: give {names} values")
    try:
        value, derivative = dual(activation).closed_forms
    except NotInClass:
        return LoweredDual(_series(activation.expression), _series(activation.derivative))
    return LoweredDual(
        _closed_form(value) or _series(activation.expression),
        _closed_form(derivative) or _series(activation.derivative),
    )


def _closed_form(form: ClosedForm) -> LoweredMean | None:
    """Return a closed form lowered, or nothing if it has cdfs in it."""
    return None if form.expression.has(BivariateTail, NormalCdf) else _lowered(form)


def _lowered(form: ClosedForm) -> LoweredMean:
    try:
        expression = stable(form.expression)
    except ValueError:  # a kernel need not be one of the forms that the calculus gives
        expression = form.expression
    function = sp.lambdify(_ARGUMENTS, expression, NUMPY, cse=True)
    masses = [(mass, sp.lambdify(_ARGUMENTS, mass, "numpy")) for mass in form.positive]
    singular = _singular_at_zero(form.expression)

    def evaluated(a: FloatArray, b: FloatArray, c: FloatArray, D: FloatArray) -> FloatArray:
        a, b, c, D = (np.asarray(x, dtype=float) for x in (a, b, c, D))
        for mass, value in masses:
            if not np.all(value(a, b, c, D) > 0):
                raise ValueError(
                    f"the mean does not exist at these variances: expected {mass} > 0; take smaller inputs or sigma_w"
                )
        if singular:
            a, b, D = _away_from_zero(a, b, D)
        with np.errstate(over="ignore", under="ignore"):
            result = function(a, b, c, D)
        return np.array(np.broadcast_to(result, np.broadcast_shapes(*(x.shape for x in (a, b, c, D)))), dtype=float)

    return LoweredMean(evaluated, CLOSED_FORM, ROUNDING)


def _singular_at_zero(expression: sp.Expr) -> bool:
    """Return whether a closed form divides by a variance, which it then has to be kept from being zero."""
    zero = {notation.c: 0, notation.D: 0}
    divisors = [power.base for power in expression.atoms(sp.Pow) if power.exp.is_negative]
    return any(x.subs(zero | {variance: 0}) == 0 for x in divisors for variance in (notation.a, notation.b))


_TINY = 1e-290


def _away_from_zero(a: FloatArray, b: FloatArray, D: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return variances and determinant with tiny numbers for zero variances, uncorrelated with anything."""
    if np.all(a > 0) and np.all(b > 0):
        return a, b, D
    zero = (a == 0) | (b == 0)
    a, b = np.where(a == 0, _TINY, a), np.where(b == 0, _TINY, b)
    return a, b, np.where(zero, a * b, D)


def _series(expression: sp.Expr) -> LoweredMean:
    parts = pieces(expression)
    series = HermiteMehler(lowered_function(expression), tuple(float(part.low) for part in parts[1:]))
    return LoweredMean(series, SERIES, series.error)


def precise_closed_form(expression: sp.Expr) -> Callable[..., Any]:
    """Return a closed form in (a, b, c, D) as an mpmath function, for any precision set by the caller."""
    names = {"BivariateTail": precise_bivariate_tail}
    function: Callable[..., Any] = sp.lambdify(_ARGUMENTS, expression, [names, "mpmath"])
    return function


def certified_closed_form(form: ClosedForm) -> Callable[..., arb]:
    """Return a closed form as a function of exact (a, b, c) and digits that returns a ball around its value."""

    def certified(a: Any, b: Any, c: Any, digits: int = 40) -> arb:
        return enclosure(form.expression, a, b, c, digits)

    return certified


def certified_dual(activation: Activation, order: int = 0) -> Callable[..., arb]:
    """Return E[phi phi], or E[phi' phi'] for order 1, as a function of exact (a, b, c) and digits that returns a ball.

    The closed form is evaluated if there is one; any other activation is integrated.

    Raises:
        NotEnclosed, NotIntegrable: by the function, where the mean does not exist or cannot be enclosed.
    """
    right = mean_theorem(activation, order).rhs
    if isinstance(right, ClosedForm):
        return certified_closed_form(right)
    expression = activation.derivative if order else activation.expression

    def certified(a: Any, b: Any, c: Any, digits: int = 40) -> arb:
        return gaussian_mean(expression, expression, a, b, c, digits)

    return certified


@cache
def lowered_activation(activation: Activation | KernelDual) -> tuple[Callable[[FloatArray], FloatArray], ...]:
    """Return the activation and its pathwise derivative as NumPy functions of an array.

    Raises:
        TypeError: for a dual given as a kernel, whose activation nobody knows.
    """
    if isinstance(activation, KernelDual):
        raise TypeError(f"expected an activation, got the kernel {activation.name}: it has no networks, only kernels")
    return lowered_function(activation.expression), lowered_function(activation.derivative)


def lowered_function(expression: sp.Expr) -> Callable[[FloatArray], FloatArray]:
    """Return a function of z for NumPy, which does not overflow where its value does not.

    Every piece is evaluated on its own side of its break points only; at a break point it is the value from the left.
    """
    parts = pieces(expression)
    if len(parts) > 1 and not expression.has(sp.exp, sp.Piecewise):
        return _filling(sp.lambdify(notation.z, expression, NUMPY))
    functions = [_filling(sp.lambdify(notation.z, without_overflow(part.expression), NUMPY)) for part in parts]
    if len(parts) == 1:
        return functions[0]
    ends = [_float_ends(part) for part in parts]

    def evaluated(x: FloatArray) -> FloatArray:
        x = np.asarray(x, dtype=float)
        result = functions[0](np.minimum(x, ends[0][1]))
        for function, (low, high) in zip(functions[1:], ends[1:], strict=True):
            result = np.where(x > low, function(np.clip(x, low, high)), result)
        return result

    return evaluated


def _float_ends(part: Piece) -> tuple[float, float]:
    return float(part.low), float(part.high)


def _filling(function: Callable[..., Any]) -> Callable[..., FloatArray]:
    """Return the function with constant results spread over the shape of its argument, and quiet overflow."""

    def filled(x: FloatArray) -> FloatArray:
        x = np.asarray(x, dtype=float)
        with np.errstate(over="ignore", under="ignore"):
            result = function(x)
        return np.array(np.broadcast_to(result, x.shape), dtype=float)

    return filled


def without_overflow(expression: sp.Expr) -> sp.Expr:
    """Return an expression with ``1/(p + q exp(h))`` and ``log(p + q exp(h))`` as functions that do not overflow."""

    def shifted(base: sp.Expr) -> tuple[sp.Expr, sp.Expr] | None:
        """Return p and h with ``base = p (1 + exp(h))``."""
        p, rest = base.as_independent(notation.z, as_Add=True)
        q, exponential = rest.as_independent(notation.z, as_Add=False)
        if p.is_positive and q.is_positive and isinstance(exponential, sp.exp):
            return p, exponential.args[0] + sp.log(q / p)
        return None

    def logarithm(argument: sp.Expr) -> sp.Expr:
        found = shifted(argument) if argument.is_Add else None
        return sp.log(argument) if found is None else sp.log(found[0]) + Softplus(found[1])

    def power(base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        found = shifted(base) if base.is_Add and exponent.is_Integer and exponent < 0 else None
        return base**exponent if found is None else found[0] ** exponent * Expit(-found[1]) ** -exponent

    changed = expression.replace(sp.log, logarithm).replace(sp.Pow, power)
    return changed.replace(lambda e: e.is_Mul and e.has(Expit), _merged)


def _merged(product: sp.Expr) -> sp.Expr:
    """Return a product with ``exp(h) Expit(-h)`` as ``Expit(h)``."""
    factors = list(product.args)
    for exponential in [f for f in factors if isinstance(f, sp.exp)]:
        for bounded in [f for f in factors if isinstance(f.as_base_exp()[0], Expit)]:
            base, times = bounded.as_base_exp()
            count = sp.cancel(-exponential.args[0] / base.args[0])
            if count.is_Integer and 1 <= count <= times:
                factors.remove(exponential)
                factors.remove(bounded)
                factors += [Expit(-base.args[0]) ** count, base ** (times - count)]
                break
    return sp.Mul(*factors)
