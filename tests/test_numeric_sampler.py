"""Networks without weight matrices against networks with them: the same algebra, and the same law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from derive.duals.kernel_side import kernel_dual
from numeric import MLP, matrix_free, network, sampler
from numeric.matrix_free import Role, keyed_normals, matrix_free_kernels
from numeric.network import NetworkShape, Parameters, sample_parameters
from numeric.sampler import sample_kernels

PAIRS = {
    "erf": (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-z * z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "identity": (lambda z: 1 * z, np.ones_like),
    "dead below 2": (lambda z: np.maximum(z - 2, 0), lambda z: (z > 2).astype(float)),
}
FIELDS = ("nngp", "ntk", "layers", "outputs")


def points(n, dimension, seed=3):
    """Inputs of unequal norms."""
    return np.random.default_rng(seed).standard_normal((n, dimension)) * np.linspace(0.4, 1.9, n)[:, None]


# --- The same algebra: normal numbers that real weights would give lead to the kernels of these weights. ---


class Recorded:
    """The factors S and R that the sampler computes on its way, for normal numbers that depend on them."""

    def __init__(self):
        self.factors, self.triangles = [], []

    def factor_and_basis(self, original):
        def recording(triangle):
            factor, basis = original(triangle)
            self.factors.append(factor)
            return factor, basis

        return recording

    def conditioned(self, original):
        def recording(below, seen, triangle):
            self.triangles.append(triangle)
            return original(below, seen, triangle)

        return recording


def by_backpropagation(shape, parameters, x, names):
    """Augmented weights W̃, preactivations z and sensitivities D of every layer, all (n_networks, units, columns)."""
    count, n, layers = parameters.n_networks, len(x), len(shape.widths) + 1
    augmented, z, slopes = [], [], []
    fed = np.broadcast_to(x.T, (count, shape.dimension, n))
    for layer in range(layers):
        weight, bias = parameters.weights[layer], parameters.biases[layer]
        augmented.append(np.concatenate([weight, bias[:, :, None]], axis=2))
        scale = shape.sigma_w[layer] / weight.shape[2] ** 0.5
        z.append(np.einsum("sij,sja->sia", weight, fed) * scale + shape.sigma_b[layer] * bias[:, :, None])
        if layer < layers - 1:
            phi, derivative = PAIRS[names[layer]]
            fed = phi(z[-1])
            slopes.append(derivative(z[-1]) * shape.sigma_w[layer + 1] / weight.shape[1] ** 0.5)
    sensitivities = [np.broadcast_to(np.eye(shape.outputs)[None, :, :, None], (count, shape.outputs, shape.outputs, n))]
    for layer in range(layers - 1, 0, -1):
        above = np.einsum("sij,sika->sjka", parameters.weights[layer], sensitivities[0])
        sensitivities.insert(0, above * slopes[layer - 1][:, :, None, :])
    return augmented, z, [d.reshape(count, d.shape[1], -1) for d in sensitivities]


def from_real_weights(shape, parameters, x, names):
    """Kernels of the sampler without weights, fed with G = W̃ Q and Y = W̃ᵀ Q_D of real weights W̃.

    Y is needed before R is known, so the sampler runs once per layer: each time the R of one more layer is final.
    """
    augmented, z, sensitivities = by_backpropagation(shape, parameters, x, names)
    hidden, triangles = len(shape.widths), []
    for _ in range(max(hidden, 1)):
        recorded = Recorded()

        def normals(role, layer, block, wanted, recorded=recorded, triangles=tuple(triangles)):
            if role is Role.LATENT:
                rows = z[layer - 1] @ np.linalg.pinv(recorded.factors[layer - 1], rcond=1e-12)
            elif layer == hidden:
                rows = augmented[layer].transpose(0, 2, 1)
            elif hidden - layer <= len(triangles):
                pulled = augmented[layer].transpose(0, 2, 1) @ sensitivities[layer]
                rows = pulled @ np.linalg.pinv(triangles[hidden - layer - 1], rcond=1e-12)
            else:
                return np.zeros(wanted)
            if role is Role.BIAS:
                return rows[:, -1:]
            start = block * matrix_free.block_units(len(x), shape.outputs)
            rows = rows[:, start : start + wanted[1]]
            assert rows.shape == wanted
            return rows

        phis, derivatives = zip(*[PAIRS[name] for name in names], strict=True) if names else ((), ())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(matrix_free, "_factor_and_basis", recorded.factor_and_basis(matrix_free._factor_and_basis))
            patch.setattr(matrix_free, "_conditioned", recorded.conditioned(matrix_free._conditioned))
            result = matrix_free_kernels(shape, x, phis, derivatives, parameters.n_networks, normals)
        triangles = recorded.triangles
    return result


X = points(4, 3)
THREE = (1.4, 0.8, 1.1, 1.7), (0.3, 0.9, 0.5, 0.2)  # σ_w and σ_b of three hidden layers
MIXED = ("erf", "tanh", "relu")
CASES = {
    "generic": (NetworkShape(3, (9, 7, 8), 2, *THREE), MIXED, X),
    "width below the number of inputs": (NetworkShape(3, (2, 3, 1), 3, *THREE), ("tanh", "erf", "tanh"), X),
    "duplicates": (NetworkShape(3, (5, 6, 4), 1, *THREE), ("erf",) * 3, X[[0, 1, 0, 2]]),
    "nearly equal inputs": (NetworkShape(3, (5, 6, 4), 1, *THREE), ("erf",) * 3, np.vstack([X, X[0] * (1 + 1e-7)])),
    "dead units": (NetworkShape(3, (6, 5, 4), 2, *THREE), ("dead below 2", "relu", "relu"), X),
    "an input at zero": (
        NetworkShape(3, (6, 5), 2, (1.4, 1.8, 1.1), (0.0, 0.0, 0.0)),
        ("relu", "tanh"),
        np.vstack([X, np.zeros(3)]),
    ),
    "no weights": (NetworkShape(3, (6, 5), 2, (1.4, 0.0, 1.1), (0.3, 0.4, 0.8)), ("relu", "tanh"), X),
    "linear": (NetworkShape(3, (6, 2, 5), 2, *THREE), ("identity",) * 3, X),
    "several blocks": (NetworkShape(3, (100, 70, 90), 2, *THREE), MIXED, X),
    "one hidden layer": (NetworkShape(3, (6,), 2, (1.4, 0.8), (0.3, 0.9)), ("erf",), X),
    "no hidden layer": (NetworkShape(3, (), 2, (1.4,), (0.3,)), (), X),
}


def largest_error(found, expected):
    """Largest difference of any array, relative to the largest entry."""
    return max(
        np.max(np.abs(getattr(found, name) - getattr(expected, name))) / np.max(np.abs(getattr(expected, name)))
        for name in FIELDS
    )


def oracle_error(case):
    shape, names, x = CASES[case]
    parameters = sample_parameters(shape, 5, np.random.default_rng(17))
    phis, derivatives = zip(*[PAIRS[name] for name in names], strict=True) if names else ((), ())
    expected = network.sampled_kernels(shape, parameters, x, phis, derivatives)
    return largest_error(from_real_weights(shape, parameters, x, names), expected)


@pytest.mark.parametrize("case", CASES)
def test_the_kernels_are_those_of_real_weights_if_the_normal_numbers_are(case, monkeypatch):
    monkeypatch.setattr(matrix_free, "_ENTRIES", 1)  # blocks of 32 units
    assert oracle_error(case) < 1e-13


# --- Planted errors, for both kinds of test. ---


def without_forward_term(below, seen, triangle):
    return -below.basis @ (below.basis.transpose(0, 2, 1) @ below.met @ triangle)


def without_projector(below, seen, triangle):
    return below.basis @ seen


def independent_gradients(below, seen, triangle):
    return np.zeros((1, below.gram.shape[1], triangle.shape[2]))


def scale_of_the_layer_above(self, layer):
    return self.shape.sigma_w[layer] / math.sqrt(self.shape.fan_out[layer])


@pytest.mark.parametrize("error", [without_forward_term, without_projector])
def test_the_algebra_shows_planted_errors_of_the_conditioning(error, monkeypatch):
    monkeypatch.setattr(matrix_free, "_conditioned", error)
    assert oracle_error("generic") > 1e-3


def test_the_algebra_shows_a_wrong_scale(monkeypatch):
    monkeypatch.setattr(matrix_free._Sampler, "_scale", scale_of_the_layer_above)
    assert oracle_error("generic") > 1e-3


# --- The same law. ---


def features(sampled):
    """Kernels of all layers but the first, tangent kernel and outputs of each network, as rows of a matrix."""
    count, n = len(sampled.nngp), sampled.nngp.shape[1]
    theta = sampled.ntk.transpose(0, 3, 1, 4, 2).reshape(count, -1, n * sampled.ntk.shape[-1])
    kernels = sampled.layers[:, 1:][..., *np.tril_indices(n)].reshape(count, -1)
    return np.hstack([kernels, theta[:, *np.tril_indices(theta.shape[-1])], sampled.outputs.reshape(count, -1)])


def p_value(first, second):
    """Smallest p-value, times their number, of comparisons of two samples, for equal laws.

    Distribution functions, means and second moments of features; for the moments features are squashed to [-1, 1],
    since tangent kernels of narrow networks have heavy tails. What is constant must be equal to rounding.
    """
    a, b = features(first), features(second)
    constant = np.ptp(b, axis=0) < 1e-13 * np.max(np.abs(b))
    np.testing.assert_allclose(a[:, constant], b[:, constant], rtol=0, atol=1e-13 * np.max(np.abs(b)))
    a, b = a[:, ~constant], b[:, ~constant]
    distributions = [stats.ks_2samp(u, v, method="asymp").pvalue for u, v in zip(a.T, b.T, strict=True)]
    center, width = np.median(b, axis=0), stats.iqr(b, axis=0) + 1e-300
    a, b = (np.tanh((values - center) / (3 * width)) for values in (a, b))
    moments, spreads = zip(*[moments_and_errors(values) for values in (a, b)], strict=True)
    difference, error = np.abs(moments[0] - moments[1]), np.hypot(*spreads)
    tails = special.erfc(difference / error / np.sqrt(2))
    return min(1.0, 2 * len(distributions) * min(distributions), 2 * len(tails) * float(min(tails)))


def moments_and_errors(values):
    """First and second moments of the columns, and their standard errors."""
    i, j = np.tril_indices(values.shape[1])
    count, squares = len(values), values**2
    first, second = values.mean(axis=0), (values.T @ values / count)[i, j]
    variances = squares.mean(axis=0) - first**2, (squares.T @ squares / count)[i, j] - second**2
    return np.append(first, second), np.sqrt(np.maximum(np.append(*variances), 0.0) / count)


LEVEL = 1e-4
"""Of each comparison of laws; chosen. Seeds are fixed: a comparison that passes does so always."""
SIGMAS = {"sigma_w": (1.5, 0.9, 1.3, 1.7), "sigma_b": (0.3, 0.8, 0.1, 0.5)}
NO_BIASES = {"sigma_w": (1.5, 0.9, 1.3), "sigma_b": 0.0}
LAWS = {
    "narrow": (MLP("erf", 3, **SIGMAS), points(3, 2), (2, 2, 2), 2, {}),
    "unequal layers": (MLP(["tanh", "relu", "erf"], 3, **SIGMAS), points(3, 3), (4, 3, 5), 2, {}),
    "atoms at zero": (MLP("relu", 2, **NO_BIASES), points(4, 2)[[0, 1, 2, 0]], (2, 2), 2, {}),
    "one unit": (MLP("tanh", 3, **SIGMAS), points(2, 2), 1, 1, {}),
    "wider": (MLP("erf", 3, **SIGMAS), points(2, 3), 16, 2, {}),
    "large bias": (MLP("erf", 2, (1.0, 2.0, 1.5), (0.0, 1.0, 0.0)), np.array([[0.8, 0.6]]), (1, 16), 1, {}),
    "float32": (MLP("relu", 2, **NO_BIASES), points(3, 2), (3, 4), 2, {"dtype": np.float32}),
    "no hidden layer": (MLP("erf", 0, 1.3, 0.4), points(3, 2), (), 2, {}),
}


def drawn(law, method, count=20_000, **changed):
    net, x, width, outputs, settings = LAWS[law]
    return sample_kernels(
        net, x, width=width, n_networks=count, outputs=outputs, method=method, **(settings | {"seed": 1} | changed)
    )


@pytest.mark.parametrize("law", LAWS)
def test_the_law_is_that_of_networks_with_weights(law):
    assert p_value(drawn(law, "matrix-free"), drawn(law, "weights")) > LEVEL


def in_blocks(normals_of=keyed_normals):
    """Networks of several blocks per layer and those with weights; all in one batch, since blocks are slow here."""
    net, x, widths, count = MLP("tanh", 2, 1.5, 0.3), points(1, 2), (9, 6), 20_000
    shape = NetworkShape(2, widths, 1, (1.5,) * 3, (0.3,) * 3)
    functions = [[function] * 2 for function in PAIRS["tanh"]]
    normals = normals_of(np.random.SeedSequence(6))
    return matrix_free_kernels(shape, x, *functions, count, normals), sample_kernels(
        net, x, width=widths, n_networks=count, method="weights"
    )


def test_the_law_is_that_of_networks_with_weights_in_several_blocks(monkeypatch):
    monkeypatch.setattr(matrix_free, "_ENTRIES", 1)
    assert matrix_free.block_units(1, 1) == 4
    assert p_value(*in_blocks()) > LEVEL


@pytest.mark.parametrize("forgotten", [("block",), ("layer",), ("role",)], ids=["block", "layer", "role"])
def test_normal_numbers_used_twice_are_seen(forgotten, monkeypatch):
    def careless(key):
        original = keyed_normals(key)

        def normals(role, layer, block, shape):
            return original(
                Role.LATENT if "role" in forgotten else role,
                1 if "layer" in forgotten else layer,
                0 if "block" in forgotten else block,
                shape,
            )

        return normals

    monkeypatch.setattr(matrix_free, "_ENTRIES", 1)
    assert p_value(*in_blocks(careless)) < LEVEL


@pytest.mark.parametrize("error", [independent_gradients, without_forward_term, without_projector])
@pytest.mark.parametrize("law", ["narrow", "unequal layers", "one unit"])
def test_the_law_shows_planted_errors_of_the_conditioning(law, error, monkeypatch):
    monkeypatch.setattr(matrix_free, "_conditioned", error)
    assert p_value(drawn(law, "matrix-free"), drawn(law, "weights")) < LEVEL


def test_the_law_shows_a_wrong_scale(monkeypatch):
    monkeypatch.setattr(matrix_free._Sampler, "_scale", scale_of_the_layer_above)
    assert p_value(drawn("unequal layers", "matrix-free"), drawn("unequal layers", "weights")) < LEVEL


def test_the_law_shows_a_forgotten_bias_row(monkeypatch):
    def without_bias(key, dtype):
        normals = keyed_normals(key, dtype)
        return lambda role, layer, block, shape: normals(role, layer, block, shape) * (role != Role.BIAS or layer == 2)

    monkeypatch.setattr(sampler, "keyed_normals", without_bias)
    assert p_value(drawn("large bias", "matrix-free"), drawn("large bias", "weights")) < LEVEL


def zeros(sampled):
    return np.mean(features(sampled) == 0, axis=0)


def test_what_is_exactly_zero_stays_so():
    free, real = zeros(drawn("atoms at zero", "matrix-free")), zeros(drawn("atoms at zero", "weights"))
    assert np.max(real) > 0.2
    assert np.max(np.abs(free - real)) < 5 * np.sqrt(0.5 / 20_000)  # five standard errors, at most


def test_dust_in_the_place_of_zeros_would_be_seen(monkeypatch):
    triangle = matrix_free._triangle
    monkeypatch.setattr(matrix_free, "_triangle", lambda upper, rows: triangle(upper, rows) + 1e-17)
    free, real = zeros(drawn("atoms at zero", "matrix-free")), zeros(drawn("atoms at zero", "weights"))
    assert np.max(np.abs(free - real)) > 0.1


# --- Exactness, numerics and bits. ---

BOTH = pytest.mark.parametrize("method", ["weights", "matrix-free"])


@BOTH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_equal_inputs_have_equal_results_and_a_zero_input_without_biases_has_none(method, dtype):
    x = np.vstack([points(3, 3), points(3, 3)[1], np.zeros(3), -np.zeros(3)])
    net = MLP(["relu", "tanh"], 2, (1.4, 0.8, 1.1), 0.0)
    sampled = sample_kernels(net, x, width=(6, 5), n_networks=20, outputs=2, method=method, dtype=dtype)
    for values in (sampled.nngp, sampled.ntk):
        assert np.array_equal(values[:, 1], values[:, 3])
        assert np.array_equal(values[:, :, 1], values[:, :, 3])
        assert not np.any(values[:, 4:])
        assert not np.any(values[:, :, 4:])
    assert np.array_equal(sampled.outputs[:, :, 1], sampled.outputs[:, :, 3])
    assert not np.any(sampled.outputs[:, :, 4:])
    assert np.array_equal(sampled.layers[:, :, 1], sampled.layers[:, :, 3])


@BOTH
def test_another_order_of_the_inputs_gives_the_same_networks(method):
    net, order = MLP("tanh", 2, 1.3, 0.2), [2, 0, 3, 1]
    one, other = (sample_kernels(net, x, width=7, n_networks=3, method=method) for x in (X, X[order]))
    assert np.array_equal(one.ntk[:, order][:, :, order], other.ntk)
    assert np.array_equal(one.outputs[:, :, order], other.outputs)


def ill_conditioned(smallest):
    """A stack of blocks with columns of very different lengths and correlation 1 - smallest² or so."""
    rng = np.random.default_rng(8)
    base = rng.standard_normal((1, 500, 3))
    matrix = np.concatenate([base, base[:, :, :1] + smallest * rng.standard_normal((1, 500, 1))], axis=2)
    return matrix * np.array([1e-9, 1.0, 1e9, 3.0])


@pytest.mark.parametrize(("smallest", "error"), [(1.0, 1e-14), (1e-4, 1e-11), (1e-7, 1e-8), (1e-9, 1e-8), (0.0, 1e-8)])
def test_directions_are_orthonormal_up_to_rounding_over_their_size(smallest, error):
    matrix = ill_conditioned(smallest)
    triangle = np.empty((1, 0, 4))
    for rows in np.split(matrix, 5, axis=1):
        triangle = matrix_free._triangle(triangle, rows)
    factor, basis = matrix_free._factor_and_basis(triangle)
    directions = matrix[0] @ basis[0]
    resolved = 4 if smallest > 1e-8 else 3
    np.testing.assert_allclose(directions.T @ directions, np.diag(np.arange(4) < resolved), rtol=0, atol=error)
    lengths = np.linalg.norm(matrix[0], axis=0)
    gram = matrix[0].T @ matrix[0] / np.outer(lengths, lengths)
    np.testing.assert_allclose(factor[0].T @ factor[0] / np.outer(lengths, lengths), gram, rtol=0, atol=1e-14)


def test_roots_of_gram_matrices_are_not_orthonormal():
    matrix = ill_conditioned(1e-7)
    values, vectors = np.linalg.eigh(matrix[0].T @ matrix[0])
    directions = matrix[0] @ vectors / np.sqrt(np.abs(values))
    assert np.max(np.abs(directions.T @ directions - np.eye(4))) > 1e-3


@BOTH
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("width", [(7, 40, 5), 300])
def test_the_bits_of_a_network_do_not_depend_on_how_many_are_drawn(method, dtype, width):
    net = MLP(["tanh", "relu", "erf"], 3, **SIGMAS)

    def first(count):
        return sample_kernels(net, X, width=width, n_networks=count, seed=4, outputs=2, method=method, dtype=dtype)

    many = first(310 if width != 300 else 30)  # more than one batch
    for count in (1, 3, 30):
        few = first(count)
        for name in FIELDS:
            assert np.array_equal(getattr(few, name), getattr(many, name)[:count]), name
    assert len(np.unique(many.outputs[:, 0, 0])) == len(many.outputs)


def test_numbers_of_another_key_role_layer_or_block_are_others():
    keys = [np.random.SeedSequence(1, spawn_key=(batch,)) for batch in range(3)] + [np.random.SeedSequence(2)]
    drawn = [
        tuple(keyed_normals(key)(role, layer, block, (2, 3, 1)).ravel())
        for key in keys for role in Role for layer in range(3) for block in range(3)
    ]  # fmt: skip
    assert len({number for numbers in drawn for number in numbers}) == 6 * len(drawn)
    again = keyed_normals(keys[0])
    assert np.array_equal(again(Role.BIAS, 2, 1, (2, 3, 1)), again(Role.BIAS, 2, 1, (2, 3, 1)))
    assert np.array_equal(again(Role.BIAS, 2, 1, (9, 3, 1))[:2], again(Role.BIAS, 2, 1, (2, 3, 1)))


def test_another_seed_gives_other_networks():
    one, other = (drawn("wider", method, 5, seed=seed) for method, seed in (("auto", 1), ("auto", 2)))
    assert not np.any(one.outputs == other.outputs)


def test_wide_networks_are_near_the_limit():
    net, x = MLP("tanh", 3, **SIGMAS), points(3, 2)
    sampled = sample_kernels(net, x, width=100_000, n_networks=1, dtype=np.float32)
    np.testing.assert_allclose(sampled.nngp[0], net.nngp(x), rtol=0, atol=0.02)
    np.testing.assert_allclose(sampled.ntk[0, :, :, 0, 0], net.ntk(x), rtol=0.03, atol=0.02)


def test_float32_weights_are_kept_as_they_are_and_give_their_kernels_to_rounding():
    shape, names, x = CASES["generic"]
    phis, derivatives = zip(*[PAIRS[name] for name in names], strict=True)
    single = sample_parameters(shape, 5, np.random.default_rng(17), np.float32)
    assert {array.dtype for array in single.weights + single.biases} == {np.dtype(np.float32)}
    double = Parameters(*(tuple(a.astype(float) for a in arrays) for arrays in (single.weights, single.biases)))
    results = [network.sampled_kernels(shape, parameters, x, phis, derivatives) for parameters in (single, double)]
    assert 1e-9 < largest_error(*results) < 2e-6


@pytest.mark.parametrize(("width", "method"), [(4, "weights"), (128, "matrix-free")])
def test_auto_takes_weights_at_small_widths_only(width, method):
    net = MLP("erf", 2, 1.3, 0.2)
    arrays = [sample_kernels(net, X, width=width, n_networks=2, method=kind).ntk for kind in ("auto", method)]
    assert np.array_equal(*arrays)


def test_results_are_read_only_float64():
    sampled = drawn("float32", "auto", 4)
    for name in FIELDS:
        array = getattr(sampled, name)
        assert array.dtype == np.float64
        assert not array.flags.writeable
    assert sampled.layers.shape == (4, 3, 3, 3)
    assert sampled.ntk.shape == (4, 3, 3, 2, 2)
    assert sampled.outputs.shape == (4, 2, 3)
    assert np.array_equal(sampled.nngp, sampled.layers[:, -1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"width": (3, 4)}, "width must be one number or 3 of them, one per hidden layer, got 2"),
        ({"width": 0}, "width must be a positive integer, got 0"),
        ({"width": 2.5}, "width must be a positive integer, got 2.5"),
        ({"n_networks": 0}, "n_networks must be a positive integer"),
        ({"outputs": 0}, "outputs must be a positive integer"),
        ({"seed": -1}, "seed must be an integer that is not negative, got -1"),
        ({"seed": None}, "seed must be an integer that is not negative, got None"),
        ({"method": "matrix"}, "method must be one of auto, weights, matrix-free, got 'matrix'"),
        ({"dtype": np.float16}, "dtype must be float64 or float32, got float16"),
        ({"dtype": int}, "dtype must be float64 or float32, got int64"),
        ({"x": X[0]}, "inputs must have shape"),
        ({"x": X * np.nan}, "inputs must be finite"),
    ],
)
@BOTH
def test_wrong_arguments_are_refused(changed, message, method):
    arguments = {"x": X, "width": 5, "n_networks": 2, "method": method} | changed
    with pytest.raises(ValueError, match=message):
        sample_kernels(MLP("erf", 3, 1.3, 0.2), arguments.pop("x"), **arguments)


@BOTH
@pytest.mark.parametrize("layers", [1, 2])
def test_kernels_that_overflow_are_refused(method, layers):
    with pytest.raises(ValueError, match="not finite: take smaller inputs or sigma_w"):
        sample_kernels(MLP("exp(z)", layers, 3e3, 0.0), X, width=5, n_networks=2, method=method)


@BOTH
def test_a_kernel_without_an_activation_is_refused(method):
    net = MLP(kernel_dual("1 + c"), 1)
    with pytest.raises(TypeError, match="it has no networks"):
        sample_kernels(net, X, width=5, n_networks=2, method=method)


def test_functions_that_do_not_fit_the_shape_are_refused():
    shape = NetworkShape(3, (4,), 1, (1.0, 1.0), (0.0, 0.0))
    normals = keyed_normals(np.random.SeedSequence(0))
    with pytest.raises(ValueError, match=r"1 activations and as many derivatives, got .* 2 and 1"):
        matrix_free_kernels(shape, X, [np.tanh] * 2, [np.cos], 2, normals)
    with pytest.raises(ValueError, match="an activation must keep the shape"):
        matrix_free_kernels(shape, X, [lambda z: 1.0], [np.cos], 2, normals)
