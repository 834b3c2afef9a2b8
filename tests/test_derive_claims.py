"""Claims: the registry, statements held against their theorems, mutants, and every term in print and in SymPy."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from functools import cache

import pytest
import sympy as sp
from math_core import LatexError, LatexToMathML

from derive.activations import ACTIVATIONS
from derive.claim import Claim, Kind, Observable, Registry, Status
from derive.compare import counterexample
from derive.instances import Instance, environments
from derive.laws import GaussianProcess
from derive.lecture import CLAIMS, linearized, ntk
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER
from derive.notation import eigenvalue, input_dimension, layer, learning_rate, parameter_count, time, width
from derive.operators import IllTyped, Operator
from derive.record import claim_record, theorem_record
from derive.terms import Atom, Expression, Index, Mean, Partial
from derive.to_sympy import to_sympy
from derive.typeset import latex, text

PROVEN = {key: claim for key, claim in CLAIMS.items() if claim.theorem}


@cache
def theorem_of(key):
    """The theorem of a claim; nothing is derived before a test asks for it."""
    return CLAIMS[key].proven()


def terms(theorem):
    """Every term a reader may meet: sides, steps, recursive definitions, and those of the premises."""
    for each in theorem.ancestry():
        yield from (each.lhs, each.rhs)
        yield from (step.after for step in each.steps)
        for where in each.where:
            yield from (where.symbol, where.value)


@cache
def every():
    """Every term that a reader may meet, by its normal form."""
    return {
        term.key: term
        for key, claim in PROVEN.items()
        for term in (*terms(theorem_of(key)), claim.statement(), *(m.statement for m in claim.mutants()))
    }


# The registry


def claim(name, rests_on=()):
    return Claim(
        id=name,
        title=f"title of {name}",
        kind=Kind.IDENTITY,
        theorem=ntk.layer1_ntk,
        statement=lambda: ntk.layer1_ntk().rhs,
        mutants=lambda: (),
        rests_on=rests_on,
    )


def test_the_registry_keeps_order_and_finds_ancestors():
    registry = Registry([claim("b"), claim("a", ("b",))], [claim("c", ("a",)), claim("d", ("b", "c"))])
    assert list(registry) == ["b", "a", "c", "d"]
    assert len(registry) == 4
    assert registry.ancestors("d") == ("b", "a", "c")
    assert registry.ancestors("b") == ()


def test_an_id_used_twice_is_refused():
    with pytest.raises(ValueError, match="the id a is used by 'title of a' and 'title of a'"):
        Registry([claim("a")], [claim("a")])


@pytest.mark.parametrize("topics", [[claim("a", ("b",))], [claim("a", ("b",)), claim("b")], [claim("a", ("a",))]])
def test_a_parent_that_is_not_registered_before_is_refused(topics):
    with pytest.raises(ValueError, match=r"a rests on \['[ab]'\], which must be registered before it"):
        Registry(topics)


def test_an_unknown_id_suggests_the_nearest():
    with pytest.raises(KeyError, match=r"expected the id of a claim, got 'eq170'; did you mean .*\beq17\b"):
        CLAIMS["eq170"]
    with pytest.raises(KeyError, match="did you mean"):
        CLAIMS["§"]


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError, match="item assignment"):
        CLAIMS["eq17"] = CLAIMS["eq18"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        CLAIMS["eq17"].title = "other"


def test_ids_sections_and_titles_follow_the_convention():
    for key, row in CLAIMS.items():
        assert key == row.id
        assert re.fullmatch(r"(eq|sec)\d[\w.-]*|[a-z][\w-]*\.[\w-]+", key)
        assert row.title[0].isupper()
        assert (row.section is None) == (row.equation is None) == (row.status is None)
        assert row.printed is None or row.status in (Status.TYPO, Status.WRONG)
    assert len({row.title for row in CLAIMS.values()}) == len(CLAIMS)


def test_every_activation_has_two_claims_on_duals():
    for row in ACTIVATIONS:
        for key in (f"dual.{row.name}", f"dual.{row.name}-derivative"):
            assert CLAIMS[key].observable is Observable.DUAL


# Statements and mutants


@pytest.mark.parametrize("key", PROVEN)
def test_the_theorem_is_the_statement(key):
    assert CLAIMS[key].derived(theorem_of(key)).key == CLAIMS[key].statement().key


@pytest.mark.parametrize("key", PROVEN)
def test_a_theorem_that_stands_alone_has_no_hypotheses_left_or_says_so(key):
    theorem = theorem_of(key)
    if CLAIMS[key].kind is Kind.IDENTITY:
        assert not theorem.hypotheses
        assert not theorem.limits
    assert (theorem.relation == "→") == (CLAIMS[key].kind is Kind.LIMIT)


@pytest.mark.parametrize("key", CLAIMS)
def test_every_claim_has_mutants_of_different_names(key):
    names = [m.name for m in CLAIMS[key].mutants()]
    assert CLAIMS[key].planted() or CLAIMS[key].stated.unchecked
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("key", PROVEN)
def test_every_mutant_differs_from_the_statement_on_an_instance(key):
    statement = CLAIMS[key].statement()
    for mutant in CLAIMS[key].mutants():
        assert mutant.statement.key != statement.key, mutant.name
        assert counterexample(statement, mutant.statement, theorem_of(key).model) is not None, mutant.name


@pytest.mark.parametrize("key", [key for key in PROVEN if CLAIMS[key].observable is not Observable.DUAL])
def test_a_statement_does_not_differ_from_itself(key):
    statement = CLAIMS[key].statement()
    assert counterexample(statement, statement, theorem_of(key).model) is None


ILL_TYPED = {"eq3", "eq70", "eq71", "eq80", "sec5.2.1-model"}
"""What has no meaning as printed."""


def test_what_is_printed_wrong_differs_or_has_no_meaning():
    for key, row in CLAIMS.items():
        if row.printed is None:
            continue
        assert row.printed.correction
        if row.printed.evaluate is None:
            assert any(exhibit.as_printed() for exhibit in row.exhibits())
            continue
        try:
            wrong = row.printed.evaluate()
        except IllTyped:
            assert key in ILL_TYPED
            continue
        assert counterexample(row.statement(), wrong, theorem_of(key).model) is not None


def test_terms_of_two_kinds_are_not_compared():
    with pytest.raises(TypeError, match="cannot compare a Expression with a Operator"):
        counterexample(CLAIMS["eq17"].statement(), CLAIMS["eq71"].statement(), FIRST_LAYER)


# Typesetting


def test_every_term_of_every_theorem_has_mathml_and_plain_text():
    converter = LatexToMathML()
    unsound = {}
    for key, term in every().items():
        formula, written = latex(term), text(term)
        assert formula.count("{") == formula.count("}")
        try:
            assert "<math" in converter.convert_with_local_state(formula, displaystyle=True)
        except LatexError as error:
            unsound[key] = f"{formula}: {error}"
        if "\\" in written or written.count("{") != written.count("}") or not written:
            unsound[key] = written
    assert not unsound


def test_different_terms_print_differently():
    printed = {}
    for key, term in every().items():
        if isinstance(term, Operator) and not term.words:  # zero is zero in every language
            continue
        if isinstance(term, Operator):  # what a function of Theta is on the kernel of Theta is not printed
            key = str([(letters, pieces[0]) for letters, pieces in term.words.items()])
        key = re.sub(r"\b([a-z]+'?):[NP]\([^)]*\)\??", r"\1", key)  # what a free index ranges over is not printed
        printed.setdefault((type(term), latex(term)), set()).add(key)  # a number is a number in every kind of term
    shared = {formula: keys for formula, keys in printed.items() if len(keys) > 1}
    assert not shared


def test_a_broken_formula_would_be_noticed():
    with pytest.raises(LatexError, match="never closed"):
        LatexToMathML().convert_with_local_state(r"\frac{1", displaystyle=True)


FLAT = {"dual.step-derivative", "dual.sign-derivative", "eq14", "sec3.4.1-zero-cov", "eq25-mean"}
"""The pathwise derivative of a step is 0, and so is its dual; what is uncorrelated, or centred, has a mean of 0."""


@pytest.mark.parametrize("key", PROVEN)
def test_a_theorem_is_a_json_record_without_examination(key):
    record = theorem_record(theorem_of(key), key, CLAIMS[key].title, None)
    assert json.loads(json.dumps(record)) == record
    assert len(record["steps"]) == len(theorem_of(key).steps)
    assert all(step["examined"] == 0 for step in record["steps"])


# SymPy


@pytest.mark.parametrize("key", PROVEN)
def test_both_sides_of_every_theorem_are_sympy(key):
    theorem = theorem_of(key)
    for side in (theorem.lhs, theorem.rhs):
        converted = to_sympy(side)
        assert isinstance(converted, sp.Expr)
        assert converted != 0 or (side is theorem.rhs and key in FLAT)


def test_an_unknown_term_has_no_sympy_form():
    with pytest.raises(TypeError, match="no SymPy form is known for a int"):
        to_sympy(3)
    with pytest.raises(TypeError, match="no LaTeX is known for a int"):
        latex(3)


SIZES = {
    input_dimension: 2,
    width(1): 2,
    width(2): 2,
    width(layer): 2,
    width(layer + 1): 2,
    parameter_count(layer - 1): 2,
    parameter_count(1): 2,
    parameter_count(sp.Symbol("L") + 1): 2,
    sp.Symbol("n", integer=True, positive=True): 2,
}


def plain(expression):
    """Whether an indexed expression has neither means nor derivatives, which SymPy would only carry along."""
    return all(not isinstance(f, Mean | Partial) for _, factors, _ in expression for f in factors)


MODELS = {model.name: model for model in (FIRST_LAYER, DEEPER_LAYER)}


def plain_in(place):
    """The plain expressions of a model or a theorem, with their model."""
    if place in MODELS:
        found, model = [definition.body for definition in MODELS[place].definitions], MODELS[place]
    else:
        theorem = theorem_of(place)
        found, model = [side for side in (theorem.lhs, theorem.rhs) if isinstance(side, Expression)], theorem.model
    return [(expression, model) for expression in found if plain(expression)]


def atoms_of(expression):
    return {f for _, factors, _ in expression for f in factors if isinstance(f, Atom)}


@pytest.mark.parametrize("place", [*MODELS, *PROVEN])
def test_sympy_sums_have_the_values_of_the_instances(place):
    for expression, model in plain_in(place):
        if expression not in COMPARED:
            require_the_same_values(expression, model)
            COMPARED.add(expression)


COMPARED = set()
"""What was compared already: many theorems have a side in common."""


def require_the_same_values(expression, model):
    instance = Instance(model, SIZES)
    converted = to_sympy(expression)
    for at in environments((expression,), SIZES):
        free = {sp.Symbol(i.name, integer=True, positive=True): n + 1 for i, n in at.items()}
        explicit = converted.subs(free).subs(SIZES).doit().subs(SIZES)
        values = {}
        for atom in atoms_of(expression):
            ranges = [range(2) if not i.is_literal else [0] for i in atom.indices]
            for entry in itertools.product(*ranges):
                fresh = tuple(Index(f"e{n}", i.dimension) for n, i in enumerate(atom.indices))
                here = dict(zip(fresh, entry, strict=True))
                concrete = dataclasses.replace(atom, indices=fresh)
                shown = to_sympy(Expression([((), (concrete,), sp.S.One)]))
                named = {sp.Symbol(i.name, integer=True, positive=True): n + 1 for i, n in here.items()}
                values[shown.subs(named)] = instance.value(Expression([((), (concrete,), sp.S.One)]), here)
        assert sp.expand(explicit.subs(values) - instance.value(expression, at)) == 0


def test_there_are_plain_expressions_to_compare():
    found = {expression for place in (*MODELS, "eq17", "eq40", "eq58", "eq61") for expression, _ in plain_in(place)}
    assert len(found) >= 8
    assert any(to_sympy(expression).has(sp.Sum) for expression in found)


def test_a_gaussian_process_carries_its_covariance():
    process = CLAIMS["eq18"].statement()
    assert isinstance(process, GaussianProcess)
    assert to_sympy(process).args == (0, to_sympy(process.covariance))


def test_operators_become_noncommutative_words():
    converted = to_sympy(CLAIMS["eq71"].statement())
    assert not converted.is_commutative
    words = to_sympy(CLAIMS["eq72"].statement())
    first = next(s for s in sp.Mul.make_args(sp.Add.make_args(words)[0]) if not s.is_commutative)
    assert str(first) == "J^T"
    assert isinstance(linearized.training_outputs().rhs, Operator)
    decay = sp.exp(-learning_rate * eigenvalue * time)
    assert converted.has(decay)


# Statements that are cited


CITED = [key for key, claim in CLAIMS.items() if claim.cited]


@pytest.mark.parametrize("key", CITED)
def test_a_cited_claim_says_where_it_is_from_and_has_no_theorem(key):
    claim = CLAIMS[key]
    assert "arXiv" in claim.cited.source
    assert claim.status in (None, Status.ASSUMPTION)
    with pytest.raises(TypeError, match=f"the claim {key} is cited, it has no theorem"):
        claim.proven()
    record = claim_record(claim, None)
    assert record["source"] == claim.cited.source
    assert record["statement"]["text"].endswith(text(claim.statement()))
    keys = {claim.statement().key, *(m.statement.key for m in claim.mutants())}
    assert len(keys) == 1 + len(claim.mutants())


def test_a_claim_is_either_derived_or_cited():
    derived, cited = CLAIMS["eq17"], CLAIMS[CITED[0]]
    for wrong in ({"theorem": None}, {"cited": cited.cited}):
        with pytest.raises(ValueError, match="one of a theorem, a source and a reason to have neither for eq17"):
            dataclasses.replace(derived, **wrong)


def test_cited_quantities_belong_to_every_layer():
    quantity = CLAIMS["finite-width.output-law"].statement()
    assert quantity.at_layer(sp.Symbol("l"), 2) == quantity
    assert latex(dataclasses.replace(quantity, factor=sp.Rational(1, 2))) == rf"\frac{{1}}{{2}}\,{quantity.symbol}"


def test_orders_are_bounds_or_exact_and_belong_to_every_layer():
    bound = CLAIMS["eq81-f"].statement()
    assert bound.at_layer(sp.Symbol("l"), 2) == bound
    assert latex(bound) == r"\mathcal{O}(N^{-1/2})"
    assert [text(CLAIMS[f"lazy.{key}"].statement()) for key in ("outputs", "parameters")] == ["C N^{-1}", "C"]
    assert dataclasses.replace(bound, tight=True).key != bound.key
