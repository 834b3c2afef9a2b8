"""Section 4: the neural tangent kernel at initialization (eqs 35-63).

Source: Jacot, Gabriel and Hongler 2018 (arXiv:1806.07572), theorem 1, with sequential limits.
"""

from collections.abc import Callable
from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Status
from derive.lecture import tangent_assembly_exhibits as shown
from derive.lecture import tangent_exhibits as inherited_shown
from derive.lecture.networks import DEEPER_LAYER, FIRST_LAYER, X, Y, tangent_hypothesis
from derive.lecture.nngp import (
    empirical_statement,
    first_kernel_statement,
    kernel_mutants,
    kernel_statement,
    nngp_recursion,
    shared_bias,
)
from derive.lecture.tangent_kernel_exhibits import recursion
from derive.notation import layer, sigma_b, sigma_w, width
from derive.rules import (
    abbreviate,
    by_theorem,
    collapse,
    differentiate,
    fold,
    hypothesis,
    independence,
    induction,
    isserlis,
    law_of_large_numbers,
    unfold,
)
from derive.rules.inference import scalar_of
from derive.terms import Atom, Expression, Index, atom, delta
from derive.theorem import Theorem, reflexivity


def _kernel(head: str, of_layer: sp.Expr | int = layer) -> Expression:
    k, m = (Index(name, width(of_layer + 1)) for name in ("k", "k'"))
    return atom(head, k, m, at=(X, Y), layer=of_layer)


@cache
def layer1_ntk() -> Theorem:
    """Return eqs 40 and 45: the tangent kernel of the first layer, exact at every width and not random."""
    theorem = reflexivity(_kernel("Theta", 1), FIRST_LAYER)
    return theorem.by(unfold, "Theta", "z").by(differentiate).by(collapse).by(fold, FIRST_LAYER.definition("dot", None))


@cache
def own_term_exact() -> Theorem:
    """Return eq 61, corrected: the part of a layer's own parameters is the empirical NNGP kernel times the identity."""
    theorem = reflexivity(_kernel("Theta_own"), DEEPER_LAYER)
    return theorem.by(unfold, "Theta_own", "z").by(differentiate).by(collapse)


@cache
def own_term() -> Theorem:
    """Return the limit of the own part: ``K^l delta``."""
    limit = own_term_exact().by(law_of_large_numbers, width(layer))
    return limit.by(abbreviate, DEEPER_LAYER.definition("K", layer))


@cache
def inherited_term_exact() -> Theorem:
    """Return the exact double sum of eq 52: the part of the parameters below, at every width."""
    theorem = reflexivity(_kernel("Theta_inherited"), DEEPER_LAYER)
    folded = DEEPER_LAYER.definition("Theta", layer - 1)
    return theorem.by(unfold, "Theta_inherited", "z").by(differentiate).by(fold, folded)


@cache
def inherited_term() -> Theorem:
    """Return eqs 52 and 53: the inherited part tends to ``Kdot^l Theta^{l-1} delta`` under the induction hypothesis."""
    return (
        inherited_term_exact()
        .by(hypothesis, tangent_hypothesis(DEEPER_LAYER))
        .by(collapse)
        .by(law_of_large_numbers, width(layer))
        .by(independence)
        .by(isserlis)
        .by(collapse)
        .by(abbreviate, DEEPER_LAYER.definition("Kdot", layer))
    )


@cache
def ntk_step() -> Theorem:
    """Return eq 62: both parts together, from layer l-1 to layer l."""
    theorem = reflexivity(_kernel("Theta"), DEEPER_LAYER).by(unfold, "Theta")
    return theorem.by(by_theorem, own_term()).by(by_theorem, inherited_term())


@cache
def ntk_recursion() -> Theorem:
    """Return eqs 36 and 63: the tangent kernel of every layer in the limit, with its recursion."""
    return induction(layer1_ntk(), ntk_step(), nngp_recursion())


def _delta() -> Expression:
    return delta(Index("k", width(layer + 1)), Index("k'", width(layer + 1)))


def _at(head: str, of_layer: sp.Expr | int = layer) -> Expression:
    return atom(head, at=(X, Y), layer=of_layer)


