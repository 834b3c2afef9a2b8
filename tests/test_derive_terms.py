"""Indexed expressions: equality up to renaming, no capture, typing, and what the constructors mean on instances."""

from __future__ import annotations

import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from derive.instances import Instance, environments
from derive.lecture.networks import DEEPER_LAYER
from derive.model import Model
from derive.notation import layer, parameter_count, width
from derive.rules import collapse, differentiate
from derive.terms import (
    Atom,
    Delta,
    Expression,
    Index,
    Mean,
    Partial,
    atom,
    constant,
    delta,
    mean,
    monomial,
    partial,
    total,
)
from derive.theorem import reflexivity

N, M = sp.symbols("n m", integer=True, positive=True)
H, J, K = (Index(name, N) for name in "hjk")
P, Q = (Index(name, M) for name in "pq")
SIZES = {N: 2, M: 3}
MODEL = Model(name="one Gaussian family and data", gaussian=frozenset({"W"}), data=frozenset({"c"}))
INSTANCE = Instance(MODEL, SIZES)


def W(*indices):
    return atom("W", *indices)


def c(*indices):
    return atom("c", *indices)


# --- equality up to renaming -------------------------------------------------------------------------------------


def test_sums_that_differ_by_the_name_of_the_dummy_are_equal():
    assert total(J, c(J)) == total(K, c(K))
    assert hash(total(J, c(J))) == hash(total(K, c(K)))
    assert total(J, c(J)) - total(K, c(K)) == Expression()


def test_a_double_sum_is_equal_to_itself_with_relabelled_and_exchanged_dummies():
    left = total(H, total(J, W(H, J) * c(H)))
    right = total(K, total(H, W(K, H) * c(K)))
    assert left == right
    assert left != total(H, total(J, W(H, J) * c(J)))


def test_sums_over_two_dimensions_are_equal_in_either_order():
    assert total(H, total(P, W(H, P))) == total(Q, total(J, W(J, Q)))


def test_a_free_index_is_not_a_dummy():
    assert c(H) != c(J)
    assert total(H, W(H, J)) != total(H, W(H, K))
    assert total(H, W(H, J)) != total(J, W(H, J))


def test_expectations_that_differ_by_a_bound_name_are_equal():
    assert mean(total(J, W(J) * c(J))) == mean(total(K, W(K) * c(K)))
    assert total(H, mean(W(H) * W(H))) == total(J, mean(W(J) * W(J)))


def test_an_expectation_given_something_is_another_term():
    assert mean(W(H)) != mean(W(H), ("W",))


def test_factors_commute_and_the_order_of_a_delta_does_not_matter():
    assert W(H) * c(J) == c(J) * W(H)
    assert delta(H, J) == delta(J, H)


def test_heads_inputs_layers_and_dimensions_are_part_of_an_atom():
    atoms = [
        atom("f", H, at=("x",)),
        atom("f", H, at=("x'",)),
        atom("g", H, at=("x",)),
        atom("f", H, at=("x",), layer=1),
        atom("f", Index("i", M), at=("x",)),
    ]
    assert len(set(atoms)) == len(atoms)


def test_dimensions_that_differ_only_by_their_assumptions_are_different():
    assert c(Index("k", sp.Symbol("n"))) != c(Index("k", N))


def test_the_inputs_of_an_atom_are_not_one_text():
    assert atom("f", at=("x,y",)) != atom("f", at=("x", "y"))


@pytest.mark.parametrize("names", ["jk", "kj", "ji", "ik"])
def test_every_relabelling_of_three_dummies_is_one_normal_form(names):
    first, second = (Index(name, N) for name in names)
    third = Index("z", N)
    expected = total(H, total(J, total(K, W(H, J) * W(J, K))))
    assert total(first, total(second, total(third, W(second, third) * W(third, first)))) == expected


def test_more_bound_indices_than_canonical_binding_allows_are_refused():
    body = constant(1)
    for n in range(6):
        body = body * total(J, W(J, Index(f"f{n}", N)))
    with pytest.raises(ValueError, match="more than 6 bound indices"):
        body * total(J, c(J))


# --- capture -----------------------------------------------------------------------------------------------------


def test_the_product_of_two_sums_with_one_dummy_is_a_double_sum():
    product = total(J, c(J)) * total(J, c(J))
    assert product == total(H, total(K, c(H) * c(K)))
    assert product != total(J, c(J) * c(J))
    ((bound, _, _),) = list(product)
    assert len(bound) == 2


def test_renaming_a_free_index_to_the_name_of_a_dummy_does_not_capture():
    renamed = total(J, W(K, J) * c(J)).rename({K: J})
    assert renamed == total(H, W(J, H) * c(H))
    assert renamed != total(J, W(J, J) * c(J))


def test_two_free_indices_can_be_exchanged_at_once():
    assert (W(H, J) * c(H)).rename({H: J, J: H}) == W(J, H) * c(J)
    assert mean(W(H, J) * W(H, H)).rename({H: J, J: H}) == mean(W(J, H) * W(J, J))


