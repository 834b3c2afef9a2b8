"""Proven errors of duals in float64, against mpmath and closed forms, with numbers and proofs wrong on purpose."""

from __future__ import annotations

import math
from dataclasses import replace

import mpmath
import numpy as np
import pytest
from flint import arb, ctx

import numeric.proven_error as proven_error
from derive.activations import activation
from derive.duals import dual, panels
from derive.duals.evaluation import enclosure
from derive.duals.integration import NotIntegrable, hermite_coefficients
from derive.duals.work import TooMuchWork, Work
from numeric.certified import certified_dual
from numeric.lower_duals import LoweredMean, lowered_dual
from numeric.proven_error import SHOWN, proven_means, shown_error

PAIRS = np.array([(1.0, 2.0, 1.25), (0.25, 3.0, -0.5), (2.0, 2.0, 1.875), (0.7, 0.7, 0.7), (1.5, 1.25, 0.0)]).T


def as_float(ball):
    return float(ball.mid())


@pytest.mark.parametrize(("name", "breaks"), [("tanh", ()), ("elu", (0,)), ("hard-tanh", (-1, 1))])
@pytest.mark.parametrize("degree", [0, 1, 6, 19])
def test_certified_coefficients_contain_those_of_mpmath(name, breaks, degree):
    variance = 0.7
    ball = hermite_coefficients(activation(name).expression, variance, 20)[degree]
    function = {
        "tanh": mpmath.tanh,
        "elu": lambda y: y if y > 0 else mpmath.expm1(y),
        "hard-tanh": lambda y: max(-1, min(1, y)),
    }[name]
    with mpmath.workdps(30):
        root = mpmath.sqrt(mpmath.mpf(variance))

        def integrand(x):
            he = mpmath.hermite(degree, x / mpmath.sqrt(2)) / mpmath.mpf(2) ** (mpmath.mpf(degree) / 2)
            return function(root * x) * he * mpmath.npdf(x) / mpmath.sqrt(mpmath.factorial(degree))

        expected = mpmath.quad(integrand, sorted([-14, -8, -4, 0, 4, 8, 14, *(t / root for t in breaks if t)]))
        middle = mpmath.mpf(ball.mid().str(30, radius=False))
        assert abs(middle - expected) <= float(ball.rad()) + 1e-24
    assert float(ball.rad()) < 1e-20


@pytest.mark.parametrize("lie", [False, True])
def test_certified_coefficients_rest_on_the_bounds_of_the_rules(lie, monkeypatch):
    """Rules that look better than they are give balls that miss the coefficients; few nodes a rule only cost time."""
    expression = activation("tanh").expression
    right = hermite_coefficients(expression, 0.7, 8, digits=30)
    if lie:
        remainder = panels._Remainder(arb(10) ** -9, arb(2))
        monkeypatch.setattr(panels, "_remainder", lambda *arguments: remainder)
    else:
        monkeypatch.setattr(panels, "_COUNTS", (10,))
    found = hermite_coefficients(expression, 0.7, 8, digits=20)
    assert all(x.overlaps(y) for x, y in zip(found, right, strict=True)) != lie


def test_a_variance_that_is_none_is_refused():
    with pytest.raises(ValueError, match="a variance above 0"):
        hermite_coefficients(activation("tanh").expression, 0, 3)


@pytest.mark.parametrize("name", ["elu", "hard-tanh"])
def test_errors_are_proven_and_small_where_closed_forms_tell_the_truth(name):
    row = activation(name)
    found = proven_means(row, *PAIRS)
    for n, (a, b, c) in enumerate(PAIRS.T.tolist()):
        value, first, second = (
            enclosure(dual(row).closed_forms[0].expression, *pair, 25) for pair in ((a, b, c), (a, a, a), (b, b, b))
        )
        error = abs(found.values[n] - value) / (first * second).sqrt()
        assert float(error.lower()) <= found.errors[n] <= 1e-14


@pytest.mark.parametrize("name", ["tanh", "softplus", "max(z - 1, 0) + abs(tanh(z))"])
@pytest.mark.parametrize("order", [0, 1])
def test_every_error_is_below_what_is_promised(name, order):
    row = activation(name)
    found = proven_means(row, *PAIRS, order)
    lowered = (lowered_dual(row).value, lowered_dual(row).derivative)[order]
    assert (found.errors <= lowered.error).all()
    a, b, c = PAIRS
    assert np.allclose(found.values, lowered(a, b, c, a * b - c * c), rtol=1e-12)


def test_many_pairs_are_proven_without_integrals_in_two_dimensions(monkeypatch):
    monkeypatch.setattr(proven_error, "gaussian_mean", None)
    a = np.array([0.5, 0.75, 1.0, 1.5, 2.25])
    c = 0.7 * np.minimum(a[:, None], a)
    errors = proven_means(activation("tanh"), a[:, None], a, c).errors
    assert errors.shape == (5, 5)
    assert (errors <= 1e-14).all()


