"""The examiner: wrong versions of every rule are refuted, and the right ones pass by the same path."""

from __future__ import annotations

import pytest
import sympy as sp

from derive.examiner import examine, examine_step
from derive.instances import Instance, normal_moment, rational
from derive.laws import GaussianProcess, Law
from derive.lecture import nngp
from derive.lecture.networks import DEEPER_LAYER, X, Y, tangent_hypothesis
from derive.mutations import only_scaled, without
from derive.notation import layer, parameter_count, sigma_b, sigma_w, width
from derive.terms import Atom, Expression, Index, atom, constant, delta, mean, partial, total
from derive.theorem import Conclusion, Rewriting, StepRefuted, inference, reflexivity, rule

N, ROWS, BELOW = width(layer), width(layer + 1), layer - 1
J, J2, ONE = (Index(name, N) for name in ("j", "j'", "1"))
K, K2, ROW = (Index(name, ROWS) for name in ("k", "k'", "i"))
Q = Index("q", parameter_count(BELOW))
UNITS = {"hypotheses": (DEEPER_LAYER.iid_units,)}
AVERAGE = {**UNITS, "limits": (N,), "relation": "→"}
TANGENT = {"hypotheses": (tangent_hypothesis(DEEPER_LAYER),)}


def W(row, column):
    return atom("W", row, column, layer=layer)


def b(row):
    return atom("b", row, layer=layer)


def phi(unit, x=X, head="phi"):
    return atom(head, unit, at=(x,), layer=BELOW)


def dz(unit, x=X):
    return atom("dz", unit, Q, at=(x,), layer=BELOW)


def theta(first, second, inputs=(X, Y)):
    return atom("Theta", first, second, at=inputs, layer=BELOW)


def planted(name, after, relation="=", **used):
    """Return a rule of the given name whose function returns ``after`` whatever it is given."""

    def wrong(term, model):
        return Rewriting(after, **used)

    wrong.__name__ = name
    return rule("a planted step", relation)(wrong)


def step(name, before, after, **used):
    return reflexivity(before, DEEPER_LAYER).by(planted(name, after, **used))


pairs = (
    delta(K, K2) * delta(ROW, ROW),
    delta(K, ROW) * delta(K2, ROW),
)
THETA = Atom("theta", (Q,), (), BELOW)
BIAS = Atom("b", (ROW,), (), layer)
SLOPES = total(Q, dz(J) * dz(J2, Y))
FOURTH = mean(b(K) * b(K2) * b(ROW) * b(ROW))
KERNEL = sigma_b**2 * constant(1) + sigma_w**2 * mean(phi(ONE) * phi(ONE, Y))
NAME = atom("K", at=(X, Y), layer=layer)
SECOND = (1 / N) * total(J, phi(J) * phi(J, Y))
DOUBLE = total(J, total(J2, mean(phi(J) * phi(J2, Y))))
ON_DIAGONAL = mean(phi(ONE) * phi(ONE, Y))
OFF_DIAGONAL = mean(phi(ONE)) * mean(phi(ONE, Y))

