"""Section 5: planted errors in theorems, statements and concrete numbers of each subsection are refuted."""

from __future__ import annotations

import dataclasses

import pytest
import sympy as sp

from derive.compare import counterexample
from derive.lecture import CLAIMS, linear_model, linearized, small_network, trained_ensembles
from derive.lecture.contents import STATEMENTS
from derive.lecture.linearized import FLOW
from derive.operators import IllTyped
from derive.rules import collapse, differentiate, unfold
from derive.terms import Atom, atom, partial
from derive.theorem import Rewriting, reflexivity, rule
from verify.checks.exhibits import exhibited, printed_in
from verify.checks.symbolic import symbolic
from verify.verdict import Verdict

CONFIRMED, REFUTED = Verdict.CONFIRMED, Verdict.REFUTED
START = STATEMENTS.index("eq64")
SECTION = [key for key in STATEMENTS[START:] if not key.startswith("eq81")]
SHOWN = [key for key in SECTION if CLAIMS[key].exhibits()]


def checked(key, **changes):
    return symbolic(dataclasses.replace(CLAIMS[key], **changes))[0]


def test_every_statement_of_the_section_is_a_claim_of_its_subsection():
    assert len(SECTION) == 32
    for key in SECTION:
        assert CLAIMS[key].section.startswith("5.")
        assert CLAIMS[key].stated or CLAIMS[key].theorem
    assert [CLAIMS[key].section for key in SECTION] == sorted(CLAIMS[key].section for key in SECTION)


@pytest.mark.parametrize("key", SHOWN)
def test_concrete_numbers_confirm_the_statement_and_kill_every_wrong_variant(key):
    result = exhibited(CLAIMS[key])
    assert result.verdict is CONFIRMED
    assert all(mutant.killed for mutant in result.mutants)


@pytest.mark.parametrize("key", SHOWN)
def test_another_right_side_is_refuted_by_the_numbers(key):
    exhibits = tuple(
        dataclasses.replace(x, right=x.right + (x.right * 0).applyfunc(lambda e: e + sp.Rational(1, 1000)))
        if isinstance(x.right, sp.MatrixBase)
        else dataclasses.replace(x, right=x.right + sp.Rational(1, 1000))
        for x in CLAIMS[key].exhibits()
    )
    assert exhibited(dataclasses.replace(CLAIMS[key], exhibits=lambda: exhibits)).verdict is REFUTED


@pytest.mark.parametrize("key", [k for k in SECTION if CLAIMS[k].printed])
def test_what_is_printed_wrong_is_refuted_with_a_reason(key):
    printed = CLAIMS[key].printed
    assert printed.why
    assert printed.correction
    if printed.evaluate is None:
        assert printed_in(CLAIMS[key].exhibits(), printed).verdict is REFUTED
        return
    with pytest.raises(IllTyped):
        printed.evaluate()


def test_descent_is_not_flow_in_the_numbers_of_one_mode():
    first, second, *_ = CLAIMS["eq65"].exhibits()
    assert (first.left, first.printed()) == (sp.Rational(1, 4), sp.exp(-1))
    assert float(second.left) == pytest.approx(57.7, rel=1e-3)
    assert float(second.printed()) == pytest.approx(1.4e-11, rel=0.01)


def test_one_cross_term_twice_is_invisible_at_one_test_input():
    (exhibit,) = CLAIMS["sec5.2-var"].exhibits()
    (name,) = (name for name in exhibit.wrong if "invisible" in name)
    difference = exhibit.wrong[name]() - exhibit.left
    assert max(abs(difference[n, n]) for n in range(2)) < 1e-25
    assert abs(difference[0, 1]) > 1e-3


# Planted errors in derivations


@rule("a planted error: derivatives are three times what they are")
def steeper(expression, model):
    """Return the derivative carried out, and tripled."""
    step = differentiate(expression, model)
    return 3 * step.after


@rule("a planted error: the Gram matrix is halved")
def half_gram(operator, model):
    """Return half of what the rule on Gram matrices gives."""
    return Rewriting(sp.Rational(1, 2) * linear_model.linearized.gram_of_jacobian().rhs)


@rule("a planted error: nothing has happened yet")
def nothing_yet(operator, model):
    """Return the outputs before training, doubled."""
    return 2 * linearized.initial_test_outputs().rhs


def wrong_gradient():
    loss = partial(atom("L"), Atom("omega", (linear_model._P,)))
    return reflexivity(loss, linear_model.LINEAR_MODEL).by(unfold, "L", "f").by(steeper).by(collapse)


