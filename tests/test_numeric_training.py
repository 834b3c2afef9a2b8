"""Trained networks against references that share no code: one network at a time, its parameters one vector.

Gradients of the reference are complex steps through the definition of a network; its flow is integrated by SciPy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from numeric import gradients, integrators, pathwise, training
from numeric.gradients import Learner, Rates
from numeric.integrators import Schedule
from numeric.network import NetworkShape, Parameters, empirical_ntk, sample_parameters
from numeric.pathwise import higher_kernels, predict
from numeric.training import Linearization, TrainingData, train

ACTIVATIONS = {
    "erf": (special.erf, lambda z: 2 / np.sqrt(np.pi) * np.exp(-z * z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
}
SHAPE = NetworkShape(2, (4, 3), 2, (1.4, 0.8, 1.1), (0.3, 0.9, 0.5))
RATES = Rates((0.7, 1.6, 0.4), (1.2, 0.0, 2.1))
DATA = TrainingData(
    np.array([[1.0, 0.3], [-0.6, 0.8], [0.4, -2.1]]),
    np.array([[0.8, -0.4], [-0.5, 1.1], [0.3, 0.2]]),
    np.array([[0.5, 0.7], [1.5, -0.1]]),
)
ONE = TrainingData(DATA.x, DATA.y[:, 0], DATA.test)


def learner_of(shape=SHAPE, name="tanh", rates=None):
    phi, derivative = ACTIVATIONS[name]
    layers = shape.hidden_layers
    return Learner(shape, [phi] * layers, [derivative] * layers, rates or Rates.ntk(shape))


def wide(width, hidden_layers=1, outputs=1):
    layers = hidden_layers + 1
    return NetworkShape(2, (width,) * hidden_layers, outputs, (1.4,) * layers, (0.3,) * layers)


def drawn(shape, count=2, seed=1):
    return sample_parameters(shape, count, np.random.Generator(np.random.Philox(seed)))


def flat(parameters, index, rates=None):
    """Return one network's parameters as a vector, and for each entry its rate, layer, and kind."""
    pieces, labels = [], []
    for layer, (weight, bias) in enumerate(zip(parameters.weights, parameters.biases, strict=True)):
        for kind, array in enumerate((weight[index], bias[index])):
            rate = (rates.biases if kind else rates.weights)[layer] if rates else 1.0
            pieces.append(array.ravel())
            labels += [(rate, layer, kind)] * array.size
    return np.concatenate(pieces), np.array(labels)


def outputs_of(vector, shape, x, phi, scales=None):
    """Return outputs (n_points, outputs), by the definition; the vector may be complex.

    Weights and biases are multiplied by `scales`, for each layer a pair: those of NTK parameterization if not given.
    """
    units, start = x, 0
    for layer, (fan_in, fan_out) in enumerate(zip(shape.fan_in, shape.fan_out, strict=True)):
        end = start + fan_in * fan_out
        of_weights, of_biases = (
            scales[layer] if scales else (shape.sigma_w[layer] / np.sqrt(fan_in), shape.sigma_b[layer])
        )
        units = phi(units) if layer else units
        units = of_weights * (units @ vector[start:end].reshape(fan_out, fan_in).T)
        units = units + of_biases * vector[end : end + fan_out]
        start = end + fan_out
    return units


def jacobian(vector, shape, x, phi, scales=None):
    """Return ∂ outputs / ∂ vector, (n_points * outputs, parameters), by complex steps."""
    steps = 1e-30j * np.eye(len(vector))
    return np.stack([outputs_of(vector + s, shape, x, phi, scales).ravel().imag / 1e-30 for s in steps], axis=1)


def matrix(ntk):
    """Return kernels (..., a, b, k, k') as matrices with rows (a, k) and columns (b, k')."""
    *first, a, b, k, _ = ntk.shape
    return np.moveaxis(ntk, -2, -3).reshape(*first, a * k, b * k)


def error(found, expected):
    """Largest error relative to the largest entry."""
    return np.max(np.abs(found - expected)) / np.max(np.abs(expected))


def descended(vector, labels, shape, phi, data, steps, scales=None, factor=1.0):
    """Return the parameters after steps of gradient descent of ½ factor |f - Y|², labels[:, 0] the rates times step."""
    for _ in range(steps):
        residual = (outputs_of(vector, shape, data.x, phi, scales) - data.y).ravel()
        vector = vector - factor * labels[:, 0] * (residual @ jacobian(vector, shape, data.x, phi, scales))
    return vector


