"""Each rule on the smallest expressions it is about, and on those where it must leave alone or refuse."""

from __future__ import annotations

import pytest
import sympy as sp

from derive.examiner import examine
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER, X, Y, tangent_hypothesis
from derive.model import Definition, Model
from derive.notation import input_dimension, layer, parameter_count, sigma_b, sigma_w, width
from derive.rules import (
    abbreviate,
    by_theorem,
    collapse,
    counting,
    differentiate,
    fold,
    hypothesis,
    identical_units,
    independence,
    isserlis,
    law_of_large_numbers,
    linearity,
    split_diagonal,
    unfold,
)
from derive.terms import Atom, Expression, Index, atom, constant, delta, mean, partial, total
from derive.theorem import reflexivity

N, ROWS = width(layer), width(layer + 1)
J, J2, ONE = (Index(name, N) for name in ("j", "j'", "1"))
K, K2, H = (Index(name, ROWS) for name in ("k", "k'", "i"))
Q = Index("q", parameter_count(layer - 1))
P = Index("p", input_dimension)
BELOW = layer - 1


def W(row, column):
    return atom("W", row, column, layer=layer)


def b(row):
    return atom("b", row, layer=layer)


def phi(unit, x=X, head="phi"):
    return atom(head, unit, at=(x,), layer=BELOW)


def c(*indices):
    """Return an entry of a family that no model knows: a constant."""
    return atom("c", *indices)


def weight(row, column):
    return Atom("W", (row, column), (), layer)


THETA = Atom("theta", (Q,), (), BELOW)


def rewritten(rule, before, *arguments, model=DEEPER_LAYER):
    """Return what a rule makes of an expression, the step examined."""
    theorem = reflexivity(before, model).by(rule, *arguments)
    examine(theorem)
    return theorem.rhs


def refuses(rule, before, *arguments, model=DEEPER_LAYER, match="does not apply"):
    with pytest.raises((ValueError, TypeError), match=match):
        reflexivity(before, model).by(rule, *arguments)


# --- names -------------------------------------------------------------------------------------------------------


def test_unfold_replaces_a_name_by_its_body_at_its_indices_and_inputs():
    expected = sigma_w / sp.sqrt(N) * total(J, W(K2, J) * phi(J, Y)) + sigma_b * b(K2)
    assert rewritten(unfold, atom("z", K2, at=(Y,), layer=layer), "z") == expected


def test_unfold_reaches_into_expectations_and_derivatives():
    z = atom("z", K, at=(X,), layer=layer)
    body = sigma_w / sp.sqrt(N) * total(J, W(K, J) * phi(J)) + sigma_b * b(K)
    assert rewritten(unfold, mean(z * z), "z") == mean(body * body)
    assert rewritten(unfold, partial(z, weight(H, J)), "z") == partial(body, weight(H, J))


def test_unfold_leaves_other_names_and_other_layers_alone():
    refuses(unfold, atom("z", K, at=(X,), layer=layer), "Theta")
    refuses(unfold, atom("z", K, at=(X,), layer=7), "z")


def test_unfolding_inside_a_sum_of_expectations_does_not_capture():
    n = sp.Symbol("n", integer=True, positive=True)
    i, j, k = (Index(name, n) for name in "ijk")

    def field(unit):
        return atom("phi", unit, at=("x",))

    square = Definition("B", (k,), (), None, field(k) * field(k))
    nested = Definition("A", (k,), (), None, total(i, mean(atom("B", i) * field(k))))
    model = Model(name="nested", gaussian=frozenset(), fields={"phi": 0}, definitions=(square, nested))
    expected = total(j, mean(total(i, mean(field(i) * field(i) * field(j)))))
    assert reflexivity(total(j, mean(atom("A", j))), model).by(unfold).rhs == expected


def test_fold_recognizes_a_definition_and_keeps_the_rest():
    tangent = DEEPER_LAYER.definition("Theta", BELOW)
    slopes = atom("dz", J, Q, at=(X,), layer=BELOW) * atom("dz", J2, Q, at=(Y,), layer=BELOW)
    named = atom("Theta", J, J2, at=(X, Y), layer=BELOW)
    assert rewritten(fold, total(Q, slopes), tangent) == named
    swapped = atom("Theta", J2, J, at=(Y, X), layer=BELOW)  # the same sum: either name is right
    inside = rewritten(fold, 3 * total(J, total(Q, slopes * phi(J)) * c(J)), tangent)
    assert inside in [3 * total(J, name * phi(J) * c(J)) for name in (named, swapped)]