PLANTED = {
    "eq65-linear-grad": wrong_gradient,
    "eq67": lambda: reflexivity(linearized.gram_of_jacobian().lhs, linearized.LINEARIZED).by(half_gram),
    "eq73a": lambda: linearized.test_outputs(FLOW).by(nothing_yet),
}


@pytest.mark.parametrize("key", PLANTED)
def test_a_wrong_step_is_refuted_even_if_the_statement_agrees_with_it(key):
    wrong = PLANTED[key]()
    result = checked(key, theorem=lambda: wrong, statement=lambda: wrong.rhs)
    assert result.verdict is REFUTED
    assert "a step is wrong" in result.note


OTHER_THEOREMS = {
    "eq65": linearized.parameters,
    "eq69": lambda: reflexivity(linearized.prediction_rate().lhs, linearized.ANY_LOSS),
    "eq71a": linearized.training_outputs,
    "eq71c": linearized.final_training_outputs,
    "sec5.2-mean": trained_ensembles.final_mean,
    "sec5.2-moments": trained_ensembles.last_layer_covariance,
    "eq75": trained_ensembles.last_layer_is_linear,
}


@pytest.mark.parametrize("key", OTHER_THEOREMS)
def test_a_theorem_on_something_else_refutes_the_statement(key):
    other = OTHER_THEOREMS[key]()
    assert counterexample(other.rhs, CLAIMS[key].statement(), other.model)
    assert checked(key, theorem=lambda: other).verdict is REFUTED


@pytest.mark.parametrize("key", ["eq66", "eq70", "eq74", "sec5.2.1-model", "eq77", "sec5.2.1-compare"])
def test_another_statement_is_refuted_by_the_theorem(key):
    wrong = CLAIMS[key].mutants()[0].statement
    assert checked(key, statement=lambda: wrong, mutants=lambda: ()).verdict is REFUTED


REQUIRED = {
    "a 2 in the exponent": ("eq71", "eq72", "eq73"),
    "½ in the exponent": ("eq71", "eq72", "eq73", "sec5.2-mean", "sec5.2-var", "eq75", "eq76"),
    "rate is doubled": ("sec5.2-mean", "sec5.2-var", "eq75", "eq76"),
    "2 in the exponent is missing": ("eq78",),
    "stands for Θ": ("eq69", "eq73", "eq74", "sec5.2-var"),
    "K(x,X) in place of Theta": ("sec5.2-mean",),
    "stands for K": ("sec5.2-var", "eq75", "eq77", "eq78", "eq79"),
    "one cross term twice": ("sec5.2-var",),
    "wrong sign": ("eq71", "eq72", "eq73", "eq74", "sec5.2-mean", "sec5.2-var", "eq75", "eq76", "eq77", "eq78", "eq79"),
    "Θ̂ of one network": ("sec5.2-var",),
    "Theta(x,X) in place of": ("sec5.2-mean",),
    "before the exponential": ("eq71",),
    "are exchanged": ("sec5.2-var",),
}
"""Wrong variants that must be among those of a claim: of order, of factors in exponents, of kernels, of signs."""


@pytest.mark.parametrize("part", REQUIRED)
def test_the_errors_people_make_are_among_the_wrong_variants(part):
    for key in REQUIRED[part]:
        assert any(part in name for name in CLAIMS[key].planted()), key


# The explicit network


def test_backpropagation_of_the_explicit_network_is_its_derivative():
    inputs, parameters = small_network.TRAINING_INPUTS, small_network.PARAMETERS
    for at in (small_network.START, small_network.OTHER_START, small_network.MOVED):
        derivative = small_network.network(inputs).jacobian(parameters).subs(dict(zip(parameters, at, strict=True)))
        assert derivative == small_network.jacobian(inputs, at)
        assert small_network.tangent(inputs, inputs, at).rank() == len(inputs)


def test_the_flow_of_the_explicit_network_obeys_its_equation():
    start, dt = small_network.START, sp.Rational(1, 10**6)
    later, now = (small_network.flowed(start, time=small_network.TIME + n * dt) for n in (1, 0))
    inputs = small_network.TRAINING_INPUTS
    jacobian = small_network.jacobian(inputs, start)
    residual = small_network.outputs(inputs, start) + jacobian * now - small_network.TARGETS
    rate = -small_network.RATE * jacobian.T * residual
    assert max(abs(x) for x in (later - now) / dt - rate) < 1e-5