def own_statement() -> Expression:
    """Return the right side of eq 61 in the limit."""
    return _at("K") * _delta()


def inherited_statement() -> Expression:
    """Return the right side of eq 53."""
    return _at("Kdot") * _at("Theta_inf", layer - 1) * _delta()


def tangent_statement() -> Expression:
    """Return the right side of eq 62."""
    return own_statement() + inherited_statement()


def _moved_below(expression: Expression, head: str) -> Expression:
    def move(a: Atom) -> Atom:
        return Atom(head if a.head == "Theta_inf" else a.head, a.indices, a.inputs, a.layer)

    return mutations.renamed(expression, move)


def _tangent_mutants() -> tuple[Mutant, ...]:
    statement = tangent_statement()
    squared = _at("K") + _at("K") * _at("Theta_inf", layer - 1)
    return (
        Mutant("the whole is 2 % too large", mutations.scaled(statement)),
        Mutant(
            "the inherited term is 5 % too large", mutations.only_scaled(statement, mutations.has_atom("Kdot"), _FIVE)
        ),
        Mutant("Kˡ is dropped", inherited_statement()),
        Mutant("the inherited term is dropped", own_statement()),
        Mutant("Kˡ⁻¹ stands for Θˡ⁻¹", _moved_below(statement, "K")),
        Mutant("the layer is off by one: Kˡ⁻¹ for Kˡ", inherited_statement() + _at("K", layer - 1) * _delta()),
        Mutant("φ stands for its derivative: Kˡ for K̇ˡ", squared * _delta()),
        Mutant("Kˡ and K̇ˡ are swapped", (_at("Kdot") + _at("K") * _at("Theta_inf", layer - 1)) * _delta()),
    )


_FIVE = sp.Rational(21, 20)


def _part_mutants(statement: Expression, other: Expression) -> tuple[Mutant, ...]:
    return (
        Mutant("the constant is 2 % too large", mutations.scaled(statement)),
        Mutant("the other part of the kernel", other),
        Mutant("all outputs share one kernel: the delta is dropped", mutations.without_deltas(statement)),
    )


def _own_mutants() -> tuple[Mutant, ...]:
    return (
        Mutant("the products are divided by the layer's own width", empirical_statement(sigma_w**2 / width(layer + 1))),
        Mutant("1/√N_l stands for 1/N_l", empirical_statement(sigma_w**2 / sp.sqrt(width(layer)))),
        Mutant("σ_b stands for σ_b²", empirical_statement(bias=sigma_b)),
        Mutant("the activation is differentiated", empirical_statement(head="dphi")),
        Mutant("outputs are not told apart", mutations.without_deltas(empirical_statement())),
        Mutant("it is Kˡ at finite width already", kernel_statement()),
    )


def tangent_step(mutants: Callable[[], tuple[Mutant, ...]]) -> Observed:
    """Return the tangent kernel of the second layer for any outputs, whose mean is its limit at every width."""
    return Observed(Observable.TANGENT_KERNEL, tangent_statement, mutants, slot="tangent")


def matrix_mutants() -> tuple[Mutant, ...]:
    """Return wrong limits of the tangent kernel, as a matrix of outputs."""
    return (
        Mutant("the delta is dropped", mutations.without_deltas(tangent_statement())),
        Mutant("K stands for Θ", own_statement()),
        Mutant("the layer is off by one", _at("Theta_inf", layer - 1) * _delta()),
    )


def observed_limit() -> tuple[Observed, ...]:
    """Return what networks show of the limit: the matrix of the second layer, and the third layer along widths."""

    def recursion_mutants() -> tuple[Mutant, ...]:
        return tuple(
            Mutant(m.name, scalar_of(m.statement)) for m in matrix_mutants()[1:] if isinstance(m.statement, Expression)
        )

    deep = Observed(
        Observable.DEEP_TANGENT_KERNEL, lambda: scalar_of(tangent_statement()), recursion_mutants, slot="tangent"
    )
    return tangent_step(matrix_mutants), deep