def test_fold_keeps_the_order_of_the_inputs():
    tangent = DEEPER_LAYER.definition("Theta", BELOW)
    slopes = atom("dz", J, Q, at=(Y,), layer=BELOW) * atom("dz", J2, Q, at=(X,), layer=BELOW)
    named = rewritten(fold, total(Q, slopes), tangent)
    assert named in (
        atom("Theta", J, J2, at=(Y, X), layer=BELOW),
        atom("Theta", J2, J, at=(X, Y), layer=BELOW),
    )


def test_fold_refuses_when_the_dummy_occurs_elsewhere_or_is_not_summed():
    tangent = DEEPER_LAYER.definition("Theta", BELOW)
    slopes = atom("dz", J, Q, at=(X,), layer=BELOW) * atom("dz", J2, Q, at=(Y,), layer=BELOW)
    refuses(fold, total(Q, slopes * c(Q)), tangent)
    refuses(fold, slopes, tangent)


def test_fold_refuses_a_product_of_other_families():
    dot = FIRST_LAYER.definition("dot", None)
    refuses(fold, total(P, atom("input", P, at=(X,)) * c(P)), dot, model=FIRST_LAYER)


def test_abbreviate_names_a_sum_of_terms_with_what_they_share():
    kernel = DEEPER_LAYER.definition("K", layer)
    before = delta(K, K2) * (2 * sigma_b**2 * c() + 2 * sigma_w**2 * mean(phi(ONE) * phi(ONE, Y)) * c())
    assert rewritten(abbreviate, before, kernel) == 2 * (delta(K, K2) * c() * atom("K", at=(X, Y), layer=layer))


@pytest.mark.parametrize("wrong", [sigma_b**2 + 1, -(sigma_b**2), sp.S.Zero])
def test_abbreviate_refuses_when_one_term_does_not_fit(wrong):
    kernel = DEEPER_LAYER.definition("K", layer)
    refuses(abbreviate, constant(wrong) + sigma_w**2 * mean(phi(ONE) * phi(ONE, Y)), kernel)


def test_abbreviate_refuses_a_name_with_indices():
    refuses(abbreviate, c(), DEEPER_LAYER.definition("Theta", BELOW), match="use fold")


# --- sums and deltas ---------------------------------------------------------------------------------------------


def test_collapse_uses_a_delta_up_against_a_sum():
    assert rewritten(collapse, total(H, delta(K, H) * c(H))) == c(K)
    assert rewritten(collapse, total(H, total(K, delta(K, H) * c(H) * b(K)))) == total(K, c(K) * b(K))


def test_collapse_substitutes_inside_expectations():
    assert rewritten(collapse, total(J, delta(J, J2) * mean(phi(J) * phi(J)))) == mean(phi(J2) * phi(J2))


def test_collapse_squares_deltas_and_drops_those_of_equal_indices():
    assert rewritten(collapse, delta(K, K2) * delta(K, K2)) == delta(K, K2)
    assert rewritten(collapse, delta(K, K) * c(K)) == c(K)
    assert rewritten(collapse, total(K, delta(K, K) * c(K))) == total(K, c(K))


def test_collapse_leaves_a_delta_of_free_indices_alone():
    refuses(collapse, delta(K, K2) * c(K))
    refuses(collapse, total(J, c(J)) * delta(K, K2))


def test_collapse_works_inside_expectations_as_its_docstring_says():
    assert rewritten(collapse, mean(total(J, delta(J, J2) * phi(J)))) == mean(phi(J2))


def test_counting_replaces_an_empty_sum_by_its_range():
    assert rewritten(counting, total(J, c(K))) == N * c(K)
    assert rewritten(counting, total(J, total(J2, total(K, c(K))))) == N**2 * total(K, c(K))


def test_counting_leaves_a_sum_over_an_index_that_occurs_alone():
    refuses(counting, total(J, c(J)))
    refuses(counting, total(J, mean(phi(J))))


# --- expectations ------------------------------------------------------------------------------------------------


def test_linearity_takes_sums_coefficients_and_constants_out():
    before = mean(3 * total(J, c(J) * W(K, J)) + sigma_b * b(K) + constant(5))
    expected = 3 * total(J, c(J) * mean(W(K, J))) + sigma_b * mean(b(K)) + constant(5)
    assert rewritten(linearity, before) == expected


