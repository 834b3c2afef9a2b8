"""Means, covariances, conditioning and gradient descent of linear models: rules, their limits, and planted errors."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.examiner import examine
from derive.explicit_ensembles import random_values
from derive.explicit_matrices import SPECTRA, value
from derive.lecture import conditioning, linearized, trained_ensembles
from derive.lecture.conditioning import PRIOR, process
from derive.lecture.ensemble_claims import INVERSE, collapsed_statement, covariance_statement, descent, flow
from derive.lecture.linearized import DESCENT, FLOW
from derive.lecture.trained_ensembles import (
    DESCENT_LIMIT,
    FLOW_LIMIT,
    LAST_LAYER,
    feature_kernel,
    movement,
    prior,
    theta,
)
from derive.lecture.training import F0, F0_TEST, F_TEST, F, Y, initial, output, rate
from derive.moments import Data, Moment, covariance, mean
from derive.notation import eigenvalue, learning_rate, same_output, step, time
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OTHER,
    PARAMETERS,
    TEST,
    TRAINING,
    IllTyped,
    Letter,
    function_of_theta,
    identity,
    restricted_to_range,
    slot,
    substituted,
    transposed,
    word,
)
from derive.rules import initialization
from derive.rules.descent import as_steps_grow, before_descent, solve_recurrence, sum_changes
from derive.rules.initialization import agreement, conditional_covariance, conditional_mean
from derive.rules.spectral import as_time_grows, definition, range_of_jacobian, solve_mode, substitute_theorem
from derive.theorem import Conclusion, Rewriting, StepRefuted, inference, reflexivity, rule
from derive.typeset import text

LIMIT = FLOW_LIMIT.model
THETA = function_of_theta(eigenvalue, eigenvalue)
DECAY = function_of_theta(sp.exp(-learning_rate * eigenvalue * time), eigenvalue)
STAYS = function_of_theta((1 - learning_rate * eigenvalue) ** step, eigenvalue)
KXX = word(prior(TRAINING, TRAINING))


def planted(before, after, model, called, relation="=", **used):
    """The theorem of one step of a rule of this name that says ``before = after``."""

    def wrong(term, model):
        return Rewriting(after, **used)

    wrong.__name__ = called
    return reflexivity(before, model).by(rule("planted", relation)(wrong))


def concluded(called, lhs, rhs, *premises):
    """The theorem of one inference of this name that concludes ``lhs = rhs``."""

    def wrong(*theorems):
        return Conclusion(lhs, "=", rhs)

    wrong.__name__ = called
    return inference("planted")(wrong)(*premises)


# --- transposes --------------------------------------------------------------------------------------------------


def test_a_transpose_reads_words_backwards():
    letter = Letter("A", TRAINING, TRAINING, "A")
    product = word(theta(TEST)) @ DECAY @ word(letter) @ THETA @ word(Y)
    backwards = word(Y.transpose) @ THETA @ word(letter.transpose) @ DECAY @ word(theta(TEST).transpose)
    assert (
        transposed(product)
        == backwards
        != word(Y.transpose) @ DECAY @ word(letter.transpose) @ THETA @ word(theta(TEST).transpose)
    )
    assert transposed(transposed(product)) == product
    for spectrum in SPECTRA:
        assert value(transposed(product), spectrum, {}) == value(product, spectrum, {}).T


@pytest.mark.parametrize("letter", [JACOBIAN, theta(OTHER), prior(TRAINING, TRAINING), Letter("A", TEST, OTHER, "A")])
def test_the_transpose_of_the_transpose_is_the_letter(letter):
    assert letter.transpose.transpose == letter
    assert (letter.transpose.rows, letter.transpose.columns) == (letter.columns, letter.rows)


def test_a_symmetric_kernel_is_its_own_transpose_and_has_a_symmetric_example():
    kernel = prior(TRAINING, TRAINING)
    assert kernel.transpose == kernel
    assert value(word(kernel), SPECTRA[0], {}).is_symmetric()
    assert theta(TEST).transpose.name == "Theta_inf(X,x)"
    assert JACOBIAN.transpose == JACOBIAN_T


@pytest.mark.parametrize("spectrum", SPECTRA, ids=["positive", "singular"])
def test_left_of_a_kernel_too_only_positive_eigenvalues_matter(spectrum):
    growing = function_of_theta(1 / (1 + eigenvalue), eigenvalue)
    product = growing @ word(theta(OTHER).transpose)
    restricted = restricted_to_range(product)
    assert list(restricted.words.values()) == [(1 / (1 + slot(0)), 0)]
    assert value(restricted, spectrum, {}) == value(product, spectrum, {})
    free = growing @ word(prior(TRAINING, OTHER))
    assert restricted_to_range(free) == free


def test_rational_functions_of_theta_have_one_normal_form():
    s = sp.Symbol("s", positive=True)
    shifted = function_of_theta(1 / (eigenvalue + s), eigenvalue)
    assert shifted @ function_of_theta(eigenvalue + s, eigenvalue) == identity(TRAINING)
    assert (shifted @ THETA + s * shifted) - identity(TRAINING) == 0 * identity(TRAINING)


# --- means and covariances ---------------------------------------------------------------------------------------


def test_a_mean_drops_what_is_centred():
    term = mean(word(F0_TEST) + word(theta(TEST)) @ DECAY @ (word(Y) - word(F0)))
    theorem = reflexivity(term, LIMIT).by(initialization.mean)
    assert theorem.rhs == word(theta(TEST)) @ DECAY @ word(Y)
    assert examine(theorem).total > 0


def test_the_four_blocks_of_the_prior_are_covariances():
    for first, second in ((TEST, TEST), (TEST, TRAINING), (TRAINING, OTHER), (TEST, OTHER), (OTHER, TEST)):
        theorem = reflexivity(covariance(word(initial(first)), word(initial(second))), LIMIT)
        theorem = theorem.by(initialization.covariance)
        assert theorem.rhs == same_output * word(prior(first, second))
        assert examine(theorem).total > 0


def test_targets_do_not_covary():
    term = covariance(word(F0) + 3 * word(Y), word(Y) - word(F0))
    assert reflexivity(term, LIMIT).by(initialization.covariance).rhs == -same_output * KXX


@pytest.mark.parametrize("letter", [F_TEST, F, movement(TEST)], ids=["f_t(x)", "f_t(X)", "f_t - f_0"])
def test_what_depends_on_the_initialization_is_not_taken_as_fixed(letter):
    """The mean of f_t(x) is not f_t(x): the model must say what is fixed."""
    for term, applied in (
        (mean(word(letter)), initialization.mean),
        (covariance(word(letter), word(F0)), initialization.covariance),
    ):
        with pytest.raises(ValueError, match=r"does not say how .* depends on the initialization"):
            reflexivity(term, LIMIT).by(applied)


def test_a_word_with_a_random_letter_inside_is_refused():
    inside = word(F0) @ word(Letter("M", F0.columns, F0.columns)) - word(F0)
    model = dataclasses.replace(LIMIT, fixed=(*LIMIT.fixed, Letter("M", F0.columns, F0.columns)))
    with pytest.raises(ValueError, match="at most one random letter, at the end"):
        reflexivity(mean(inside), model).by(initialization.mean)


def test_a_covariance_that_the_model_does_not_know_is_refused():
    model = dataclasses.replace(LIMIT, covariances=LIMIT.covariances[:1] + LIMIT.covariances[3:4])
    with pytest.raises(ValueError, match=r"what the covariance of f_0\(x\) and f_0\(X\) is"):
        reflexivity(covariance(word(F0_TEST), word(F0)), model).by(initialization.covariance)


def test_a_moment_is_of_matrices_with_a_column_for_each_output():
    with pytest.raises(IllTyped, match="a column for each output, got columns in theta"):
        mean(word(JACOBIAN))
    with pytest.raises(TypeError, match="expected an unconditional covariance"):
        reflexivity(mean(word(F0)), LIMIT).by(initialization.covariance)


def test_a_limit_in_time_is_not_taken_inside_a_mean():
    limit = trained_ensembles.prediction().by(range_of_jacobian).by(as_time_grows)
    with pytest.raises(ValueError, match="a limit is not taken inside a mean"):
        reflexivity(mean(word(F_TEST)), LIMIT).by(substitute_theorem, limit)


SLOPE = flow()
RIGHT = covariance_statement(SLOPE)
A, B = word(theta(TEST)) @ SLOPE, word(theta(OTHER)) @ SLOPE
LEFT = covariance(word(F0_TEST) + A @ (word(Y) - word(F0)), word(initial(OTHER)) + B @ (word(Y) - word(F0)))
WRONG_COVARIANCES = {
    "one cross term twice": covariance_statement(SLOPE, cross=(-2, 0)),
    "the other cross term twice": covariance_statement(SLOPE, cross=(0, -2)),
    "the sign of a cross term": covariance_statement(SLOPE, cross=(-1, 1)),
    "no cross terms": covariance_statement(SLOPE, cross=(0, 0)),
    "Theta for K": covariance_statement(SLOPE, inner=THETA),
    "K for Theta": covariance_statement(SLOPE, kernel=prior(TEST, TRAINING)),
    "outputs are correlated": RIGHT.map(lambda g: g / same_output),
    "the targets count": RIGHT + same_output * (A @ THETA @ transposed(B)),
    "K and the function exchanged": RIGHT
    + same_output * (A @ SLOPE @ KXX - A @ KXX @ SLOPE) @ transposed(word(theta(OTHER))),
}


def test_the_right_covariance_by_the_planted_path_passes():
    assert examine(planted(LEFT, RIGHT, LIMIT, "covariance")).total > 0


@pytest.mark.parametrize("name", WRONG_COVARIANCES)
def test_a_wrong_covariance_is_refuted_on_explicit_matrices(name):
    with pytest.raises(StepRefuted, match="covariance is wrong for explicit matrices"):
        examine(planted(LEFT, WRONG_COVARIANCES[name], LIMIT, "covariance"))


@pytest.mark.parametrize("wrong", [word(F0_TEST) + A @ word(Y), 2 * (A @ word(Y)), A @ (word(Y) - word(F0))])
def test_a_wrong_mean_is_refuted_on_explicit_matrices(wrong):
    with pytest.raises(StepRefuted):
        examine(planted(mean(LEFT.of[0]), wrong, LIMIT, "mean"))


def test_a_covariance_of_something_quadratic_is_refuted():
    square = word(F0) @ word(F0.transpose) @ word(F0)
    with pytest.raises(StepRefuted, match="not linear in what is random"):
        examine(planted(covariance(square, word(F0)), same_output * KXX, LIMIT, "covariance"))


def test_a_model_whose_covariances_have_no_example_is_refuted():
    impossible = tuple((a, b, 2 * k if a != b else k) for a, b, k in LIMIT.covariances)
    model = dataclasses.replace(LIMIT, covariances=impossible)
    with pytest.raises(StepRefuted, match="no example is known"):
        random_values(model, SPECTRA[0])


# --- the ensembles of the lecture --------------------------------------------------------------------------------


def test_with_theta_for_k_the_general_covariance_is_that_of_the_last_layer():
    """Eq 78 from section 5.2: substitute K = Theta in all four terms."""
    general = trained_ensembles.output_covariance().rhs
    for letter, by in (
        (prior(TRAINING, TRAINING), THETA),
        (prior(TEST, TRAINING), word(theta(TEST))),
        (prior(TRAINING, OTHER), word(theta(OTHER).transpose)),
    ):
        general = substituted(general, letter, by)
    special = trained_ensembles.last_layer_covariance().rhs
    for letter, by in (
        (feature_kernel(TEST, TRAINING), word(theta(TEST))),
        (feature_kernel(TRAINING, OTHER), word(theta(OTHER).transpose)),
        (feature_kernel(TEST, OTHER), word(prior(TEST, OTHER))),
    ):
        special = substituted(special, letter, by)
    assert restricted_to_range(general) == restricted_to_range(special)


def test_at_infinite_width_the_prediction_is_that_of_the_linearized_network():
    finite = substituted(linearized.test_outputs().rhs, linearized.THETA_XX, word(theta(TEST)))
    assert trained_ensembles.prediction().rhs == finite


def test_the_end_of_training_inverts_on_the_range_only_and_keeps_k_apart():
    final = trained_ensembles.final_covariance()
    assert final.rhs == covariance_statement(INVERSE)
    assert (final.relation, final.limits) == ("→", (time,))
    (pieces,) = [p for letters, p in final.rhs.words.items() if prior(TRAINING, TRAINING) in letters]
    assert pieces == (same_output / (slot(0) * slot(1)), 0, 0, 0)


def test_training_by_steps_ends_where_the_flow_does():
    assert trained_ensembles.final_covariance(DESCENT_LIMIT).rhs == trained_ensembles.final_covariance().rhs
    assert trained_ensembles.initial_covariance(DESCENT_LIMIT).rhs == trained_ensembles.initial_covariance().rhs
    assert any("less than 2" in x for x in trained_ensembles.final_covariance(DESCENT_LIMIT).assumptions)


def test_the_last_layer_is_linear_in_its_parameters_and_needs_no_infinite_width():
    theorem = trained_ensembles.last_layer_prediction()
    assert (theorem.relation, theorem.limits, theorem.hypotheses) == ("=", (), ())
    assert LAST_LAYER.model.covariances == ((trained_ensembles.READOUT_0,) * 2 + (identity(PARAMETERS),),)


def test_the_formulas_are_printed_with_their_own_operator():
    covariance_text = text(trained_ensembles.output_covariance().rhs)
    assert "Θ(x,X) [(1 - e^{- η λ t})/λ]_{λ=Θ} K(X,X) [(1 - e^{- η λ t})/λ]_{λ=Θ} Θ(X,x') δ_{kk'}" in covariance_text
    assert text(trained_ensembles.last_layer_mean().rhs) == "K(x,X) [(1 - e^{- η λ t})/λ]_{λ=K} Y"
    assert text(conditioning.posterior_mean().lhs) == "E[f(x) | f(X) = Y]"
    left = text(trained_ensembles.output_covariance().lhs)
    assert left == "Cov[f_t^{lin}(x)_k, f_t^{lin}(x')_{k'}]"


# --- conditioning ------------------------------------------------------------------------------------------------


def test_conditioning_wants_a_residual_that_is_uncorrelated_with_the_data():
    right, wrong = conditioning.uncorrelated(TEST, noisy=False), conditioning.weights(TEST, noisy=True)
    with pytest.raises(ValueError, match="expected that the residual is uncorrelated"):
        conditional_mean(right, word(process(TEST)), wrong, word(Y))
    with pytest.raises(ValueError, match="expected that the residual is uncorrelated"):
        conditional_mean(right, 2 * word(process(TEST)), conditioning.weights(TEST, noisy=False), word(Y))
    correlated = covariance(word(process(TEST)), word(process(TRAINING)))
    correlation = reflexivity(correlated, PRIOR).by(initialization.covariance)
    with pytest.raises(ValueError, match="expected that the residual is uncorrelated"):
        conditional_mean(correlation, word(process(TEST)), 0 * word(feature_kernel(TEST, TRAINING)), word(Y))


def test_a_conditional_covariance_wants_the_covariance_of_its_residuals():
    tests = (TEST, OTHER)
    premises = [conditioning.uncorrelated(at) for at in tests]
    quantities = tuple(word(process(at)) for at in tests)
    weights = tuple(conditioning.weights(at, noisy=False) for at in tests)
    unconditional = reflexivity(covariance(*quantities), PRIOR).by(initialization.covariance)
    with pytest.raises(ValueError, match="expected the covariance of the residuals"):
        conditional_covariance(*premises, unconditional, quantities, weights, word(Y))


@pytest.mark.parametrize("noisy", [False, True], ids=["noiseless", "noisy"])
def test_wrong_posteriors_are_refuted_on_explicit_matrices(noisy):
    premises = [conditioning.uncorrelated(at, noisy) for at in (TEST, OTHER)]
    data = Data(conditioning.data(noisy), word(Y))
    first, second = (word(process(at)) for at in (TEST, OTHER))
    weights = conditioning.weights(TEST, noisy)
    right = conditioning.posterior_covariance(noisy).rhs
    wrong = {
        "conditional_mean": (
            (mean(first, data), -1 * (weights @ word(Y))),
            (mean(first, data), conditioning.weights(TEST, not noisy) @ word(Y)),
        ),
        "conditional_covariance": (
            (covariance(first, second, data), same_output * word(feature_kernel(TEST, OTHER))),
            (covariance(first, second, data), right.map(lambda g: g / same_output)),
            (covariance(first, second, data), conditioning.posterior_covariance(not noisy).rhs),
            (covariance(first, second, data), collapsed_statement(INVERSE, sign=1)),
        ),
    }
    for called, statements in wrong.items():
        for lhs, rhs in statements:
            with pytest.raises(StepRefuted, match=called):
                examine(concluded(called, lhs, rhs, *premises))
    assert examine(concluded("conditional_covariance", covariance(first, second, data), right, *premises)).total > 0
    with pytest.raises(StepRefuted, match="something else than a conditional moment"):
        examine(concluded("conditional_mean", mean(first), weights @ word(Y), *premises))


def test_training_in_all_layers_is_no_conditioning_whatever_theta_is():
    """The right sides differ, and by exact numbers: the trained networks vary beyond the posterior."""
    full, posterior = conditioning.covariance_beyond_the_posterior(), conditioning.posterior_by_weights()
    with pytest.raises(ValueError, match="the right sides differ"):
        agreement(full, posterior)
    values = random_values(full.model, SPECTRA[0])
    excess = value(full.rhs - posterior.rhs, SPECTRA[0], values).subs(same_output, 1)
    p, q = (value(word(conditioning.best(at)), SPECTRA[0], values) for at in (TEST, OTHER))
    a, b = (value(word(theta(at)) @ INVERSE, SPECTRA[0], {}) for at in (TEST, OTHER))
    kernel = values[prior(TRAINING, TRAINING)]
    assert excess == (a - p) * kernel * (b - q).T != sp.zeros(1, 2)
    assert all(entry.is_Rational for entry in excess)


def test_agreement_is_about_equal_right_sides_and_their_left_sides():
    first, second = trained_ensembles.final_last_layer_mean(), conditioning.posterior_mean()
    for lhs, rhs in ((first.lhs, first.lhs), (second.lhs, second.lhs)):
        with pytest.raises(StepRefuted, match="something else than that the left sides are equal"):
            examine(concluded("agreement", lhs, rhs, first, second))
    other = conditioning.posterior_mean(noisy=True)
    with pytest.raises(StepRefuted, match="agreement is wrong for explicit matrices"):
        examine(concluded("agreement", first.lhs, other.lhs, first, other))


# --- gradient descent --------------------------------------------------------------------------------------------


def test_a_step_is_not_solved_as_a_rate_nor_a_rate_as_a_step():
    state = word(F), word(Y), word(F0)
    with pytest.raises(ValueError, match="is not the rate of"):
        solve_mode(linearized.output_rate(DESCENT), *state)
    with pytest.raises(ValueError, match="is not the change of"):
        solve_recurrence(linearized.output_rate(FLOW), *state)


def test_a_change_of_another_form_is_not_solved():
    with pytest.raises(ValueError, match="form A"):
        solve_recurrence(linearized.output_rate(DESCENT), word(F), 2 * word(Y), word(F0))
    limit = linearized.output_rate(DESCENT).by(substitute_theorem, linearized.final_training_outputs(DESCENT))
    with pytest.raises(ValueError, match="an exact change in every step"):
        solve_recurrence(limit, word(F), word(Y), word(F0))


def descended(g):
    return word(Y) + g @ (word(F0) - word(Y))


WRONG_DESCENTS = {
    "the flow": descended(DECAY),
    "the rate is doubled": descended(function_of_theta((1 - 2 * learning_rate * eigenvalue) ** step, eigenvalue)),
    "it ascends": descended(function_of_theta((1 + learning_rate * eigenvalue) ** step, eigenvalue)),
    "one step too many": descended(function_of_theta((1 - learning_rate * eigenvalue) ** (step + 1), eigenvalue)),
    "it starts elsewhere": word(Y) + 2 * (STAYS @ (word(F0) - word(Y))),
    "the targets are missing": STAYS @ word(F0),
}


@pytest.mark.parametrize("name", WRONG_DESCENTS)
def test_a_wrong_solution_of_gradient_descent_is_refuted_by_its_steps(name):
    def wrong(theorem):
        return Conclusion(word(F), "=", WRONG_DESCENTS[name], meanings=((word(F), word(F0)),))

    wrong.__name__ = "solve_recurrence"
    with pytest.raises(StepRefuted, match="solve_recurrence"):
        examine(inference("planted")(wrong)(linearized.output_rate(DESCENT)))


def test_a_wrong_sum_of_changes_is_refuted():
    changes = reflexivity(word(DESCENT.changed(linearized.OMEGA)), DESCENT.model)
    changes = changes.by(definition, DESCENT.changed(linearized.OMEGA))
    changes = changes.by(substitute_theorem, linearized.training_outputs(DESCENT))
    assert sum_changes(changes, word(linearized.OMEGA)).rhs == linearized.parameters(DESCENT).rhs
    for g in (flow(), descent(2), 2 * descent()):
        wrong = word(JACOBIAN_T) @ g @ (word(Y) - word(F0))
        with pytest.raises(StepRefuted, match="sum_changes"):
            examine(concluded("sum_changes", word(linearized.OMEGA), wrong, changes))


def test_small_steps_converge_on_the_range_and_stay_on_the_kernel():
    theorem = reflexivity(STAYS @ word(Y), DESCENT.model).by(as_steps_grow)
    assert list(theorem.rhs.words.values()) == [(0, 1)]
    assert (theorem.relation, theorem.limits) == ("→", (step,))
    assert examine(theorem).total > 0
    assert reflexivity(STAYS @ word(Y), DESCENT.model).by(before_descent).rhs == word(Y)


@pytest.mark.parametrize(
    "g",
    [
        (1 + learning_rate * eigenvalue) ** step,
        (1 - 2 * learning_rate * eigenvalue) ** step,
        (1 - (1 - learning_rate * eigenvalue) ** step) / eigenvalue,
        learning_rate * step * sp.exp(-eigenvalue),
    ],
    ids=["grows", "twice the rate", "linear on the kernel", "linear"],
)
def test_modes_that_are_not_known_to_converge_have_no_limit(g):
    with pytest.raises(ValueError, match="does not converge"):
        reflexivity(function_of_theta(g, eigenvalue), DESCENT.model).by(as_steps_grow)


@pytest.mark.parametrize("wrong", [word(Y), 0 * word(Y), 2 * (STAYS @ word(Y))])
def test_a_wrong_end_of_gradient_descent_is_refuted(wrong):
    with pytest.raises(StepRefuted, match="as_steps_grow"):
        examine(planted(STAYS @ word(Y), wrong, DESCENT.model, "as_steps_grow", "→"))


def test_a_rate_and_a_change_are_different_letters():
    assert rate(output(TEST)) != DESCENT.changed(output(TEST))
    assert isinstance(trained_ensembles.mean_output().lhs, Moment)