# Gradients, Jacobians and kernels


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("rates", [None, RATES, Rates.last_layer(SHAPE), Rates.standard(SHAPE, 0.3)])
def test_gradients_jacobians_and_kernels_agree_with_complex_steps(name, rates):
    learner, parameters = learner_of(name=name, rates=rates), drawn(SHAPE)
    layers = learner.linearized(parameters, DATA.x)
    cotangent = np.random.default_rng(3).standard_normal((2, 2, 3)) * np.array([0.3, 1.0, 1.7])
    gradient = learner.gradient(layers, cotangent)
    blocks = list(learner.jacobian(layers))
    assert [block.shape for block in blocks] == [(2, 3, 2, p) for p in (8, 4, 12, 3, 6, 2)]
    kernel = learner.tangent_kernel(parameters, layers)
    for index in range(2):
        vector, labels = flat(parameters, index, learner.rates)
        slopes = jacobian(vector, SHAPE, DATA.x, ACTIVATIONS[name][0])
        expected = labels[:, 0] * (cotangent[index].T.ravel() @ slopes)
        assert error(flat(gradient, index)[0], expected) < 1e-13
        assert error(np.concatenate([block[index].reshape(6, -1) for block in blocks], axis=1), slopes) < 1e-13
        assert error(matrix(kernel[index]), slopes * labels[:, 0] @ slopes.T) < 1e-13


def standard_scales(shape):
    """Return by what standard parameters differ from standard normal numbers: weights by σ_w/√fan-in, biases by σ_b."""
    return list(zip(np.array(shape.sigma_w) / np.sqrt(shape.fan_in), shape.sigma_b, strict=True))


def standard_vector(parameters, index, shape):
    vector, labels = flat(parameters, index)
    scales = np.array(standard_scales(shape))
    return vector * scales[labels[:, 1].astype(int), labels[:, 2].astype(int)]


UNSCALED = [(1.0, 1.0)] * 3


@pytest.mark.parametrize(
    ("planted", "caught"),
    [
        (lambda rates: rates, False),
        (lambda rates: Rates((0.05,) * 3, (0.05,) * 3), True),
        (lambda rates: replace(rates, weights=tuple(np.multiply(rates.weights, SHAPE.sigma_w))), True),
        (lambda rates: replace(rates, weights=tuple(np.divide(rates.weights, SHAPE.fan_in))), True),
        (lambda rates: replace(rates, biases=(0.05,) * 3), True),
    ],
    ids=["right", "ntk", "σ_w once", "no fan-in", "no σ_b"],
)
def test_descent_in_standard_parameters_is_descent_at_the_standard_rates(planted, caught):
    eta, steps, parameters, phi = 0.05, 6, drawn(SHAPE), ACTIVATIONS["erf"][0]
    learner = learner_of(name="erf", rates=planted(Rates.standard(SHAPE, eta)))
    found = train(learner, parameters, DATA, Schedule("descent", 1.0, (0, steps)))
    for index in range(2):
        vector = standard_vector(parameters, index, SHAPE)
        moved = descended(vector, np.full((len(vector), 1), eta), SHAPE, phi, DATA, steps, UNSCALED)
        slopes = jacobian(vector, SHAPE, DATA.x, phi, UNSCALED)
        off = [
            error(found.outputs[index, 1].T, outputs_of(moved, SHAPE, DATA.points, phi, UNSCALED)),
            error(matrix(found.ntk[index, 0, :3]), eta * slopes @ slopes.T),
            abs(found.displacement[index, 1] * eta**0.5 / np.linalg.norm(moved - vector) - 1),
        ]
        assert all(e > 1e-3 for e in off) if caught else all(e < 1e-12 for e in off)


def test_in_standard_parameterization_with_a_rate_over_the_width_only_upper_weights_learn():
    # As N grows Θ̂ at learning rate 1/N tends to that of weights above the first layer at rate 1/σ_w².
    differences = []
    for width in (64, 1024):
        shape = wide(width, 2)
        parameters = drawn(shape, 1)
        limit = Rates((0.0, 1.4**-2, 1.4**-2), (0.0, 0.0, 0.0))
        kernels = [
            Linearization.of(learner_of(shape, rates=rates), parameters, ONE).gram
            for rates in (Rates.standard(shape, 1 / width), limit)
        ]
        differences.append(width * error(*kernels))
    assert differences[0] > 0.1
    assert 0.3 < differences[1] / differences[0] < 3
    learning_rates = Rates(tuple(1.4**2 / n for n in (2, 1024, 1024)), (0.3**2,) * 3)
    standard = Rates.standard(shape, 1.0)
    pairs = zip(learning_rates.weights + learning_rates.biases, standard.weights + standard.biases, strict=True)
    np.testing.assert_allclose([a * b for a, b in pairs], 1.0, rtol=1e-15)  # these are NTK parameterization