def test_linearity_takes_out_the_fields_that_are_given_and_keeps_the_weights():
    before = mean(total(J, W(K, J) * phi(J)), ("phi", "dphi"))
    assert rewritten(linearity, before) == total(J, phi(J) * mean(W(K, J), ("phi", "dphi")))
    refuses(linearity, mean(W(K, J) * phi(J)))


def test_linearity_takes_a_mean_out_of_a_mean():
    assert rewritten(linearity, mean(phi(J) * mean(phi(J2)))) == mean(phi(J)) * mean(phi(J2))


def test_linearity_keeps_a_conditional_mean_that_is_random_inside():
    conditional = mean(W(K, J) * W(K, J) * phi(J), ("phi", "dphi"))
    refuses(linearity, mean(conditional))


def test_what_is_given_is_not_random_for_linearity_and_the_examiner_alike():
    assert rewritten(linearity, mean(b(K) * b(K2), ("b",))) == b(K) * b(K2)


def test_independence_splits_families_and_records_why():
    before = mean(W(K, J) * W(K2, J) * b(K) * phi(J))
    theorem = reflexivity(before, DEEPER_LAYER).by(independence)
    examine(theorem)
    assert theorem.rhs == mean(W(K, J) * W(K2, J)) * mean(b(K)) * mean(phi(J))
    assert any("independent" in text for text in theorem.assumptions)


def test_independence_does_not_split_one_family():
    refuses(independence, mean(W(K, J) * W(K2, J)))
    refuses(independence, mean(phi(J) * phi(J2)))
    refuses(independence, mean(phi(J) * phi(J, Y, head="dphi")))


def test_independence_does_not_split_the_weights_of_a_layer_from_its_own_units():
    """z^{l-1} is made of W^{l-1}: only the weights of layer l are independent of phi(z^{l-1})."""
    own = atom("W", J, Index("i", width(BELOW)), layer=BELOW)
    refuses(independence, mean(own * phi(J)), match=None)


def test_isserlis_of_two_is_a_delta_of_all_indices():
    assert rewritten(isserlis, mean(W(K, J) * W(K2, J2))) == delta(K, K2) * delta(J, J2)
    assert rewritten(isserlis, mean(W(K, J) * W(K2, J2), ("phi", "dphi"))) == delta(K, K2) * delta(J, J2)


def test_isserlis_of_four_is_the_sum_over_three_pairings():
    i, j, k, m = (Index(name, ROWS) for name in "ijkm")
    expected = delta(i, j) * delta(k, m) + delta(i, k) * delta(j, m) + delta(i, m) * delta(j, k)
    assert rewritten(isserlis, mean(b(i) * b(j) * b(k) * b(m))) == expected


def test_isserlis_of_an_odd_number_is_zero():
    assert rewritten(isserlis, mean(b(K) * b(K2) * b(H))) == Expression()
    assert rewritten(isserlis, mean(b(K))) == Expression()


def test_isserlis_of_a_power_counts_its_pairings():
    assert rewritten(isserlis, mean(b(K) * b(K) * b(K) * b(K))) == 3 * (delta(K, K) * delta(K, K))


def test_isserlis_leaves_products_of_families_layers_and_fields_alone():
    refuses(isserlis, mean(W(K, J) * b(K)))
    refuses(isserlis, mean(phi(J) * phi(J2)))
    refuses(isserlis, mean(atom("b", K, layer=layer) * atom("b", K, layer=layer + 1)), match="not of layer")


def test_isserlis_does_not_average_over_what_is_given():
    refuses(isserlis, mean(b(K) * b(K2), ("b",)))


# --- iid units ---------------------------------------------------------------------------------------------------


def test_identical_units_call_one_unit_the_first_under_the_hypothesis():
    theorem = reflexivity(total(J, mean(phi(J) * phi(J, Y))), DEEPER_LAYER).by(identical_units)
    examine(theorem)
    assert theorem.rhs == total(J, mean(phi(ONE) * phi(ONE, Y)))
    assert theorem.hypotheses == (DEEPER_LAYER.iid_units,)


def test_identical_units_do_not_merge_different_units():
    refuses(identical_units, mean(phi(J) * phi(J2)))
    refuses(identical_units, mean(phi(J) * phi(ONE)))
    refuses(identical_units, mean(phi(ONE) * phi(ONE)))


def test_identical_units_do_not_relabel_gaussians_or_what_is_not_averaged():
    refuses(identical_units, mean(b(K) * b(K)))
    refuses(identical_units, phi(J))


