"""Infinite-width kernels: known values, laws that hold for all inputs, degenerate inputs, and errors of users."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from derive import kernel_dual, mutations
from derive.lecture import nngp, ntk
from derive.notation import z
from numeric.kernels import MLP, as_inputs, determinant_of
from numeric.lower_functions import lowered_activation

X = np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [-0.2, 2.1, 0.9], [0.05, 0.0, -0.1]])
X2 = np.array([[1.0, 1.0, -2.0], [0.3, 0.1, 0.2]])
NETS = [(name, layers, b) for name in ("identity", "relu", "erf") for layers in (1, 3) for b in (0.0, 0.3)]

coordinates = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda v: 0.0 if abs(v) < 1e-6 else v)
points = arrays(np.float64, st.tuples(st.integers(1, 5), st.just(3)), elements=coordinates)
nets = st.sampled_from(NETS)


def angle(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Angles between rows, written independently of D."""
    cosine = x @ y.T / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1))
    return np.arccos(np.clip(cosine, -1, 1))


def arc_cosine(order: int, theta: np.ndarray) -> np.ndarray:
    """J_0 and J_1 of Cho and Saul 2009, equations 4 and 5, divided by pi."""
    if order == 0:
        return 1 - theta / np.pi
    return (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / np.pi


def largest(matrix: np.ndarray) -> float:
    return float(np.max(np.abs(matrix))) or 1.0


# Known values


@pytest.mark.parametrize("layers", [0, 1, 4, 12])
def test_relu_at_sigma_sqrt2_keeps_the_diagonal_and_multiplies_the_ntk_by_the_depth(layers):
    kernel, tangent = MLP("relu", layers, np.sqrt(2.0), 0.0).kernels(X)
    square = 2 * np.sum(X**2, axis=1) / 3
    np.testing.assert_allclose(np.diag(kernel), square, rtol=1e-13)
    np.testing.assert_allclose(np.diag(tangent), (layers + 1) * square, rtol=1e-13)


def test_relu_is_the_arc_cosine_kernel_of_order_one_and_its_ntk_adds_order_zero():
    kernel, tangent = MLP("relu", 1, [1.0, 1.3], 0.0).kernels(X, X2)
    theta, lengths = angle(X, X2), np.outer(np.linalg.norm(X, axis=1), np.linalg.norm(X2, axis=1)) / 3
    expected = 1.3**2 / 2 * lengths * arc_cosine(1, theta)
    np.testing.assert_allclose(kernel, expected, rtol=1e-13)
    inherited = 1.3**2 / 2 * arc_cosine(0, theta) * (X @ X2.T / 3)
    np.testing.assert_allclose(tangent, expected + inherited, rtol=1e-13, atol=1e-15)


def test_erf_is_the_arcsine_kernel_of_williams():
    kernel = MLP("erf", 1, [1.1, 0.7], [0.2, 0.5]).nngp(X, X2)
    first = 0.04 + 1.21 * X @ X2.T / 3
    a, b = (0.04 + 1.21 * np.sum(x**2, axis=1) / 3 for x in (X, X2))
    arcsine = 2 / np.pi * np.arcsin(2 * first / np.sqrt(np.outer(1 + 2 * a, 1 + 2 * b)))
    np.testing.assert_allclose(kernel, 0.25 + 0.49 * arcsine, rtol=1e-13)


def test_the_erf_ntk_has_the_gaussian_slope():
    tangent = MLP("erf", 1, 1.2, 0.4).ntk(X, X2)
    first = 0.16 + 1.44 * X @ X2.T / 3
    a, b = (0.16 + 1.44 * np.sum(x**2, axis=1) / 3 for x in (X, X2))
    slope = 4 / np.pi / np.sqrt(np.outer(1 + 2 * a, 1 + 2 * b) - 4 * first**2)
    expected = MLP("erf", 1, 1.2, 0.4).nngp(X, X2) + 1.44 * slope * first
    np.testing.assert_allclose(tangent, expected, rtol=1e-13)


@pytest.mark.parametrize("layers", [0, 1, 2, 7])
def test_the_identity_network_is_linear_algebra_at_any_depth(layers):
    sigma_w, sigma_b = np.linspace(0.8, 1.5, layers + 1), np.linspace(0.1, 0.6, layers + 1)
    kernel = sigma_b[0] ** 2 + sigma_w[0] ** 2 * X @ X2.T / 3
    tangent = kernel.copy()
    for w, b in zip(sigma_w[1:], sigma_b[1:], strict=True):
        kernel = b**2 + w**2 * kernel
        tangent = kernel + w**2 * tangent
    found = MLP("identity", layers, sigma_w, tuple(sigma_b)).kernels(X, X2)
    np.testing.assert_allclose(found[0], kernel, rtol=1e-13)
    np.testing.assert_allclose(found[1], tangent, rtol=1e-13)


def test_each_layer_has_its_own_sigmas_and_activation():
    mixed = MLP(["erf", "relu"], 2, [1.0, 1.2, 0.9], [0.1, 0.2, 0.3])
    below = MLP("erf", 1, [1.0, 1.2], [0.1, 0.2]).nngp(X)
    root = np.sqrt(np.diag(below))
    theta = np.arccos(np.clip(below / np.outer(root, root), -1, 1))
    expected = 0.09 + 0.81 * np.outer(root, root) / 2 * arc_cosine(1, theta)
    np.testing.assert_allclose(mixed.nngp(X), expected, rtol=1e-7)  # the reference loses digits on the diagonal
    assert not np.allclose(mixed.nngp(X), MLP(["relu", "erf"], 2, [1.0, 1.2, 0.9], [0.1, 0.2, 0.3]).nngp(X))


def test_an_activation_may_be_an_expression():
    np.testing.assert_allclose(MLP(2 * z, 1, 1.1, 0.2).nngp(X), 0.04 + 1.21 * 4 * (0.04 + 1.21 * X @ X.T / 3))


def test_two_different_outputs_have_no_kernel():
    for layers in (0, 1, 3):
        for kernel in MLP("erf", layers, 1.2, 0.4).between_outputs(X):
            assert kernel.shape == (4, 4)
            assert not kernel.any()


# Laws


@given(nets, points)
@settings(max_examples=60, deadline=None)
def test_kernels_are_symmetric_positive_semidefinite_and_finite(net, x):
    name, layers, b = net
    for kernel in MLP(name, layers, 1.4, b).kernels(x):
        assert np.isfinite(kernel).all()
        np.testing.assert_allclose(kernel, kernel.T, rtol=0, atol=1e-13 * largest(kernel))
        assert np.linalg.eigvalsh((kernel + kernel.T) / 2)[0] >= -1e-7 * largest(kernel)


@given(nets, points, points)
@settings(max_examples=60, deadline=None)
def test_exchanging_the_arguments_transposes_and_blocks_agree_with_the_whole(net, x, y):
    name, layers, b = net
    network = MLP(name, layers, 1.4, b)
    whole = network.kernels(np.vstack([x, y]))
    for forth, back, every in zip(network.kernels(x, y), network.kernels(y, x), whole, strict=True):
        assert forth.shape == (len(x), len(y))
        scale = largest(every)
        np.testing.assert_allclose(forth, back.T, rtol=0, atol=1e-7 * scale)
        np.testing.assert_allclose(forth, every[: len(x), len(x) :], rtol=0, atol=1e-7 * scale)


@given(points, st.floats(0.01, 100))
@settings(max_examples=40, deadline=None)
def test_relu_without_bias_is_homogeneous(x, scale):
    network = MLP("relu", 2, 1.3, 0.0)
    for kernel, larger in zip(network.kernels(x), network.kernels(scale * x), strict=True):
        np.testing.assert_allclose(larger, scale**2 * kernel, rtol=1e-6, atol=1e-6 * largest(larger))


def test_the_kernels_do_not_see_a_rotation():
    rotation, _ = np.linalg.qr(np.arange(9.0).reshape(3, 3) + np.diag([3.0, 1.0, -4.0]))
    network = MLP("relu", 3, 1.4, 0.3)
    for kernel, turned in zip(network.kernels(X), network.kernels(X @ rotation), strict=True):
        np.testing.assert_allclose(turned, kernel, rtol=1e-12)


# Degenerate and extreme inputs


@pytest.mark.parametrize(("name", "layers", "b"), NETS)
@pytest.mark.parametrize("norm", [1e-6, 1.0, 1e6])
def test_identical_rows_have_the_bits_of_the_diagonal(name, layers, b, norm):
    x = norm * np.vstack([X, X[1], [0.0, 0.0, 0.0], [-0.0, 0.0, 0.0]])
    for kernel in MLP(name, layers, 1.4, b).kernels(x):
        assert np.isfinite(kernel).all()
        for i, j in ((1, 4), (5, 6)):
            assert kernel[i, j] == kernel[j, i] == kernel[i, i] == kernel[j, j]
            np.testing.assert_array_equal(kernel[i], kernel[j])


def test_identical_rows_of_two_arrays_have_the_bits_of_the_diagonal():
    network = MLP("relu", 3, 1.4, 0.3)
    for kernel, whole in zip(network.kernels(X[1:3], X), network.kernels(X), strict=True):
        assert kernel[0, 1] == whole[1, 1]
        assert kernel[1, 2] == whole[2, 2]


@pytest.mark.parametrize("factor", [1.0, 0.75, 2.0, 1000.0])
def test_antiparallel_rows_without_bias_have_determinant_zero_and_relu_does_not_see_both(factor):
    network = MLP("relu", 1, 1.4, 0.0)
    opposite = -factor * X
    state, _ = network.first_layer(X, opposite)
    parallel = np.diag(state.D) / (state.a[:, 0] * state.b[0])
    assert parallel.max() <= 1e-30  # the square of a rounding error
    for kernel, scale in zip(network.kernels(X, opposite), network.kernels(X), strict=True):
        assert np.all(np.abs(np.diag(kernel)) <= 1e-14 * factor * np.diag(scale))


@pytest.mark.parametrize("layers", [1, 4])
def test_antiparallel_rows_change_the_sign_of_an_odd_network(layers):
    network = MLP("erf", layers, 1.4)
    for kernel, opposite in zip(network.kernels(X), network.kernels(X, -X), strict=True):
        np.testing.assert_allclose(opposite, -kernel, rtol=1e-12)


@pytest.mark.parametrize(("name", "layers"), [("identity", 2), ("relu", 3), ("erf", 3)])
def test_a_zero_vector_without_bias_has_no_kernel(name, layers):
    x = np.vstack([X, np.zeros(3)])
    kernel, tangent = MLP(name, layers, 1.4, 0.0).kernels(x)
    assert not kernel[4].any()
    assert not kernel[:, 4].any()
    assert not tangent[4].any()


def test_a_zero_vector_with_bias_has_the_kernel_of_the_biases():
    kernel = MLP("relu", 1, 1.4, 0.3).nngp([[0.0, 0.0]])
    assert kernel[0, 0] == pytest.approx(0.09 + 1.96 * 0.09 / 2, rel=1e-15)


@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_extreme_norms_keep_relative_accuracy_off_the_diagonal(scale):
    kernel, tangent = MLP("relu", 1, np.sqrt(2.0), 0.0).kernels(scale * X, X2)
    expected, slopes = MLP("relu", 1, np.sqrt(2.0), 0.0).kernels(X, X2)
    np.testing.assert_allclose(kernel, scale * expected, rtol=1e-13)
    np.testing.assert_allclose(tangent, scale * slopes, rtol=1e-12)


def exact_determinant(x: np.ndarray, y: np.ndarray, sigma_w: float, sigma_b: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        u, v = ([mpmath.mpf(float(t)) for t in row] for row in (x, y))

        def kernel(p, q):
            return mpmath.mpf(sigma_b) ** 2 + mpmath.mpf(sigma_w) ** 2 * mpmath.fdot(p, q) / len(p)

        return kernel(u, u) * kernel(v, v) - kernel(u, v) ** 2


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
@pytest.mark.parametrize("factor", [1.0, -1.0, 2.0, -0.75, 1000.0])
@pytest.mark.parametrize("angle_", [1e-2, 1e-5, 1e-8, 1e-11])
def test_the_first_determinant_keeps_its_digits_near_parallel_inputs(sigma_b, factor, angle_):
    x = np.array([0.3, -1.2, 0.7, 2.1])
    y = factor * x + abs(factor) * angle_ * np.array([2.1, 0.7, 1.2, -0.3])
    found = MLP("relu", 1, 1.4, sigma_b).first_layer(x[None], y[None])[0].D[0, 0]
    expected = exact_determinant(x, y, 1.4, sigma_b)
    # Two digits may be lost before the determinant is recomputed. Rows of one length differ exactly; others carry one
    # rounding of their components, of relative size 1e-16 / angle.
    allowed = 3e-14 if abs(factor) == 1 else 3e-14 + 1e-15 / angle_
    assert abs(found / expected - 1) < allowed


@pytest.mark.parametrize("sigma_b", [0.0, 0.3])
def test_one_hidden_relu_layer_is_exact_near_identical_inputs(sigma_b):
    x = np.array([[0.3, -1.2, 0.7, 2.1]])
    for distance in (1e-3, 1e-6, 1e-9):
        y = x + distance * np.array([[0.5, 0.1, -0.4, 0.2]])
        kernel, tangent = MLP("relu", 1, 1.4, sigma_b).kernels(x, y)
        with mpmath.workdps(50):
            a, b, c = (
                mpmath.mpf(sigma_b) ** 2
                + mpmath.mpf(1.4) ** 2 * mpmath.fdot(map(mpmath.mpf, p), map(mpmath.mpf, q)) / 4
                for p, q in ((x[0], x[0]), (y[0], y[0]), (x[0], y[0]))
            )
            theta = mpmath.acos(c / mpmath.sqrt(a * b))
            w = mpmath.mpf(1.4) ** 2 / (2 * mpmath.pi)
            value = mpmath.mpf(sigma_b) ** 2 + w * (mpmath.sqrt(a * b) * mpmath.sin(theta) + (mpmath.pi - theta) * c)
            slope = value + w * (mpmath.pi - theta) * c
            assert abs(kernel[0, 0] / value - 1) < 1e-15
            assert abs(tangent[0, 0] / slope - 1) < 1e-15


def test_the_determinant_of_a_product_beats_the_naive_difference():
    a, b = np.array([1.0 + 2**-30]), np.array([1.0 - 2**-30])
    assert determinant_of(a, b, np.array([1.0]))[0] == 0  # exactly negative, -2^-60: cut at 0
    c = np.array([1.0 - 2**-40])
    exact = float(Fraction(a[0]) * Fraction(b[0]) - Fraction(c[0]) ** 2)
    assert determinant_of(a, b, c)[0] == pytest.approx(exact, rel=1e-15, abs=0)
    assert (a * b - c * c)[0] != pytest.approx(exact, rel=1e-8, abs=0)


# The kernels are the theorems


SLOTS = {
    "kernel": nngp.kernel_statement,
    "tangent": ntk.tangent_statement,
    "first_kernel": nngp.first_kernel_statement,
    "first_tangent": nngp.first_kernel_statement,
}


@pytest.mark.parametrize("slot", SLOTS)
def test_changing_a_right_side_changes_the_kernel(slot):
    network = MLP("relu", 2, 1.4, 0.3)
    same = network.with_recursion(**{slot: SLOTS[slot]()})
    changed = network.with_recursion(**{slot: mutations.scaled(SLOTS[slot]())})
    chosen = 1 if "tangent" in slot else 0
    np.testing.assert_array_equal(same.kernels(X)[chosen], network.kernels(X)[chosen])
    ratio = np.diag(changed.kernels(X)[chosen]) / np.diag(network.kernels(X)[chosen])
    assert np.all((ratio > 1.001) & (ratio < 1.05))


def test_a_scaled_kernel_theorem_scales_each_layer_of_the_kernel():
    network = MLP("identity", 2, 1.4, 0.3)
    kernel = 0.09 + 1.96 * X @ X.T / 3
    for _ in range(2):
        kernel = 1.02 * (0.09 + 1.96 * kernel)
    changed = network.with_recursion(kernel=mutations.scaled(nngp.kernel_statement()))
    np.testing.assert_allclose(changed.nngp(X), kernel, rtol=1e-13)


def test_a_dropped_term_and_swapped_sigmas_reach_the_numbers():
    statement = nngp.kernel_statement()
    base = MLP("identity", 1, 1.4, 0.3)
    first = 0.09 + 1.96 * X @ X.T / 3
    dropped = base.with_recursion(kernel=mutations.without(statement, mutations.is_bias))
    np.testing.assert_allclose(dropped.nngp(X), 1.96 * first, rtol=1e-14)
    swapped = base.with_recursion(kernel=mutations.swapped_sigmas(statement))
    np.testing.assert_allclose(swapped.nngp(X), 1.96 + 0.09 * first, rtol=1e-14)


def test_a_lost_delta_shows_between_outputs():
    wrong = mutations.without_deltas(nngp.kernel_statement(), mutations.is_bias)
    kernel, tangent = MLP("relu", 2, 1.4, 0.3).with_recursion(kernel=wrong).between_outputs(X)
    np.testing.assert_allclose(kernel, 0.09)
    assert not tangent.any()


def test_an_unknown_right_side_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'tangents'"):
        MLP().with_recursion(tangents=ntk.tangent_statement())


TYPED_BY_HAND = re.compile(r"sigma_[bw]\w*(?:\[\w+\])?\s*\*\*|\*\*\s*2\s*\*\s*sigma|arccos|arcsin|atan2|arctan2|acos\b")
SPELLED_OUT = {
    "network.py": 2,
    "chebyshev_chain.py": 2,
    "exact_chains.py": 2,
    "leading_order.py": 2,
    "emit.py": 1,
    "emit_formula.py": 1,
    "lower_functions.py": 1,
    "special.py": 1,
}
"""The sampled networks use sigma^2 in the Gram matrix of a layer, and so do the cited laws of finite networks, which no
theorem here has; what lowers and emits formulas has names of functions in tables."""


def formulas(source: str) -> list[str]:
    code = "\n".join(line.split("#")[0] for line in source.splitlines())
    return TYPED_BY_HAND.findall(re.sub(r'"""(?:.|\n)*?"""', "", code))


def test_no_numeric_module_contains_the_recursion():
    for module in sorted((Path(__file__).resolve().parents[1] / "numeric").glob("*.py")):
        found = formulas(module.read_text(encoding="utf-8"))
        assert len(found) <= SPELLED_OUT.get(module.name, 0), f"{module.name}: {found}"


@pytest.mark.parametrize(
    "line",
    [
        "kernel = sigma_b**2 + sigma_w**2 * means",
        "tangent = new + sigma_w[l] ** 2 * slope * tangent",
        "theta = np.arccos(c / np.sqrt(a * b))",
        "c = 2 / np.pi * np.arcsin(2 * c)",
    ],
)
def test_a_recursion_typed_by_hand_is_found(line):
    assert formulas(f"def next_layer():\n    {line}\n")


# Errors of users


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "rellu"}, "got 'rellu'; did you mean relu,"),
        ({"activation": "rellu", "hidden_layers": 0}, "did you mean relu,"),
        ({"activation": ["relu", "erf"], "hidden_layers": 3}, "activation must be one or 3 of them.*got 2"),
        ({"hidden_layers": -1}, "hidden_layers must be an integer >= 0, got -1"),
        ({"hidden_layers": 1.5}, "hidden_layers must be an integer >= 0, got 1.5"),
        ({"hidden_layers": True}, "hidden_layers must be an integer >= 0, got True"),
        ({"sigma_w": -1.0}, "sigma_w must be a finite number >= 0, got -1.0"),
        ({"sigma_b": float("nan")}, "sigma_b must be a finite number >= 0"),
        ({"sigma_w": None}, "sigma_w must be a finite number >= 0, got None"),
        ({"sigma_w": [1.0, 2.0, 3.0]}, "sigma_w must be one number or 2 of them, one per layer, got 3"),
        (
            {"sigma_b": [[1.0, 2.0]]},
            r"sigma_b must be one number or a sequence of them, got an array of shape \(1, 2\)",
        ),
    ],
)
def test_a_wrong_network_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MLP(**arguments)