# Training


@pytest.mark.parametrize("rates", [None, RATES])
def test_descent_agrees_with_descent_one_parameter_at_a_time(rates):
    learner, parameters, step, steps = learner_of(rates=rates), drawn(SHAPE), 0.07, 5
    phi = ACTIVATIONS["tanh"][0]
    found = train(learner, parameters, DATA, Schedule("descent", step, (0, 2, steps)))
    np.testing.assert_allclose(found.times, [0, 0.14, 0.35])
    for index in range(2):
        vector, labels = flat(parameters, index, learner.rates)
        stepped = np.column_stack([step * labels[:, 0], labels])
        moved = descended(vector, stepped, SHAPE, phi, DATA, steps)
        assert error(found.outputs[index, 2].T, outputs_of(moved, SHAPE, DATA.points, phi)) < 1e-13
        for factor in (2.0, 1 / 3):  # the ½ of the loss forgotten; a mean over points instead of a sum
            wrong = descended(vector, stepped, SHAPE, phi, DATA, steps, factor=factor)
            assert error(found.outputs[index, 2].T, outputs_of(wrong, SHAPE, DATA.points, phi)) > 1e-2
        for layer in range(3):
            for kind in range(2):
                mine = (labels[:, 1] == layer) & (labels[:, 2] == kind)
                scale = labels[mine, 0][0] ** -0.5 if labels[mine, 0][0] else 0.0
                change = scale * (moved - vector)[mine]
                assert found.squared_displacement[index, 2, layer, kind] == pytest.approx(change @ change, rel=1e-11)
                assert found.largest_displacement[index, 2, layer, kind] == pytest.approx(max(abs(change)), rel=1e-11)
        slopes = jacobian(moved, SHAPE, DATA.points, phi)
        assert error(matrix(found.ntk[index, 2]), slopes * labels[:, 0] @ slopes[:6].T) < 1e-12
    assert np.all(found.squared_displacement[:, 0] == 0)


def flow_of(vector, labels, shape, phi, data, time):
    """Return the parameters at a time (also a negative one) of the exact gradient flow."""

    def velocity(_, now):
        residual = (outputs_of(now, shape, data.x, phi) - data.y).ravel()
        return -labels[:, 0] * (residual @ jacobian(now, shape, data.x, phi))

    return solve_ivp(velocity, (0, time), vector, method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1]


def test_flow_agrees_with_an_adaptive_solver_to_fourth_order_in_the_step():
    learner, parameters, time = learner_of(rates=RATES), drawn(SHAPE), 0.8
    phi = ACTIVATIONS["tanh"][0]
    ends = [train(learner, parameters, DATA, Schedule("flow", time / n, (n,))).outputs[:, 0] for n in (8, 16)]
    for index in range(2):
        vector, labels = flat(parameters, index, RATES)
        moved = flow_of(vector, labels, SHAPE, phi, DATA, time)
        exact = outputs_of(moved, SHAPE, DATA.points, phi).T
        errors = [error(end[index], exact) for end in ends]
        assert errors[1] < 1e-6
        assert 10 < errors[0] / errors[1] < 24  # 16 in the limit


def stepped(matrix_of_flow, method, step):
    """Return by what one step multiplies the solution of ḟ = matrix f."""
    z, eye = step * matrix_of_flow, np.eye(len(matrix_of_flow))
    return eye + z if method == "descent" else eye + z + z @ z / 2 + z @ z @ z / 6 + z @ z @ z @ z / 24


def linear_reference(vector, phi, data, shape=SHAPE):
    """Return the matrix of ḟ = matrix (f - (Y, 0)) at all points and f at time 0, from complex steps."""
    slopes, train_rows = jacobian(vector, shape, data.points, phi), data.y.size
    flow = np.zeros((len(slopes),) * 2)
    flow[:, :train_rows] = -slopes @ slopes[:train_rows].T
    return flow, outputs_of(vector, shape, data.points, phi).ravel()


