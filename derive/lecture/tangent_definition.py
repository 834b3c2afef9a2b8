"""Sections 4.1 to 4.4: the tangent kernel, its limit as stated, and the parameterization (eqs 35-42)."""

from __future__ import annotations

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import ntk, tangent_steps
from derive.lecture import tangent_definition_exhibits as shown
from derive.lecture.networks import X, Y
from derive.lecture.nngp import first_kernel_statement, shared_bias
from derive.lecture.tangent_steps import K, M
from derive.notation import layer
from derive.terms import Expression, atom, delta

_HIDDEN = "N_2, ..., N_l grow, one after the other; N_{l+1} is the number of outputs and may be 1"


def _limit_statement(head: str = "Theta_inf", below: int = 0) -> Expression:
    return atom(head, at=(X, Y), layer=layer - below) * delta(K, M)


def _limit_mutants() -> tuple[Mutant, ...]:
    return (
        Mutant("the delta is dropped", atom("Theta_inf", at=(X, Y), layer=layer)),
        Mutant("K stands for Θ", _limit_statement("K")),
        Mutant("the layer is off by one", _limit_statement(below=1)),
        Mutant("the limit is random: the kernel itself", tangent_steps.part("own") + tangent_steps.part("inherited")),
    )


LIMIT = (
    Claim(
        id="eq35",
        title="The tangent kernel at initialization tends to a deterministic multiple of the identity",
        section="4.1",
        equation="35",
        kind=Kind.LIMIT,
        status=Status.WRONG,
        theorem=ntk.ntk_recursion,
        statement=_limit_statement,
        mutants=_limit_mutants,
        observed=ntk.observed_limit,
        exhibits=shown.limit,
        rests_on=("eq36",),
        printed=Printed(
            latex=r"\hat\Theta_{k k'}^{l} \xrightarrow{N_{l+1} \to \infty} \Theta_{\infty}^{l} \delta_{k k'}",
            correction="the limit is over the hidden widths N_2, ..., N_l",
            why="N_{l+1} counts the outputs, which do not average: at N_2 = 4 the kernel of relu has variance 3/4 for "
            "every N_3",
        ),
    ),
    Claim(
        id="eq36-structure",
        title="Between different outputs the tangent kernel vanishes in the limit",
        section="4.1",
        equation="36",
        kind=Kind.LIMIT,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("what the identity in eq 36 says", ("exactly for the own part; the inherited one has mean 0",)),
        statement=lambda: Formula(r"\hat\Theta_{k k'}^{l} \to 0 \quad (k \neq k')"),
        mutants=tuple,
        observed=lambda: (
            ntk.tangent_step(lambda: ntk.matrix_mutants()[:1]),
            Observed(Observable.CROSS_RATE, ntk.tangent_statement, tuple),
        ),
        exhibits=shown.diagonal,
        rests_on=("eq36", "eq54"),
    ),
    Claim(
        id="eq42",
        title="What the induction shows: the kernel of layer l tends to a multiple of the identity too",
        section="4.4.2",
        equation="42",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=ntk.ntk_recursion,
        statement=_limit_statement,
        mutants=_limit_mutants,
        observed=ntk.observed_limit,
        exhibits=shown.two_units,
        rests_on=("eq36",),
        printed=Printed(
            latex=r"\frac{\partial z_{k}^{l}(x)}{\partial \theta^{l}} \cdot \frac{\partial z_{k}^{l}(x')}"
            r"{\partial \theta^{l}} \to \Theta_{\infty}^{l} \delta_{k k'}",
            correction="z_k'ˡ in the second factor, and the hidden widths N_2, ..., N_l in the limit",
            why="with k in both factors the left side does not depend on k', the right side does",
        ),
    ),
)
"""What follows from the recursion."""

