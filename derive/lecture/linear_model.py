"""Sections 5.1 to 5.1.3: the linearized network, its Jacobian, its tangent kernel and its training (eqs 64-69).

The network is expanded in its parameters at initialization, ``f_lin(x) = f_0(x) + J(x) omega``. All parameters
together are those of the layers 1 to L+1: the cumulative reading of the lecture's theta.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Printed, Stated, Status
from derive.lecture import linear_model_exhibits as shown
from derive.lecture import linearized
from derive.lecture.ensemble_claims import descent, flow
from derive.lecture.linearized import DESCENT, GRADIENT, THETA_XX
from derive.lecture.stating import stated
from derive.lecture.trained_ensembles import prior
from derive.lecture.training import F0, Y
from derive.model import Definition, Model
from derive.notation import eigenvalue, learning_rate, parameter_count
from derive.operators import JACOBIAN_T, TEST, TRAINING, Operator, function_of_theta, identity, word
from derive.rules import collapse, differentiate, unfold
from derive.terms import Atom, Expression, Index, atom, partial, total
from derive.theorem import Theorem, reflexivity

_POINTS, _COUNT = sp.Symbol("n", integer=True, positive=True), parameter_count(sp.Symbol("L") + 1)
_I, _J = Index("i", _POINTS), Index("j", _POINTS)
_P, _Q = Index("p", _COUNT), Index("q", _COUNT)


def _row(i: Index, p: Index) -> Expression:
    return atom("J", i, p)


def _output(i: Index, p: Index) -> Expression:
    """Return an output of the linear model on the training set, summed over an index for the parameters."""
    return atom("f_at", i, at=("0",)) + total(p, _row(i, p) * atom("omega", p))


def _linear_model() -> Model:
    residual = atom("f", _I) - atom("Y", _I)
    first, second = (partial(atom("f", i), Atom("omega", (_P,))) for i in (_I, _J))
    return Model(
        name="the linearized network on the training set, and the loss 1/2 |f(X) - Y|^2",
        gaussian=frozenset(),
        parameters="omega",
        data=frozenset({"J", "Y", "f_at"}),
        definitions=(
            Definition("f", (_I,), (), None, _output(_I, _Q)),
            Definition("L", (), (), None, sp.Rational(1, 2) * total(_I, residual * residual)),
            Definition("Theta", (_I, _J), (), None, total(_P, first * second)),
        ),
    )


LINEAR_MODEL = _linear_model()


@cache
def loss_gradient() -> Theorem:
    """Return the gradient of the loss by a parameter, through the linear model."""
    theorem = reflexivity(partial(atom("L"), Atom("omega", (_P,))), LINEAR_MODEL)
    return theorem.by(unfold, "L", "f").by(differentiate).by(collapse)


@cache
def kernel_on_training_set() -> Theorem:
    """Return eq 66 for the linear model: the sum over parameters of products of derivatives is that of its Jacobian."""
    theorem = reflexivity(atom("Theta", _I, _J), LINEAR_MODEL)
    return theorem.by(unfold, "Theta", "f").by(differentiate).by(collapse)


def _gradient_statement(start: int = 1, targets: int = 1) -> Expression:
    """Return the Jacobian, transposed, times the residual."""
    moved = _output(_I, _Q) - atom("f_at", _I, at=("0",))
    residual = start * atom("f_at", _I, at=("0",)) + moved - targets * atom("Y", _I)
    return total(_I, _row(_I, _P) * residual)


def _kernel_statement() -> Expression:
    return total(_P, _row(_I, _P) * _row(_J, _P))


def _displacement(slope: Operator, factor: sp.Expr | int = 1) -> Operator:
    moved: Operator = -factor * (word(JACOBIAN_T) @ (slope @ (word(F0) - word(Y))))
    return moved


def _prediction_rate(factor: sp.Expr | int = 1, kernel: Operator | None = None) -> Operator:
    rate: Operator = -factor * learning_rate * ((kernel or word(THETA_XX)) @ word(GRADIENT))
    return rate


def _theta(function: sp.Expr = eigenvalue) -> Operator:
    return function_of_theta(function, eigenvalue)


CLAIMS = (
    stated(
        "eq64",
        "The linear model is the network expanded to first order in its parameters at initialization",
        "5.1",
        r"f_{t}^{\mathrm{lin}}(x) = f_{0}(x) + J(x)\, \omega_{t},\qquad \omega_{t} = \theta_{t} - \theta_{0}",
        shown.expansion,
        Kind.DEFINITION,
        Stated(
            "a definition", ("the parameters are those that training moves in the linear model, not in the network",)
        ),
    ),
    stated(
        "sec5.1-constants",
        "Initial outputs and Jacobian do not change in training; over initialization they are random",
        "5.1",
        r"\frac{d}{dt} f_{0}(x) = 0,\qquad \frac{d}{dt} J(x) = 0",
        shown.constants,
        Kind.REMARK,
        Stated(
            "both are taken at the initial parameters, by definition", ("constant in time, not over initialization",)
        ),
    ),
    Claim(
        id="eq65",
        title="The displacement of the parameters by steps of gradient descent, which is not that by its flow",
        section="5.1.1",
        equation="65",
        kind=Kind.IDENTITY,
        status=Status.WRONG,
        theorem=lambda: linearized.parameters(DESCENT),
        statement=lambda: _displacement(descent()),
        mutants=lambda: (
            Mutant("the flow", _displacement(flow())),
            Mutant("the rate is doubled", _displacement(descent(2))),
            Mutant("the parameters ascend", _displacement(descent(), -1)),
        ),
        exhibits=shown.steps,
        observable=Observable.FLOW,
        printed=Printed(
            latex=r"\dot{\omega} = \theta_{t+1} - \theta_{t} = -\eta \nabla_{\theta} f(\mathcal{X}, \theta_{0})^{\top}"
            r" \nabla_{f_{t}^{\mathrm{lin}}(\mathcal{X})} \mathcal{L}",
            correction="either a rate in time, ω̇ = -η Jᵀ ∇L, whose solutions are eqs 70 to 74, or a change in one "
            "step, θ_{t+1} - θ_t = -η Jᵀ ∇L, with (1 - ηΘ)ᵗ in place of the exponential and η less than 2 over the "
            "largest eigenvalue of Θ",
            why="a derivative in time is not a difference of one step: the flow leaves e^{-ηλt} of a mode where t "
            "steps leave (1 - ηλ)ᵗ, which even grows for ηλ > 2",
        ),
    ),
    Claim(
        id="eq65-linear-grad",
        title="The gradient of the loss by the parameters is the Jacobian, transposed, times that by the outputs",
        section="5.1.1",
        equation="65",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=loss_gradient,
        statement=_gradient_statement,
        mutants=lambda: (
            Mutant("the loss without its 1/2", mutations.scaled(_gradient_statement(), sp.Integer(2))),
            Mutant("the initial outputs are missing", _gradient_statement(start=0)),
            Mutant("the targets are missing", _gradient_statement(targets=0)),
            Mutant("the targets are added", _gradient_statement(targets=-1)),
        ),
        exhibits=shown.chain_rule,
        rests_on=("eq64",),
    ),
    stated(
        "sec5.1.1-only-X",
        "The parameters move with the training inputs, their targets and the initialization; no test input takes part",
        "5.1.1",
        r"\omega_{t} = \omega_{t}(\mathcal{X}, \mathcal{Y}, \theta_{0})",
        shown.what_moves,
        Kind.REMARK,
        Stated(
            "a remark on what eq 65 depends on",
            ("not on the training inputs alone: the targets and the initial outputs enter too, linearly",),
        ),
        Status.ASSUMPTION,
    ),
    stated(
        "sec5.1.2-dim",
        "The Jacobian has a row for each training input, or each of its outputs, and a column for each parameter",
        "5.1.2",
        r"J(\mathcal{X}) \in \mathbb{R}^{|\mathcal{X}| \times |\theta|}",
        shown.shapes,
        Kind.DEFINITION,
        Stated("a definition", ("one output; k outputs make k times as many rows",)),
        Status.ASSUMPTION,
    ),
    Claim(
        id="eq66",
        title="The tangent kernel on the training set is the Gram matrix of the Jacobian: a sum over parameters",
        section="5.1.2",
        equation="66",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=kernel_on_training_set,
        statement=_kernel_statement,
        mutants=lambda: (
            Mutant("2 % too large", mutations.scaled(_kernel_statement())),
            Mutant("both derivatives are those of one input", total(_P, _row(_I, _P) * _row(_I, _P))),
            Mutant(
                "the sums over parameters are taken apart",
                total(_P, _row(_I, _P)) * total(_Q, _row(_J, _Q)),
            ),
        ),
        exhibits=shown.gram,
        unstated=("θ is all parameters of all layers; one output",),
    ),
    Claim(
        id="eq67",
        title="At initialization the Gram matrix of the Jacobian is the empirical tangent kernel that training goes by",
        section="5.1.2",
        equation="67",
        kind=Kind.DEFINITION,
        status=Status.HOLDS,
        theorem=linearized.gram_of_jacobian,
        statement=_theta,
        mutants=lambda: (
            Mutant("the identity", identity(TRAINING)),
            Mutant("its square", _theta(eigenvalue**2)),
            Mutant("2 % too large", _theta(sp.Rational(51, 50) * eigenvalue)),
        ),
        exhibits=shown.gram_at_start,
        rests_on=("eq66",),
    ),
    stated(
        "eq68",
        "The numbers of the equations go from 67 to 69",
        "5.1.3",
        r"\{1, \dots, 67\} \cup \{69, \dots, 81\}",
        shown.numbers,
        Kind.REMARK,
        Stated("a remark on numbering; what is counted is this toolkit's list of the lecture's statements"),
        Status.TYPO,
        Printed(
            latex=r"\{1, \dots, 81\}",
            correction="there are 80 numbered equations; headings 4.4.1 and 4.6.1 are missing too, and two references "
            "are left as question marks",
            why="no equation has the number 68, so what follows is off by one against a count",
        ),
    ),
    Claim(
        id="eq69",
        title="The rate of the prediction at any input, for any loss of the outputs on the training set",
        section="5.1.3",
        equation="69",
        kind=Kind.IDENTITY,
        status=Status.HOLDS,
        theorem=linearized.prediction_rate,
        statement=_prediction_rate,
        mutants=lambda: (
            Mutant("the minus sign is missing", _prediction_rate(-1)),
            Mutant("the learning rate is missing", _prediction_rate(1 / learning_rate)),
            Mutant("K stands for Θ", _prediction_rate(kernel=word(prior(TEST, TRAINING)))),
            Mutant("Θ(x,X) is followed by Θ(X,X)", _prediction_rate(kernel=word(THETA_XX) @ _theta())),
        ),
        exhibits=shown.rate_of_prediction,
        observable=Observable.FLOW,
        rests_on=("eq64", "eq65-linear-grad", "eq67"),
        unstated=("Θ̂(x,X) is J(x) Jᵀ at initialization, which the lecture does not define",),
    ),
)
