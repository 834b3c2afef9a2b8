"""Words of matrices with functions of Theta: typing, products against explicit matrices, and wrong flows refuted."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.examiner import examine
from derive.explicit_matrices import SPECTRA, value
from derive.lecture import flow_claims
from derive.lecture import linearized as lecture
from derive.model import Model
from derive.moments import covariance
from derive.notation import eigenvalue, learning_rate, time
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OUTPUTS,
    PARAMETERS,
    TEST,
    TRAINING,
    IllTyped,
    Letter,
    Operator,
    function_of_theta,
    replaced,
    restricted_to_range,
    slot,
    substituted,
    word,
)
from derive.rules.spectral import (
    as_time_grows,
    at_time_zero,
    definition,
    gram,
    integrate_rate,
    name_product,
    positive_definite,
    range_of_jacobian,
    solve_mode,
    substitute_theorem,
)
from derive.theorem import Conclusion, Rewriting, StepRefuted, inference, reflexivity, rule
from derive.typeset import latex

FLOW = lecture.LINEARIZED
Y, F, F0, OMEGA, JX = (word(letter) for letter in (lecture.Y, lecture.F, lecture.F0, lecture.OMEGA, lecture.JX))
A = Letter("A", TRAINING, TRAINING)
J, JT = word(JACOBIAN), word(JACOBIAN_T)


def function(g):
    return function_of_theta(sp.sympify(g), eigenvalue)


THETA = function(eigenvalue)
DECAY = function(sp.exp(-learning_rate * eigenvalue * time))
SLOPE = function((1 - sp.exp(-eigenvalue * time)) / eigenvalue)
IDENTITY = function(1)


def equal_matrices(operator, matrix, spectrum):
    difference = value(operator, spectrum, {}) - matrix
    return difference.applyfunc(sp.expand) == sp.zeros(*matrix.shape)


# --- typing ------------------------------------------------------------------------------------------------------


def test_the_printed_order_of_eq_71_is_ill_typed():
    with pytest.raises(IllTyped, match=r"cannot multiply a matrix of shape X × outputs by a matrix of shape X × X"):
        flow_claims.printed_training_outputs()


def test_a_product_names_the_spaces_that_do_not_fit():
    with pytest.raises(IllTyped, match="columns in theta, the right one rows in X"):
        J @ J
    with pytest.raises(IllTyped, match="columns in outputs"):
        Y @ JT


def test_a_sum_of_two_shapes_is_ill_typed():
    with pytest.raises(IllTyped, match="cannot add a matrix of shape theta × X to a matrix of shape X × theta"):
        J + JT
    with pytest.raises(IllTyped, match="cannot add"):
        Y - F @ word(Letter("M", OUTPUTS, TRAINING))


def test_a_letter_is_replaced_by_its_own_shape_only():
    with pytest.raises(IllTyped, match="Y is of shape X × outputs, not a matrix of shape theta × X"):
        substituted(Y, lecture.Y, JT)


@pytest.mark.parametrize(
    ("rows", "columns", "letters"),
    [(TEST, TRAINING, (JACOBIAN,)), (TEST, TRAINING, ()), (TRAINING, TRAINING, (JACOBIAN, JACOBIAN))],
    ids=["wrong-ends", "no-identity", "wrong-joint"],
)
def test_a_word_that_does_not_fit_its_shape_cannot_be_built(rows, columns, letters):
    with pytest.raises(TypeError):
        Operator(rows, columns, [(letters, (sp.S.One, sp.S.One))])


def test_a_function_without_a_value_at_zero_is_refused():
    with pytest.raises(ValueError, match=r"zero|continuous"):
        function(1 / eigenvalue)


# --- normal form -------------------------------------------------------------------------------------------------


def test_functions_of_theta_multiply_as_scalars_and_commute():
    assert DECAY @ THETA == THETA @ DECAY == function(eigenvalue * sp.exp(-learning_rate * eigenvalue * time))
    assert DECAY @ function(sp.exp(learning_rate * eigenvalue * time)) == IDENTITY
    assert IDENTITY @ A_WORD == A_WORD == A_WORD @ IDENTITY


A_WORD = word(A)


def test_a_free_matrix_does_not_commute_with_theta():
    assert A_WORD @ THETA != THETA @ A_WORD
    assert JT @ THETA @ J != THETA


def test_words_that_cancel_vanish():
    assert (Y - Y).words == {}
    assert 0 * Y == Y - Y
    assert hash(F + Y) == hash(Y + F)


def test_a_function_is_given_at_eigenvalue_zero_by_its_limit():
    assert SLOPE.words[()] == (sp.expand((1 - sp.exp(-slot(0) * time)) / slot(0)), time)


# --- products and sums against explicit matrices -----------------------------------------------------------------

BLOCKS = {
    "theta": THETA,
    "decay": DECAY,
    "slope": SLOPE,
    "A": A_WORD,
    "J J^T": J @ JT,
    "J D J^T": J @ word(Letter("D", PARAMETERS, PARAMETERS)) @ JT,
    "sum": THETA - 2 * A_WORD,
}
ENDS_LEFT = {"": IDENTITY, "J^T": JT, "Theta(x,X)": word(lecture.THETA_XX), "J(x) J^T": JX @ JT}
ENDS_RIGHT = {"": IDENTITY, "Y": Y, "J": J}


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    blocks=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=3),
    left=st.sampled_from(sorted(ENDS_LEFT)),
    right=st.sampled_from(sorted(ENDS_RIGHT)),
    spectrum=st.sampled_from(SPECTRA),
)
def test_a_product_of_operators_is_the_product_of_their_matrices(blocks, left, right, spectrum):
    factors = [ENDS_LEFT[left], *(BLOCKS[b] for b in blocks), ENDS_RIGHT[right]]
    product, matrix = factors[0], value(factors[0], spectrum, {})
    for factor in factors[1:]:
        product, matrix = product @ factor, matrix * value(factor, spectrum, {})
    assert equal_matrices(product, matrix, spectrum)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(
    first=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=2),
    second=st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=2),
    scale=st.sampled_from([sp.Rational(-3, 4), sp.Integer(2), learning_rate]),
    spectrum=st.sampled_from(SPECTRA),
)
def test_a_sum_of_operators_is_the_sum_of_their_matrices(first, second, scale, spectrum):
    p, q = IDENTITY, IDENTITY
    for block in first:
        p = p @ BLOCKS[block]
    for block in second:
        q = q @ BLOCKS[block]
    assert equal_matrices(p + scale * q, value(p, spectrum, {}) + scale * value(q, spectrum, {}), spectrum)
    assert (p + q) @ p == p @ p + q @ p
    assert (p @ q) @ p == p @ (q @ p)


@pytest.mark.parametrize("spectrum", SPECTRA, ids=["positive", "singular"])
def test_a_word_with_two_joints_has_a_function_of_two_eigenvalues(spectrum):
    two = DECAY @ A_WORD @ SLOPE
    (pieces,) = two.words.values()
    assert len(pieces) == 4
    assert {s.name for s in pieces[0].free_symbols} >= {"lambda_0", "lambda_1"}
    expected = value(DECAY, spectrum, {}) * value(A_WORD, spectrum, {}) * value(SLOPE, spectrum, {})
    assert equal_matrices(two, expected, spectrum)


@pytest.mark.parametrize("spectrum", SPECTRA, ids=["positive", "singular"])
def test_letters_inside_words_with_two_joints_are_replaced_in_place(spectrum):
    meaning = THETA @ A_WORD - SLOPE
    letter = Letter("B", TRAINING, TRAINING)
    before = DECAY @ A_WORD @ SLOPE @ word(letter) @ THETA @ Y + word(letter) @ Y
    after = substituted(before, letter, meaning)
    expected = DECAY @ A_WORD @ SLOPE @ meaning @ THETA @ Y + meaning @ Y
    assert after == expected
    assert equal_matrices(after, value(before, spectrum, {letter: value(meaning, spectrum, {})}), spectrum)


def test_the_gram_product_is_replaced_wherever_it_stands():
    before = DECAY @ J @ JT @ A_WORD @ J @ JT @ Y
    assert replaced(before, (JACOBIAN, JACOBIAN_T), THETA) == DECAY @ THETA @ A_WORD @ THETA @ Y


@pytest.mark.parametrize("spectrum", SPECTRA, ids=["positive", "singular"])
def test_behind_the_jacobian_only_positive_eigenvalues_matter(spectrum):
    for operator in (JT @ SLOPE @ Y, JX @ JT @ SLOPE @ A_WORD @ DECAY @ Y, A_WORD @ SLOPE @ J @ JT @ DECAY @ Y):
        restricted = restricted_to_range(operator)
        assert equal_matrices(restricted, value(operator, spectrum, {}), spectrum)
    assert restricted_to_range(A_WORD @ SLOPE @ Y) == A_WORD @ SLOPE @ Y


@pytest.mark.parametrize("spectrum", SPECTRA, ids=["positive", "singular"])
def test_theta_is_the_gram_matrix_and_the_slots_are_its_functions(spectrum):
    theta = value(THETA, spectrum, {})
    assert theta == value(J, spectrum, {}) * value(JT, spectrum, {})
    assert sorted(theta.eigenvals()) == sorted(spectrum)
    assert equal_matrices(function(eigenvalue**3 - 2), theta**3 - 2 * sp.eye(2), spectrum)


def test_the_identity_of_a_space_that_is_not_the_training_set_has_a_matrix():
    identity = Operator(PARAMETERS, PARAMETERS, [((), (sp.S.One,))])
    assert value(identity, SPECTRA[0], {}) == sp.eye(3)


# --- rules -------------------------------------------------------------------------------------------------------


def rewritten(applied, before, *arguments):
    theorem = reflexivity(before, FLOW).by(applied, *arguments)
    assert examine(theorem).total > 0
    return theorem


def test_limits_are_taken_mode_by_mode_on_the_range_and_on_the_kernel():
    theorem = rewritten(as_time_grows, DECAY @ Y)
    (pieces,) = theorem.rhs.words.values()
    assert pieces == (0, 1)
    assert (theorem.relation, theorem.limits) == ("→", (time,))
    assert any("learning rate is positive" in text for text in theorem.assumptions)
    assert rewritten(at_time_zero, DECAY @ Y).rhs == Y
    assert rewritten(at_time_zero, SLOPE @ Y).rhs == 0 * Y


def test_a_mode_that_grows_has_no_limit():
    for g in (eigenvalue * time, sp.exp(eigenvalue * time)):
        with pytest.raises(ValueError, match="does not converge"):
            reflexivity(function(g), FLOW).by(as_time_grows)
    with pytest.raises(ValueError, match="does not converge"):
        reflexivity(SLOPE @ Y, FLOW).by(as_time_grows)


def test_a_mode_that_oscillates_has_no_limit():
    with pytest.raises(ValueError, match="does not converge"):
        reflexivity(function(sp.cos(eigenvalue * time)), FLOW).by(as_time_grows)


def test_a_slope_behind_the_jacobian_has_a_limit_although_theta_is_singular():
    theorem = reflexivity(JT @ SLOPE @ Y, FLOW).by(range_of_jacobian).by(as_time_grows)
    assert examine(theorem).total > 0
    (pieces,) = theorem.rhs.words.values()
    assert pieces == (1 / slot(0), 0)


def test_a_product_with_a_function_of_theta_inside_is_not_named():
    """J^T exp(-t Theta) Y is not J^T Y: the joint between the two letters carries the function."""
    with pytest.raises((ValueError, TypeError)):
        reflexivity(JT @ DECAY @ Y, FLOW).by(name_product, JACOBIAN_T, lecture.Y)


def test_a_name_is_not_defined_by_whoever_uses_it():
    """Y := 0 must not prove that the targets vanish: what letters stand for belongs to the model."""
    with pytest.raises((ValueError, TypeError)):
        reflexivity(Y, FLOW).by(definition, lecture.Y)


def test_a_limit_in_time_hands_on_that_it_is_one():
    theorem = reflexivity(F - Y, FLOW).by(substitute_theorem, lecture.interpolation())
    assert theorem.by(positive_definite).rhs == 0 * Y
    assert theorem.relation == "→"
    assert theorem.limits == (time,)
    assert set(lecture.interpolation().assumptions) <= set(theorem.assumptions)


def test_a_rate_that_holds_only_in_the_limit_is_not_integrated():
    """With f_t replaced by its limit the rate is 0, and integrating it would prove that omega never moves."""
    rate = reflexivity(word(lecture.OMEGA_RATE), FLOW).by(definition, lecture.OMEGA_RATE)
    limit = rate.by(substitute_theorem, lecture.interpolation())
    with pytest.raises((ValueError, TypeError)):
        integrate_rate(limit, OMEGA)


@pytest.mark.parametrize("quantity", [Y, lecture.F0_TEST, F], ids=["Y", "f0(x)", "f_t"])
def test_the_rate_of_the_parameters_is_not_integrated_to_something_else(quantity):
    rate = reflexivity(word(lecture.OMEGA_RATE), FLOW).by(definition, lecture.OMEGA_RATE)
    explicit = rate.by(substitute_theorem, lecture.training_outputs())
    with pytest.raises((ValueError, TypeError)):
        integrate_rate(explicit, quantity if isinstance(quantity, Operator) else word(quantity))


def test_a_rate_of_another_form_is_not_solved():
    with pytest.raises(ValueError, match="form A"):
        solve_mode(lecture.output_rate(), F, 2 * Y, F0)


def test_a_rate_of_the_outputs_is_not_solved_for_the_targets():
    """d/dt f = -eta Theta (f - Y) is also of the form A (Y - f), but it is f that moves."""
    with pytest.raises((ValueError, TypeError)):
        solve_mode(lecture.output_rate(), Y, F, F0)


def test_a_solution_says_where_it_is_assumed_to_start():
    """From zero instead of f_0 the solution is another one: the theorem must carry its initial value."""
    from_zero = solve_mode(lecture.output_rate(), F, Y, 0 * F0)
    assert from_zero.rhs != lecture.training_outputs().rhs
    carried = (from_zero.assumptions, from_zero.hypotheses, from_zero.where)
    assert carried != (
        lecture.training_outputs().assumptions,
        lecture.training_outputs().hypotheses,
        lecture.training_outputs().where,
    )


def test_positive_definiteness_is_recorded():
    theorem = lecture.interpolation()
    assert theorem.rhs == positive_definite(Y, FLOW).after
    assert any("positive definite" in text for text in theorem.assumptions)


# --- the lecture -------------------------------------------------------------------------------------------------


def test_the_outputs_on_the_training_set_decay_to_the_targets():
    """Lee et al. 2019 (arXiv:1902.06720), eq 8, with the loss a sum."""
    assert lecture.training_outputs().rhs == Y + DECAY @ (F0 - Y)
    assert lecture.training_outputs().relation == "="


def test_the_prediction_is_eq_73_without_an_inverse():
    """Lee et al. 2019, eqs 10 and 11: Theta(x,X) Theta^-1 (1 - exp(-eta Theta t)) (Y - f_0)."""
    smooth = function((1 - sp.exp(-learning_rate * eigenvalue * time)) / eigenvalue)
    expected = word(lecture.F0_TEST) + word(lecture.THETA_XX) @ smooth @ (Y - F0)
    assert lecture.test_outputs().rhs == expected


def test_the_prediction_starts_at_the_network():
    assert lecture.initial_test_outputs().rhs == word(lecture.F0_TEST)


def test_the_final_prediction_inverts_theta_on_its_range_only():
    theorem = lecture.final_test_outputs()
    pieces = theorem.rhs.words[(lecture.THETA_XX, lecture.Y)]
    assert pieces == (1 / slot(0), 0)
    assert theorem.relation == "→"


def test_the_final_outputs_are_the_targets_on_the_range_and_unchanged_on_the_kernel():
    words = lecture.final_training_outputs().rhs.words
    assert words[(lecture.Y,)] == (1, 0)
    assert words[(lecture.F0,)] == (0, 1)


# --- planted errors ----------------------------------------------------------------------------------------------


def flow(g):
    return Y + function(g) @ (F0 - Y)


WRONG_FLOWS = {
    "the sign of the exponent": flow(sp.exp(learning_rate * eigenvalue * time)),
    "eta is missing": flow(sp.exp(-eigenvalue * time)),
    "a factor 2 in the exponent": flow(sp.exp(-2 * learning_rate * eigenvalue * time)),
    "the targets are missing": DECAY @ F0,
    "the initial value is missing": Y - DECAY @ Y,
    "the residual has the wrong sign": Y + DECAY @ (Y - F0),
    "it starts elsewhere": Y + 2 * (DECAY @ (F0 - Y)),
    "Theta is squared": flow(sp.exp(-learning_rate * eigenvalue**2 * time)),
}


def concluded(called, rhs, state, rate, **conclusion):
    def wrong(theorem):
        return Conclusion(state, "=", rhs, **conclusion)

    wrong.__name__ = called
    return inference("a planted inference")(wrong)(rate)


@pytest.mark.parametrize("name", WRONG_FLOWS)
def test_a_wrong_solution_of_the_flow_is_refuted(name):
    theorem = concluded("solve_mode", WRONG_FLOWS[name], F, lecture.output_rate(), meanings=((F, F0),))
    with pytest.raises(StepRefuted, match="solve_mode"):
        examine(theorem)


def test_the_right_solution_by_the_planted_path_passes():
    right = flow(sp.exp(-learning_rate * eigenvalue * time))
    assert examine(concluded("solve_mode", right, F, lecture.output_rate(), meanings=((F, F0),))).total > 0


def displacement(g):
    return JT @ function(g) @ (Y - F0)


WRONG_DISPLACEMENTS = {
    "eta is missing": displacement((1 - sp.exp(-eigenvalue * time)) / eigenvalue),
    "the sign": -1 * displacement((1 - sp.exp(-learning_rate * eigenvalue * time)) / eigenvalue),
    "a factor 2": 2 * displacement((1 - sp.exp(-learning_rate * eigenvalue * time)) / eigenvalue),
    "Theta is not divided by": displacement(1 - sp.exp(-learning_rate * eigenvalue * time)),
    "it does not start at zero": displacement(2 - sp.exp(-learning_rate * eigenvalue * time)),
}


@pytest.mark.parametrize("name", WRONG_DISPLACEMENTS)
def test_a_wrong_displacement_of_the_parameters_is_refuted(name):
    (rate,) = lecture.parameters().premises
    with pytest.raises(StepRefuted, match="integrate_rate"):
        examine(concluded("integrate_rate", WRONG_DISPLACEMENTS[name], OMEGA, rate))


def planted(called, after, relation="=", **used):
    def wrong(term, model):
        return Rewriting(after, **used)

    wrong.__name__ = called
    return rule("a planted step", relation)(wrong)


WRONG_STEPS = {
    "gram with a factor 2": ("gram", J @ JT @ Y, 2 * (THETA @ Y)),
    "gram in the wrong order": ("gram", J @ JT @ A_WORD @ Y, A_WORD @ THETA @ Y),
    "the start of a slope is not zero": ("at_time_zero", SLOPE @ Y, Y),
    "the kernel is forgotten in the limit": ("as_time_grows", DECAY @ Y, 0 * Y),
    "the range is restricted where nothing kills the kernel": (
        "range_of_jacobian",
        A_WORD @ DECAY @ Y,
        A_WORD @ (DECAY - Operator(TRAINING, TRAINING, [((), (sp.S.Zero, sp.S.One))])) @ Y,
    ),
    "a factor is lost": ("definition", 3 * (DECAY @ Y), DECAY @ Y),
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_a_wrong_step_on_operators_is_refuted(name):
    called, before, after = WRONG_STEPS[name]
    with pytest.raises(StepRefuted, match=called):
        examine(reflexivity(before, FLOW).by(planted(called, after)))


def test_a_substitution_of_something_else_is_refuted():
    theorem = lecture.training_outputs()
    step = planted("substitute_theorem", 2 * theorem.rhs, premises=(theorem,), meanings=((theorem.lhs, theorem.rhs),))
    with pytest.raises(StepRefuted, match="substitute_theorem"):
        examine(reflexivity(F, FLOW).by(step))


def test_the_right_rewritings_by_rules_pass():
    model = Model(name="flow", gaussian=frozenset())
    assert examine(reflexivity(DECAY @ J @ JT @ A_WORD @ J @ JT @ Y, model).by(gram)).total == len(SPECTRA)


def test_a_symbol_with_an_index_carries_a_second_one_as_a_group():
    features = word(Letter("J(x)", TEST, PARAMETERS, "J(x)"))
    readout = word(Letter("W_0", PARAMETERS, OUTPUTS, "W_{0}"))
    assert latex(covariance(features @ readout, word(lecture.F0_TEST))) == (
        r"\mathrm{Cov}\left[{J(x)\,W_{0}}_{k},\, f_{0}(x)_{k'}\right]"
    )
