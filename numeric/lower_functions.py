"""Activations as NumPy functions of an array: no overflow where the value has none, all digits near z = 0."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from numpy.typing import NDArray
from scipy.special import expit

from derive import notation
from derive.activations import Activation
from derive.duals.functions import NormalCdf, OneMinusExp
from derive.duals.kernel_side import KernelDual
from derive.pieces import Piece, jumps, pieces
from numeric import special

FloatArray = NDArray[np.float64]


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

    Every piece is evaluated on its own side of its break points only; at a jump it is the mean of both sides.
    """
    parts = pieces(expression)
    accurate = [near_zero(part.expression) for part in parts]
    plain = all(new == part.expression for new, part in zip(accurate, parts, strict=True))
    if plain and len(parts) > 1 and not expression.has(sp.exp, sp.Piecewise):
        return _filling(sp.lambdify(notation.z, expression, NUMPY))
    functions = [_filling(sp.lambdify(notation.z, without_overflow(new), NUMPY)) for new in accurate]
    if len(parts) == 1:
        return functions[0]
    ends = [_float_ends(part) for part in parts]
    middles = jumps_in_floats(expression)

    def evaluated(x: FloatArray) -> FloatArray:
        x = np.asarray(x, dtype=float)
        for function, (low, high) in zip(functions, ends, strict=True):
            if x.size and low < x.min() and x.max() < high:
                return function(x)
        result = functions[0](np.minimum(x, ends[0][1]))
        for function, (low, high) in zip(functions[1:], ends[1:], strict=True):
            result = np.where(x > low, function(np.clip(x, low, high)), result)
        for point, mean in middles.items():
            result[x == point] = mean
        return result

    return evaluated


def _float_ends(part: Piece) -> tuple[float, float]:
    return float(part.low), float(part.high)


def jumps_in_floats(expression: sp.Expr) -> dict[float, float]:
    """Return the points where a function of z jumps between finite values, and its value there."""
    return {float(point): float(mean) for point, mean in jumps(expression).items() if mean is not None}


def _filling(function: Callable[..., Any]) -> Callable[..., FloatArray]:
    """Return the function with constant results spread over the shape of its argument, and no warnings."""

    def filled(x: FloatArray) -> FloatArray:
        x = np.asarray(x, dtype=float)
        with np.errstate(all="ignore"):
            result = function(x)
        return np.array(np.broadcast_to(result, x.shape), dtype=float)

    return filled


@cache
def near_zero(expression: sp.Expr) -> sp.Expr:
    """Return an analytic expression with its Taylor polynomial near z = 0 if it loses digits there, as 1 - cos(z) does.

    Duals at small variances rest on the values there. Whether digits are lost is seen by evaluating; the coefficients
    are Cauchy's integrals over a circle, and the polynomial is taken as far out as it has all digits. An expression
    that is not analytic at 0, or has no such polynomial, is returned as it is.
    """
    precise = sp.lambdify(notation.z, expression, "mpmath")
    with mpmath.workdps(_TAYLOR_DIGITS):
        for candidate in (expression, _with_expm1(expression)):
            function = _filling(sp.lambdify(notation.z, without_overflow(candidate), NUMPY))
            if not any(_loses_digits(function, precise, sign * x) for x in _PROBES for sign in (1, -1)):
                return candidate
        for radius in (mpmath.mpf(2) ** -k for k in range(-2, 24)):
            coefficients, reach = _taylor(precise, radius), radius / 4
            places = [sign * reach / k for k in (1, 3, 1e6) for sign in (1, -1)]
            if coefficients and all(_equal(mpmath.polyval(coefficients, x), precise(x)) for x in places):
                near = sp.Abs(notation.z) < sp.Float(float(reach))
                return sp.Piecewise((_horner(coefficients, float(reach)), near), (expression, True))
    return expression


_PROBES = 1e-9, 1e-6, 1e-3, 0.05
"""Arguments at which a loss of digits is looked for; chosen."""
_LOST, _TAYLOR_ERROR = 1e-14, 1e-17
"""Relative errors: of a function that loses digits, and of a polynomial that does not; chosen."""
_TAYLOR_DIGITS, _TAYLOR_DEGREE = 120, 40
"""Digits for the coefficients, and their number: (1/4)^40 is far below rounding; chosen."""


