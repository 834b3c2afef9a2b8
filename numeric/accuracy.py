"""How many digits a dual has in float64, at pairs of all sizes and angles, against its closed form in balls."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import numpy as np
from flint import arb
from numpy.typing import NDArray

from derive.duals.evaluation import NotEnclosed, precision
from derive.duals.theorems import ClosedForm
from numeric.certified import certified_closed_form

FloatArray = NDArray[np.float64]
Pair = tuple[float, float, float, float]
_CANCELLING = 0.1
"""Part of ``E|phi(u) phi(v)|`` below which a mean counts as one that cancels: a digit is lost in the mean itself, by
whatever it is computed. Chosen."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of a dual in float64.

    Attributes:
        pairs: how many pairs were tried.
        absolute: the largest error relative to ``sqrt(k(a, a) k(b, b))``.
        ulps: the largest error in units in the last place, where the mean is no smaller than a tenth of
            ``E|phi(u) phi(v)|``; below, what is added up cancels.
    """

    pairs: int
    absolute: float
    ulps: float


@cache
def wide_pairs(count: int) -> tuple[Pair, ...]:
    """Return pairs (a, b, c, D): variances log-uniform in [1e-3, 1e3], ``1 - |rho|`` log-uniform in [1e-16, 1].

    A third has equal variances. D is ``ab - c^2`` of the exact binary values, rounded once.
    """
    chosen = random.Random(20)  # noqa: S311 - test points, not cryptography
    pairs = []
    for n in range(count):
        a, b = (10 ** chosen.uniform(-3, 3) for _ in range(2))
        b = a if n % 3 == 0 else b
        c = chosen.choice([1, -1]) * math.sqrt(a * b) * (1 - 10 ** chosen.uniform(-16, 0))
        while (exact := Fraction(a) * Fraction(b) - Fraction(c) ** 2) < 0:
            c = math.nextafter(c, 0)
        pairs.append((a, b, c, float(exact)))
    return tuple(pairs)


def measured(
    lowered: Callable[..., FloatArray],
    form: ClosedForm,
    pairs: Sequence[Pair],
    modulus: Callable[..., FloatArray] | None = None,
) -> Accuracy:
    """Return the errors of a lowered mean at pairs; those where its second moments are no floats are left out.

    Args:
        lowered: the mean as a function of (a, b, c, D).
        form: its closed form.
        pairs: where it is tried; what it refuses by a ValueError is left out.
        modulus: ``E|phi(u) phi(v)|`` to a digit or two; without it, its bound ``sqrt(k(a, a) k(b, b))`` is taken.
    """
    certified = certified_closed_form(form)
    absolute = ulps = 0.0
    tried = 0
    for a, b, c, D in pairs:
        try:
            value, first, second = (certified(*pair, digits=25) for pair in ((a, b, c), (a, a, a), (b, b, b)))
        except NotEnclosed:  # outside of the conditions of the closed form
            continue
        with precision(200):
            scale = (first * second).sqrt()
            if not all(0 < float(moment.mid()) < math.inf for moment in (first, second)):
                continue
            try:
                error = abs(arb(float(lowered(a, b, c, D))) - value)
            except ValueError:
                continue
            tried += 1
            absolute = max(absolute, float((error / scale).mid()))
            found = float((error / abs(value)).mid()) / float(np.finfo(float).eps) if value != 0 else math.inf
            if found > ulps and abs(value) > _size(modulus, (a, b, c, D), scale, abs(value)) * arb(_CANCELLING):
                ulps = found
    return Accuracy(tried, absolute, ulps)


def _size(modulus: Callable[..., FloatArray] | None, pair: Pair, bound: arb, mean: arb) -> arb:
    """Return what of both signs makes up a mean, or its bound where that is not computed, or says enough."""
    if modulus is None or mean > bound * arb(_CANCELLING):
        return bound
    try:
        return arb(float(modulus(*pair))).min(bound)
    except ValueError:  # the activation varies too fast so far out
        return bound