def linear_error(found, index, parameters, method, power):
    """Return the error of the linearization at its last time, given the power of a flow's matrix."""
    phi = ACTIVATIONS["tanh"][0]
    flow, start = linear_reference(flat(parameters, index)[0], phi, DATA)
    goal = np.concatenate([DATA.y.ravel(), np.zeros(DATA.test.shape[0] * 2)])
    return error(found.linearized[index, -1].T.ravel(), goal + power(flow) @ (start - goal))


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_the_linearization_takes_the_steps_of_the_method(method):
    parameters, step, steps = drawn(SHAPE), 0.08, 10
    found = train(learner_of(), parameters, DATA, Schedule(method, step, (0, 3, steps)))
    other = {"flow": "descent", "descent": "flow"}[method]
    for index in range(2):
        arguments = found, index, parameters, method
        powers = {m: lambda a, m=m: np.linalg.matrix_power(stepped(a, m, step), steps) for m in (method, other)}
        assert linear_error(*arguments, powers[method]) < 1e-13
        assert linear_error(*arguments, powers[other]) > 1e-3
        # The exponential differs by step⁴ t λ⁵/120, or step t λ²/2, to leading order.
        rate = -np.linalg.eigvalsh(linear_reference(flat(parameters, index)[0], np.tanh, DATA)[0][:6, :6])[0]
        bound = steps * ((step * rate) ** 5 / 120 if method == "flow" else (step * rate) ** 2 / 2)
        floor = linear_error(*arguments, lambda a: expm(step * steps * a))
        assert 1e-8 < floor < 2 * bound


def test_a_linearization_at_another_time_or_another_place_is_caught(monkeypatch):
    parameters, true = drawn(SHAPE), Linearization.of
    schedule = Schedule("flow", 0.08, (10,))

    def shifted(learner, now, data):
        here = true(learner, now, data)
        later = Parameters(tuple(w * 1.01 for w in now.weights), now.biases)
        return replace(here, ntk=true(learner, later, data).ntk)

    def power(a):
        return np.linalg.matrix_power(stepped(a, "flow", 0.08), 10)

    for planted in (shifted, lambda *args: replace(true(*args), ntk=true(*args).ntk.swapaxes(3, 4))):
        monkeypatch.setattr(training.Linearization, "of", planted)
        found = train(learner_of(), parameters, DATA, schedule)
        assert linear_error(found, 0, parameters, "flow", power) > 1e-3


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_training_the_last_layer_only_is_linear_exactly(method):
    learner, parameters = learner_of(rates=Rates.last_layer(SHAPE)), drawn(SHAPE, 4)
    found = train(learner, parameters, DATA, Schedule(method, 0.15, (0, 1, 7, 40)))
    scale = np.abs(found.outputs).max()
    assert found.departure.max() < 1e-13 * scale
    np.testing.assert_allclose(found.ntk, found.ntk[:, :1].repeat(4, axis=1), rtol=1e-12, atol=1e-14)
    assert found.kernel_change.max() < 1e-13
    assert np.all(found.squared_displacement[:, :, :2] == 0)
    np.testing.assert_allclose(found.displacement, found.linear_displacement, rtol=1e-12, atol=1e-15)
    assert found.displacement[:, -1].min() > 0.1
    everything = train(learner_of(), parameters, DATA, Schedule(method, 0.15, (0, 1, 7, 40)))
    assert everything.departure.min() > 1e-3


def test_comparing_with_another_step_of_the_linearization_sets_a_floor(monkeypatch):
    learner, parameters = learner_of(rates=Rates.last_layer(SHAPE)), drawn(SHAPE)
    schedule, method = Schedule("flow", 0.2, (1, 7, 40)), integrators._runge_kutta

    def exact_for_two(velocity, state, step):  # the linearization, whose state is (f_lin, integral), at a finer step
        for _ in range(50 if len(state) == 2 else 1):
            state = method(velocity, state, step / 50 if len(state) == 2 else step)
        return state

    monkeypatch.setattr(integrators, "_runge_kutta", exact_for_two)
    assert train(learner, parameters, DATA, schedule).departure.min() > 1e-6


def test_norms_of_a_trajectory_follow_their_definitions():
    found = train(learner_of(), drawn(SHAPE), DATA, Schedule("flow", 0.1, (0, 4, 9)))
    for index in range(2):
        differences = found.outputs[index] - found.linearized[index]
        assert found.departure[index] == max(abs(differences.ravel()))
        change = matrix(found.ntk[index, 2, :3]) - matrix(found.ntk[index, 0, :3])
        assert found.kernel_change[index, 2] == pytest.approx(np.linalg.norm(change), rel=1e-13)
        assert found.displacement[index, 1] == pytest.approx(found.squared_displacement[index, 1].sum() ** 0.5)
    assert np.all(found.kernel_change[:, 0] == 0)
    assert np.all(found.outputs[:, 0] == found.linearized[:, 0])


