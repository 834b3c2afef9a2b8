"""Duals of activations as functions of NumPy arrays.

A dual with an elementary closed form is lowered from its theorem, after a rewriting for float64. Others are summed as
Hermite-Mehler series of the activation itself: those without a closed form, those with normal cdfs in it, and those
whose terms are far larger than they are, as in the dual of ``1 - cos(z)`` at small variances. From the variance on
where these are no longer, the closed form is taken, since no series follows a wave far out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from derive import notation
from derive.activations import Activation
from derive.duals import dual
from derive.duals.function_class import NotInClass
from derive.duals.functions import ArcMoment, Atan2, BivariateTail, NormalCdf
from derive.duals.kernel_side import KernelDual
from derive.duals.stable import stable
from derive.duals.theorems import ClosedForm
from derive.pieces import pieces
from numeric import special
from numeric.accuracy import Pair, measured
from numeric.lower_functions import NUMPY, lowered_function
from numeric.series import HermiteMehler

FloatArray = NDArray[np.float64]

CLOSED_FORM = "closed form"
SERIES = "Hermite-Mehler series"
BOTH = "Hermite-Mehler series, closed form at large variances"
NOT_OPPOSITE = "closed form, Hermite-Mehler series at nearly opposite inputs"
ROUNDING = 1e-14
"""Error of a closed form in float64 relative to ``sqrt(k(a, a) k(b, b))``: chosen, measured in tests/benchmarks."""

_ARGUMENTS = notation.a, notation.b, notation.c, notation.D


@dataclass(frozen=True, slots=True)
class LoweredMean:
    """A Gaussian mean of a product as a function of arrays (a, b, c, D).

    Attributes:
        function: the mean.
        route: how it is evaluated, :data:`CLOSED_FORM`, :data:`SERIES`, :data:`BOTH` or :data:`NOT_OPPOSITE`.
        error: its absolute error relative to ``sqrt(k(a, a) k(b, b))``, measured; :mod:`numeric.certified` has proofs.
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
        return LoweredDual(_as_measured(given[0]), _as_measured(given[1]))
    if activation.parameters:
        names = ", ".join(map(str, activation.parameters))
        raise ValueError(f"expected an activation in z alone, {activation.name} has parameters: give {names} values")
    forms, far = closed_forms_for_floats(activation), closed_forms_far_out(activation)
    return LoweredDual(
        _evaluated(forms[0], far[0], activation.expression), _evaluated(forms[1], far[1], activation.derivative)
    )


def _evaluated(form: ClosedForm | None, far: FarForm | None, expression: sp.Expr) -> LoweredMean:
    """Return a mean by its closed form, by the series of a function, or by both."""
    if form is not None:
        return _lowered(form)
    series = _series(expression)
    if far is None:
        return series
    closed, where = _lowered(far.form), (far.least, far.opposite)

    def evaluated(a: FloatArray, b: FloatArray, c: FloatArray, D: FloatArray) -> FloatArray:
        return special.replaced_where(*where, series.function, closed(a, b, c, D), a, b, c, D)

    return LoweredMean(evaluated, BOTH if far.least else NOT_OPPOSITE, max(series.error, closed.error))


def closed_forms_for_floats(activation: Activation, weak: bool = False) -> tuple[ClosedForm | None, ClosedForm | None]:
    """Return the closed forms of both duals, None in place of one that is not evaluated in float64.

    One is not if it has normal cdfs in it or if its terms cancel, also in small means of nearly opposite inputs; with
    parameters the latter is not known.

    Args:
        activation: the activation.
        weak: whether phi' is the weak derivative.
    """
    try:
        value, derivative = dual(activation, weak).closed_forms
    except NotInClass:
        return None, None
    kept = [
        form
        if _keeps_digits(form) and (function is None or _keeps_small_means(form, function, _NEARLY_OPPOSITE))
        else None
        for form, function in zip((value, derivative), _functions(activation, weak), strict=True)
    ]
    return kept[0], kept[1]


def _functions(activation: Activation, weak: bool) -> tuple[sp.Expr, sp.Expr | None]:
    """Return phi and phi', None in place of one with Dirac deltas."""
    return activation.expression, None if weak and activation.jumps else activation.derivative