def _loses_digits(function: Callable[..., FloatArray], precise: Callable[..., Any], x: float) -> bool:
    try:
        exact = precise(mpmath.mpf(x))
        return mpmath.isfinite(exact) and abs(exact) > 1e-280 and not _equal(float(function(np.array(x))), exact, _LOST)
    except (ArithmeticError, TypeError, ValueError):  # undefined there
        return False


def _equal(x: Any, exact: Any, error: float = _TAYLOR_ERROR) -> bool:
    return bool(abs(x - exact) <= error * abs(exact))


def _taylor(precise: Callable[..., Any], radius: Any) -> list[Any]:
    """Return Taylor coefficients at 0, the highest first; none if the function cannot be evaluated on the circle."""
    count = 2 * _TAYLOR_DEGREE
    try:
        roots = [mpmath.expjpi(mpmath.mpf(2 * k) / count) for k in range(count)]
        values = [precise(radius * w) for w in roots]
        found = [
            mpmath.fsum(v * roots[-j * k % count] for k, v in enumerate(values)).real / count
            for j in range(_TAYLOR_DEGREE + 1)
        ]
    except (ArithmeticError, TypeError, ValueError):
        return []
    size = max(abs(v) for v in values) * mpmath.mpf(10) ** -30
    return [v / radius**j if abs(v) > size else mpmath.mpf(0) for j, v in reversed(list(enumerate(found)))]


def _horner(coefficients: list[Any], reach: float) -> sp.Expr:
    """Return a polynomial from its coefficients, the highest first, without those that do not matter within reach."""
    sizes = [abs(k) * reach**power for power, k in zip(range(len(coefficients))[::-1], coefficients, strict=True)]
    first = next(n for n, size in enumerate(sizes) if size > _TAYLOR_ERROR * max(sizes))
    polynomial = sp.Integer(0)
    for k in coefficients[first:]:
        polynomial = polynomial * notation.z + (sp.Float(float(k), 17) if k else 0)
    return polynomial


def _with_expm1(expression: sp.Expr) -> sp.Expr:
    """Return an expression with ``p exp(h) - p`` as a function that keeps its digits for small h."""

    def changed(total: sp.Expr) -> sp.Expr:
        p, rest = total.as_independent(notation.z, as_Add=True)
        q, exponential = rest.as_independent(notation.z, as_Add=False)
        return p * OneMinusExp(-exponential.args[0]) if isinstance(exponential, sp.exp) and p == -q else total

    return expression.replace(lambda e: e.is_Add, changed)


def without_overflow(expression: sp.Expr) -> sp.Expr:
    """Return an expression with ``1/(p + q exp(h))`` and ``log(p + q exp(h))`` as functions that do not overflow.

    Of a product of exponentials it makes one: one factor may overflow where another vanishes. And ``1 + erf`` becomes a
    normal cdf, which has its digits where it vanishes.
    """

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

    changed = expression.replace(lambda e: e.is_Add and e.has(sp.erf), _with_normal_cdf)
    changed = changed.replace(lambda e: e.is_Mul, _with_one_exponential)
    changed = changed.replace(sp.log, logarithm).replace(sp.Pow, power)
    return changed.replace(lambda e: e.is_Mul and e.has(Expit), _merged)


def _with_normal_cdf(total: sp.Expr) -> sp.Expr:
    """Return a sum with ``k + k erf(h)`` as ``2 k Phi(sqrt(2) h)``."""
    terms = list(total.args)
    for term in total.args:
        for erf in [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.erf)]:
            k = term / erf
            for sign in (1, -1):
                if term in terms and sign * k in terms:
                    terms.remove(term)
                    terms.remove(sign * k)
                    terms.append(2 * sign * k * NormalCdf(sign * sp.sqrt(2) * erf.args[0]))
    return sp.Add(*terms)


def _with_one_exponential(product: sp.Expr) -> sp.Expr:
    exponentials = [factor for factor in product.args if isinstance(factor, sp.exp)]
    if len(exponentials) < 2:
        return product
    others = [factor for factor in product.args if factor not in exponentials]
    return sp.Mul(*others, sp.exp(sp.Add(*(factor.args[0] for factor in exponentials))))


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