@pytest.mark.parametrize("size", [3e-14, 1e-9, math.inf])
@pytest.mark.parametrize("name", ["tanh", "hard-tanh"])
def test_a_number_that_is_off_is_told_to_be(size, name):
    right = lowered_dual(activation(name)).value
    scale = math.sqrt(right(1.0, 1.0, 1.0, 0.0) * right(2.0, 2.0, 2.0, 0.0))
    wrong = LoweredMean(lambda *pair: right(*pair) + size * scale, right.route, right.error)
    certificates = proven_error._Certificates(activation(name).expression)
    found = proven_error._proven(wrong, certificates, 1.0, 2.0, 1.25, None)
    assert found.errors >= size * 0.999 - 1e-15
    assert found.errors <= size + 1e-14


def partial_sums(certificate, rho):
    """Return the sums that bounds are about, as they come out in floating point, and bounds of their errors."""
    place = np.zeros((2, len(rho)), dtype=np.intp)
    squares = np.array(certificate.floats) ** 2
    total = np.zeros(len(rho))
    for square in squares[::-1]:
        total = total * rho + square
    return total, proven_error._bounds([certificate], place, total, rho)


def coarse(certificate):
    floats = tuple(float(np.float32(x)) for x in certificate.floats)
    gap = math.dist(floats, certificate.floats)
    return replace(certificate, floats=floats, off=1.001 * gap)


@pytest.mark.parametrize(
    ("part", "variance", "terms", "made"),
    [
        ("rest", 1.0, 8, lambda x: x),
        ("off", 0.1, 64, coarse),
        ("rounding", 0.1, 64, lambda x: x),
    ],
)
def test_no_part_of_the_bound_can_be_left_out(part, variance, terms, made):
    """Sums of few terms, with coarse coefficients, and sums that nothing but rounding is wrong with."""
    expression = activation("tanh").expression
    certificate = made(proven_error._Certificates(expression).of(variance, terms, None))
    rho = np.concatenate([np.linspace(-1, 1, 9), np.linspace(0.9, 0.99, 8)])
    with ctx.workprec(200):
        balls = hermite_coefficients(expression, variance, 200, digits=30)
        exact = [sum(ball * ball * arb(x) ** k for k, ball in enumerate(balls)) for x in rho.tolist()]
        total, honest = partial_sums(certificate, rho)
        errors = np.array([as_float(abs(x - y)) for x, y in zip(total.tolist(), exact, strict=True)])
    errors /= certificate.size**2
    assert (errors <= honest).all()
    _, lied = partial_sums(replace(certificate, **{part: 0.0}), rho)
    assert (errors > lied).any()


def test_zero_variances_have_no_error_where_the_value_is_exact():
    found = proven_means(activation("softplus"), 0.0, [0.0, 2.0], 0.0)
    assert found.values[0] == pytest.approx(math.log(2) ** 2)
    assert (found.errors <= 1e-14).all()
    assert proven_means(activation("tanh"), 0.0, 2.0, 0.0).errors == 0


def test_errors_are_shown_where_the_mean_exists():
    shown = shown_error(activation("exp(z**2/8)*tanh(z)"))
    assert shown.error <= 1e-13
    assert {max(a, b) for a, b, _ in shown.proven} == {1.0}
    assert not shown.unproven
    with pytest.raises(NotIntegrable):
        proven_means(activation("exp(z**2/8)*tanh(z)"), 4.0, 4.0, 1.0)


def test_what_would_take_too_much_work_is_not_said_to_be_proven():
    """With less and less work there is less proven, whatever was proven before, and of what is nothing changes."""
    row = activation("tanh")
    shown = [shown_error(row, 0, most) for most in (1_000_000, 150_000, 1000, 150_000)]
    assert (shown[0].unproven, shown[2].proven, shown[2].error) == ((), (), math.inf)
    assert 0 < len(shown[1].proven) < len(SHOWN)
    assert {*shown[1].proven, *shown[1].unproven} == {*SHOWN}
    assert max(float(proven_means(row, *pair).errors) for pair in shown[1].proven) == shown[1].error
    assert shown[1] == shown[3]
    with pytest.raises(TooMuchWork, match="at most 1,000 operations on balls, this one takes more: allow more work"):
        proven_means(row, 1.0, 1.0, 0.5, work=Work(1000))
    with pytest.raises(TooMuchWork, match="at most 1,000 operations"):
        certified_dual(row)(1, 1, 0, 10, Work(1000))


@pytest.mark.parametrize("order", [0, 1])
def test_errors_of_a_steep_function_are_proven_within_what_a_page_may_take(order):
    shown = shown_error(activation("log(1+exp(1000*z))"), order)
    assert shown.error < 1e-14
    assert shown.proven == SHOWN


def test_a_pair_that_is_none_is_refused():
    with pytest.raises(ValueError, match="c\\^2 <= ab"):
        proven_means(activation("tanh"), 1.0, 1.0, 1.5)