# name of the rule, before, what it should become, what a wrong rule makes of it, what the step uses
PLANTED = {
    "isserlis drops a delta": (
        "isserlis",
        mean(W(K, J) * W(K2, J2)),
        delta(K, K2) * delta(J, J2),
        delta(K, K2),
        {},
    ),
    "isserlis counts a pairing twice": (
        "isserlis",
        FOURTH,
        pairs[0] + 2 * pairs[1],
        pairs[0] + 3 * pairs[1],
        {},
    ),
    "isserlis forgets a pairing": ("isserlis", FOURTH, pairs[0] + 2 * pairs[1], pairs[0] + pairs[1], {}),
    "isserlis of an odd product is not zero": ("isserlis", mean(b(K)), Expression(), b(K), {}),
    "isserlis pairs a weight with a bias": (
        "isserlis",
        mean(b(K) * W(K2, J)),
        Expression(),
        delta(K, K2),
        {},
    ),
    "the law of large numbers has a factor 2": ("law_of_large_numbers", SECOND, ON_DIAGONAL, 2 * ON_DIAGONAL, AVERAGE),
    "the law of large numbers splits a mean of a product": (
        "law_of_large_numbers",
        SECOND,
        ON_DIAGONAL,
        OFF_DIAGONAL,
        AVERAGE,
    ),
    "the law of large numbers is used on one term": (
        "law_of_large_numbers",
        (1 / N) * total(J, phi(J)),
        mean(phi(ONE)),
        phi(ONE),
        AVERAGE,
    ),
    "independence splits one family": (
        "independence",
        mean(phi(J) * phi(J, Y) * b(K) * b(K)),
        mean(phi(J) * phi(J, Y)) * mean(b(K) * b(K)),
        mean(phi(J)) * mean(phi(J, Y)) * mean(b(K) * b(K)),
        {},
    ),
    "independence splits the weights": (
        "independence",
        mean(W(K, J) * W(K2, J) * phi(J)),
        mean(W(K, J) * W(K2, J)) * mean(phi(J)),
        mean(W(K, J)) * mean(W(K2, J)) * mean(phi(J)),
        {},
    ),
    "independence takes phi and its derivative for independent": (
        "independence",
        mean(phi(J) * phi(J, head="dphi") * b(K) * b(K)),
        mean(phi(J) * phi(J, head="dphi")) * mean(b(K) * b(K)),
        mean(phi(J)) * mean(phi(J, head="dphi")) * mean(b(K) * b(K)),
        {},
    ),
    "linearity loses a coefficient": (
        "linearity",
        mean(3 * (b(K) * b(K)) + phi(J)),
        3 * mean(b(K) * b(K)) + mean(phi(J)),
        mean(b(K) * b(K)) + mean(phi(J)),
        {},
    ),
    "linearity loses a term": (
        "linearity",
        mean(b(K) * b(K) + phi(J)),
        mean(b(K) * b(K)) + mean(phi(J)),
        mean(phi(J)),
        {},
    ),
    "linearity takes something random out": (
        "linearity",
        mean(atom("c", K) * phi(J) * phi(J)),
        atom("c", K) * mean(phi(J) * phi(J)),
        atom("c", K) * phi(J) * mean(phi(J)),
        {},
    ),
    "differentiation has no product rule": (
        "differentiate",
        partial(b(K) * b(K2), BIAS),
        delta(K, ROW) * b(K2) + delta(K2, ROW) * b(K),
        delta(K, ROW) * b(K2),
        {},
    ),
    "differentiation forgets that a square has two factors": (
        "differentiate",
        partial(b(K) * b(K), BIAS),
        2 * (delta(K, ROW) * b(K)),
        delta(K, ROW) * b(K),
        {},
    ),
    "the chain rule has phi for its derivative": (
        "differentiate",
        partial(phi(J), THETA),
        phi(J, head="dphi") * dz(J),
        phi(J) * dz(J),
        {},
    ),
    "the chain rule forgets the inner derivative": (
        "differentiate",
        partial(phi(J), THETA),
        phi(J, head="dphi") * dz(J),
        phi(J, head="dphi"),
        {},
    ),
    "collapse deletes a delta of free indices": (
        "collapse",
        delta(K, K2) * b(K) * delta(K, K),
        delta(K, K2) * b(K),
        b(K),
        {},
    ),
    "collapse keeps the sum": (
        "collapse",
        total(J, delta(J, J2) * phi(J)),
        phi(J2),
        total(J, phi(J)),
        {},
    ),
    "collapse selects the wrong index": (
        "collapse",
        total(ROW, delta(K, ROW) * b(ROW) * b(K2)),
        b(K) * b(K2),
        b(K2) * b(K2),
        {},
    ),
    "counting counts twice": ("counting", total(J, b(K)), N * b(K), N**2 * b(K), {}),
    "counting forgets": ("counting", total(J, b(K)), N * b(K), b(K), {}),
    "counting uses another width": ("counting", total(J, b(K)), N * b(K), ROWS * b(K), {}),
    "fold swaps the inputs": ("fold", SLOPES, theta(J, J2), theta(J, J2, (Y, X)), {}),
    "fold swaps the indices": ("fold", SLOPES, theta(J, J2), theta(J2, J), {}),
    "fold loses a factor": ("fold", SLOPES * b(K), theta(J, J2) * b(K), theta(J, J2), {}),
    "unfold uses the wrong input": (
        "unfold",
        theta(J, J2),
        SLOPES,
        total(Q, dz(J) * dz(J2)),
        {},
    ),
    "identical units merge different units": (
        "identical_units",
        mean(phi(J) * phi(J)) * mean(phi(J2) * phi(J)),
        mean(phi(ONE) * phi(ONE)) * mean(phi(J2) * phi(J)),
        mean(phi(ONE) * phi(ONE)) * mean(phi(ONE) * phi(ONE)),
        UNITS,
    ),
    "identical units merge inputs": (
        "identical_units",
        mean(phi(J) * phi(J, Y)),
        mean(phi(ONE) * phi(ONE, Y)),
        mean(phi(ONE) * phi(ONE)),
        UNITS,
    ),
    "the diagonal is split with n^2 for n(n-1)": (
        "split_diagonal",
        DOUBLE,
        N * ON_DIAGONAL + (N * (N - 1)) * OFF_DIAGONAL,
        N * ON_DIAGONAL + N**2 * OFF_DIAGONAL,
        UNITS,
    ),
    "the diagonal is forgotten": (
        "split_diagonal",
        DOUBLE,
        N * ON_DIAGONAL + (N * (N - 1)) * OFF_DIAGONAL,
        (N * (N - 1)) * OFF_DIAGONAL,
        UNITS,
    ),
    "a hypothesis loses its delta": (
        "hypothesis",
        theta(J, J2) * b(K),
        atom("Theta_inf", at=(X, Y), layer=BELOW) * delta(J, J2) * b(K),
        atom("Theta_inf", at=(X, Y), layer=BELOW) * b(K),
        TANGENT,
    ),
    "a hypothesis is used at another layer": (
        "hypothesis",
        theta(J, J2) * b(K),
        atom("Theta_inf", at=(X, Y), layer=BELOW) * delta(J, J2) * b(K),
        atom("Theta_inf", at=(X, Y), layer=layer) * delta(J, J2) * b(K),
        TANGENT,
    ),
    "an abbreviation loses a coefficient": ("abbreviate", 2 * KERNEL, 2 * NAME, NAME, {}),
    "an abbreviation is used where one term is missing": (
        "abbreviate",
        KERNEL * delta(K, K2),
        NAME * delta(K, K2),
        NAME * delta(K, K2) + sigma_b**2 * delta(K, K2),
        {},
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_wrong_step_is_refuted(name):
    rule_name, before, _, wrong, used = PLANTED[name]
    with pytest.raises(StepRefuted, match=rule_name):
        examine(step(rule_name, before, wrong, **used))


@pytest.mark.parametrize("name", PLANTED)
def test_the_right_step_in_place_of_the_planted_one_passes(name):
    rule_name, before, right, _, used = PLANTED[name]
    assert examine(step(rule_name, before, right, **used)).total > 0


def test_a_sum_in_place_of_an_average_is_refuted_by_its_variance():
    """(1/n) sum_j phi_j z with n times the variance not constant: here a term that does not average at all."""
    before = (1 / N) * total(J, total(J2, phi(J2) * b(K)))
    with pytest.raises(StepRefuted, match="variance"):
        examine(step("law_of_large_numbers", before, Expression(), **AVERAGE))


def test_a_wrong_count_that_is_right_for_one_and_two_units_is_refuted():
    """n(n-1) and 2(n-1) agree at n = 1 and 2: a width must take three values when another one stands beside it."""
    with pytest.raises(StepRefuted, match="counting"):
        examine(step("counting", (N * (N - 1)) * b(K) * phi(J), (2 * (N - 1)) * b(K) * phi(J)))


def test_a_premise_about_a_sum_is_examined_and_not_taken_for_its_summand():
    average = (1 / N) * total(J, phi(J))
    limit = reflexivity(average, DEEPER_LAYER).by(planted("law_of_large_numbers", mean(phi(ONE)), **AVERAGE))
    assert examine(step("by_theorem", average + b(K), mean(phi(ONE)) + b(K), premises=(limit,))).total > 0
    with pytest.raises(StepRefuted, match="by_theorem"):
        examine(step("by_theorem", average + b(K), 2 * mean(phi(ONE)) + b(K), premises=(limit,)))


def test_a_wrong_step_of_an_unknown_rule_is_refuted_too():
    with pytest.raises(StepRefuted, match="my_rule"):
        examine(step("my_rule", b(K), b(K2)))


def test_a_refutation_names_the_rule_the_sizes_and_the_indices():
    with pytest.raises(StepRefuted, match=r"my_rule is wrong at N\(l \+ 1\) = 2; (k = 1, k' = 2|k' = 1, k = 2)"):
        examine(step("my_rule", b(K) * b(K2), b(K) * b(K)))


def test_one_wrong_step_among_right_ones_is_refuted():
    theorem = nngp.layer1_covariance()
    wrong = theorem.by(planted("fold", only_scaled(theorem.rhs, lambda f, c: c.has(sigma_b)), "="))
    with pytest.raises(StepRefuted, match="fold"):
        examine(wrong)


def test_an_examination_counts_the_instances_of_every_step():
    theorem = nngp.layer1_covariance()
    examination = examine(theorem)
    assert len(examination.instances) == len(theorem.steps)
    assert min(examination.instances) >= 2
    assert examination.total == sum(examination.instances)


def test_an_inference_the_examiner_does_not_know_is_not_passed_in_silence():
    @inference("planted")
    def my_inference(premise):
        return Conclusion(premise.lhs, "=", GaussianProcess(premise.rhs))

    with pytest.raises((TypeError, AssertionError, KeyError, StepRefuted)):
        examine(my_inference(nngp.layer1_covariance()))


# --- premises ----------------------------------------------------------------------------------------------------


def last_step_examined(theorem):
    """Examine the last step alone: its planted premise is assumed, not examined."""
    return examine_step(theorem.steps[-1], theorem)


def test_a_step_by_a_limit_theorem_with_the_wrong_sign_is_refuted():
    own = atom("Theta_own", K, K2, at=(X, Y), layer=layer)
    limit = reflexivity(own, DEEPER_LAYER).by(planted("hypothesis", NAME * delta(K, K2), "→", **UNITS))
    with pytest.raises(StepRefuted, match="by_theorem"):
        last_step_examined(step("by_theorem", own + b(K), b(K) - NAME * delta(K, K2), premises=(limit,)))
    right = step("by_theorem", own + b(K), b(K) + NAME * delta(K, K2), premises=(limit,))
    assert last_step_examined(right) > 0


# --- laws --------------------------------------------------------------------------------------------------------


def concluded(name, lhs, relation, rhs, *premises):
    """Return the theorem of an inference of the given name that concludes what it is told."""

    def wrong(*theorems):
        return Conclusion(lhs, relation, rhs)

    wrong.__name__ = name
    return inference("a planted inference")(wrong)(*premises)


FIRST = nngp.layer1_covariance()
LAW = Law(Atom("z", (Index("k", width(2)),), (X,), sp.Integer(1)))
LAW_MUTANTS = {
    "the bias is dropped": without(FIRST.rhs, lambda f, c: c.has(sigma_b)),
    "the weights are 2 % too large": only_scaled(FIRST.rhs, lambda f, c: c.has(sigma_w)),
    "the variance is twice what it is": 2 * FIRST.rhs,
    "the units are not independent": FIRST.rhs + atom("c") * constant(1),
}


@pytest.mark.parametrize("name", LAW_MUTANTS)
def test_a_gaussian_law_with_a_wrong_covariance_is_refuted(name):
    with pytest.raises(StepRefuted, match="gaussian_law"):
        examine(concluded("gaussian_law", LAW, "=", GaussianProcess(LAW_MUTANTS[name]), FIRST))


def test_the_right_gaussian_law_by_the_same_path_passes():
    assert examine(concluded("gaussian_law", LAW, "=", GaussianProcess(FIRST.rhs), FIRST)).total > 0


def test_a_law_that_is_not_gaussian_at_finite_width_is_refuted():
    """Layer l is a mixture, not Gaussian: its exact covariance does not make it so."""
    law = Law(Atom("z", (K,), (X,), layer))
    with pytest.raises(StepRefuted, match="gaussian_law"):
        examine(concluded("gaussian_law", law, "=", GaussianProcess(nngp.covariance().rhs), nngp.covariance()))


def test_a_mixture_that_tends_to_another_gaussian_is_refuted():
    law, limit = nngp.conditional_law(), nngp.kernel_limit()
    unit_means = sigma_w**2 * (mean(phi(ONE)) * mean(phi(ONE, Y)))
    wrong = (sigma_b**2 * constant(1) + unit_means) * delta(K, K2)
    with pytest.raises(StepRefuted, match="cumulant"):
        examine(concluded("gaussian_mixture", Law(law.lhs.variable), "→", GaussianProcess(wrong), law, limit))


# --- instances ---------------------------------------------------------------------------------------------------


def test_normal_moments_are_double_factorials():
    assert [normal_moment(n) for n in range(9)] == [1, 0, 1, 0, 3, 0, 15, 0, 105]


def test_rationals_depend_on_their_key_alone_and_are_not_zero():
    values = [rational("data", n) for n in range(50)]
    assert values == [rational("data", n) for n in range(50)]
    assert all(v != 0 and v.is_Rational for v in values)
    assert len(set(values)) > 5


def test_units_of_an_instance_are_iid_but_their_values_at_two_inputs_are_dependent():
    instance = Instance(DEEPER_LAYER, {N: 2})

    def value(expression, **at):
        return instance.value(expression, {J: 0, J2: 1})

    assert value(mean(phi(J))) == value(mean(phi(J2)))
    assert value(mean(phi(J) * phi(J2, Y))) == sp.expand(value(mean(phi(J))) * value(mean(phi(J2, Y))))
    assert value(mean(phi(J) * phi(J, Y))) != sp.expand(value(mean(phi(J))) * value(mean(phi(J, Y))))


def test_the_derivative_family_of_an_instance_is_the_derivative_of_the_activation():
    instance = Instance(DEEPER_LAYER, {N: 2, parameter_count(BELOW): 2})
    at = {J: 1, Q: 1}
    assert sp.expand(instance.value(partial(phi(J), THETA), at) - instance.value(phi(J, head="dphi") * dz(J), at)) == 0


def test_an_instance_does_not_average_over_what_is_given():
    instance = Instance(DEEPER_LAYER, {ROWS: 2})
    given = instance.value(mean(b(K) * b(K), ("b",)), {K: 0})
    assert given == instance.value(b(K) * b(K), {K: 0})


def test_fields_of_different_layers_are_different_in_an_instance():
    instance = Instance(DEEPER_LAYER, {N: 2})
    other = atom("phi", J, at=(X,), layer=layer - 2)
    assert instance.value(phi(J) - other, {J: 0}) != 0
