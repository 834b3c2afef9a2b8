"""Inputs in fewer dimensions: the same networks, equal inputs staying equal, and wrong reductions told apart."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from numeric.network import Parameters, empirical_kernels, forward, sample_parameters
from verify.ensembles import Statistic, in_their_span, sample_block
from verify.inputs import default_inputs
from verify.planning import one_hidden

X = np.array([[0.6, -0.8, 1.1, 0.2, -0.4], [1.3, 0.4, -0.5, 0.0, 2.0], [0.6, -0.8, 1.1, 0.2, -0.4], [0.0] * 5])
NETWORKS = [np.tanh], [lambda z: 1 / np.cosh(z) ** 2]


def kernel(x):
    return x @ x.T / x.shape[1]


@given(arrays(float, (4, 9), elements=st.just(0.0) | st.floats(1e-100, 1e6) | st.floats(-1e6, -1e-100)))
def test_the_kernel_of_the_inputs_stays(x):
    reduced = in_their_span(x)
    assert reduced.shape[1] <= 4
    size = np.sqrt(np.diag(kernel(x)))
    assert np.all(np.abs(kernel(reduced) - kernel(x)) <= 1e-14 * np.outer(size, size))


def test_equal_inputs_stay_equal_and_zeros_zero():
    reduced = in_their_span(X)
    assert reduced.shape == (4, 2)
    np.testing.assert_array_equal(reduced[0], reduced[2])
    np.testing.assert_array_equal(reduced[3], 0.0)
    assert np.any(reduced[0] != reduced[1])


def test_inputs_of_few_dimensions_are_left_alone():
    x = X[:2, :2]
    assert in_their_span(x) is x


@pytest.mark.parametrize("factor", [1.0, np.sqrt(5 / 2)])
def test_networks_are_the_same_on_the_turned_weights(factor):
    """Weights W on the inputs are weights W Q on coordinates; without the factor sqrt(r/d) all changes."""
    ensemble = one_hidden("erf", 6)
    coordinates = in_their_span(X) * factor
    shape, small = ensemble.shape(5), ensemble.shape(2)
    parameters = sample_parameters(shape, 4, np.random.default_rng(3))
    basis = np.linalg.pinv(X) @ in_their_span(X) * np.sqrt(5 / 2)
    np.testing.assert_allclose(X @ basis @ basis.T, X, atol=1e-14)  # orthonormal, but where no input points
    turned = Parameters((parameters.weights[0] @ basis, *parameters.weights[1:]), parameters.biases)
    expected = forward(shape, parameters, X, NETWORKS[0])[-1], *empirical_kernels(shape, parameters, X, *NETWORKS)
    found = (
        forward(small, turned, coordinates, NETWORKS[0])[-1],
        *empirical_kernels(small, turned, coordinates, *NETWORKS),
    )
    agree = [np.allclose(one, other, rtol=1e-12, atol=1e-12) for one, other in zip(expected, found, strict=True)]
    assert agree == [factor == 1.0] * 3


def test_blocks_of_networks_show_the_kernel_of_the_inputs():
    inputs = default_inputs()
    ensemble = dataclasses.replace(one_hidden("relu", 64), block_size=300)
    limit = ensemble.limit.nngp(inputs.x)[inputs.pairs]
    (found,) = sample_block(ensemble, inputs.x, (Statistic("nngp", np.empty(0), limit, np.ones_like(limit)),), 1, 0)
    error = np.sqrt(found.variance / found.count)
    assert np.all(np.abs(found.mean - limit) < 4.5 * error)
    assert np.all(np.abs(found.mean - 1.1 * limit) > 4.5 * error)