def test_an_activation_of_another_type_is_refused():
    with pytest.raises(TypeError, match="expected a name or an expression in z, got int"):
        MLP(3)


def test_numpy_numbers_are_numbers():
    network = MLP("relu", np.int64(2), np.array(1.5), np.float32(0.5))
    assert network == MLP("relu", 2, 1.5, 0.5)
    assert hash(network) == hash(MLP("relu", 2, [1.5] * 3, (0.5,) * 3))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[1.0, 2.0], [np.nan, 0.0]]), "must be finite, got NaN or infinity in row 1"),
        (np.array([[np.inf, 2.0]]), "must be finite, got NaN or infinity in row 0"),
        (np.empty((0, 3)), r"with at least one of each, got \(0, 3\)"),
        (np.empty((3, 0)), r"with at least one of each, got \(3, 0\)"),
        (np.ones(3), r"must have shape \(n_points, dimension\).*got \(3,\)"),
        (np.ones((1, 2, 3)), r"got \(1, 2, 3\)"),
    ],
)
def test_wrong_inputs_are_refused(x, message):
    with pytest.raises(ValueError, match=message):
        MLP().nngp(x)
    with pytest.raises(ValueError, match=message):
        MLP().ntk(np.ones((1, 2)), x)


def test_inputs_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="x1 and x2 must have one dimension, got 3 and 2"):
        MLP().kernels(X, np.ones((2, 2)))