def test_the_kernel_of_the_trajectory_is_the_empirical_one():
    learner, parameters = learner_of(), drawn(SHAPE)
    found = train(learner, parameters, DATA, Schedule("flow", 0.1, (0, 3)))
    theta = empirical_ntk(SHAPE, parameters, DATA.points, learner.activations, learner.derivatives, DATA.x)
    np.testing.assert_allclose(found.ntk[:, 0], theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_results_depend_neither_on_chunks_nor_on_companions_nor_on_what_else_is_recorded(method, monkeypatch):
    learner, parameters = learner_of(), drawn(SHAPE, 5)
    whole = train(learner, parameters, DATA, Schedule(method, 0.1, (0, 2, 5)))
    last = train(learner, parameters, DATA, Schedule(method, 0.1, (5,)))
    np.testing.assert_array_equal(last.outputs[:, 0], whole.outputs[:, 2])
    alone = Parameters(tuple(w[3:4] for w in parameters.weights), tuple(b[3:4] for b in parameters.biases))
    one = train(learner, alone, DATA, Schedule(method, 0.1, (0, 2, 5)))
    for size in (80, 1):
        monkeypatch.setattr(training, "_PARAMETERS", size)
        parts = train(learner, parameters, DATA, Schedule(method, 0.1, (0, 2, 5)))
        for name in ("outputs", "linearized", "ntk", "squared_displacement", "linear_displacement"):
            np.testing.assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-11, atol=1e-14)
            np.testing.assert_allclose(getattr(one, name)[0], getattr(whole, name)[3], rtol=1e-11, atol=1e-14)


# Beyond the linearization


def third_of_one_layer(vector, shape, data):
    """Return O3 (points, train, train) of one hidden tanh layer and one output, by hand, of all parameters."""
    (sw1, sw2), sb1, width = shape.sigma_w, shape.sigma_b[0], shape.widths[0]
    first, bias = vector[: 2 * width].reshape(width, 2), vector[2 * width : 3 * width]
    v = vector[3 * width : 4 * width] * sw2 / np.sqrt(width)  # the factor with which a unit enters the output
    x = data.points
    gram = sw1**2 / 2 * x @ x.T + sb1**2
    z = sw1 / np.sqrt(2) * first @ x.T + sb1 * bias[:, None]
    p = np.tanh(z)
    d = 1 - p**2
    dd = -2 * p * d
    s = sw2**2 / width
    n = len(data.x)
    # Θ_ab = σ_b² + s Σ p_a p_b + Σ v² d_a d_b K_ab; along ∂f_c/∂ω: ż_a = v d_c K_ac, v̇ = s p_c.
    parts = [
        s * np.einsum("j,ja,jb,jc,ac->abc", v, d, p, d, gram),
        s * np.einsum("j,ja,jb,jc,bc->abc", v, p, d, d, gram),
        2 * s * np.einsum("j,jc,ja,jb,ab->abc", v, p, d, d, gram),
        np.einsum("j,ja,jb,jc,ac,ab->abc", v**3, dd, d, d, gram, gram),
        np.einsum("j,ja,jb,jc,bc,ab->abc", v**3, d, dd, d, gram, gram),
    ]
    return sum(parts)[:, :n, :n]


def test_the_higher_kernels_of_one_hidden_layer_are_those_by_hand():
    shape = NetworkShape(2, (6,), 1, (1.4, 0.9), (0.3, 0.7))
    parameters, step = drawn(shape), 1e-4
    third, fourth = higher_kernels(learner_of(shape), parameters, ONE)
    for index in range(2):
        vector = flat(parameters, index)[0]
        expected = third_of_one_layer(vector, shape, ONE)
        assert error(third[index, :, :, 0, 0, 0], expected) < 1e-3
        assert error(third[index, :, :, 0, 0, 0].swapaxes(1, 2), expected) > 1e-2
        moves = step * jacobian(vector, shape, ONE.x, np.tanh)
        ends = [[third_of_one_layer(vector + sign * move, shape, ONE) for move in moves] for sign in (1, -1)]
        expected = np.moveaxis(np.subtract(*ends) / (2 * step), 0, -1)
        assert error(fourth[index, :, :, 0, 0, 0, :, 0], expected) < 1e-3
        assert error(fourth[index, :, :, 0, 0, 0, :, 0].swapaxes(2, 3), expected) > 1e-2


def test_central_differences_are_of_second_order_in_their_step(monkeypatch):
    shape = NetworkShape(2, (6,), 1, (1.4, 0.9), (0.3, 0.7))
    parameters, errors, fourths = drawn(shape), [], []
    expected = third_of_one_layer(flat(parameters, 0)[0], shape, ONE)
    for step in (0.02, 0.01, 0.0025):
        monkeypatch.setattr(pathwise, "_STEP", step)
        third, fourth = higher_kernels(learner_of(shape), parameters, ONE)
        errors.append(error(third[0, :, :, 0, 0, 0], expected))
        fourths.append(fourth)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.01)
    assert errors[1] / errors[2] == pytest.approx(16, rel=0.01)
    assert error(fourths[1], fourths[2]) < 1e-3


