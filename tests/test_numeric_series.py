"""Hermite-Mehler series and integrals in float64, against closed forms in balls: they share nothing."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy.special import erf

import numeric.series
from derive.activations import activation
from derive.duals import dual
from numeric.accuracy import measured, wide_pairs
from numeric.lower_duals import SERIES, lowered_dual
from numeric.lower_functions import lowered_function
from numeric.series import HermiteMehler

KNOWN = {
    "relu": (0.0,),
    "step": (0.0,),
    "relu2": (0.0,),
    "hard-tanh": (-1.0, 1.0),
    "hard-swish": (-3.0, 3.0),
    "elu": (0.0,),
    "erf": (),
    "sin": (),
    "z-gaussian": (),
    "he4": (),
}


def series_of(name):
    return HermiteMehler(lowered_function(activation(name).expression), KNOWN[name])


@pytest.mark.parametrize("name", KNOWN)
def test_means_have_the_digits_that_they_say(name):
    pairs = wide_pairs(30)
    if name == "sin":
        pairs = tuple(pair for pair in pairs if max(pair[:2]) < 50)
    mean = series_of(name)
    assert measured(mean, dual(name).closed_forms[0], pairs).absolute <= 4e-15
    assert mean.error <= 1.1e-14 or name == "sin"


def _shifted_relu(a, b, c, D):
    """Return E[relu(u - 0.3) relu(v - 0.3)] by one integral."""
    with mpmath.workdps(25):
        slope, s, t = mpmath.mpf(c) / a, mpmath.sqrt(mpmath.mpf(D) / a), mpmath.mpf(0.3)

        def integrand(x):
            h = (slope * x - t) / s
            density = mpmath.npdf(x / mpmath.sqrt(a)) / mpmath.sqrt(a)
            return density * (x - t) * ((slope * x - t) * mpmath.ncdf(h) + s * mpmath.npdf(h))

        return float(mpmath.quad(integrand, [t, t + 0.3, t + 1, 3, 6, 12]))


@pytest.mark.parametrize("breaks", [(), (0.31,), (0.3,), (-2.0,)])
def test_a_break_point_that_was_not_declared_shows_in_the_error(breaks):
    pair = 1.0, 1.2, 0.99 * np.sqrt(1.2), 1.2 * (1 - 0.99**2)
    mean = HermiteMehler(lambda x: np.maximum(x - 0.3, 0), breaks)
    assert abs(float(mean(*pair)) - _shifted_relu(*pair)) <= mean.error
    assert (mean.error > 1.1e-14) == (breaks != (0.3,))


@pytest.mark.parametrize("name", ["tanh", "hard-tanh", "elu"])
def test_a_pair_has_its_bits_in_whatever_array_it_comes(name):
    mean = HermiteMehler(lowered_function(activation(name).expression), KNOWN.get(name, ()))
    pairs = np.array(wide_pairs(40)).T
    together = mean(*pairs)
    assert (together[::-1] == mean(*pairs[:, ::-1])).all()
    for n in (0, 3, 17):
        assert float(mean(*pairs[:, n])) == together[n]
        a, b, c, D = pairs[:, n]
        assert float(mean(b, a, c, D)) == together[n]


@pytest.mark.parametrize("name", ["tanh", "hard-tanh", "relu", "step", "elu"])
def test_pairs_on_a_line_are_finite_even_if_rounding_takes_them_beyond_it(name):
    expression = activation(name).expression
    mean = HermiteMehler(lowered_function(expression), KNOWN.get(name, ()))
    for a in (0.6071955590961589, 1e-6, 3.0, 4e3):
        same = float(mean(a, a, a, 0.0))
        for c in (a, np.nextafter(a, np.inf), a * (1 + 1e-15)):
            assert float(mean(a, a, c, 0.0)) == pytest.approx(same, rel=4e-15)
            opposite = float(mean(a, a, -c, 0.0))
            assert opposite == pytest.approx(float(mean(a, a, -a, 0.0)), rel=4e-15, abs=1e-15 * same)
            if name in ("tanh", "hard-tanh"):
                assert opposite == pytest.approx(-same, rel=4e-15)


def test_zero_variances_give_products_of_means():
    mean = HermiteMehler(lambda x: np.exp(x / 3), ())
    assert float(mean(0.0, 0.0, 0.0, 0.0)) == pytest.approx(1)
    assert float(mean(0.0, 2.0, 0.0, 0.0)) == pytest.approx(np.exp(1 / 9), rel=1e-15)
    assert mean(np.zeros((3, 1)), np.ones(2), 0.0, 0.0).shape == (3, 2)


def test_what_is_infinite_at_a_break_point_is_refused_and_the_error_says_so():
    mean = HermiteMehler(lambda x: 1 / np.sqrt(np.abs(x)), (0.0,))
    assert mean.error == np.inf
    with pytest.raises(ValueError, match=r"finite at its break points, got one that is not at z = 0"):
        mean(1.0, 1.0, 0.5, 0.75)


def test_a_second_moment_beyond_floats_is_infinite():
    mean = HermiteMehler(np.exp)
    assert float(mean(400.0, 400.0, 0.0, 160000.0)) == np.inf
    assert np.isfinite(mean(2.0, 3.0, 1.0, 5.0))


def test_an_activation_that_is_not_resolved_so_far_out_is_refused():
    mean = HermiteMehler(lambda x: np.sin(x**2))
    assert np.isfinite(mean(0.5, 0.5, 0.2, 0.21))
    with pytest.raises(ValueError, match="further out the activation is not resolved"):
        mean(1e6, 1e6, 0.0, 1e12)


@pytest.mark.parametrize(
    ("name", "constant", "wrong"),
    [("relu", "_TRUNCATION", 1e-6), ("relu", "_NEAR", 5.0), ("relu", "_ORDERS", (4, 8))],
)
def test_planted_errors_are_seen(name, constant, wrong, monkeypatch):
    """Too early an end of the series, too short a reach; fewer terms alone must cost nothing but time."""
    monkeypatch.setattr(numeric.series, constant, wrong)
    found = measured(series_of(name), dual(name).closed_forms[0], wide_pairs(60)).absolute
    assert (found > 1e-14) == (constant != "_ORDERS")


def test_texts_become_series_with_their_break_points():
    row = activation("max(z - 1, 0) + abs(tanh(z))")
    means = lowered_dual(row)
    assert means.value.route == SERIES
    assert means.value.error <= 1.1e-14
    assert means.derivative.error <= 1.1e-14


def test_what_is_no_number_is_an_error_and_never_returned():
    mean = HermiteMehler(lambda x: erf(x) * np.exp(x / 2) / 2 + np.exp(x / 2) * np.exp(-(x**2)))
    assert np.isfinite(mean(40.0, 40.0, 20.0, 1200.0))
    with pytest.raises(ValueError, match=r"got NaN at variances up to 1e\+04: .* write it otherwise"):
        mean(1e4, 1e4, 5e3, 7.5e7)


def test_a_second_moment_from_too_far_out_is_refused_and_not_called_infinite():
    mean = HermiteMehler(np.exp)
    with pytest.raises(ValueError, match="at variance 222 it does not exist or does not"):
        mean(222.0, 0.3, 0.1, 66.59)  # E[exp(2 u)] = exp(444)
    growing = HermiteMehler(lambda x: np.exp(x**2 / 2))
    assert float(growing(0.25, 0.25, 0.1, 0.0525)) == pytest.approx(1 / np.sqrt((1 - 0.25) ** 2 - 0.1**2), rel=1e-13)
    with pytest.raises(ValueError, match=r"at variance 0\.51 it does not exist"):
        growing(0.51, 0.25, 0.1, 0.1175)


@pytest.mark.parametrize(("a", "gap"), [(295.1124130551169, 0.0110834), (40.0, 0.05), (1e3, 1e-3)])
def test_what_is_smeared_out_reaches_into_wide_panels(a, gap):
    """The derivative of gelu(z - 1), whose tails end far inside of panels as wide as they are flat."""
    row = activation("gelu(z-1)")
    c = a * (1 - gap)
    pair = a, a, c, float(Fraction(a) ** 2 - Fraction(c) ** 2)
    found = measured(lowered_dual(row).derivative, dual(row).closed_forms[1], (pair,))
    assert found.absolute <= 2e-15