def test_inputs_are_not_changed_and_lists_are_inputs():
    before = X.copy()
    np.testing.assert_array_equal(MLP("erf", 2, 1.4, 0.3).ntk(X.tolist()), MLP("erf", 2, 1.4, 0.3).ntk(X))
    np.testing.assert_array_equal(X, before)
    assert as_inputs([[1, 2]]).dtype == np.float64


def test_shapes_are_points_by_points():
    for layers in (0, 1, 2):
        network = MLP("relu", layers)
        assert network.nngp(X).shape == (4, 4)
        assert network.ntk(X, X2).shape == (4, 2)
        assert network.ntk(X[:1], X2[:1]).shape == (1, 1)


# Kernels of unknown activation


def test_a_dual_given_as_a_kernel_is_iterated_like_that_of_an_activation():
    x = np.random.default_rng(3).normal(size=(4, 6)) * np.array([[0.3], [1.0], [1.7], [1.0]])
    arc_cosine = kernel_dual("(sqrt(a*b-c**2)+c*(pi-acos(c/sqrt(a*b))))/(2*pi)")
    given, known = MLP(arc_cosine, 3, 1.3, 0.2), MLP("relu", 3, 1.3, 0.2)
    np.testing.assert_allclose(given.nngp(x), known.nngp(x), rtol=1e-13)
    np.testing.assert_allclose(given.ntk(x), known.ntk(x), rtol=1e-13)
    mixed = MLP([arc_cosine, "erf"], 2, 1.3, 0.2)
    np.testing.assert_allclose(mixed.ntk(x), MLP(["relu", "erf"], 2, 1.3, 0.2).ntk(x), rtol=1e-13)


