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
_CANCELLING = 1e-2
"""Below this fraction of ``sqrt(k(a, a) k(b, b))`` a mean is the difference of larger parts, in general: one rounding
of such a part is then more than a hundred units in the last place of the mean. Chosen for that."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Errors of a dual in float64.

    Attributes:
        pairs: how many pairs were tried.
        absolute: the largest error relative to ``sqrt(k(a, a) k(b, b))``.
        ulps: the largest error in units in the last place, where the mean is no smaller than a hundredth of that.
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


def measured(lowered: Callable[..., FloatArray], form: ClosedForm, pairs: Sequence[Pair]) -> Accuracy:
    """Return the errors of a lowered mean at pairs; those where its second moments are no floats are left out."""
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
            if not 0 < float(scale.mid()) < math.inf:
                continue
            tried += 1
            error = abs(arb(float(lowered(a, b, c, D))) - value)
            absolute = max(absolute, float((error / scale).mid()))
            if abs(value) > scale * arb(_CANCELLING):
                ulps = max(ulps, float((error / abs(value)).mid()) / float(np.finfo(float).eps))
    return Accuracy(tried, absolute, ulps)
