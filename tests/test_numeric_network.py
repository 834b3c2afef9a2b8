"""Finite networks against a reference that shares no code: a Jacobian, one parameter at a time, of one network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from numeric import network
from numeric.network import (
    NetworkShape,
    Parameters,
    empirical_kernels,
    empirical_nngp,
    empirical_ntk,
    forward,
    sample_parameters,
)

ACTIVATIONS = {
    "erf": (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-z * z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "identity": (lambda z: 1 * z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
}

SHAPES = {
    "one layer": NetworkShape(3, (5,), 1, (1.3, 0.7), (0.4, 0.9)),
    "unequal widths": NetworkShape(3, (4, 2, 6), 2, (1.4, 0.8, 1.1, 1.7), (0.3, 0.9, 0.5, 0.2)),
    "width one": NetworkShape(2, (1, 3), 3, (0.9, 1.2, 0.6), (0.7, 0.1, 1.3)),
    "no biases": NetworkShape(3, (4, 3), 2, (1.4, 0.8, 1.1), (0.0, 0.0, 0.0)),
}


def some_points(dimension):
    """Inputs of unequal norms, with a duplicate and the origin."""
    x = np.random.default_rng(5).standard_normal((3, dimension)) * np.array([[0.4], [1.0], [1.9]])
    return np.vstack([x, x[1], np.zeros(dimension)])


def flat(parameters, network_index):
    """One network's parameters as a vector, and the number of the layer and the kind each entry belongs to."""
    pieces, labels = [], []
    for layer, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
        pieces += [weight[network_index].ravel(), bias[network_index]]
        labels += [("weight", layer)] * weight[network_index].size + [("bias", layer)] * bias[network_index].size
    return np.concatenate(pieces), labels


def outputs_of(vector, shape, x, phis):
    """Outputs (n_points, outputs) of one network, straight from the definition; the vector may be complex."""
    units, start = x, 0
    for layer in range(len(shape.widths) + 1):
        fan_in = units.shape[1]
        fan_out = shape.outputs if layer == len(shape.widths) else shape.widths[layer]
        weight = vector[start : start + fan_out * fan_in].reshape(fan_out, fan_in)
        bias = vector[start + fan_out * fan_in : start + fan_out * (fan_in + 1)]
        start += fan_out * (fan_in + 1)
        units = shape.sigma_w[layer] * units @ weight.T / fan_in**0.5 + shape.sigma_b[layer] * bias
        if layer < len(shape.widths):
            units = phis[layer](units)
    return units


def jacobian(vector, shape, x, phis, method):
    """∂ outputs / ∂ parameters (n_points, outputs, n_parameters), by complex step or by central differences."""
    columns = []
    for index in range(vector.size):
        step = np.zeros(vector.size, dtype=complex if method == "complex" else float)
        if method == "complex":
            step[index] = 1e-30j
            columns.append(outputs_of(vector + step, shape, x, phis).imag / 1e-30)
        else:
            step[index] = 1e-4
            ends = [outputs_of(vector + sign * step, shape, x, phis) for sign in (1, -1)]
            columns.append((ends[0] - ends[1]) / 2e-4)
    return np.stack(columns, axis=-1)


def product(jacobian_1, jacobian_2):
    return np.einsum("akp,blp->abkl", jacobian_1, jacobian_2)


def error(found, expected):
    """Largest error relative to the largest entry."""
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("name", ["erf", "tanh", "identity"])
def test_the_tangent_kernel_is_the_jacobian_times_its_transpose(name, shape):
    phi, derivative = ACTIVATIONS[name]
    layers, x = len(shape.widths), some_points(shape.dimension)
    parameters = sample_parameters(shape, 3, np.random.default_rng(11))
    theta = empirical_ntk(shape, parameters, x, [phi] * layers, [derivative] * layers)
    for index in range(3):
        slopes = jacobian(flat(parameters, index)[0], shape, x, [phi] * layers, "complex")
        assert error(theta[index], product(slopes, slopes)) < 1e-12


def test_the_tangent_kernel_of_a_relu_network_agrees_with_central_differences():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["relu"]
    x = some_points(3)
    parameters = sample_parameters(shape, 2, np.random.default_rng(64))
    hidden = forward(shape, parameters, x, [phi] * 3)[:-1]
    # Between kinks the outputs are affine in each single parameter, so differences are exact up to rounding.
    assert min(np.min(np.abs(z)) for z in hidden) > 1e-2
    theta = empirical_ntk(shape, parameters, x, [phi] * 3, [derivative] * 3)
    for index in range(2):
        slopes = jacobian(flat(parameters, index)[0], shape, x, [phi] * 3, "differences")
        assert error(theta[index], product(slopes, slopes)) < 1e-10