def test_the_kernels_give_the_first_two_time_derivatives_of_the_tangent_kernel():
    learner, parameters, tau = learner_of(rates=RATES), drawn(SHAPE, 1), 0.01
    third, fourth = higher_kernels(learner, parameters, DATA)
    start = Linearization.of(learner, parameters, DATA)
    residual = start.residual(start.outputs)
    first = -np.einsum("nabklic,nic->nabkl", third, residual)
    of_residual = np.einsum("nabklic,nic->nabkl", third, start.applied(residual)[:, :, :3])
    second = np.einsum("nabklicjd,nic,njd->nabkl", fourth, residual, residual) + of_residual
    vector, labels = flat(parameters, 0, RATES)
    kernels = []
    for time in (-tau, 0.0, tau):
        now = flow_of(vector, labels, SHAPE, np.tanh, DATA, time) if time else vector
        slopes = jacobian(now, SHAPE, DATA.points, np.tanh)
        kernels.append(slopes * labels[:, 0] @ slopes[:6].T)
    slope, curvature = (kernels[2] - kernels[0]) / (2 * tau), (kernels[2] - 2 * kernels[1] + kernels[0]) / tau**2
    assert error(matrix(first[0]), slope) < 2e-3
    assert error(matrix(second[0]), curvature) < 5e-3
    assert error(matrix((second - of_residual)[0]), curvature) > 0.05
    assert error(matrix((second - 2 * of_residual)[0]), curvature) > 0.05


def beyond(width, hidden_layers, name, data=ONE):
    """Return trajectories and predictions, and medians over networks of what the predictions of f and Θ̂ leave."""
    shape = wide(width, hidden_layers, data.y.shape[1])
    learner, parameters = learner_of(shape, name), drawn(shape, 24, seed=width)
    schedule = Schedule("flow", 0.1, (0, 5, 10, 20))
    found, expected = train(learner, parameters, data, schedule), predict(learner, parameters, data, schedule)
    rest = np.abs(found.outputs - found.linearized - expected.outputs).max(axis=(1, 2, 3))
    rest_of_kernel = np.abs(found.ntk - found.ntk[:, :1] - expected.ntk).max(axis=(1, 2, 3, 4, 5))
    return found, expected, np.median([rest, rest_of_kernel], axis=1)


def slopes_of_what_is_left(widths=(32, 512)):
    """Return exponents of the width, of what is left of the outputs and of the kernel of one hidden layer."""
    small, large = (beyond(width, 1, "tanh")[2] for width in widths)
    return np.log(large / small) / np.log(widths[1] / widths[0])


def test_what_the_prediction_leaves_falls_with_the_square_of_the_width():
    assert np.all(slopes_of_what_is_left() < -1.5)


@pytest.mark.parametrize(
    "planted",
    [
        lambda o3, o4: (-o3, o4),
        lambda o3, o4: (1.3 * o3, o4),
        lambda o3, o4: (o3, 0 * o4),
        lambda o3, o4: (o3, -o4),
        lambda o3, o4: (o3, o4.transpose(0, 1, 2, 3, 4, 7, 8, 5, 6)),
    ],
    ids=["sign of O3", "size of O3", "no O4", "sign of O4", "order of O4"],
)
def test_what_wrong_kernels_leave_falls_with_the_width_only(planted, monkeypatch):
    monkeypatch.setattr(pathwise, "higher_kernels", lambda *args: planted(*higher_kernels(*args)))
    assert np.any(slopes_of_what_is_left() > -1.5)


@pytest.mark.parametrize(
    ("width", "hidden_layers", "name", "data"),
    [(256, 1, "tanh", ONE), (256, 2, "erf", ONE), (512, 1, "tanh", DATA)],
    ids=["one hidden layer", "two", "two outputs"],
)
def test_the_prediction_is_what_networks_do_beyond_their_linearization(width, hidden_layers, name, data):
    found, expected, rest = beyond(width, hidden_layers, name, data)
    assert rest[0] < 0.15 * np.median(found.departure)
    assert rest[1] < 0.15 * np.median(np.abs(found.ntk - found.ntk[:, :1]).max(axis=(1, 2, 3, 4, 5)))
    assert abs(np.median(expected.departure / found.departure) - 1) < 0.1
    assert np.all(expected.outputs[:, 0] == 0)
    assert np.all(expected.ntk[:, 0] == 0)