@dataclass(frozen=True, slots=True)
class FarForm:
    """A closed form that keeps its digits at some pairs: of large variances, or that are not nearly opposite.

    Attributes:
        form: the closed form.
        least: what both variances are at least.
        opposite: what the correlation is at least.
    """

    form: ClosedForm
    least: float = 0.0
    opposite: float = -2.0

    @property
    def where(self) -> str:
        """Return in words where the form is used."""
        return (
            f"both variances are at least {self.least:g}"
            if self.least
            else f"the correlation is at least {self.opposite:g}"
        )

    @property
    def everywhere(self) -> ClosedForm | None:
        """Return the closed form if its absolute errors are small at all pairs."""
        return None if self.least else self.form


def closed_forms_far_out(activation: Activation, weak: bool = False) -> tuple[FarForm | None, FarForm | None]:
    """Return the closed forms of both duals whose terms cancel, but not at all pairs, None in place of others."""
    try:
        forms = dual(activation, weak).closed_forms
    except NotInClass:
        return None, None
    value, derivative = (_far_out(*pair) for pair in zip(forms, _functions(activation, weak), strict=True))
    return value, derivative


@cache
def _far_out(form: ClosedForm, function: sp.Expr | None) -> FarForm | None:
    """Return the closed form with the pairs at which it is as good as it is said to be, by trying."""
    if form.expression.has(BivariateTail, NormalCdf) or form.expression.free_symbols - {*_ARGUMENTS}:
        return None
    if _keeps_digits(form):
        if function is None or _keeps_small_means(form, function, _NEARLY_OPPOSITE):
            return None
        kept = (rho for rho in _LESS_OPPOSITE if _keeps_small_means(form, function, _same_size(rho)))
        rho = next(kept, None)
        return None if rho is None else FarForm(form, opposite=rho)
    lowered, found = _lowered(form), None
    for least in _FAR:
        pairs = [_pair(least, ratio * least, rho) for ratio in _RATIOS for rho in (0.6, -0.9, 1 - 1e-9)]
        pairs += _LARGE_AND_PARALLEL
        accuracy = measured(lowered, form, pairs)
        if not accuracy.pairs or accuracy.absolute > ROUNDING / 2:
            break
        found = FarForm(form, least)
    return found


_FAR, _RATIOS = (40.0, 3.0, 0.4), (1.0, 30.0, 1e4, 1e10)
"""Variances from which on closed forms are tried whose terms cancel below, and how much larger the other is; chosen."""


def _as_measured(form: ClosedForm) -> LoweredMean:
    """Return a closed form lowered with the error that it shows, where there is no activation to sum a series of."""
    lowered = _lowered(form)
    return replace(lowered, error=max(ROUNDING, 2 * measured(lowered, form, probes()).absolute))


@cache
def _keeps_digits(form: ClosedForm) -> bool:
    """Return whether a closed form in float64 is as good as it is said to be, by trying."""
    if form.expression.has(BivariateTail, NormalCdf):
        return False
    if form.expression.free_symbols - {*_ARGUMENTS}:
        return True
    return measured(_lowered(form), form, probes()).absolute <= ROUNDING / 2


@cache
def _keeps_small_means(form: ClosedForm, function: sp.Expr, pairs: tuple[Pair, ...]) -> bool:
    """Return whether a closed form has the digits of small means that do not cancel themselves, by trying.

    Where inputs are nearly opposite, means of one-sided functions are small, and angles are what is left of them. Where
    all is written in arc moments, nothing is left to cancel.
    """
    expression = _stable(form)
    apart = all(term.has(ArcMoment) for term in sp.Add.make_args(expression)) and not expression.has(sp.Piecewise)
    if form.expression.free_symbols - {*_ARGUMENTS} or apart or not expression.has(ArcMoment, Atan2):
        return True
    return measured(_lowered(form), form, pairs, mean_of_modulus(function)).ulps <= _MOST_ULPS


@cache
def probes() -> tuple[Pair, ...]:
    """Return pairs (a, b, c, D) of small to large variances: correlated, anticorrelated and nearly parallel."""
    choices = [(a, 0.6) for a in _PROBED] + [(a, -0.9) for a in _PROBED] + [(0.7, 1 - 1e-9), (1e-3, 1e-9 - 1)]
    return tuple(_pair(a, a * (1, 3, 0.2)[n % 3], rho) for n, (a, rho) in enumerate(choices)) + _LARGE_AND_PARALLEL