def test_units_that_are_given_are_not_identical():
    refuses(identical_units, mean(phi(J) * phi(J), ("phi", "dphi")))


def test_units_that_are_given_are_not_split_into_pairs():
    refuses(split_diagonal, total(J, total(J2, mean(phi(J) * phi(J2), ("phi", "dphi")))))


@pytest.mark.parametrize("rule", [identical_units, split_diagonal])
def test_rules_on_iid_units_refuse_a_model_that_does_not_have_them(rule):
    refuses(rule, mean(atom("W", H, layer=1)), model=FIRST_LAYER, match="does not say that the units")


def test_split_diagonal_counts_equal_and_unequal_pairs():
    before = total(J, total(J2, mean(phi(J) * phi(J, Y) * phi(J2)) * c(K)))
    diagonal = mean(phi(ONE) * phi(ONE, Y) * phi(ONE))
    pairs = mean(phi(ONE) * phi(ONE, Y)) * mean(phi(ONE))
    assert rewritten(split_diagonal, before) == (N * diagonal + (N * (N - 1)) * pairs) * c(K)


def test_split_diagonal_refuses_indices_that_are_free_or_used_elsewhere():
    refuses(split_diagonal, total(J, mean(phi(J) * phi(J2))))
    refuses(split_diagonal, total(J, total(J2, mean(phi(J) * phi(J2)) * c(J))))


def test_an_average_tends_to_its_mean_and_says_so():
    before = (sigma_w**2 / N) * total(J, phi(J) * phi(J, Y) * W(K, J)) * c(K)
    theorem = reflexivity(before, DEEPER_LAYER).by(law_of_large_numbers, N)
    examine(theorem)
    assert theorem.rhs == sigma_w**2 * mean(phi(ONE) * phi(ONE, Y) * W(K, ONE)) * c(K)
    assert theorem.relation == "→"
    assert theorem.limits == (N,)
    assert theorem.hypotheses == (DEEPER_LAYER.iid_units,)
    assert any("second moment" in text for text in theorem.assumptions)


@pytest.mark.parametrize(
    "before",
    [
        total(J, phi(J)),
        (1 / sp.sqrt(N)) * total(J, phi(J)),
        (1 / N**2) * total(J, phi(J)),
        (1 / ROWS) * total(J, phi(J)),
        (1 / N) * total(J, c(J)),
        (1 / N) * total(J, phi(J) * delta(J, J2)),
        (1 / N) * total(J, total(J2, phi(J) * phi(J2))),
        (1 / N) * total(J, atom("Theta", J, J, at=(X, Y), layer=BELOW)),
    ],
    ids=["sum", "root", "square", "another-width", "data", "one-term", "double", "not-a-unit"],
)
def test_the_law_of_large_numbers_refuses_what_is_not_an_average_of_iid_terms(before):
    refuses(law_of_large_numbers, before, N)


# --- derivatives -------------------------------------------------------------------------------------------------


def test_a_weight_has_derivative_one_by_itself_and_zero_by_another():
    assert rewritten(differentiate, partial(W(K, J), weight(H, J2))) == delta(K, H) * delta(J, J2)
    assert rewritten(differentiate, partial(b(K), weight(H, J))) == Expression()
    refuses(differentiate, partial(W(K, J), Atom("W", (H, J2), (), layer + 1)), match="not of layer")


def test_the_product_rule_differentiates_every_factor():
    before = partial(b(K) * b(K2) * c(K), Atom("b", (H,), (), layer))
    assert rewritten(differentiate, before) == c(K) * (delta(K, H) * b(K2) + delta(K2, H) * b(K))
    square = partial(b(K) * b(K), Atom("b", (H,), (), layer))
    assert rewritten(differentiate, square) == 2 * (delta(K, H) * b(K))


def test_a_field_is_differentiated_by_the_chain_rule_and_only_by_parameters_below():
    slope = atom("dz", J, Q, at=(X,), layer=BELOW)
    assert rewritten(differentiate, partial(phi(J), THETA)) == phi(J, head="dphi") * slope
    assert rewritten(differentiate, partial(phi(J), weight(H, J2))) == Expression()


def test_a_field_depends_on_the_weights_of_its_own_layer():
    """phi(z^{l-1}_j) depends on W^{l-1}; its derivative is not 0 and the model has no name for it."""
    own = Atom("W", (J, Index("i", width(BELOW))), (), BELOW)
    refuses(differentiate, partial(phi(J), own), match=None)