DEFINITIONS = (
    Claim(
        id="eq37",
        title="The empirical tangent kernel: a sum over all parameters up to the layer of products of derivatives",
        section="4.2",
        equation="37",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a definition", ("θˡ are the parameters of layers 1 to l together",)),
        statement=lambda: Formula(
            r"\hat\Theta_{k k'}^{l}(x,x') = \sum_{d=1}^{|\theta^{l}|} \frac{\partial z_{k}^{l}(x)}{\partial \theta_{d}}"
            r" \frac{\partial z_{k'}^{l}(x')}{\partial \theta_{d}}"
        ),
        mutants=tuple,
        exhibits=shown.definition,
        printed=Printed(
            latex=r"\nabla_{\theta^{l}} z_{k}^{l}(x)\, \nabla_{\theta^{l}} z_{k'}^{l}(x')",
            correction="the first gradient is transposed, and the sum runs up to |θˡ|",
            why="two columns cannot be multiplied",
        ),
    ),
    Claim(
        id="sec4.2-name",
        title="The tangent kernel is a kernel: its features are the gradient of the output by the parameters",
        section="4.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a remark on a name"),
        statement=lambda: Formula(r"k(x,x') = \langle \nabla_{\theta} f(x), \nabla_{\theta} f(x') \rangle"),
        mutants=tuple,
        unsampled="a remark on a name",
        exhibits=shown.features,
        rests_on=("eq37",),
    ),
    Claim(
        id="eq38-nngp",
        title="A layer with the scale in the law of its weights",
        section="4.3",
        equation="38",
        kind=Kind.DEFINITION,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a definition", ("the second argument of N(·,·) is a standard deviation here", "b is a standard normal")
        ),
        statement=lambda: Formula(
            r"z_{k}^{l} = \sum_{j} W_{k j}^{l} \phi(z_{j}^{l-1}) + \sigma_{b} b_{k}^{l},\qquad"
            r" \mathrm{Var}\, W_{k j}^{l} = \frac{1}{N_{l}}"
        ),
        mutants=tuple,
        exhibits=shown.variance_of_a_unit,
    ),
    Claim(
        id="eq38",
        title="A layer with standard normal parameters and explicit scales, σ_b being a constant",
        section="4.3",
        equation="38",
        kind=Kind.DEFINITION,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a definition"),
        statement=lambda: Formula(
            r"z_{k}^{l} = \frac{\sigma_{w}}{\sqrt{N_{l}}} \sum_{j} W_{k j}^{l} \phi(z_{j}^{l-1})"
            r" + \sigma_{b} b_{k}^{l},\qquad W_{k j}^{l}, b_{k}^{l} \sim \mathcal{N}(0, 1)"
        ),
        mutants=tuple,
        exhibits=shown.bias_scale,
        printed=Printed(
            latex=r"W_{k j}^{l} \sim \mathcal{N}(0, 1),\qquad \sigma_{b} \sim \mathcal{N}(0, 1)",
            correction="b_kˡ ~ N(0, 1), while σ_b is a fixed number",
            why="a random scale is shared by all units and makes the kernel random; the bias term would have kurtosis "
            "9, not 3",
        ),
    ),
    Claim(
        id="sec4.3-reparam",
        title="Both forms give one law of functions, but not one tangent kernel",
        section="4.3",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.ASSUMPTION,
        theorem=None,
        stated=Stated(
            "a remark on what the form changes",
            ("the same functions; the kernel grows like the width where scales are in the law of the weights",),
        ),
        statement=lambda: Formula(
            r"\hat\Theta^{\mathrm{own}, \mathrm{standard}} = \left(\sum_{j} \phi(z_{j}^{l-1}(x)) \phi(z_{j}^{l-1}(x'))"
            r" + \sigma_{b}^{2}\right) I"
        ),
        mutants=tuple,
        unsampled="an equality for every draw of the weights, in which no mean is taken",
        exhibits=shown.parameterizations,
        rests_on=("eq38-nngp", "eq38"),
    ),
    Claim(
        id="eq39",
        title="A layer as an affine function of the activations below, stacked to a vector",
        section="4.3",
        equation="39",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=tangent_steps.unit,
        statement=tangent_steps.affine_statement,
        mutants=tangent_steps.affine_mutants,
        exhibits=shown.stacked,
        rests_on=("eq38",),
    ),
    Claim(
        id="sec4.4-equal-not-limit",
        title="At the first layer the tangent kernel is not random at any width: an equality, no limit",
        section="4.4.2",
        equation="",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=ntk.layer1_ntk,
        statement=first_kernel_statement,
        mutants=lambda: (shared_bias(first_kernel_statement()),),
        exhibits=shown.not_random,
        observable=Observable.FIRST_LAYER_TANGENT,
        slot="first_tangent",
    ),
    Claim(
        id="eq41",
        title="The induction hypothesis: the tangent kernel of the layer below tends to a multiple of the identity",
        section="4.4.2",
        equation="41",
        kind=Kind.LIMIT,
        status=Status.TYPO,
        theorem=None,
        stated=Stated("a hypothesis; the induction discharges it", (_HIDDEN.replace("N_l ", "N_{l-1} "),)),
        statement=lambda: Formula(
            r"\frac{\partial z_{k}^{l-1}(x)}{\partial \theta^{l-1}}^{\top} \frac{\partial z_{k'}^{l-1}(x')}"
            r"{\partial \theta^{l-1}} \to \Theta_{\infty}^{l-1} \delta_{k k'}"
        ),
        mutants=tuple,
        observed=lambda: (
            Observed(
                Observable.FIRST_LAYER_TANGENT,
                first_kernel_statement,
                lambda: (Mutant("the delta is dropped", mutations.without_deltas(first_kernel_statement())),),
                slot="first_tangent",
            ),
            ntk.tangent_step(ntk.matrix_mutants),
        ),
        exhibits=shown.hypothesis,
        printed=Printed(
            latex=r"\frac{\partial z_{k}^{l-1}(x)}{\partial \theta^{l}} \cdot \frac{\partial z_{k}^{l-1}(x')}"
            r"{\partial \theta^{l}} \to \Theta_{\infty}^{l-1} \delta_{k k'}",
            correction="z_k' in the second factor, the parameters θˡ⁻¹, and the widths N_2, ..., N_{l-1}",
            why="with k in both factors the left side is not zero where the right side is: -0.09 at the first layer",
        ),
    ),
)
"""What needs no recursion."""