def test_a_kernel_of_unknown_activation_has_no_networks():
    net = MLP(kernel_dual("exp(-(a+b-2*c)/2)"), 1)
    with pytest.raises(TypeError, match="it has no networks, only kernels"):
        lowered_activation(net.activations[0])


def test_an_activation_is_a_name_a_text_or_an_expression():
    x = np.random.default_rng(4).normal(size=(3, 5))
    text, expression = MLP("z*exp(-z**2)", 2, 1.2, 0.1), MLP(z * sp.exp(-(z**2)), 2, 1.2, 0.1)
    np.testing.assert_array_equal(text.ntk(x), expression.ntk(x))
    np.testing.assert_array_equal(text.ntk(x), MLP("z-gaussian", 2, 1.2, 0.1).ntk(x))


def test_two_points_that_nearly_coincide_keep_the_digits_of_their_distance():
    """With one hidden layer the angle comes from x - x': the kernels agree with 30-digit arithmetic to 1e-13."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=7)
    y = x + 1e-8 * rng.normal(size=7)
    found = MLP("relu", 1, 1.3, 0.2).ntk(np.array([x, y]))[0, 1]
    with mpmath.workdps(40):
        u, v = ([mpmath.mpf(float(t)) for t in p] for p in (x, y))
        w, s = mpmath.mpf(1.3) ** 2, mpmath.mpf(0.2) ** 2

        def first(p, q):
            return s + w * mpmath.fdot(p, q) / 7

        a, b, c = first(u, u), first(v, v), first(u, v)
        theta = mpmath.acos(c / mpmath.sqrt(a * b))
        value = mpmath.sqrt(a * b) * (mpmath.sin(theta) + (mpmath.pi - theta) * mpmath.cos(theta)) / (2 * mpmath.pi)
        slope = (mpmath.pi - theta) / (2 * mpmath.pi)
        expected = s + w * value + w * slope * c
    assert found == pytest.approx(float(expected), rel=1e-13)


@pytest.mark.parametrize(("name", "norm"), [("z**64", 1e3), ("cosh(z)", 1e3)])
def test_kernels_that_overflow_are_infinite_in_the_last_layer_and_refused_before(name, norm):
    """Warnings are errors here; the last input is zero."""
    x = norm * np.array([[1.0, 0.5], [0.3, 1.2], [0.0, 0.0]])
    kernel, tangent = MLP(name, 1, sigma_w=1.2, sigma_b=0.3).kernels(x)
    assert np.isinf(np.diag(kernel)[:2]).all()
    assert np.isfinite(kernel[2, 2])
    assert not np.isnan(kernel).any()
    assert not np.isnan(tangent).any()
    with pytest.raises(ValueError, match=r"products below 1e307, got up to inf before the last layer; take smaller"):
        MLP(name, 2, sigma_w=1.2, sigma_b=0.3).kernels(x)


def test_differences_of_overflows_are_refused():
    x = 1e3 * np.array([[1.0, 0.5], [0.3, -1.2]])
    with pytest.raises(ValueError, match=r"expected a tangent kernel below 1e308, got an overflow"):
        MLP("exp(z)", 1, sigma_w=1.2, sigma_b=0.3).kernels(x)