scales = st.floats(0.2, 2.0)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_small_network_with_a_different_activation_per_layer_agrees_with_its_jacobian(data):
    widths = tuple(data.draw(st.lists(st.integers(1, 4), max_size=3)))
    names = data.draw(
        st.lists(st.sampled_from(["erf", "tanh", "identity"]), min_size=len(widths), max_size=len(widths))
    )
    layers = len(widths) + 1
    shape = NetworkShape(
        data.draw(st.integers(1, 3)),
        widths,
        data.draw(st.integers(1, 3)),
        tuple(data.draw(st.lists(scales, min_size=layers, max_size=layers))),
        tuple(data.draw(st.lists(scales, min_size=layers, max_size=layers))),
    )
    phis, derivatives = [ACTIVATIONS[name][0] for name in names], [ACTIVATIONS[name][1] for name in names]
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    x, parameters = some_points(shape.dimension), sample_parameters(shape, 1, rng)
    slopes = jacobian(flat(parameters, 0)[0], shape, x, phis, "complex")
    assert error(empirical_ntk(shape, parameters, x, phis, derivatives)[0], product(slopes, slopes)) < 1e-12


def test_leaving_any_weights_or_biases_out_of_the_sum_would_be_seen():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["erf"]
    x, parameters = some_points(3), sample_parameters(shape, 1, np.random.default_rng(2))
    theta = empirical_ntk(shape, parameters, x, [phi] * 3, [derivative] * 3)[0]
    vector, labels = flat(parameters, 0)
    slopes = jacobian(vector, shape, x, [phi] * 3, "complex")
    for left_out in sorted(set(labels)):
        kept = slopes[:, :, [label != left_out for label in labels]]
        assert error(theta, product(kept, kept)) > 1e-3, left_out


def without_bias(shape, layer, left, right):
    gram = np.matmul(left.transpose(0, 2, 1), right)
    return shape.sigma_w[layer] ** 2 / shape.fan_in[layer] * gram


def with_the_scales_of_the_layer_below(shape, layer, left, right):
    gram = np.matmul(left.transpose(0, 2, 1), right)
    return shape.sigma_b[layer - 1] ** 2 + shape.sigma_w[layer - 1] ** 2 / shape.fan_in[layer] * gram


@pytest.mark.parametrize("planted", [without_bias, with_the_scales_of_the_layer_below])
def test_a_wrong_gram_matrix_of_the_layers_is_detected(planted, monkeypatch):
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["tanh"]
    x, parameters = some_points(3), sample_parameters(shape, 1, np.random.default_rng(3))
    slopes = jacobian(flat(parameters, 0)[0], shape, x, [phi] * 3, "complex")
    monkeypatch.setattr(network, "_layer_gram", planted)
    theta = empirical_ntk(shape, parameters, x, [phi] * 3, [derivative] * 3)[0]
    assert error(theta, product(slopes, slopes)) > 1e-3


def test_a_wrong_derivative_of_one_layer_is_detected():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["tanh"]
    x, parameters = some_points(3), sample_parameters(shape, 1, np.random.default_rng(3))
    slopes = jacobian(flat(parameters, 0)[0], shape, x, [phi] * 3, "complex")
    for layer in range(3):
        derivatives = [derivative] * 3
        derivatives[layer] = ACTIVATIONS["erf"][1]
        theta = empirical_ntk(shape, parameters, x, [phi] * 3, derivatives)[0]
        assert error(theta, product(slopes, slopes)) > 1e-3, layer


def test_the_nngp_kernel_is_what_the_output_layer_contributes():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["tanh"]
    x, parameters = some_points(3), sample_parameters(shape, 2, np.random.default_rng(4))
    nngp = empirical_nngp(shape, parameters, x, [phi] * 3)
    for index in range(2):
        vector, labels = flat(parameters, index)
        slopes = jacobian(vector, shape, x, [phi] * 3, "complex")[:, :, [layer == 3 for _, layer in labels]]
        assert error(nngp[index][:, :, None, None] * np.eye(2), product(slopes, slopes)) < 1e-13
    both = empirical_kernels(shape, parameters, x, [phi] * 3, [derivative] * 3)
    np.testing.assert_array_equal(both[0], nngp)
    np.testing.assert_array_equal(both[1], empirical_ntk(shape, parameters, x, [phi] * 3, [derivative] * 3))


def test_without_hidden_layers_both_kernels_are_the_linear_kernel_exactly():
    shape, x = NetworkShape(3, (), 2, (1.3,), (0.4,)), some_points(3)
    linear = x @ x.T * (1.3**2 / 3) + 0.4**2
    parameters = sample_parameters(shape, 4, np.random.default_rng(0))
    nngp, theta = empirical_kernels(shape, parameters, x, [], [])
    np.testing.assert_array_equal(nngp, np.broadcast_to(linear, (4, 5, 5)))
    np.testing.assert_array_equal(theta, np.broadcast_to(linear[:, :, None, None] * np.eye(2), (4, 5, 5, 2, 2)))


