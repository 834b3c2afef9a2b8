"""Mean and mean square over networks of right sides that are random, by the rules: what samples of them show.

Given iid units below with a deterministic diagonal tangent kernel, as at l = 2, both are exact at every width.
"""

from __future__ import annotations

from functools import cache

from derive import mutations
from derive.lecture.finite_width import diagonal_below, evaluated
from derive.lecture.networks import DEEPER_LAYER
from derive.rules import collapse, hypothesis
from derive.terms import Expression, mean
from derive.theorem import Theorem, reflexivity


@cache
def moments_of(side: Expression) -> tuple[Theorem, Theorem]:
    """Return mean and mean square of a right side that is random: over the weights and the units of the layer below.

    Tangent kernels of the layer below are deterministic and diagonal, as at l = 2.
    """
    if any(mutations.has_atom("Theta")(factors, coefficient) for _, factors, coefficient in side):
        below = reflexivity(side, DEEPER_LAYER).by(hypothesis, diagonal_below()).by(collapse)
        assert isinstance(below.rhs, Expression)  # rewriting one gives one
        side = below.rhs
    first, second = (evaluated(reflexivity(mean(of), DEEPER_LAYER)) for of in (side, side * side))
    return first, second
