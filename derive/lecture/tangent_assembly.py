"""Sections 4.6.3 to 4.6.5: a layer's own part, the recursion put together, and where it starts (eqs 59-63)."""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import ntk
from derive.lecture import tangent_assembly_exhibits as shown
from derive.lecture.networks import DEEPER_LAYER, X, Y
from derive.lecture.nngp import empirical_statement, first_kernel_statement, kernel_mutants, shared_bias
from derive.lecture.tangent_kernel_exhibits import reversed_order
from derive.lecture.tangent_steps import J, K, M, part
from derive.notation import input_dimension, layer, sigma_b, sigma_w, width
from derive.rules import unfold
from derive.rules.inference import scalar_of
from derive.terms import Atom, Expression, Index, atom, delta, partial, total
from derive.theorem import Theorem, reflexivity

_I = Index("i", width(layer + 1))


@cache
def own_part() -> Theorem:
    """Return eq 59: the own part as a sum over the layer's weights and biases."""
    return reflexivity(part("own"), DEEPER_LAYER).by(unfold, "Theta_own")


def _derivatives(by: Atom, second: str = Y) -> Expression:
    first = partial(atom("z", K, at=(X,), layer=layer), by)
    return first * partial(atom("z", M, at=(second,), layer=layer), by)


def _own_statement(second: str = Y, biases: int = 1) -> Expression:
    by_weights = total(_I, total(J, _derivatives(Atom("W", (_I, J), (), layer), second)))
    return by_weights + biases * total(_I, _derivatives(Atom("b", (_I,), (), layer), second))


def _recursion_mutants() -> tuple[Mutant, ...]:
    statement = ntk.tangent_statement()
    return (
        Mutant("Kˡ is dropped", scalar_of(ntk.inherited_statement())),
        Mutant("the inherited term is dropped", scalar_of(ntk.own_statement())),
        Mutant("the whole is 2 % too large", scalar_of(mutations.scaled(statement))),
    )


def _inherited_from_inputs() -> Expression:
    k, m = (Index(name, width(2)) for name in ("k", "k'"))
    below = (1 / input_dimension) * atom("dot", at=(X, Y))
    wrong: Expression = sigma_w**2 * (below * delta(k, m))
    return wrong