def test_parameters_move_as_far_as_those_of_the_linearization_up_to_one_over_the_width():
    off = []
    for width in (16, 256):
        shape = wide(width)
        found = train(learner_of(shape), drawn(shape, 20), ONE, Schedule("flow", 0.1, (20,)))
        off.append(np.median(np.abs(found.displacement / found.linear_displacement - 1)))
        # The 2-norm of everything, or a kernel without the biases, would not do.
        assert np.median(np.abs(found.linear_displacement**2 / found.displacement - 1)) > 0.1
    assert off[1] < 0.003
    assert off[0] / off[1] > 5  # 16 to leading order


def test_the_prediction_of_narrow_networks_is_exact_to_third_order_in_time(monkeypatch):
    # At any width: Θ̂ to second order and f - f_lin to third, each off by t² relative to its leading order.
    monkeypatch.setattr(pathwise, "_STEP", 1e-3)
    learner, parameters, errors = learner_of(rates=RATES), drawn(SHAPE), []
    for time in (0.02, 0.01):
        schedule = Schedule("flow", time / 4, (0, 4))
        found, expected = train(learner, parameters, DATA, schedule), predict(learner, parameters, DATA, schedule)
        beyond_linear, change = found.outputs - found.linearized, found.ntk - found.ntk[:, :1]
        errors.append([error(expected.outputs, beyond_linear), error(expected.ntk, change)])
        assert error(expected.ntk.swapaxes(4, 5), change) > 0.05
        assert error(expected.outputs[:, :, ::-1], beyond_linear) > 0.05
    assert np.all(np.array(errors[1]) < 1e-3)
    np.testing.assert_allclose(np.divide(*errors), 4, rtol=0.1)


def test_predictions_do_not_depend_on_how_many_networks_are_treated_together(monkeypatch):
    learner, parameters, schedule = learner_of(), drawn(SHAPE, 3), Schedule("flow", 0.1, (0, 2))
    whole = predict(learner, parameters, DATA, schedule)
    monkeypatch.setattr(training, "_PARAMETERS", 1)
    parts = predict(learner, parameters, DATA, schedule)
    np.testing.assert_allclose(parts.outputs, whole.outputs, rtol=1e-8)  # rounding errors of nested differences
    np.testing.assert_allclose(parts.ntk, whole.ntk, rtol=1e-8, atol=1e-12)


# What is refused


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"method": "adam"}, "method must be one of flow, descent, got 'adam'"),
        ({"step": 0.0}, "step must be positive and finite, got 0.0"),
        ({"step": float("nan")}, "step must be positive"),
        ({"record": ()}, "record must have ascending numbers of steps"),
        ({"record": (0, -1)}, "record must have ascending"),
        ({"record": (-2, 1)}, "record must have ascending"),
        ({"record": (0, 2, 2)}, "record must have ascending"),
        ({"record": (0, 1.5)}, "record must have ascending"),
    ],
)
def test_an_impossible_schedule_is_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Schedule(**({"method": "flow", "step": 0.1, "record": (0, 1)} | changed))


@pytest.mark.parametrize("method", ["flow", "descent"])
def test_a_step_beyond_stability_is_refused_and_the_largest_one_named(method):
    learner, parameters = learner_of(rates=Rates.last_layer(SHAPE)), drawn(SHAPE)
    largest = float(np.linalg.eigvalsh(Linearization.of(learner, parameters, DATA).gram).max())
    limit = {"flow": 2.785293563405282, "descent": 2.0}[method] / largest
    with pytest.raises(ValueError, match=f"take a step of at most {limit:.6g}"):
        train(learner, parameters, DATA, Schedule(method, 1.01 * limit, (0, 1)))
    # At the limit the fastest mode keeps its size, beyond it it would grow: the polynomials of a step show it.
    for factor, grows in ((1 - 1e-9, False), (1 + 1e-9, True)):
        z = np.array([[-factor * limit * largest]])
        assert (abs(stepped(z, method, 1.0).item()) > 1) == grows
    train(learner, parameters, DATA, Schedule(method, 0.99 * limit, (0, 500)))


def test_one_network_among_others_suffices_to_refuse_a_step(monkeypatch):
    parameters = drawn(SHAPE, 3)
    learner = learner_of()
    monkeypatch.setattr(training, "_PARAMETERS", 1)
    largest = [np.linalg.eigvalsh(gram).max() for gram in Linearization.of(learner, parameters, DATA).gram]
    middle = np.sort(largest)[1]
    for function in (train, predict):
        with pytest.raises(ValueError, match=f"take a step of at most {2.785293563405282 / max(largest):.6g}"):
            function(learner, parameters, DATA, Schedule("flow", 2.785293563405282 / middle, (0,)))