def test_a_derivative_by_the_index_of_a_dummy_does_not_capture():
    k, i = (Index(name, width(layer + 1)) for name in "ki")
    j = Index("j", width(layer))
    data = atom("c", j)
    affine = total(j, atom("W", k, j, layer=layer) * data)
    derivative = reflexivity(partial(affine, Atom("W", (i, j), (), layer)), DEEPER_LAYER)
    assert derivative.by(differentiate).by(collapse).rhs == delta(k, i) * data


def test_nested_expectations_with_one_dummy_do_not_capture():
    inner = mean(total(J, W(J) * W(K)))
    outer = mean(total(J, W(J) * inner))
    assert outer.rename({K: J}) == mean(total(H, W(H) * mean(total(K, W(K) * W(J)))))
    assert outer.rename({K: J}).free == {J}
    assert total(K, outer) == total(J, mean(total(K, W(K) * mean(total(H, W(H) * W(J))))))


def test_a_sum_over_an_index_of_a_nested_expectation_binds_it_there_too():
    assert total(K, mean(W(K) * mean(W(K)))).free == frozenset()
    assert total(K, mean(W(K)) * mean(W(K))) != total(K, mean(W(K))) * total(K, mean(W(K)))


def test_the_product_of_a_sum_and_a_nested_expectation_keeps_their_dummies_apart():
    inner = total(J, mean(total(H, W(H, J))))
    assert total(J, c(J)) * inner == total(K, total(J, c(K) * mean(total(H, W(H, J)))))


def test_a_sum_over_an_index_that_does_not_occur_is_kept():
    assert total(H, c(J)) != c(J)
    assert INSTANCE.value(total(H, c(J)), {J: 1}) == 2 * INSTANCE.value(c(J), {J: 1})


def test_a_free_index_with_the_name_of_a_dummy_is_refused_or_kept_apart():
    try:
        product = c(Index("0:0", N)) * total(J, c(J))
    except ValueError:
        return
    assert product.free == {Index("0:0", N)}


def test_a_fixed_element_cannot_be_summed_over():
    with pytest.raises(ValueError, match="1"):
        total(Index("1", N), c(Index("1", N)))


# --- typing ------------------------------------------------------------------------------------------------------


def test_an_ill_typed_delta_is_refused_with_both_dimensions_named():
    with pytest.raises(TypeError, match="ill-typed delta: h ranges over n, p over m"):
        delta(H, P)


def test_renaming_into_an_ill_typed_delta_is_refused():
    with pytest.raises(TypeError, match="ill-typed delta"):
        delta(H, J).rename({H: P})


# --- constructors mean what they say: every tree is built and, apart from that, computed -------------------------

NAMES = st.sampled_from([H, J, K])
LEAVES = st.one_of(
    st.tuples(st.just("W"), NAMES),
    st.tuples(st.just("W"), NAMES, NAMES),
    st.tuples(st.just("W"), NAMES, st.just(P)),
    st.tuples(st.just("c"), st.one_of(NAMES, st.just(P), st.just(Index("1", N)))),
    st.tuples(st.just("delta"), NAMES, NAMES),
    st.tuples(st.just("constant"), st.sampled_from([0, 1, -2, sp.Rational(3, 4)])),
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(st.just("mul"), inner, inner),
        st.tuples(st.just("add"), inner, inner),
        st.tuples(st.just("sub"), inner, inner),
        st.tuples(st.just("sum"), st.one_of(NAMES, st.just(P)), inner),
        st.tuples(st.just("mean"), inner),
        st.tuples(st.just("rename"), NAMES, NAMES, inner),
        st.tuples(st.just("derivative"), NAMES, inner),
    ),
    max_leaves=5,
)


def built(tree):
    match tree:
        case ("W", *indices):
            return W(*indices)
        case ("c", index):
            return c(index)
        case ("delta", i, j):
            return delta(i, j)
        case ("constant", value):
            return constant(value)
        case ("mul", left, right):
            return built(left) * built(right)
        case ("add", left, right):
            return built(left) + built(right)
        case ("sub", left, right):
            return built(left) - built(right)
        case ("sum", index, body):
            return total(index, built(body))
        case ("mean", body):
            return mean(built(body))
        case ("rename", old, new, body):
            return built(body).rename({old: new})
        case ("derivative", index, body):
            return partial(built(body), Atom("W", (index,)))


def meant(tree, at):
    match tree:
        case ("W" | "c", *_):
            return INSTANCE.value(built(tree), at)
        case ("delta", i, j):
            return sp.Integer(at[i] == at[j])
        case ("constant", value):
            return sp.sympify(value)
        case ("mul", left, right):
            return sp.expand(meant(left, at) * meant(right, at))
        case ("add", left, right):
            return meant(left, at) + meant(right, at)
        case ("sub", left, right):
            return meant(left, at) - meant(right, at)
        case ("sum", index, body):
            return sp.Add(*(meant(body, {**at, index: n}) for n in range(SIZES[index.dimension])))
        case ("mean", body):
            return INSTANCE.expectation(sp.expand(meant(body, at)))
        case ("rename", old, new, body):
            return meant(body, {**at, old: at[new]})
        case ("derivative", index, body):
            return sp.diff(meant(body, at), INSTANCE.value(W(index), at))