def test_the_outputs_follow_the_definition():
    shape, phi = SHAPES["unequal widths"], ACTIVATIONS["tanh"][0]
    x, parameters = some_points(3), sample_parameters(shape, 2, np.random.default_rng(6))
    preactivations = forward(shape, parameters, x, [phi] * 3)
    assert [z.shape for z in preactivations] == [(2, 4, 5), (2, 2, 5), (2, 6, 5), (2, 2, 5)]
    for index in range(2):
        expected = outputs_of(flat(parameters, index)[0], shape, x, [phi] * 3)
        np.testing.assert_allclose(preactivations[-1][index].T, expected, rtol=0, atol=1e-14)


def test_the_tangent_kernel_is_symmetric_and_positive_semidefinite():
    shape, (phi, derivative) = SHAPES["width one"], ACTIVATIONS["relu"]
    x, parameters = some_points(2), sample_parameters(shape, 50, np.random.default_rng(7))
    theta = empirical_ntk(shape, parameters, x, [phi] * 2, [derivative] * 2)
    np.testing.assert_allclose(theta, theta.transpose(0, 2, 1, 4, 3), rtol=1e-13, atol=0)
    eigenvalues = np.linalg.eigvalsh(theta.transpose(0, 1, 3, 2, 4).reshape(50, 15, 15))
    assert eigenvalues.min() > -1e-12 * eigenvalues.max()
    assert np.max(np.abs(theta - theta.transpose(0, 1, 2, 4, 3))) > 1e-2  # not symmetric in k, k' alone


