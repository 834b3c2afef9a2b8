"""Lowering of theorems: what is refused, and the arity of what comes out."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.lecture import finite_width, nngp, ntk
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER, X, Y
from derive.notation import input_dimension, layer, learning_rate, noise, same_output, sigma_b, sigma_w, step, width
from derive.operators import OUTPUTS, TRAINING, Letter, Operator, function_of_theta, slot, word
from derive.terms import Expression, Index, atom, constant, delta, mean, total
from numeric.lower import (
    first_layer_determinant,
    first_layer_function,
    layer_function,
    scalar,
    spectral_functions,
)

K, K2 = (Index(name, width(layer + 1)) for name in ("k", "k'"))
J, FIRST = Index("j", width(layer)), Index("1", width(layer))
BELOW = layer - 1


def phi(unit, at, head="phi"):
    return atom(head, unit, at=(at,), layer=BELOW)


# What is a deterministic right side


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (total(J, phi(J, X) * phi(J, Y)), "a sum remains"),
        (atom("W", K, J, layer=layer) * delta(K, K2), "is not deterministic"),
        (phi(FIRST, X) * phi(FIRST, Y), "is not deterministic"),
        (ntk.own_term_exact().rhs, "a sum remains"),
        (mean(total(J, phi(J, X) * phi(J, Y))), "is not a mean of a product of activations"),
        (atom("Theta_inf", at=(X, X), layer=BELOW) * delta(K, K2), "expected Theta_inf at"),
        (atom("Theta_inf", at=(X, Y), layer=BELOW) + atom("Theta_inf", at=(X, Y), layer=layer), "Theta_inf at"),
        (atom("dot", at=(Y, Y)), "expected dot at"),
    ],
    ids=["sum", "weight", "unit", "empirical kernel", "mean of a sum", "one input", "two layers", "norm"],
)
def test_what_is_random_or_ambiguous_is_refused(wrong, message):
    with pytest.raises(TypeError, match=message):
        scalar(wrong, DEEPER_LAYER)


def test_the_printed_square_of_one_input_is_not_lowered_as_the_inner_product():
    printed = sigma_b**2 * constant(1) + sigma_w**2 / input_dimension * atom("dot", at=(X, X))
    with pytest.raises(TypeError, match="expected dot at"):
        scalar(printed, FIRST_LAYER)


def test_a_delta_is_one_for_equal_and_zero_for_different_units():
    for statement, model in (
        (nngp.first_kernel_statement(), FIRST_LAYER),
        (nngp.kernel_statement(), DEEPER_LAYER),
        (ntk.tangent_statement(), DEEPER_LAYER),
        (finite_width.kernel_variance_statement(), DEEPER_LAYER),
    ):
        assert scalar(statement, model).expression != 0
        assert scalar(statement, model, equal_units=False).expression == 0
    cross = scalar(finite_width.tangent_variance_statement(), DEEPER_LAYER, equal_units=False)
    assert cross.expression.has(sigma_w)


def test_names_of_means_are_unfolded():
    value = scalar(ntk.tangent_statement(), DEEPER_LAYER)
    assert set(value.atoms) == {"Theta_inf"}
    assert set(value.moments) == {(("phi", "x", 1), ("phi", "x'", 1)), (("dphi", "x", 1), ("dphi", "x'", 1))}


def test_powers_and_widths_become_placeholders():
    value = scalar(finite_width.kernel_variance_statement(), DEEPER_LAYER)
    assert (("phi", "x", 2), ("phi", "x'", 2)) in value.moments
    assert list(value.sizes) == [width(layer)]
    assert value.expression.free_symbols == {sigma_w, *value.sizes.values(), *value.moments.values()}


# Functions


def test_a_placeholder_that_is_not_an_argument_is_refused():
    value = scalar(nngp.first_kernel_statement(), FIRST_LAYER)
    with pytest.raises(ValueError, match=r"leave \['d', 'dot', 'sigma_w'\] open"):
        value.lowered((sigma_b,))


@pytest.mark.parametrize("statement", [finite_width.kernel_variance_statement(), mean(phi(FIRST, X) * phi(FIRST, X))])
def test_a_layer_function_has_no_width_and_no_other_mean(statement):
    with pytest.raises(ValueError, match="open"):
        layer_function(scalar(statement, DEEPER_LAYER))


def test_functions_take_their_documented_arguments():
    first = first_layer_function(scalar(nngp.first_kernel_statement(), FIRST_LAYER))
    assert first(6.0, 3, 1.4, 0.3) == pytest.approx(0.09 + 1.96 * 2)
    kernel = layer_function(scalar(nngp.kernel_statement(), DEEPER_LAYER))
    assert kernel(0.5, 99.0, 99.0, 99.0, 1.4, 0.3) == pytest.approx(0.09 + 1.96 * 0.5)
    tangent = layer_function(scalar(ntk.tangent_statement(), DEEPER_LAYER))
    assert tangent(0.5, 0.25, 3.0, 99.0, 1.4, 0.3) == pytest.approx(0.09 + 1.96 * 0.5 + 1.96 * 0.25 * 3)
    with pytest.raises(TypeError, match="positional argument"):
        kernel(0.5, 1.0, 1.0)


def test_a_wrong_recursion_may_use_the_kernel_below():
    wrong = sigma_b**2 * constant(1) + sigma_w**2 * atom("K", at=(X, Y), layer=BELOW)
    function = layer_function(scalar(wrong, DEEPER_LAYER))
    assert function(99.0, 99.0, 99.0, 0.5, 1.4, 0.3) == pytest.approx(0.09 + 1.96 * 0.5)


@pytest.mark.parametrize("sigma_bias", [0.0, 0.3])
def test_the_first_determinant_is_that_of_the_kernel(sigma_bias):
    x, y = np.array([0.3, -1.2, 0.7]), np.array([0.5, 0.4, 2.0])
    determinant = first_layer_determinant(scalar(nngp.first_kernel_statement(), FIRST_LAYER))
    gram = (x @ x) * (y @ y) - (x @ y) ** 2
    found = determinant(gram, np.sum((x - y) ** 2), 1.4, sigma_bias, 3)
    kernel = [sigma_bias**2 + 1.96 * p / 3 for p in (x @ x, y @ y, x @ y)]
    assert found == pytest.approx(kernel[0] * kernel[1] - kernel[2] ** 2, rel=1e-13)


def test_the_determinant_needs_an_affine_kernel():
    dot = atom("dot", at=(X, Y))
    with pytest.raises(ValueError, match="expected a kernel that is affine in the inner product"):
        first_layer_determinant(scalar(constant(1) + dot * dot, FIRST_LAYER))


def test_the_determinant_of_a_constant_kernel_is_zero():
    determinant = first_layer_determinant(scalar(sigma_b**2 * constant(1), FIRST_LAYER))
    assert determinant(2.0, 3.0, 1.4, 0.3, 5) == 0


# Spectral functions


def test_a_function_of_theta_has_a_value_on_the_range_and_one_on_the_kernel():
    decay = function_of_theta(sp.exp(-slot(0)), slot(0)) @ word(Letter("Y", TRAINING, OUTPUTS))
    ((names, (on_range, on_kernel)),) = spectral_functions(decay).items()
    assert names == ("Y",)
    assert on_range(np.array([2.0]), 9.0, 9.0, 9.0, 9.0)[0] == pytest.approx(np.exp(-2.0))
    assert on_kernel(np.array([0.0]), 9.0, 9.0, 9.0, 9.0) == 1
    inverse = Operator(TRAINING, TRAINING, [((), (1 / slot(0), sp.S.Zero))])
    ((_, (on_range, on_kernel)),) = spectral_functions(inverse).items()
    assert on_range(4.0, 1.0, 1.0, 1.0, 1.0) == 0.25
    assert on_kernel(0.0, 1.0, 1.0, 1.0, 1.0) == 0


def test_a_word_with_two_joints_has_a_function_for_each_eigenvalue_that_may_vanish():
    inverse = Operator(TRAINING, TRAINING, [((), (1 / slot(0), sp.Integer(7)))])
    ((names, functions),) = spectral_functions(inverse @ word(Letter("M", TRAINING, TRAINING)) @ inverse).items()
    assert names == ("M",)
    values = [f(4.0, 2.0, 1.0, 1.0, 1.0, 1.0) for f in functions]
    assert values == [1 / 8, 7 / 2, 7 / 4, 49]


def test_steps_noise_and_outputs_are_arguments():
    mode = function_of_theta((1 - learning_rate * slot(0)) ** step / (slot(0) + noise**2), slot(0))
    ((_, (on_range, _)),) = spectral_functions(same_output * mode).items()
    assert on_range(2.0, 0.25, 3, 0.5, 1.0) == pytest.approx(0.5**3 / 2.25)
    assert on_range(2.0, 0.25, 3, 0.5, 0.0) == 0


def test_lowering_an_expression_that_is_zero_is_zero():
    assert scalar(Expression(), FIRST_LAYER).expression == 0
