"""Theorems: how they are built, what travels with them, and the theorems of the lecture."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import sympy as sp

from derive.examiner import examine, examine_step
from derive.laws import GaussianProcess, Law
from derive.lecture import conditioning, finite_width, linearized, nngp, ntk, trained_ensembles
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER, X, Y, tangent_hypothesis
from derive.model import Definition, Hypothesis, Model
from derive.mutations import recoefficiented, swapped_sigmas, without
from derive.notation import layer, sigma_b, sigma_w, width
from derive.rules import (
    by_theorem,
    collapse,
    differentiate,
    gaussian_law,
    gaussian_mixture,
    independence,
    induction,
    isserlis,
    law_of_large_numbers,
    linearity,
    unfold,
)
from derive.rules.algebra import by_equation
from derive.terms import Atom, Delta, Expression, Index, atom, constant, delta, mean, total
from derive.theorem import Conclusion, Rewriting, StepRefuted, Theorem, Where, inference, reflexivity, rule

K, K2 = (Index(name, width(layer + 1)) for name in ("k", "k'"))
J = Index("j", width(layer))
BELOW = layer - 1


def b(row):
    return atom("b", row, layer=layer)


def name(head, of_layer=layer):
    return atom(head, at=(X, Y), layer=of_layer)


def planted(after, relation="=", **used):
    """Return a rule that turns everything into ``after``."""

    @rule("a planted step", relation)
    def wrong(term, model):
        return Rewriting(after, **used)

    return wrong


def own_steps_examined(theorem):
    """Examine the steps of a theorem alone: its planted premises would be refuted before what is tested here."""
    return sum(examine_step(each, theorem) for each in theorem.steps)


def concluding(called, conclusion):
    """Return an inference of the given name that concludes what it is told."""

    def wrong(*premises):
        return conclusion

    wrong.__name__ = called
    return inference("a planted inference")(wrong)


# --- how theorems are built --------------------------------------------------------------------------------------


def test_a_theorem_cannot_be_written_down():
    with pytest.raises(TypeError, match="only rules build theorems"):
        Theorem(lhs=b(K), relation="=", rhs=b(K2), model=DEEPER_LAYER, steps=())
    with pytest.raises(TypeError, match="only rules build theorems"):
        Theorem(lhs=b(K), relation="=", rhs=b(K2), model=DEEPER_LAYER, steps=(), key=object())


def test_a_theorem_cannot_be_forged_by_replacing_its_right_side():
    with pytest.raises(TypeError, match="only rules build theorems"):
        dataclasses.replace(nngp.layer1_covariance(), rhs=constant(0))


def test_the_hypotheses_of_a_theorem_cannot_be_replaced():
    with pytest.raises(TypeError, match="only rules build theorems"):
        dataclasses.replace(nngp.kernel_limit(), hypotheses=())


@pytest.mark.parametrize("attribute", ["lhs", "rhs", "relation", "hypotheses", "steps", "assumptions"])
def test_a_theorem_is_immutable(attribute):
    theorem = nngp.layer1_covariance()
    with pytest.raises(AttributeError, match="cannot assign"):
        setattr(theorem, attribute, getattr(theorem, attribute))


def test_a_copy_of_a_theorem_is_still_the_theorem():
    theorem = nngp.layer1_covariance()
    assert copy.copy(theorem).rhs == theorem.rhs


def test_a_rule_extends_a_theorem_and_leaves_the_old_one_as_it_was():
    start = reflexivity(mean(b(K) * b(K2)), DEEPER_LAYER)
    further = start.by(isserlis)
    assert (start.rhs, start.steps) == (start.lhs, ())
    assert (further.lhs, further.rhs) == (start.lhs, delta(K, K2))
    (step,) = further.steps
    assert (step.rule, step.before, step.after) == ("isserlis", start.lhs, further.rhs)
    assert step.model is DEEPER_LAYER


def test_reflexivity_says_that_a_term_equals_itself():
    theorem = reflexivity(b(K), DEEPER_LAYER)
    assert (theorem.lhs, theorem.relation, theorem.rhs) == (b(K), "=", b(K))
    assert theorem.hypotheses == theorem.assumptions == theorem.limits == theorem.premises == ()
    assert examine(theorem).total == 0


def test_a_rule_that_changes_nothing_is_refused_by_name():
    with pytest.raises(ValueError, match="the rule collapse does not apply to"):
        reflexivity(b(K), DEEPER_LAYER).by(collapse)


def test_the_steps_of_a_theorem_follow_on_each_other():
    for theorem in (nngp.covariance(), ntk.inherited_term(), linearized.final_test_outputs()):
        assert theorem.steps[0].before.key == theorem.lhs.key
        assert theorem.steps[-1].after.key == theorem.rhs.key
        for first, second in zip(theorem.steps, theorem.steps[1:], strict=False):
            assert first.after.key == second.before.key


# --- what travels with a theorem ---------------------------------------------------------------------------------


def assumed_hypothesis(relation):
    return Hypothesis("planted", name("f"), relation, name("g"), "f is g")


def test_a_limit_anywhere_makes_the_theorem_a_limit():
    theorem = reflexivity(b(K), DEEPER_LAYER).by(planted(b(K2), "→", limits=(width(layer),)))
    assert theorem.relation == "→"
    assert theorem.by(planted(name("f"))).relation == "→"


def test_a_limit_hypothesis_and_a_limit_premise_make_a_step_a_limit():
    start = reflexivity(b(K), DEEPER_LAYER)
    assert start.by(planted(b(K2), hypotheses=(assumed_hypothesis("→"),))).relation == "→"
    assert start.by(planted(b(K2), hypotheses=(assumed_hypothesis("="),))).relation == "="
    assert start.by(planted(b(K2), premises=(nngp.kernel_limit(),))).relation == "→"
    assert start.by(planted(b(K2), premises=(nngp.layer1_covariance(),))).relation == "="


def test_assumptions_limits_hypotheses_and_premises_add_up_without_repeats():
    hypothesis = assumed_hypothesis("=")
    premise = nngp.layer1_covariance()
    first = planted(b(K2), assumptions=("one",), limits=(width(2),), hypotheses=(hypothesis,), premises=(premise,))
    second = planted(
        name("f"), assumptions=("one", "two"), limits=(width(3),), hypotheses=(hypothesis,), premises=(premise,)
    )
    theorem = reflexivity(b(K), DEEPER_LAYER).by(first).by(second)
    assert theorem.assumptions == ("one", "two")
    assert theorem.limits == (width(2), width(3))
    assert theorem.hypotheses == (hypothesis,)
    assert theorem.premises == (premise,)


def test_an_inference_keeps_the_assumptions_hypotheses_and_limits_of_its_premises():
    law = nngp.limit_law()
    assert set(nngp.kernel_limit().hypotheses) <= set(law.hypotheses)
    assert set(nngp.conditional_law().assumptions) | set(nngp.kernel_limit().assumptions) <= set(law.assumptions)
    assert law.limits == (width(layer),)
    assert law.premises == (nngp.conditional_law(), nngp.kernel_limit())


def test_an_inference_needs_a_theorem():
    with pytest.raises(TypeError, match="gaussian_law needs at least one theorem"):
        gaussian_law()


def test_the_ancestry_of_a_theorem_ends_in_it_and_has_everyone_once():
    ancestry = list(ntk.ntk_recursion().ancestry())
    assert ancestry[-1] is ntk.ntk_recursion()
    assert len(ancestry) == len({id(theorem) for theorem in ancestry})
    for theorem in (nngp.nngp_recursion(), nngp.limit_law(), ntk.own_term(), ntk.layer1_ntk()):
        assert any(theorem is one for one in ancestry)
    for n, theorem in enumerate(ancestry):
        assert all(any(premise is one for one in ancestry[:n]) for premise in theorem.premises)


def test_a_theorem_by_a_recursion_keeps_the_definition_of_the_recursion():
    recursion = ntk.ntk_recursion()
    used = reflexivity(recursion.lhs + b(K), DEEPER_LAYER).by(by_theorem, recursion)
    assert used.where == recursion.where


def test_a_head_is_not_defined_twice_at_one_layer():
    definition = Definition("f", (), (), None, constant(1))
    with pytest.raises(ValueError, match="defined twice"):
        Model(name="twice", gaussian=frozenset(), definitions=(definition, Definition("f", (), (), None, constant(2))))


def test_a_definition_refuses_a_use_with_another_number_of_indices():
    with pytest.raises(TypeError, match="takes 1 indices and 1 inputs"):
        DEEPER_LAYER.definition("z", layer).at(Atom("z", (K, K2), (X,), layer))


# --- theorems about special cases are not used for the general one -----------------------------------------------


def own(i, j):
    return atom("Theta_own", i, j, at=(X, Y), layer=layer)


def test_a_theorem_on_the_diagonal_is_not_used_off_it():
    diagonal = reflexivity(own(K, K), DEEPER_LAYER).by(unfold, "Theta_own", "z").by(differentiate).by(collapse)
    with pytest.raises((ValueError, TypeError)):
        reflexivity(own(K, K2), DEEPER_LAYER).by(by_equation, diagonal)


def test_a_theorem_on_twice_a_name_is_not_used_for_the_name():
    double = reflexivity(2 * name("K"), DEEPER_LAYER).by(unfold, "K")
    with pytest.raises((ValueError, TypeError)):
        reflexivity(name("K"), DEEPER_LAYER).by(by_equation, double)


def test_a_limit_is_not_used_as_an_equation():
    with pytest.raises(TypeError, match="exact"):
        reflexivity(mean(own(K, K2)), DEEPER_LAYER).by(by_equation, ntk.own_term())


# --- laws --------------------------------------------------------------------------------------------------------


def second_moment(first, second, given=()):
    return reflexivity(mean(first * second, given), FIRST_LAYER).by(unfold, "z").by(linearity).by(independence)


def z1(unit, x):
    return atom("z", Index(unit, width(2)), at=(x,), layer=1)


def test_a_law_needs_linearity_in_the_gaussian_families():
    with pytest.raises(ValueError, match="not linear in independent standard normals"):
        gaussian_law(nngp.covariance())


def test_an_exact_law_does_not_come_from_a_limit():
    with pytest.raises(ValueError, match="exact second moment"):
        gaussian_law(nngp.kernel_limit())


def test_a_law_needs_a_second_moment_of_one_family():
    with pytest.raises(TypeError, match="mean of a product of two units"):
        gaussian_law(reflexivity(mean(b(K)), DEEPER_LAYER))
    with pytest.raises(TypeError, match="mean of a product of two units"):
        gaussian_law(ntk.layer1_ntk())
    undefined = reflexivity(mean(b(K) * b(K2)), DEEPER_LAYER).by(isserlis)
    with pytest.raises(TypeError, match="two units"):
        gaussian_law(undefined)


@pytest.mark.parametrize(("unit", "x"), [("k'", X), ("k", Y)], ids=["one-input", "one-unit"])
def test_the_covariance_of_one_input_or_one_unit_is_not_that_of_the_process(unit, x):
    special = second_moment(z1("k", X), z1(unit, x)).by(isserlis).by(collapse)
    with pytest.raises((ValueError, TypeError)):
        gaussian_law(special)


def test_a_mixture_needs_a_conditional_law_and_the_limit_of_its_covariance():
    with pytest.raises(TypeError, match="conditional law"):
        gaussian_mixture(nngp.kernel_limit(), nngp.kernel_limit())
    with pytest.raises(ValueError, match="second premise"):
        gaussian_mixture(nngp.conditional_law(), nngp.covariance())
    with pytest.raises(ValueError, match="second premise"):
        gaussian_mixture(nngp.layer1_law(), nngp.kernel_limit())


def test_a_mixture_whose_covariance_stays_random_is_no_gaussian_process():
    with pytest.raises((ValueError, TypeError)):
        gaussian_mixture(nngp.conditional_law(), nngp.conditional_covariance())


# --- the lecture -------------------------------------------------------------------------------------------------


def lecture_theorems():
    found = {}
    for module in (nngp, ntk, linearized, trained_ensembles, conditioning, finite_width):
        for key, function in vars(module).items():
            if hasattr(function, "cache_info") and function.__module__ == module.__name__:
                theorem = function()
                if isinstance(theorem, Theorem):
                    found[f"{module.__name__.rpartition('.')[2]}.{key}"] = theorem
    return found


THEOREMS = lecture_theorems()


@pytest.fixture(scope="session")
def examinations():
    """Return examinations on demand, every theorem examined once in a session."""
    done = {}

    def examined(key):
        if key not in done:
            done[key] = examine(THEOREMS[key])
        return done[key]

    return examined


@pytest.mark.parametrize("key", THEOREMS)
def test_every_step_of_the_theorems_of_the_lecture_is_examined(key, examinations):
    examination = examinations(key)
    assert len(examination.instances) == len(THEOREMS[key].steps) > 0
    assert min(examination.instances) > 0


STAND_ALONE = [
    "nngp.layer1_covariance",
    "nngp.layer1_law",
    "nngp.conditional_covariance",
    "nngp.conditional_law",
    "nngp.nngp_recursion",
    "ntk.layer1_ntk",
    "ntk.own_term_exact",
    "ntk.inherited_term_exact",
    "ntk.ntk_recursion",
    *(key for key in THEOREMS if key.startswith(("linearized.", "trained_ensembles.", "conditioning."))),
]


@pytest.mark.parametrize("key", STAND_ALONE)
def test_a_theorem_that_must_stand_alone_has_no_open_hypotheses(key):
    assert THEOREMS[key].hypotheses == ()


@pytest.mark.parametrize("key", ["nngp.covariance", "nngp.kernel_limit", "nngp.limit_law", "ntk.own_term"])
def test_a_statement_about_one_layer_says_that_the_units_below_are_iid(key):
    assert THEOREMS[key].hypotheses == (DEEPER_LAYER.iid_units,)


def test_the_step_of_the_tangent_kernel_rests_on_both_hypotheses():
    assert set(ntk.ntk_step().hypotheses) == {DEEPER_LAYER.iid_units, tangent_hypothesis(DEEPER_LAYER)}


EXACT = [
    "nngp.layer1_covariance",
    "nngp.layer1_law",
    "nngp.covariance",
    "nngp.conditional_covariance",
    "nngp.conditional_law",
    "ntk.layer1_ntk",
    "ntk.own_term_exact",
    "ntk.inherited_term_exact",
]


@pytest.mark.parametrize("key", EXACT)
def test_what_is_exact_at_every_width_needs_no_limit(key):
    assert THEOREMS[key].relation == "="
    assert THEOREMS[key].limits == ()


@pytest.mark.parametrize("key", ["nngp.kernel_limit", "nngp.limit_law", "ntk.own_term", "ntk.ntk_step"])
def test_the_width_that_grows_is_the_one_summed_over(key):
    assert THEOREMS[key].relation == "→"
    assert THEOREMS[key].limits == (width(layer),)


@pytest.mark.parametrize("recursion", [nngp.nngp_recursion, ntk.ntk_recursion])
def test_a_recursion_says_in_which_order_widths_grow(recursion):
    theorem = recursion()
    assert theorem.relation == "→"
    assert theorem.limits == (width(2), width(layer))
    assert any("one after the other" in text for text in theorem.assumptions)


def test_the_first_layer_has_its_covariance_as_tangent_kernel():
    assert nngp.layer1_covariance().rhs == ntk.layer1_ntk().rhs


def test_the_covariance_of_the_first_layer_is_that_of_an_affine_map():
    unit, other = (Index(text, width(2)) for text in ("k", "k'"))
    dot = atom("dot", at=(X, Y))
    d = sp.Symbol("d", integer=True, positive=True)
    assert nngp.layer1_covariance().rhs == ((sigma_w**2 / d) * dot + constant(sigma_b**2)) * delta(unit, other)


def test_the_empirical_kernel_is_the_own_part_of_the_tangent_kernel():
    assert nngp.conditional_covariance().rhs == ntk.own_term_exact().rhs


def test_the_covariance_at_finite_width_is_already_the_limit():
    assert nngp.covariance().rhs == nngp.kernel_limit().rhs


@pytest.mark.parametrize(
    "key",
    [
        "nngp.layer1_covariance",
        "nngp.covariance",
        "nngp.conditional_covariance",
        "nngp.kernel_limit",
        "ntk.layer1_ntk",
        "ntk.own_term_exact",
        "ntk.own_term",
        "ntk.inherited_term",
        "ntk.ntk_step",
        "ntk.ntk_recursion",
    ],
)
def test_entries_of_different_units_vanish(key):
    rhs = THEOREMS[key].rhs
    assert len(rhs.terms) > 0
    for _, factors, _ in rhs:
        assert sum(isinstance(f, Delta) and {i.name for i in f.indices} == {"k", "k'"} for f in factors) == 1


def test_the_inherited_part_is_the_derivative_kernel_times_the_kernel_below():
    expected = name("Kdot") * name("Theta_inf", BELOW) * delta(K, K2)
    assert ntk.inherited_term().rhs == expected
    assert ntk.ntk_step().rhs == ntk.own_term().rhs + expected


def test_the_recursions_are_those_of_the_literature():
    """Lee et al. 2017 (arXiv:1711.00165), eq 5; Jacot et al. 2018 (arXiv:1806.07572), theorem 1."""
    where = {w.symbol.key: w.value for w in ntk.ntk_recursion().where}
    first = Index("1", width(layer))
    pair = atom("phi", first, at=(X,), layer=BELOW) * atom("phi", first, at=(Y,), layer=BELOW)
    d = sp.Symbol("d", integer=True, positive=True)
    base = constant(sigma_b**2) + (sigma_w**2 / d) * atom("dot", at=(X, Y))
    assert where[name("K", 1).key] == base
    assert where[name("Theta_inf", 1).key] == base
    assert where[name("K").key] == constant(sigma_b**2) + sigma_w**2 * mean(pair)
    assert where[name("Theta_inf").key] == name("K") + name("Kdot") * name("Theta_inf", BELOW)
    assert len(where) == 4


def test_the_limit_of_every_layer_is_a_gaussian_process_with_its_kernel():
    theorem = nngp.nngp_recursion()
    assert theorem.lhs == Law(Atom("z", (K,), (X,), layer))
    assert theorem.rhs == GaussianProcess(name("K") * delta(K, K2))


# --- induction ---------------------------------------------------------------------------------------------------


def test_induction_refuses_a_base_about_something_else():
    for base in (nngp.layer1_covariance(), ntk.own_term_exact()):
        with pytest.raises(ValueError, match="the step assumes nothing whose instance at layer 1 is the base"):
            induction(base, ntk.ntk_step(), nngp.nngp_recursion())
    with pytest.raises(ValueError, match="the step assumes nothing"):
        induction(nngp.layer1_law(), ntk.ntk_step(), nngp.nngp_recursion())


def test_induction_refuses_a_base_at_another_layer():
    with pytest.raises(ValueError, match="the step assumes nothing"):
        induction(ntk.ntk_step(), ntk.ntk_step(), nngp.nngp_recursion())


def test_induction_refuses_a_step_about_another_statement():
    with pytest.raises(ValueError, match="the step assumes nothing"):
        induction(ntk.layer1_ntk(), ntk.own_term(), nngp.nngp_recursion())
    with pytest.raises(ValueError, match="the step assumes nothing"):
        induction(nngp.layer1_law(), nngp.kernel_limit())


def test_induction_refuses_a_step_without_a_hypothesis():
    with pytest.raises(ValueError, match="the step assumes nothing"):
        induction(ntk.layer1_ntk(), ntk.layer1_ntk())


def test_induction_refuses_hypotheses_that_no_lemma_proves():
    with pytest.raises(ValueError, match="iid units"):
        induction(ntk.layer1_ntk(), ntk.ntk_step())
    with pytest.raises(ValueError, match="iid units"):
        induction(ntk.layer1_ntk(), ntk.ntk_step(), nngp.layer1_law())


def test_induction_refuses_a_lemma_with_open_hypotheses():
    with pytest.raises(ValueError, match="iid units"):
        induction(ntk.layer1_ntk(), ntk.ntk_step(), nngp.limit_law())


def test_induction_refuses_a_step_that_is_not_diagonal():
    step = reflexivity(ntk.ntk_step().lhs, DEEPER_LAYER).by(
        planted(name("K") * delta(K, K2) + name("K"), "→", hypotheses=ntk.ntk_step().hypotheses)
    )
    with pytest.raises(ValueError, match="delta"):
        induction(ntk.layer1_ntk(), step, nngp.nngp_recursion())


def test_induction_does_not_discharge_a_hypothesis_that_the_base_rests_on():
    """A base that assumes what is to be proved is circular."""
    hypothesis = tangent_hypothesis(DEEPER_LAYER)
    base = reflexivity(ntk.layer1_ntk().lhs, FIRST_LAYER).by(
        planted(7 * ntk.layer1_ntk().rhs, hypotheses=(hypothesis,))
    )
    try:
        theorem = induction(base, ntk.ntk_step(), nngp.nngp_recursion())
    except ValueError:
        return
    assert hypothesis in theorem.hypotheses


# --- wrong recursions are refuted by an explicit network ---------------------------------------------------------


def ntk_with_step(rhs):
    """Return the NTK recursion by induction with a step that some rule got wrong."""
    right = ntk.ntk_step()
    step = reflexivity(right.lhs, right.model).by(planted(rhs, "→", hypotheses=right.hypotheses, limits=right.limits))
    return induction(ntk.layer1_ntk(), step, nngp.nngp_recursion())


def nngp_with_step(scalar):
    """Return the NNGP recursion by induction with a limit law that some inference got wrong."""
    law = nngp.limit_law()
    mixture = concluding("gaussian_mixture", Conclusion(law.lhs, "→", GaussianProcess(scalar * delta(K, K2))))
    return induction(nngp.layer1_law(), mixture(*law.premises))


def moved(expression, head, by):
    return expression.map_atoms(lambda a: Atom(a.head, a.indices, a.inputs, a.layer + by) if a.head == head else a)


OWN = name("K")
INHERITED = name("Kdot") * name("Theta_inf", BELOW)
WRONG_TANGENT = {
    "K is dropped": INHERITED,
    "Kdot is dropped": OWN,
    "Theta below is dropped": OWN + name("Kdot"),
    "Theta below is not multiplied by Kdot": OWN + name("Theta_inf", BELOW),
    "K stands for Kdot": OWN + OWN * name("Theta_inf", BELOW),
    "Kdot stands for K": name("Kdot") + INHERITED,
    "K below stands for K": name("K", BELOW) + INHERITED,
    "Theta of two layers below": OWN + name("Kdot") * name("Theta_inf", layer - 2),
    "K is counted twice": 2 * OWN + INHERITED,
    "the bias is forgotten": OWN - constant(sigma_b**2) + INHERITED,
    "2 % too large": sp.Rational(51, 50) * (OWN + INHERITED),
}


@pytest.mark.parametrize("wrong", WRONG_TANGENT)
def test_a_wrong_recursion_of_the_tangent_kernel_is_refuted_by_an_explicit_network(wrong):
    with pytest.raises(StepRefuted, match="explicit two-layer network"):
        own_steps_examined(ntk_with_step(WRONG_TANGENT[wrong] * delta(K, K2)))


def test_the_right_recursion_by_the_planted_path_passes():
    assert own_steps_examined(ntk_with_step((OWN + INHERITED) * delta(K, K2))) > 0


FIRST_UNIT = Index("1", width(layer))


def phi(x, head="phi"):
    return atom(head, FIRST_UNIT, at=(x,), layer=BELOW)


KERNEL = constant(sigma_b**2) + sigma_w**2 * mean(phi(X) * phi(Y))
WRONG_KERNEL = {
    "sigma_w and sigma_b are swapped": swapped_sigmas(KERNEL),
    "the bias is dropped": without(KERNEL, lambda factors, c: c.has(sigma_b)),
    "the weights are dropped": without(KERNEL, lambda factors, c: c.has(sigma_w)),
    "sigma is not squared": recoefficiented(KERNEL, lambda c: c.subs(sigma_w**2, sigma_w)),
    "the covariance stands for the second moment": KERNEL - sigma_w**2 * (mean(phi(X)) * mean(phi(Y))),
    "the means are multiplied": constant(sigma_b**2) + sigma_w**2 * (mean(phi(X)) * mean(phi(Y))),
    "the derivative stands for phi": constant(sigma_b**2) + sigma_w**2 * mean(phi(X, "dphi") * phi(Y, "dphi")),
    "one input stands for both": constant(sigma_b**2) + sigma_w**2 * mean(phi(X) * phi(X)),
    "2 % too large": sp.Rational(51, 50) * KERNEL,
    "the kernel below": name("K", BELOW),
}


@pytest.mark.parametrize("wrong", WRONG_KERNEL)
def test_a_wrong_recursion_of_the_kernel_is_refuted_by_an_explicit_network(wrong):
    with pytest.raises(StepRefuted, match="explicit two-layer network"):
        own_steps_examined(nngp_with_step(WRONG_KERNEL[wrong]))


def test_the_right_kernel_by_the_planted_path_passes():
    assert own_steps_examined(nngp_with_step(KERNEL)) > 0


def test_units_of_two_layers_below_do_not_stand_for_those_of_the_layer_below():
    with pytest.raises((StepRefuted, ValueError)):
        examine(nngp_with_step(moved(KERNEL, "phi", -1)))


def test_a_recursion_with_a_factor_of_the_width_is_refuted():
    with pytest.raises((StepRefuted, ValueError)):
        examine(ntk_with_step(width(layer) * (OWN + INHERITED) * delta(K, K2)))


def reinducted(theorem, where):
    """Return the theorem of an induction that wrote down other recursive definitions."""
    discharged = tuple(h for premise in theorem.premises for h in premise.hypotheses)
    conclusion = Conclusion(theorem.lhs, "→", theorem.rhs, discharged=discharged, where=where)
    return concluding("induction", conclusion)(*theorem.premises)


@pytest.mark.parametrize("position", range(4), ids=["K-base", "K-step", "Theta-base", "Theta-step"])
def test_an_induction_that_writes_down_another_recursion_is_refuted(position):
    theorem = ntk.ntk_recursion()
    where = list(theorem.where)
    where[position] = Where(where[position].symbol, 2 * where[position].value)
    with pytest.raises(StepRefuted):
        examine(reinducted(theorem, tuple(where)))


def test_an_induction_whose_conclusion_is_not_its_symbol_is_refuted():
    theorem = ntk.ntk_recursion()
    discharged = tuple(h for premise in theorem.premises for h in premise.hypotheses)
    conclusion = Conclusion(theorem.lhs, "→", 7 * theorem.rhs, discharged=discharged, where=theorem.where)
    with pytest.raises(StepRefuted):
        examine(concluding("induction", conclusion)(*theorem.premises))


def test_a_wrong_base_is_refuted_when_the_ancestry_is_examined():
    wrong = reflexivity(ntk.layer1_ntk().lhs, FIRST_LAYER).by(planted(swapped_sigmas(ntk.layer1_ntk().rhs)))
    theorem = induction(wrong, ntk.ntk_step(), nngp.nngp_recursion())
    assert any(one is wrong for one in theorem.ancestry())
    with pytest.raises(StepRefuted):
        examine(wrong)


def test_an_average_of_expressions_is_a_theorem_with_its_conditions():
    average = (1 / width(layer)) * total(J, atom("phi", J, at=(X,), layer=BELOW))
    theorem = reflexivity(average, DEEPER_LAYER).by(law_of_large_numbers, width(layer))
    assert isinstance(theorem.rhs, Expression)
    assert (theorem.limits, theorem.hypotheses) == ((width(layer),), (DEEPER_LAYER.iid_units,))


def test_the_lemmas_of_a_theorem_are_examined_with_it():
    """A lemma that is no claim of its own must not escape: here a wrong second moment under a right-looking law."""
    start = reflexivity(nngp.layer1_covariance().lhs, FIRST_LAYER)
    wrong = start.by(planted(2 * nngp.layer1_covariance().rhs))
    assert examine(nngp.nngp_recursion()).lemmas > examine(nngp.layer1_covariance()).total
    with pytest.raises(StepRefuted):
        examine(gaussian_law(wrong))
