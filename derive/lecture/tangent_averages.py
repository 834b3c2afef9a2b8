"""Section 4.6.2: what the average over hidden units becomes, and the derivative kernel (eqs 54-58)."""

from __future__ import annotations

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Observed, Printed, Stated, Status
from derive.exhibit import Formula
from derive.lecture import tangent_exhibits as shown
from derive.lecture import tangent_kernel_exhibits as kernels
from derive.lecture import tangent_steps as steps
from derive.lecture.ntk import inherited_statement, tangent_step
from derive.lecture.tangent_steps import K, M
from derive.notation import layer, sigma_b, sigma_w, width
from derive.terms import constant, delta

CLAIMS = (
    Claim(
        id="sec4.6.2-lln",
        title="The average over hidden units tends to a mean, by a law of large numbers and no central limit theorem",
        section="4.6.2",
        equation="",
        kind=Kind.LIMIT,
        status=Status.ASSUMPTION,
        theorem=steps.average_limit,
        statement=steps.limit_statement,
        mutants=lambda: (
            Mutant("the limit is random: the average itself", steps.average_statement()),
            Mutant("2 % too large", mutations.scaled(steps.limit_statement())),
            Mutant("σ_w stands for σ_w²", mutations.scaled(steps.limit_statement(), 1 / sigma_w)),
        ),
        observed=lambda: (
            Observed(
                Observable.INHERITED_TANGENT_KERNEL,
                inherited_statement,
                lambda: (
                    Mutant("2 % too large", mutations.scaled(inherited_statement())),
                    Mutant("σ_w stands for σ_w²", mutations.scaled(inherited_statement(), 1 / sigma_w)),
                    Mutant("different outputs are not told apart", mutations.without_deltas(inherited_statement())),
                ),
                slot="tangent",
            ),
            Observed(Observable.INHERITED_RATE, steps.limit_statement, tuple),
        ),
        exhibits=shown.average_is_random,
        rests_on=("eq52",),
        unstated=("the summands are independent at l = 2, and beyond once the layers below are at their limit",),
    ),
    Claim(
        id="eq54",
        title="Second moments of weights on one hidden unit: 1 for one output, 0 for two",
        section="4.6.2",
        equation="54",
        kind=Kind.FINITE_WIDTH,
        status=Status.HOLDS,
        theorem=steps.weights_moment,
        statement=lambda: delta(K, M),
        mutants=lambda: (
            Mutant("1/N: standard parameterization", (1 / width(layer)) * delta(K, M)),
            Mutant("1 for two outputs too", constant(1)),
            Mutant("0 for one output too", constant(0)),
        ),
        observable=Observable.WEIGHTS,
    ),
    Claim(
        id="eq55",
        title="The average over hidden units of products of weights and derivatives, which is random at finite width",
        section="4.6.2",
        equation="55",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a name for what stands in eq 52"),
        statement=lambda: Formula(
            r"\frac{\sigma_{w}^{2}}{N_{l}} \sum_{j} W_{k j}^{l} W_{k' j}^{l} \dot\phi(z_{j}^{l-1}(x))"
            r" \dot\phi(z_{j}^{l-1}(x'))"
        ),
        mutants=tuple,
        observed=lambda: (
            Observed(
                Observable.INHERITED_PART,
                steps.inherited,
                lambda: (
                    Mutant("φ stands for its derivative", steps.average_statement("phi") * steps.below()),
                    Mutant("σ_w stands for σ_w²", mutations.scaled(steps.inherited(), 1 / sigma_w)),
                    Mutant("it is its mean", steps.limit_statement() * steps.below()),
                    Mutant("it is its mean over the weights", steps.given_statement() * steps.below()),
                ),
            ),
        ),
        exhibits=shown.averaged_over_weights,
    ),
    Claim(
        id="eq56",
        title="As for the NNGP kernel, with the derivative for the activation; but no bias enters",
        section="4.6.2",
        equation="56",
        kind=Kind.REMARK,
        status=Status.ASSUMPTION,
        theorem=steps.averaged_over_weights,
        statement=steps.given_statement,
        mutants=lambda: (
            Mutant("σ_b² is kept", steps.given_statement(bias=sigma_b**2)),
            Mutant("φ stands for its derivative", steps.given_statement(head="phi")),
            Mutant("all outputs share one kernel", mutations.without_deltas(steps.given_statement())),
        ),
        observed=lambda: (
            Observed(
                Observable.INHERITED_TANGENT_KERNEL,
                inherited_statement,
                lambda: (
                    Mutant("σ_b² is kept", inherited_statement() + sigma_b**2 * (steps.below() * delta(K, M))),
                    Mutant("φ stands for its derivative", (steps.mean_statement("phi") * steps.below()) * delta(K, M)),
                    Mutant("all outputs share one kernel", mutations.without_deltas(inherited_statement())),
                ),
                slot="tangent",
            ),
        ),
        rests_on=("eq54", "eq55"),
        unstated=(
            "a law of large numbers for one output; for two, √N times the average has a central limit theorem",
            "biases do not depend on the parameters below, so no σ_b² enters",
        ),
    ),
    Claim(
        id="eq57",
        title="The derivative kernel: the mean product of derivatives of the activation at two Gaussian inputs",
        section="4.6.2",
        equation="57",
        kind=Kind.DEFINITION,
        status=Status.ASSUMPTION,
        theorem=lambda: steps.named_kernel("Kdot"),
        statement=lambda: steps.mean_statement("dphi"),
        mutants=lambda: (
            Mutant("φ stands for its derivative", steps.mean_statement("phi")),
            Mutant("σ_w stands for σ_w²", steps.mean_statement("dphi", sigma_w)),
            Mutant("σ_b² is added", steps.mean_statement("dphi", bias=sigma_b**2)),
        ),
        exhibits=kernels.derivative_kernel,
        unstated=(
            "the covariance is the 2×2 matrix of Kˡ⁻¹ on both inputs, not one number",
            "φ has a derivative in the weak sense; the jump of a step would be lost",
        ),
    ),
    Claim(
        id="eq58",
        title="The NNGP kernel with the variance of the weights restored",
        section="4.6.2",
        equation="58",
        kind=Kind.DEFINITION,
        status=Status.ASSUMPTION,
        theorem=lambda: steps.named_kernel("K"),
        statement=lambda: steps.mean_statement("phi", bias=sigma_b**2),
        mutants=lambda: (
            Mutant("σ_w stands for σ_w²", steps.mean_statement("phi", sigma_w, sigma_b**2)),
            Mutant("σ_w² multiplies the bias too", steps.mean_statement("phi", bias=sigma_b**2 * sigma_w**2)),
            Mutant("the bias is dropped", steps.mean_statement("phi")),
        ),
        exhibits=kernels.kernel,
        unstated=("σ_w enters every layer, the first too, as K¹ = σ_b² + σ_w² x·x'/d",),
    ),
    Claim(
        id="sec4.6.2-not-recursion",
        title="The derivative kernel of a layer is made from the kernel below, not from the derivative kernel below",
        section="4.6.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.HOLDS,
        theorem=None,
        stated=Stated("a remark on what eqs 57 and 58 depend on"),
        statement=lambda: Formula(r"K^{l} = F(K^{l-1}),\qquad \dot{K}^{l} = G(K^{l-1})"),
        mutants=tuple,
        unsampled="a remark on what two functions depend on",
        exhibits=kernels.one_argument,
        rests_on=("eq57", "eq58"),
    ),
    Claim(
        id="sec4.6.2-scalar",
        title="The derivative kernel is one number for a pair of inputs, and no entry of the tangent kernel",
        section="4.6.2",
        equation="",
        kind=Kind.REMARK,
        status=Status.WRONG,
        theorem=None,
        stated=Stated("a remark on eq 57"),
        statement=lambda: Formula(
            r"\Theta_{k k'}^{l} \to \left(K^{l} + \dot{K}^{l} \Theta_{\infty}^{l-1}\right) \delta_{k k'}"
        ),
        mutants=tuple,
        observed=lambda: (
            tangent_step(
                lambda: (
                    Mutant("it is K̇ˡ, as printed", steps.mean_statement("dphi") * delta(K, M)),
                    Mutant("the own part is dropped", inherited_statement()),
                )
            ),
        ),
        exhibits=kernels.scalar,
        rests_on=("eq57", "eq58"),
        printed=Printed(
            latex=r"\Theta_{k k'} = \dot{K}",
            correction="the entries are (Kˡ + K̇ˡ Θˡ⁻¹) on the diagonal and 0 off it; K̇ˡ is a factor in them",
            why="the own part and the kernel below are missing: for relu at the second layer 1/2 stands for 1",
        ),
    ),
)