def test_a_model_without_the_derivative_of_a_field_refuses():
    refuses(differentiate, partial(phi(J, head="dphi"), THETA), match="no name for the derivative of dphi")


def test_a_name_that_is_not_unfolded_is_not_differentiated_to_zero():
    z = atom("z", K, at=(X,), layer=layer)
    refuses(differentiate, partial(z, Atom("b", (H,), (), layer)), match=None)


def test_a_second_derivative_is_the_derivative_of_the_derivative():
    first = Atom("b", (H,), (), layer)
    second = Atom("b", (K2,), (), layer)
    before = partial(partial(b(K) * b(K), first), second)
    assert reflexivity(before, DEEPER_LAYER).by(differentiate).rhs == 2 * (delta(K, H) * delta(K, K2))


def test_the_gradient_of_the_layer_below_is_not_constant_in_its_parameters():
    other = Atom("theta", (Index("r", parameter_count(layer - 1)),), (), BELOW)
    refuses(differentiate, partial(atom("dz", J, Q, at=(X,), layer=BELOW), other), match=None)


# --- hypotheses and theorems -------------------------------------------------------------------------------------


def test_a_hypothesis_is_used_with_its_delta_and_is_a_limit():
    assumed = tangent_hypothesis(DEEPER_LAYER)
    before = atom("Theta", J2, J, at=(X, Y), layer=BELOW) * c(J)
    theorem = reflexivity(before, DEEPER_LAYER).by(hypothesis, assumed)
    examine(theorem)
    assert theorem.rhs == atom("Theta_inf", at=(X, Y), layer=BELOW) * delta(J, J2) * c(J)
    assert theorem.relation == "→"
    assert theorem.hypotheses == (assumed,)


@pytest.mark.parametrize(("inputs", "of_layer"), [((Y, X), BELOW), ((X, X), BELOW), ((X, Y), layer)])
def test_a_hypothesis_is_not_used_at_other_inputs_or_layers(inputs, of_layer):
    i, j = Index("i", width(of_layer + 1)), Index("j", width(of_layer + 1))
    refuses(hypothesis, atom("Theta", i, j, at=inputs, layer=of_layer), tangent_hypothesis(DEEPER_LAYER))


def test_a_theorem_replaces_its_left_side_by_its_right_side():
    theorem = reflexivity(mean(b(K) * b(K2)), DEEPER_LAYER).by(isserlis)
    assert rewritten(by_theorem, mean(b(K) * b(K2)) + c(K), theorem) == delta(K, K2) + c(K)


def test_a_theorem_is_not_used_with_another_coefficient_or_other_indices():
    theorem = reflexivity(mean(b(K) * b(K2)), DEEPER_LAYER).by(isserlis)
    refuses(by_theorem, 2 * mean(b(K) * b(K2)), theorem)
    refuses(by_theorem, mean(b(K) * b(H)), theorem)


def test_a_limit_theorem_hands_on_what_it_rests_on():
    average = (1 / N) * total(J, phi(J))
    limit = reflexivity(average, DEEPER_LAYER).by(law_of_large_numbers, N)
    used = reflexivity(average + c(K), DEEPER_LAYER).by(by_theorem, limit)
    examine(used)
    assert (used.relation, used.rhs) == ("→", mean(phi(ONE)) + c(K))
    assert (used.limits, used.hypotheses, used.assumptions) == (limit.limits, limit.hypotheses, limit.assumptions)
    assert used.premises == (limit,)


def test_a_theorem_about_one_model_is_not_used_in_another():
    limit = reflexivity((1 / N) * total(J, phi(J)), DEEPER_LAYER).by(law_of_large_numbers, N)
    deterministic = Model(name="phi is data", gaussian=frozenset(), data=frozenset({"phi"}))
    refuses(by_theorem, (1 / N) * total(J, phi(J)), limit, model=deterministic, match="model")


def test_a_sum_of_many_rules_gives_the_known_second_moment_of_an_average():
    """E[(1/n sum phi)^2] = (E[phi^2] + (n-1) E[phi]^2)/n, a classical formula."""
    average = (1 / N) * total(J, phi(J))
    theorem = reflexivity(mean(average * average), DEEPER_LAYER).by(linearity).by(split_diagonal)
    examine(theorem)
    expected = (1 / N) * mean(phi(ONE) * phi(ONE)) + ((N - 1) / N) * (mean(phi(ONE)) * mean(phi(ONE)))
    assert theorem.rhs == expected