@settings(max_examples=120, deadline=None, derandomize=True)
@given(tree=TREES, at=st.fixed_dictionaries({H: st.just(0), J: st.just(1), K: st.integers(0, 1), P: st.integers(0, 2)}))
def test_an_expression_has_the_value_of_the_tree_it_was_built_from(tree, at):
    try:
        expression = built(tree)
    except ValueError as refusal:
        assume("bound indices" not in str(refusal))
        raise
    assert sp.expand(INSTANCE.value(expression, at) - meant(tree, at)) == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(first=TREES, second=TREES)
def test_products_and_sums_are_products_and_sums_of_values(first, second):
    left, right = built(first), built(second)
    for at in environments((left, right), SIZES):
        p, q = INSTANCE.value(left, at), INSTANCE.value(right, at)
        assert sp.expand(INSTANCE.value(left * right, at) - p * q) == 0
        assert sp.expand(INSTANCE.value(left + right, at) - p - q) == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(first=TREES, second=TREES, third=TREES)
def test_expressions_form_a_commutative_ring(first, second, third):
    p, q, r = built(first), built(second), built(third)
    assert p + q == q + p
    assert p * q == q * p
    try:
        product, expanded = (p + q) * r, p * r + q * r
    except ValueError:
        assume(False)
    assert product == expanded
    assert p - p == Expression()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(tree=TREES)
def test_the_free_indices_are_those_that_are_not_summed_over(tree):
    expression = built(tree)
    for index in (H, J, K, P):
        assert index not in total(index, expression).free
    assert expression.free <= {H, J, K, P}
    assert not any(i.is_literal for i in expression.free)


def test_a_sum_that_forgets_to_rename_apart_is_caught_by_the_product_law():
    left = total(J, c(J))
    captured = Expression([((J,), (Atom("c", (J,)), Atom("c", (J,))), sp.S.One)])
    value = INSTANCE.value(left, {})
    assert INSTANCE.value(left * left, {}) == sp.expand(value**2)
    assert INSTANCE.value(captured, {}) != sp.expand(value**2)


# --- moving to another layer -------------------------------------------------------------------------------------


def test_a_statement_is_moved_to_another_layer_in_atoms_dimensions_and_coefficients():
    k, j = Index("k", width(layer + 1)), Index("j", width(layer))
    generic = (1 / width(layer)) * total(j, atom("W", k, j, layer=layer) * atom("phi", j, at=("x",), layer=layer - 1))
    k3, j3 = Index("k", width(4)), Index("j", width(3))
    expected = (1 / width(3)) * total(j3, atom("W", k3, j3, layer=3) * atom("phi", j3, at=("x",), layer=2))
    assert generic.at_layer(layer, 3) == expected
    assert generic.at_layer(layer, layer) == generic
    assert generic.at_layer(layer, layer + 1).at_layer(layer, 2) == expected


def test_what_is_nested_is_moved_to_another_layer_too():
    j, k = Index("j", width(layer)), Index("k", width(layer))
    p = Index("p", parameter_count(layer - 1))

    def statement(at, i, m, q):
        body = atom("f", i, layer=at) * delta(i, m)
        return total(m, mean(body, ("f",)) * partial(body, Atom("theta", (q,), (), sp.sympify(at) - 1)))

    j5, k5, p5 = Index("j", width(5)), Index("k", width(5)), Index("p", parameter_count(4))
    moved = statement(layer, j, k, p).at_layer(layer, 5)
    assert moved == statement(5, j5, k5, p5)
    ((_, factors, _),) = list(moved)
    assert {type(f) for f in factors} == {Mean, Partial}


def test_two_dimensions_that_become_one_keep_their_dummies_apart():
    j, k = Index("j", width(layer)), Index("k", width(2))
    product = total(j, c(j)) * total(k, c(k))
    both = total(Index("a", width(2)), c(Index("a", width(2))))
    assert product.at_layer(layer, 2) == both * both


def test_another_symbol_leaves_a_statement_where_it_is():
    expression = atom("f", layer=layer)
    assert expression.at_layer(sp.Symbol("other"), 7) == expression


# --- values ------------------------------------------------------------------------------------------------------


def test_coefficients_are_collected_and_terms_that_cancel_vanish():
    expression = sp.Symbol("s") * c(H) + 2 * c(H) - (2 + sp.Symbol("s")) * c(H)
    assert expression == Expression()
    assert repr(expression) == "Expression(0)"


def test_atoms_and_deltas_are_immutable():
    for value in (H, Atom("W", (H,)), Delta(H, J)):
        name = next(iter(value.__dataclass_fields__))
        with pytest.raises(AttributeError, match="cannot assign"):
            setattr(value, name, getattr(value, name))


def test_atoms_are_mapped_inside_expectations_and_derivatives():
    def primed(a):
        return Atom(a.head + "'", a.indices, a.inputs, a.layer)

    expression = mean(W(H)) * monomial(Partial(c(J), Atom("W", (H,))))
    assert expression.map_atoms(primed) == mean(atom("W'", H)) * monomial(Partial(atom("c'", J), Atom("W", (H,))))
