"""Sections 4.6.1 and 4.6.2: the tangent kernel in two parts, and the inherited one through one layer (eqs 47-52)."""

from __future__ import annotations

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import tangent_exhibits as shown
from derive.lecture import tangent_steps as steps
from derive.lecture.ntk import inherited_statement, inherited_term_exact, own_statement, tangent_step
from derive.lecture.tangent_steps import SQUARED, J
from derive.notation import layer, sigma_w, width
from derive.terms import delta

_ON_A_LAYER_BELOW = ("l ≥ 3, or l = 2 with the input in place of the activations of layer 0",)
_DIFFERENTIABLE = ("φ is differentiable at almost every pre-activation that occurs",)

_EVERY_DRAW = "an equality for every draw of the weights, in which no mean is taken"

CLAIMS = (
    Claim(
        id="eq47",
        title="A layer as an affine function of the activations below, once more",
        section="4.6",
        equation="47",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=steps.unit,
        statement=steps.affine_statement,
        mutants=steps.affine_mutants,
    ),
    Claim(
        id="eq48",
        title="The tangent kernel is a sum over a layer's own parameters and one over those of the layers below",
        section="4.6",
        equation="48",
        kind=Kind.FINITE_WIDTH,
        status=Status.TYPO,
        theorem=steps.split,
        statement=lambda: steps.part("own") + steps.part("inherited"),
        mutants=lambda: (
            Mutant("only the parameters below", steps.part("inherited")),
            Mutant("only the layer's own parameters", steps.part("own")),
            Mutant("the parts are subtracted", steps.part("own") - steps.part("inherited")),
        ),
        observed=lambda: (
            tangent_step(
                lambda: (
                    Mutant("only the parameters below", inherited_statement()),
                    Mutant("only the layer's own parameters", own_statement()),
                    Mutant("the parts are subtracted", own_statement() - inherited_statement()),
                )
            ),
        ),
        exhibits=shown.split,
        printed=Printed(
            latex=r"\hat\Theta^{l}_{k k'} = \sum_{d} \frac{\partial z_{k}^{l}(x)}{\partial \theta_{d}^{l-1}}"
            r" \frac{\partial z_{k'}^{l}(x')}{\partial \theta_{d}^{l-1}}",
            correction="the first line sums over θˡ, all parameters up to layer l; the sum of part 1 needs its index d",
            why="over θˡ⁻¹ the first line is part 2 alone, and the layer's own kernel would have to be zero",
        ),
    ),
    Claim(
        id="eq49",
        title="A unit through two layers",
        section="4.6.2",
        equation="49",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated("eq 39 put into itself", _ON_A_LAYER_BELOW),
        statement=lambda: Formula(
            r"z_{k}^{l} = \frac{\sigma_{w}}{\sqrt{N_{l}}} \sum_{j} W_{k j}^{l} \phi\left(\frac{\sigma_{w}}"
            r"{\sqrt{N_{l-1}}} \sum_{i} W_{j i}^{l-1} \phi(z_{i}^{l-2}) + \sigma_{b} b_{j}^{l-1}\right)"
            r" + \sigma_{b} b_{k}^{l}"
        ),
        mutants=tuple,
        unsampled=_EVERY_DRAW,
        exhibits=shown.two_layers,
        rests_on=("eq47",),
    ),
    Claim(
        id="eq50",
        title="The derivative of a unit by a parameter of the layers below, by the chain rule",
        section="4.6.2",
        equation="50",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=steps.chain_rule,
        statement=steps.chain_statement,
        mutants=lambda: (
            Mutant("φ stands for its derivative", steps.chain_statement("phi")),
            Mutant("the scale is 1/N", steps.chain_statement(scale=sigma_w / width(layer))),
            Mutant("σ_w² stands for σ_w", steps.chain_statement(scale=steps.ROOT * sigma_w)),
        ),
        unsampled=_EVERY_DRAW,
        exhibits=shown.chain_rule,
        rests_on=("eq47",),
        unstated=_DIFFERENTIABLE,
    ),
    Claim(
        id="eq51",
        title="The inherited part as a sum over parameters of a product of two sums over hidden units",
        section="4.6.2",
        equation="51",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=steps.product_of_sums,
        statement=steps.product_statement,
        mutants=lambda: (
            Mutant("one index for both sums", steps.product_statement(second=J)),
            Mutant("φ stands for its derivative", steps.product_statement(head="phi")),
            Mutant("2 % too large", mutations.scaled(steps.product_statement())),
        ),
        unsampled=_EVERY_DRAW,
        rests_on=("eq50",),
        unstated=_DIFFERENTIABLE,
    ),
    Claim(
        id="sec4.6.2-not-independent",
        title="Summands of different hidden units share parameters from the third layer on, and are uncorrelated",
        section="4.6.2",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a remark on what the double sum is for; it only multiplies out a product",
            (
                "l ≥ 3; at l = 2 at most one of two summands with the same parameter is not zero",
                "dependent, not correlated: the outer weights have mean zero",
            ),
        ),
        statement=lambda: Formula(
            r"u_{j, d} = W_{k j}^{l} \dot\phi(z_{j}^{l-1}) \frac{\partial z_{j}^{l-1}}{\partial \theta_{d}},\qquad"
            r" \mathbb{E}\left[u_{j, d} u_{j', d}\right] = 0"
        ),
        mutants=tuple,
        unsampled="decided exactly, by going through all signs of three units",
        exhibits=shown.dependence,
        rests_on=("eq51",),
    ),
    Claim(
        id="eq52-exact",
        title="The inherited part as a double sum with the tangent kernel of the layer below, at every width",
        section="4.6.2",
        equation="52",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=inherited_term_exact,
        statement=lambda: steps.double_sum(steps.kernel_below()),
        mutants=lambda: (
            Mutant("only equal hidden units", steps.double_sum(steps.kernel_below() * delta(J, steps.N))),
            Mutant("the inputs of the derivatives are swapped", steps.double_sum(steps.kernel_below(), swapped=True)),
            Mutant("the scale is 1/N²", steps.double_sum(steps.kernel_below(), SQUARED / width(layer))),
        ),
        observable=Observable.INHERITED_PART,
        exhibits=shown.inherited,
        rests_on=("eq51",),
        unstated=_DIFFERENTIABLE,
    ),
    Claim(
        id="eq52",
        title="The inherited part once the layer below has its limit: one sum over hidden units is left",
        section="4.6.2",
        equation="52",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=steps.diagonal_below,
        statement=lambda: steps.average_statement() * steps.below(),
        mutants=lambda: (
            Mutant("the delta is dropped: all pairs of units", steps.double_sum(steps.below())),
            Mutant("K stands for Θ", steps.average_statement() * steps.below("K")),
            Mutant("the kernel below is missing", steps.average_statement()),
        ),
        observable=Observable.INHERITED_PART,
        exhibits=shown.below_is_diagonal,
        rests_on=("eq52-exact",),
        unstated=("a limit of the widths up to N_{l-1}, while N_l is fixed; at l = 2 an equality",),
    ),
)