def test_two_sets_of_points_give_the_off_diagonal_block():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["erf"]
    x, parameters = some_points(3), sample_parameters(shape, 3, np.random.default_rng(8))
    functions = [phi] * 3, [derivative] * 3
    whole, block = (
        empirical_kernels(shape, parameters, *args) for args in ((x, *functions), (x[:2], *functions, x[2:]))
    )
    np.testing.assert_allclose(block[0], whole[0][:, :2, 2:], rtol=1e-13)
    np.testing.assert_allclose(block[1], whole[1][:, :2, 2:], rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(empirical_nngp(shape, parameters, x[:2], [phi] * 3, x[2:]), block[0], rtol=1e-13)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(factor=st.floats(0.1, 10.0), seed=st.integers(0, 10**6))
def test_kernels_of_relu_networks_without_biases_are_homogeneous(factor, seed):
    shape, (phi, derivative) = SHAPES["no biases"], ACTIVATIONS["relu"]
    x, parameters = some_points(3), sample_parameters(shape, 2, np.random.default_rng(seed))
    once = empirical_kernels(shape, parameters, x, [phi] * 2, [derivative] * 2)
    scaled = empirical_kernels(shape, parameters, factor * x, [phi] * 2, [derivative] * 2)
    for kernel, scaled_kernel in zip(once, scaled, strict=True):
        np.testing.assert_allclose(scaled_kernel, factor**2 * kernel, rtol=1e-11, atol=1e-13 * factor**2)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_zeros_stay_exact_zeros(name):
    shape, (phi, derivative) = SHAPES["no biases"], ACTIVATIONS[name]
    parameters = sample_parameters(shape, 5, np.random.default_rng(9))
    nngp, theta = empirical_kernels(shape, parameters, some_points(3), [phi] * 2, [derivative] * 2)
    assert np.all(nngp[:, 4] == 0)
    assert np.all(theta[:, 4] == 0)
    assert np.all(forward(shape, parameters, np.zeros((1, 3)), [phi] * 2)[-1] == 0)


def test_a_network_does_not_depend_on_its_companions():
    shape, (phi, derivative) = SHAPES["unequal widths"], ACTIVATIONS["tanh"]
    x, parameters = some_points(3), sample_parameters(shape, 4, np.random.default_rng(10))
    theta = empirical_ntk(shape, parameters, x, [phi] * 3, [derivative] * 3)
    for index in range(4):
        one = slice(index, index + 1)
        alone = Parameters(tuple(w[one] for w in parameters.weights), tuple(b[one] for b in parameters.biases))
        np.testing.assert_allclose(
            empirical_ntk(shape, alone, x, [phi] * 3, [derivative] * 3)[0], theta[index], rtol=1e-12, atol=1e-14
        )


def test_sampled_parameters_are_standard_normal_and_repeatable():
    shape = NetworkShape(8, (16,), 3, (1.0, 1.0), (1.0, 1.0))
    parameters = sample_parameters(shape, 500, np.random.default_rng(12))
    again = sample_parameters(shape, 500, np.random.default_rng(12))
    arrays = parameters.weights + parameters.biases
    assert [a.shape for a in arrays] == [(500, 16, 8), (500, 3, 16), (500, 16), (500, 3)]
    for array, same in zip(arrays, again.weights + again.biases, strict=True):
        np.testing.assert_array_equal(array, same)
        assert abs(array.mean()) < 5 / array.size**0.5
        assert abs((array**2).mean() - 1) < 5 * (2 / array.size) ** 0.5
        assert abs((array**4).mean() - 3) < 5 * (96 / array.size) ** 0.5


def test_the_mean_kernel_of_one_relu_layer_is_its_limit_at_width_four():
    # E K̂²(x, x) = σ_b² + σ_w² K¹(x, x) / 2 at every width, and Var = (5/4) (σ_w² K¹)² / N.
    shape, x = NetworkShape(3, (4,), 1, (1.3, 0.7), (0.4, 0.9)), some_points(3)[1:2]
    nngp = empirical_nngp(
        shape, sample_parameters(shape, 20000, np.random.default_rng(13)), x, [ACTIVATIONS["relu"][0]]
    ).ravel()
    first = 0.4**2 + 1.3**2 * (x @ x.T).item() / 3
    error_of_mean = 0.7**2 * first * (5 / 4 / 4 / 20000) ** 0.5
    assert abs(nngp.mean() - (0.9**2 + 0.7**2 * first / 2)) < 5 * error_of_mean
    assert abs(nngp.mean() - (0.9**2 + 0.7**2 * first)) > 50 * error_of_mean  # the ½ forgotten


def test_parameters_cannot_be_changed_from_outside():
    weight, bias = np.ones((1, 2, 3)), np.ones((1, 2))
    parameters = Parameters((weight,), (bias,))
    weight[:] = 7
    assert np.all(parameters.weights[0] == 1)
    for array in (parameters.weights[0], sample_parameters(SHAPES["one layer"], 2, np.random.default_rng(0)).biases[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    view = np.ones((2, 2, 3))
    locked = view[:1]
    locked.setflags(write=False)
    parameters = Parameters((locked,), (bias,))
    view[:] = 7
    assert np.all(parameters.weights[0] == 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"widths": (4, 0)}, "width must be a positive integer, got 0"),
        ({"widths": (4, 2.0)}, "width must be a positive integer, got 2.0"),
        ({"dimension": -1}, "dimension must be a positive integer, got -1"),
        ({"outputs": True}, "outputs must be a positive integer, got True"),
        ({"sigma_w": (1.0, 1.0)}, "sigma_w must have 3 values for 2 hidden layers, got 2"),
        ({"sigma_b": (1.0, -0.1, 1.0)}, "sigma_b must be finite and not negative"),
        ({"sigma_b": (1.0, float("nan"), 1.0)}, "sigma_b must be finite and not negative"),
    ],
)
def test_an_impossible_shape_is_refused(changed, message):
    sizes = {"dimension": 3, "widths": (4, 2), "outputs": 1, "sigma_w": (1.0,) * 3, "sigma_b": (0.0,) * 3}
    with pytest.raises(ValueError, match=message):
        NetworkShape(**(sizes | changed))


def test_what_does_not_fit_the_shape_is_refused():
    shape, phi = SHAPES["one layer"], ACTIVATIONS["tanh"][0]
    parameters, x = sample_parameters(shape, 2, np.random.default_rng(0)), some_points(3)
    with pytest.raises(ValueError, match=r"inputs must have shape \(n_points, 3\), got \(5, 2\)"):
        forward(shape, parameters, some_points(2), [phi])
    with pytest.raises(ValueError, match="activations must have 1 entries, got 2"):
        forward(shape, parameters, x, [phi, phi])
    with pytest.raises(ValueError, match="derivatives must have 1 entries, got 0"):
        empirical_ntk(shape, parameters, x, [phi], [])
    with pytest.raises(ValueError, match="the shape asks for"):
        forward(SHAPES["unequal widths"], parameters, x, [phi] * 3)
    with pytest.raises(ValueError, match="must keep the shape of its argument"):
        empirical_ntk(shape, parameters, x, [phi], [lambda z: 1.0])
    with pytest.raises(ValueError, match="n_networks must be a positive integer, got 0"):
        sample_parameters(shape, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match="layer 2: weights"):
        Parameters((np.ones((1, 2, 3)), np.ones((1, 2, 4))), (np.ones((1, 2)), np.ones((1, 2))))
    with pytest.raises(ValueError, match="one weight and one bias array per layer"):
        Parameters((), ())