def test_networks_that_overflow_all_the_same_are_refused():
    shape = NetworkShape(2, (3,), 1, (1.0, 1.0), (0.1, 0.1))
    learner = Learner(shape, [lambda z: z**3], [lambda z: 3 * z**2], Rates.ntk(shape))
    data = TrainingData(DATA.x, 300 * DATA.y[:, 0])
    with pytest.raises(ValueError, match=r"overflowed while they were trained with a step of 0\.01"):
        train(learner, drawn(shape), data, Schedule("descent", 0.01, (0, 60)))
    for function in (train, predict):
        with pytest.raises(ValueError, match="the kernel of a network is not finite before training"):
            function(learner, drawn(shape), TrainingData(1e110 * DATA.x, DATA.y[:, 0]), Schedule("flow", 0.01, (0, 1)))


def test_data_that_do_not_fit_are_refused():
    x, y = DATA.x, DATA.y
    for arguments, message in [
        ((x, [1.0, np.nan, 0.0]), "y must be finite, got nan"),
        ((np.full((3, 2), np.inf), y), "x must be finite, got inf"),
        ((x, y[:2]), r"y must have shape \(3, outputs\), got \(2, 2\)"),
        ((x[0], y), r"x must have shape \(n_train, dimension\), got \(2,\)"),
        ((x[:0], y[:0]), r"x must have shape"),
        ((x, y, x[:, :1]), r"test must have shape \(n_test, 2\), got \(3, 1\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            TrainingData(*arguments)
    with pytest.raises(ValueError, match="y must have 2 columns, one per output of the network, got 1"):
        train(learner_of(), drawn(SHAPE), ONE, Schedule("flow", 0.1, (0,)))
    with pytest.raises(ValueError, match=r"inputs must have shape \(n_points, 2\)"):
        train(learner_of(), drawn(SHAPE), TrainingData(np.ones((3, 3)), y), Schedule("flow", 0.1, (0,)))
    single = sample_parameters(SHAPE, 1, np.random.default_rng(0), np.float32)
    for function in (train, predict):
        with pytest.raises(ValueError, match="parameters must be float64, got float32"):
            function(learner_of(), single, DATA, Schedule("flow", 0.1, (0,)))


def test_rates_and_predictions_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="rates must be finite and not negative"):
        Rates((1.0, -1.0), (0.0, 0.0))
    with pytest.raises(ValueError, match="a rate of weights and one of biases per layer, got 2 and 1"):
        Rates((1.0, 1.0), (0.0,))
    with pytest.raises(ValueError, match="expected rates of 3 layers, got 1"):
        learner_of(rates=Rates((1.0,), (1.0,)))
    with pytest.raises(ValueError, match="expected a schedule of gradient flow, got descent"):
        predict(learner_of(), drawn(SHAPE), DATA, Schedule("descent", 0.1, (0, 1)))
    with pytest.raises(ValueError, match="the tangent kernel of a network is zero"):
        higher_kernels(learner_of(rates=Rates((0.0,) * 3, (0.0,) * 3)), drawn(SHAPE), DATA)


def test_results_and_data_cannot_be_changed_from_outside():
    x, y = np.array(DATA.x), np.array(DATA.y)
    data = TrainingData(x, y)
    x[:], y[:] = 7, 7
    assert data.x[0, 0] == 1
    assert data.y[0, 0] == 0.8
    found = train(learner_of(), drawn(SHAPE), data, Schedule("flow", 0.1, (0, 1)))
    assert found.outputs.shape == (2, 2, 2, 3)  # without test inputs
    for array in (found.outputs, found.times, found.ntk, data.y):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_gradient_takes_part_in_every_layer(monkeypatch):
    # Planted: one layer's contribution wrong by 1 %, which the comparison with descent must see.
    learner, parameters, true = learner_of(), drawn(SHAPE, 1), gradients.Learner.gradient
    vector, labels = flat(parameters, 0)
    moved = descended(vector, 0.07 * np.ones((len(labels), 1)), SHAPE, np.tanh, DATA, 5)
    expected = outputs_of(moved, SHAPE, DATA.points, np.tanh)
    for layer in range(3):

        def planted(self, layers, cotangent, layer=layer):
            right = true(self, layers, cotangent)
            return replace(right, weights=tuple(w * (1 + 0.01 * (i == layer)) for i, w in enumerate(right.weights)))

        monkeypatch.setattr(gradients.Learner, "gradient", planted)
        found = train(learner, parameters, DATA, Schedule("descent", 0.07, (5,)))
        assert error(found.outputs[0, 0].T, expected) > 1e-5