CLAIMS = (
    Claim(
        id="eq40",
        title="The tangent kernel of the first layer is K¹ times the identity, exactly and without randomness",
        section="4.4.2",
        equation="40",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=layer1_ntk,
        statement=first_kernel_statement,
        mutants=lambda: (*kernel_mutants(first_kernel_statement()), shared_bias(first_kernel_statement())),
        observable=Observable.FIRST_LAYER_TANGENT,
        slot="first_tangent",
    ),
    Claim(
        id="eq61",
        title="The part of a layer's own parameters is the empirical kernel times the identity, at every width",
        section="4.6.3",
        equation="61",
        kind=Kind.FINITE_WIDTH,
        status=Status.WRONG,
        theorem=own_term_exact,
        statement=empirical_statement,
        mutants=_own_mutants,
        observed=lambda: (Observed(Observable.OWN_PART, empirical_statement, _own_mutants),),
        exhibits=shown.own_part,
        unstated=("at finite width the right side is random; only its limit is Kˡ (nngp.kernel-limit)",),
        printed=Printed(
            latex=r"\left(\frac{1}{N_{l}} \phi(z^{l}(x))^{\top} \phi(z^{l}(x')) + \sigma_{b}^{2}\right) \delta_{k k'}"
            r" \equiv K^{l} \delta_{k k'}",
            correction="the activations are those of layer l-1, exactly and at every width; that tends to Kˡ as N_2, "
            "..., N_l grow, and is not Kˡ before",
            why="three slips: the activations' layer, an equality for a limit, and N_{l+1} products divided by N_l",
        ),
    ),
    Claim(
        id="eq53",
        title="The part inherited from the layers below tends to K̇ˡ Θˡ⁻¹ times the identity",
        section="4.6.2",
        equation="53",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=inherited_term,
        statement=inherited_statement,
        mutants=lambda: _part_mutants(inherited_statement(), own_statement()),
        observable=Observable.INHERITED_TANGENT_KERNEL,
        slot="tangent",
        exhibits=inherited_shown.average_is_random,
        printed=Printed(
            latex=r"\frac{1}{N_{l}} \sum_{j} W_{k j}^{l} W_{k' j}^{l} \dot\phi(z_{j}^{l-1}(x))"
            r" \dot\phi(z_{j}^{l-1}(x')) = \mathbb{E}\left[W_{k 1}^{l},\; W_{k' 1}^{l} \dot\phi(z_{1}^{l-1}(x))"
            r" \dot\phi(z_{1}^{l-1}(x'))\right]",
            correction="a product of all four in the mean, without the comma, and a limit in probability as N_l grows "
            "for the equality",
            why="the left side is random at finite width: for relu and four hidden units it has variance 5/16",
        ),
    ),
    Claim(
        id="eq62",
        title="One step of the tangent kernel: own part plus inherited part",
        section="4.6.4",
        equation="62",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=ntk_step,
        statement=tangent_statement,
        mutants=_tangent_mutants,
        observable=Observable.TANGENT_KERNEL,
        rests_on=("eq61", "nngp.kernel-limit", "eq53"),
        slot="tangent",
        exhibits=shown.step,
        printed=Printed(
            latex=r"\sum_{W^{l}, b^{l}} \partial z_{k}^{l} \, \partial z_{k'}^{l}"
            r" + \sum_{\theta^{l-1}} \partial z_{k}^{1} \, \partial z_{k'}^{l}"
            r" = \left(K^{l} + \dot{K}^{l} \Theta_{\infty}^{l-1}\right) \delta_{k k'}",
            correction="z_kˡ in the second sum too, and a limit over N_2, ..., N_l for the equality",
            why="derivatives of layer 1 know no other parameters than its own: the second sum is not part 2",
        ),
    ),
    Claim(
        id="eq36",
        title="Recursion of the tangent kernel over all layers, by induction",
        section="4.1",
        equation="36",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=ntk_recursion,
        statement=lambda: scalar_of(tangent_statement()),
        derived=lambda theorem: theorem.where[-1].value,
        mutants=lambda: tuple(
            Mutant(m.name, scalar_of(m.statement)) for m in _tangent_mutants() if isinstance(m.statement, Expression)
        ),
        observable=Observable.DEEP_TANGENT_KERNEL,
        exhibits=recursion,
        rests_on=("eq40", "eq62", "eq34"),
        slot="tangent",
    ),
)