CLAIMS = (
    Claim(
        id="sec4.6.3-title",
        title="Both units of the own part are of the layer itself",
        section="4.6.3",
        equation="",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a heading"),
        statement=lambda: Formula(
            r"\sum_{d} \frac{\partial z_{k}^{l}(x)}{\partial \{W^{l}, b^{l}\}_{d}}"
            r" \frac{\partial z_{k'}^{l}(x')}{\partial \{W^{l}, b^{l}\}_{d}}"
        ),
        mutants=tuple,
        exhibits=shown.own_index,
        printed=Printed(
            latex=r"\frac{\partial z_{k}^{1}(x)}{\partial \{W^{l}, b^{l}\}}"
            r" \frac{\partial z_{k'}^{l}(x')}{\partial \{W^{l}, b^{l}\}}",
            correction="z_kˡ in both factors, in the heading and in the underbrace",
            why="units of layer 1 do not depend on the parameters of a later layer: the sum would be zero",
        ),
    ),
    Claim(
        id="eq59",
        title="The own part as a sum over the weights and biases of the layer",
        section="4.6.3",
        equation="59",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=own_part,
        statement=_own_statement,
        mutants=lambda: (
            Mutant("the biases are left out", _own_statement(biases=0)),
            Mutant("the biases count twice", _own_statement(biases=2)),
            Mutant("both units are at one input", _own_statement(second=X)),
        ),
        observed=lambda: (
            Observed(
                Observable.OWN_PART,
                empirical_statement,
                lambda: (
                    Mutant("the biases are left out", empirical_statement(bias=sp.S.Zero)),
                    Mutant("the biases count twice", empirical_statement(bias=2 * sigma_b**2)),
                ),
            ),
        ),
    ),
    Claim(
        id="eq60",
        title="Recall of the first layer, where the own part is everything",
        section="4.6.3",
        equation="60",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=ntk.layer1_ntk,
        statement=first_kernel_statement,
        mutants=lambda: (*kernel_mutants(first_kernel_statement()), shared_bias(first_kernel_statement())),
        exhibits=shown.first_layer,
        observable=Observable.FIRST_LAYER_TANGENT,
        slot="first_tangent",
        rests_on=("eq40",),
    ),
    Claim(
        id="sec4.6.4-ref",
        title="What is established is eq 42, from the hypothesis eq 41, as the hidden widths grow",
        section="4.6.4",
        equation="",
        kind=Kind.REMARK,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a remark on references and limits"),
        statement=lambda: Formula(r"N_{2}, \dots, N_{l} \to \infty,\qquad \text{eq 41} \Rightarrow \text{eq 42}"),
        mutants=tuple,
        unsampled="a remark on references; eq 42 is sampled",
        exhibits=shown.widths,
        rests_on=("eq62",),
        printed=Printed(
            latex=r"N_{l}, N_{l+1} \to \infty,\qquad \text{eq 41}",
            correction="the equation established is 42; the widths are N_{l-1} in the hypothesis and N_l in the step",
            why="N_{l+1} counts the outputs of the layer; the kernel of two layers spreads as much however many there "
            "are",
        ),
    ),
    Claim(
        id="eq63",
        title="The recursion of the tangent kernel, once more, as the result of the induction",
        section="4.6.4",
        equation="63",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=ntk.ntk_recursion,
        statement=lambda: scalar_of(ntk.tangent_statement()),
        derived=lambda theorem: theorem.where[-1].value,
        mutants=_recursion_mutants,
        observable=Observable.DEEP_TANGENT_KERNEL,
        slot="tangent",
        rests_on=("eq36",),
        unstated=("the left side is the limit of the kernel, not the kernel of a finite network",),
    ),
    Claim(
        id="sec4.6.5-kdot-zero",
        title="At the first layer nothing is inherited, since no parameters are below it",
        section="4.6.5",
        equation="",
        kind=Kind.REMARK,
        status=Status.WRONG,
        theorem=None,
        stated=Stated(
            "a remark on a sum with no terms",
            ("the derivative kernel of layer 1 is not needed and not defined; the input is not activated",),
        ),
        statement=lambda: Formula(r"\Theta^{0} = 0 \;\Rightarrow\; \Theta^{1} = K^{1}"),
        mutants=tuple,
        observed=lambda: (
            Observed(
                Observable.FIRST_LAYER_TANGENT,
                first_kernel_statement,
                lambda: (
                    Mutant(
                        "φ' is 1 and Θ⁰ is K⁰: K¹ and an inherited part",
                        first_kernel_statement() + _inherited_from_inputs(),
                    ),
                    Mutant("the delta is dropped", mutations.without_deltas(first_kernel_statement())),
                ),
                slot="first_tangent",
            ),
        ),
        exhibits=shown.no_parameters_below,
        rests_on=("eq60",),
        printed=Printed(
            latex=r"\dot\phi = 0 \;\Rightarrow\; \dot{K}^{1} = 0",
            correction="part 2 is a sum over no parameters, so Θ⁰ = 0 and Θ¹ = K¹; K̇¹ plays no role",
            why="the conclusion is right and the reason wrong: a φ whose derivative vanishes is constant, and no later "
            "layer would depend on the input",
        ),
    ),
    Claim(
        id="sec4-width-order",
        title="The widths go to infinity one after the other, from the first hidden layer on",
        section="4.6",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a remark on what the induction proves",
            (
                "N_2 first, then N_3, up to N_l; the simultaneous limit is the same but needs another argument",
                "the reverse order has another limit, with a random kernel",
            ),
        ),
        statement=lambda: Formula(r"\lim_{N_{l} \to \infty} \cdots \lim_{N_{2} \to \infty} \hat\Theta^{l}"),
        mutants=tuple,
        observed=lambda: (Observed(Observable.REVERSED_LIMITS, ntk.tangent_statement, tuple),),
        exhibits=reversed_order,
        rests_on=("eq36",),
    ),
)