def _pair(a: float, b: float, rho: float) -> Pair:
    c = rho * (a * b) ** 0.5
    return a, b, c, float(Fraction(a) * Fraction(b) - Fraction(c) ** 2)


_LARGE_AND_PARALLEL = tuple(
    _pair(a, a * ratio, sign * (1 - gap))
    for a, gap in ((1e3, 1e-9), (1e6, 1e-13))
    for ratio in (1, 1.0001)
    for sign in (1, -1)
)
"""Where polynomials beside waves cancel most; chosen."""


def _same_size(*correlations: float) -> tuple[Pair, ...]:
    return tuple(_pair(a, a, rho) for a in (1.0, 30.0, 800.0) for rho in correlations)


_NEARLY_OPPOSITE, _LESS_OPPOSITE = _same_size(1e-3 - 1, 1e-9 - 1), (-0.9, -0.5, 0.0)
"""Where small means are tried, and from which correlation on a form is used whose small means lose digits; chosen."""
_MOST_ULPS = 100.0
"""Relative error of means that do not cancel, in units in the last place: promised."""
_PROBED = 1e-12, 1e-8, 1e-5, 1e-3, 0.03, 0.4, 3.0, 40.0
"""Variances at which closed forms are tried; chosen."""


@cache
def _stable(form: ClosedForm) -> sp.Expr:
    try:
        return stable(form.expression)
    except ValueError:  # a kernel need not be one of the forms that the calculus gives
        return form.expression


@cache
def _lowered(form: ClosedForm) -> LoweredMean:
    expression = _stable(form)
    function = sp.lambdify(_ARGUMENTS, expression, NUMPY, cse=True)
    masses = [(mass, sp.lambdify(_ARGUMENTS, mass, "numpy")) for mass in form.positive]
    undefined = undefined_at_zero(form.expression)

    def evaluated(a: FloatArray, b: FloatArray, c: FloatArray, D: FloatArray) -> FloatArray:
        a, b, c, D = (np.asarray(x, dtype=float) for x in (a, b, c, D))
        for mass, value in masses:
            if not np.all(value(a, b, c, D) > 0):
                raise ValueError(
                    f"the mean does not exist at these variances: expected {mass} > 0; take smaller inputs or sigma_w"
                )
        if undefined:
            a, b, D = special.away_from_zero(a, b, D)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            result, total = function(a, b, c, D), a + b + c + D
        result = np.array(np.broadcast_to(result, np.broadcast_shapes(*(x.shape for x in (a, b, c, D)))), dtype=float)
        result[np.isnan(result) & np.isfinite(total)] = np.inf  # a difference or product of overflows
        return result

    return LoweredMean(evaluated, CLOSED_FORM, ROUNDING)


def undefined_at_zero(expression: sp.Expr) -> bool:
    """Return whether a closed form has no value at variance 0: it divides by it, or has the angle of the origin."""
    divisors = [power.base for power in expression.atoms(sp.Pow) if power.exp.is_negative]
    for variance in (notation.a, notation.b):
        zero = {variance: 0, notation.c: 0, notation.D: 0}
        if any(x.subs(zero) == 0 for x in divisors) or expression.subs(zero).has(Atan2(0, 0)):
            return True
    return False


def mean_of_modulus(expression: sp.Expr) -> Callable[..., FloatArray]:
    """Return ``E|f(u) f(v)|`` as a function of (a, b, c, D), of which a mean that cancels is a small part.

    Its kinks at zeros of f are not looked for, so that it has some six digits.
    """
    function = lowered_function(expression)

    @cache
    def series() -> HermiteMehler:  # made when it is asked for: for waves it takes a second
        return HermiteMehler(lambda x: np.abs(function(x)), _breaks(expression))

    return lambda *pair: series()(*pair)


def _series(expression: sp.Expr) -> LoweredMean:
    series = HermiteMehler(lowered_function(expression), _breaks(expression))
    return LoweredMean(series, SERIES, series.error)


def _breaks(expression: sp.Expr) -> tuple[float, ...]:
    return tuple(float(part.low) for part in pieces(expression)[1:])
