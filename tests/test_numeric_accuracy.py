"""How errors of duals are counted."""

from __future__ import annotations

import numpy as np
import pytest

from derive.activations import activation
from derive.duals import dual
from numeric.accuracy import measured, wide_pairs
from numeric.lower_duals import lowered_dual, mean_of_modulus

NEARLY_OPPOSITE = 1.0, 2.0, -1.38, 2.0 - 1.38**2
SLIGHTLY_CORRELATED = 1.0, 2.0, 0.05, 2.0 - 0.05**2


def counted(name, pair, with_modulus=True):
    """Return the ulps of a mean that is wrong by a millionth, or 0 if they do not count."""
    row, form = activation(name), dual(name).closed_forms[0]
    right = lowered_dual(row).value
    modulus = mean_of_modulus(row.expression) if with_modulus else None
    return measured(lambda *given: right(*given) * (1 + 1e-6), form, (pair,), modulus).ulps


def test_ulps_count_for_small_means_of_one_sign_and_not_for_means_that_cancel():
    expected = 1e-6 / np.finfo(float).eps
    assert counted("relu", NEARLY_OPPOSITE) == pytest.approx(expected, rel=1e-6)
    assert counted("erf", SLIGHTLY_CORRELATED) == 0
    assert counted("erf", (1.0, 2.0, 0.5, 1.75)) == pytest.approx(expected, rel=1e-6)
    assert counted("relu", NEARLY_OPPOSITE, with_modulus=False) == 0  # all that is known is a bound of what cancels


def test_pairs_that_are_refused_or_have_no_second_moment_in_floats_are_left_out():
    def refusing(*pair):
        raise ValueError

    form = dual("exp").closed_forms[0]
    assert measured(refusing, form, wide_pairs(3)).pairs == 0
    right = lowered_dual(activation("exp")).value
    assert measured(right, form, ((1.0, 1.0, 0.5, 0.75), (400.0, 1e-3, 0.0, 0.4))).pairs == 1


def test_a_mean_of_moduli_lies_between_the_mean_and_its_bound():
    row = activation("he3")
    right, modulus = lowered_dual(row).value, mean_of_modulus(row.expression)
    for a, b, c, D in (SLIGHTLY_CORRELATED, NEARLY_OPPOSITE):
        value, size = float(right(a, b, c, D)), float(modulus(a, b, c, D))
        bound = float(np.sqrt(right(a, a, a, 0.0) * right(b, b, b, 0.0)))
        assert abs(value) < size < bound
