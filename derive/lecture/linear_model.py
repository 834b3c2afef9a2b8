"""Sections 5.1 to 5.1.3: the linearized network, its Jacobian, its tangent kernel and its training (eqs 64-69).

The network is expanded in its parameters at initialization, ``f_lin(x) = f_0(x) + J(x) omega``. All parameters
together are those of the layers 1 to L+1: the cumulative reading of the lecture's theta.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import sympy as sp

from derive import mutations
from derive.claim import Claim, Kind, Mutant, Observable, Printed, Stated, Status
from derive.exhibit import Exhibit, Formula
from derive.lecture import linearized
from derive.lecture.contents import STATEMENTS
from derive.lecture.ensemble_claims import descent, flow
from derive.lecture.linearized import DESCENT, GRADIENT, THETA_XX
from derive.lecture.small_network import (
    MOVED,
    OTHER_TARGETS,
    PARAMETERS,
    RATE,
    START,
    TARGETS,
    TEST_INPUTS,
    TRAINING_INPUTS,
    along,
    descended,
    gradient,
    jacobian,
    network,
    outputs,
    squares,
    tangent,
    tangent_model,
)
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


_SETTING = "a network of one hidden unit with 4 parameters, 3 training inputs"
_DISPLACEMENT = MOVED - START


def _quartic(f: sp.Matrix) -> sp.Expr:
    """Return a loss that is no square."""
    return sum((y - t) ** 4 for y, t in zip(f, TARGETS, strict=True)) / 4


def _quartic_gradient(at: sp.Matrix) -> sp.Matrix:
    """Return the gradient of that loss by the outputs of the linear model."""
    linear = outputs(TRAINING_INPUTS, START) + jacobian(TRAINING_INPUTS, START) * (at - START)
    return sp.Matrix([(y - t) ** 3 for y, t in zip(linear, TARGETS, strict=True)])


def _expansion() -> tuple[Exhibit, ...]:
    start = outputs(TEST_INPUTS, START)
    right = start + jacobian(TEST_INPUTS, START) * _DISPLACEMENT
    return (
        Exhibit(
            setting="a network of one hidden unit with 4 parameters, 2 inputs, expanded along a line of parameters",
            left=start + along(TEST_INPUTS, START, _DISPLACEMENT),
            right=right,
            wrong={
                "the Jacobian is that of the moved parameters": lambda: (
                    start + jacobian(TEST_INPUTS, MOVED) * _DISPLACEMENT
                ),
                "the displacement is θ₀ - θ_t": lambda: start - jacobian(TEST_INPUTS, START) * _DISPLACEMENT,
                "the initial outputs are missing": lambda: right - start,
                "it is the network itself": lambda: outputs(TEST_INPUTS, MOVED),
            },
        ),
    )


def _constants() -> tuple[Exhibit, ...]:
    def derivatives(at: sp.Matrix) -> sp.Matrix:
        columns = (tangent_model(TEST_INPUTS, START, at + sp.eye(4).col(p)) for p in range(4))
        return sp.Matrix.hstack(*(column - tangent_model(TEST_INPUTS, START, at) for column in columns))

    moved = descended(squares(), START, 1)
    return (
        Exhibit(
            setting="the Jacobian of the linear model after a step of training, 2 inputs",
            left=derivatives(moved),
            right=jacobian(TEST_INPUTS, START),
            wrong={"it is that of the network after the step": lambda: jacobian(TEST_INPUTS, moved)},
        ),
        Exhibit(
            setting="the linear model after a step of training, less the Jacobian times the displacement",
            left=tangent_model(TEST_INPUTS, START, moved) - derivatives(moved) * (moved - START),
            right=outputs(TEST_INPUTS, START),
            wrong={"it is the output of the network after the step": lambda: outputs(TEST_INPUTS, moved)},
        ),
    )


def _second_step() -> Exhibit:
    """Return the change of the parameters in the second step of gradient descent."""
    first = descended(squares(), START, 1)
    j = jacobian(TRAINING_INPUTS, START)
    residual = outputs(TRAINING_INPUTS, START) + j * (first - START) - TARGETS
    return Exhibit(
        setting=f"{_SETTING}: the second step of gradient descent, η = {RATE}",
        left=descended(squares(), START, 2) - first,
        right=-RATE * j.T * residual,
        wrong={
            "the Jacobian is that of the network after the first step": lambda: (
                -RATE * jacobian(TRAINING_INPUTS, first).T * residual
            ),
            "the learning rate is missing": lambda: -j.T * residual,
            "the transpose is missing": lambda: -RATE * j * residual,
            "the step ascends": lambda: RATE * j.T * residual,
        },
    )


def _left_by_steps(factor: sp.Expr, steps: int) -> sp.Expr:
    """Return what steps of gradient descent leave of one residual, step by step."""
    left = sp.S.One
    for _ in range(steps):
        left = left - factor * left
    return left


def _one_mode(rate: sp.Expr, steps: int) -> Exhibit:
    """Return what steps of gradient descent leave of a residual where Theta is 1; as printed it is the flow's."""
    return Exhibit(
        setting=f"Θ = 1, η = {rate}, t = {steps}: what training leaves of a residual",
        left=_left_by_steps(rate, steps),
        right=(1 - rate) ** steps,
        wrong={"one step less": lambda: (1 - rate) ** (steps - 1)},
        printed=lambda: sp.exp(-rate * steps),
    )


def _steps() -> tuple[Exhibit, ...]:
    rates = [sp.Rational(1, 10 * 2**n) for n in range(4)]
    return (
        _one_mode(sp.Rational(1, 2), 2),
        _one_mode(sp.Rational(5, 2), 10),
        _second_step(),
        Exhibit(
            setting="Θ = 1, η t = 2: by how much flow exceeds descent, for η = 1/10, 1/20, 1/40, 1/80",
            left=sp.Matrix([[sp.exp(-2) - _left_by_steps(rate, int(2 / rate)) for rate in rates]]),
            right=sp.Matrix([[sp.exp(-2) - (1 - rate) ** (2 / rate) for rate in rates]]),
            wrong={"flow and descent agree": lambda: sp.zeros(1, 4)},
        ),
    )


def _chain_rule() -> tuple[Exhibit, ...]:
    right = jacobian(TRAINING_INPUTS, START).T * _quartic_gradient(MOVED)
    return (
        Exhibit(
            setting=f"{_SETTING}, the loss 1/4 Σ (f - y)⁴, away from initialization",
            left=gradient(lambda at: _quartic(tangent_model(TRAINING_INPUTS, START, at)), MOVED),
            right=right,
            wrong={
                "the Jacobian is that of the moved parameters": lambda: (
                    jacobian(TRAINING_INPUTS, MOVED).T * _quartic_gradient(MOVED)
                ),
                "the kernel stands for the Jacobian": lambda: (
                    tangent(TRAINING_INPUTS, TRAINING_INPUTS, START) * _quartic_gradient(MOVED)
                ),
                "the Jacobian is that at the test inputs": lambda: (
                    jacobian(TEST_INPUTS, START).T * _quartic_gradient(MOVED)
                ),
                "the loss is taken at the network": lambda: (
                    jacobian(TRAINING_INPUTS, START).T
                    * (outputs(TRAINING_INPUTS, MOVED) - TARGETS).applyfunc(lambda r: r**3)
                ),
            },
        ),
    )


def _what_moves() -> tuple[Exhibit, ...]:
    j, kernel = jacobian(TRAINING_INPUTS, START), tangent(TRAINING_INPUTS, TRAINING_INPUTS, START)
    more = (*TRAINING_INPUTS, *TEST_INPUTS)
    known = sp.Matrix.vstack(TARGETS, sp.zeros(len(TEST_INPUTS), 1))
    left = descended(squares(), START, 2) - descended(squares(OTHER_TARGETS), START, 2)
    return (
        Exhibit(
            setting=f"{_SETTING}: difference of the parameters after 2 steps with two sets of targets",
            left=left,
            right=RATE * j.T * (2 * sp.eye(3) - RATE * kernel) * (TARGETS - OTHER_TARGETS),
            wrong={
                "the displacement does not depend on the targets": lambda: sp.zeros(4, 1),
                "test inputs, with targets 0, take part in training": lambda: (
                    descended(squares(known), START, 2, more) - descended(squares(OTHER_TARGETS), START, 2)
                ),
            },
        ),
    )


def _shapes() -> tuple[Exhibit, ...]:
    w, b = PARAMETERS[:2]
    two = sp.Matrix([sp.Symbol("u") * (w * x + b) for x in TEST_INPUTS])
    both = sp.Matrix.vstack(network(TEST_INPUTS), two).jacobian(sp.Matrix([*PARAMETERS, sp.Symbol("u")]))
    return (
        Exhibit(
            setting=f"{_SETTING}: rows and columns of the Jacobian",
            left=sp.Matrix([network(TRAINING_INPUTS).jacobian(PARAMETERS).shape]),
            right=sp.Matrix([[len(TRAINING_INPUTS), len(PARAMETERS)]]),
            wrong={"it has a row for each parameter": lambda: sp.Matrix([[len(PARAMETERS), len(TRAINING_INPUTS)]])},
        ),
        Exhibit(
            setting="2 outputs of one hidden unit with 5 parameters, 2 inputs: rows and columns of the Jacobian",
            left=sp.Matrix([both.shape]),
            right=sp.Matrix([[2 * len(TEST_INPUTS), 5]]),
            wrong={"several outputs need no more rows": lambda: sp.Matrix([[len(TEST_INPUTS), 5]])},
        ),
    )


def _rank_one_terms(at: sp.Matrix) -> sp.Matrix:
    """Return the sum over parameters of the derivatives by each, times their transpose."""
    columns = [along(TRAINING_INPUTS, at, sp.eye(4).col(p)) for p in range(4)]
    terms = (column * column.T for column in columns)
    return sum(terms, sp.zeros(3, 3))


def _gram() -> tuple[Exhibit, ...]:
    j = jacobian(TRAINING_INPUTS, MOVED)
    return (
        Exhibit(
            setting=f"{_SETTING}, away from initialization",
            left=_rank_one_terms(MOVED),
            right=j * j.T,
            wrong={
                "the Jacobian is transposed: a row for each parameter": lambda: j.T * j,
                "the transpose is missing": lambda: j * j,
                "the last parameter is left out": lambda: j[:, :3] * j[:, :3].T,
            },
        ),
    )


def _gram_at_start() -> tuple[Exhibit, ...]:
    j = jacobian(TRAINING_INPUTS, START)
    return (
        Exhibit(
            setting=f"{_SETTING}, at initialization",
            left=_rank_one_terms(START),
            right=j * j.T,
            wrong={
                "the parameters are those during training": lambda: tangent(TRAINING_INPUTS, TRAINING_INPUTS, MOVED)
            },
        ),
    )


def _rate_of_prediction() -> tuple[Exhibit, ...]:
    force = _quartic_gradient(MOVED)
    velocity = -RATE * gradient(lambda at: _quartic(tangent_model(TRAINING_INPUTS, START, at)), MOVED)
    later, now = (tangent_model(TEST_INPUTS, START, MOVED + t * velocity) for t in (1, 0))
    return (
        Exhibit(
            setting=f"{_SETTING}, 2 test inputs, the loss 1/4 Σ (f - y)⁴, away from initialization, η = {RATE}",
            left=later - now,
            right=-RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, START) * force,
            wrong={
                "the kernel is that of the training set with itself": lambda: (
                    -RATE * tangent(TRAINING_INPUTS, TRAINING_INPUTS, START) * force
                ),
                "the kernel is that of the moved parameters": lambda: (
                    -RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, MOVED) * force
                ),
                "the minus sign is missing": lambda: RATE * tangent(TEST_INPUTS, TRAINING_INPUTS, START) * force,
            },
        ),
    )


_LAST_NUMBER = 81


def _numbers() -> tuple[Exhibit, ...]:
    digits = (key.removeprefix("eq").split("-")[0].rstrip("abc") for key in STATEMENTS if key.startswith("eq"))
    occurring = {int(number) for number in digits} - {_MISSING}
    return (
        Exhibit(
            setting="the numbers of the equations that statements of the lecture are listed under: how many there are",
            left=sp.Integer(len(occurring)),
            right=sp.Integer(_LAST_NUMBER - 1),
            wrong={"two numbers are missing": lambda: sp.Integer(_LAST_NUMBER - 2)},
            printed=lambda: sp.Integer(_LAST_NUMBER),
        ),
        Exhibit(
            setting="the sum of 1 to 81, less the sum of those numbers",
            left=sp.Integer(sum(range(1, _LAST_NUMBER + 1)) - sum(occurring)),
            right=sp.Integer(_MISSING),
            wrong={"67 is missing": lambda: sp.Integer(67), "69 is missing": lambda: sp.Integer(69)},
        ),
    )


_MISSING = 68


def _displacement(slope: Operator, factor: sp.Expr | int = 1) -> Operator:
    moved: Operator = -factor * (word(JACOBIAN_T) @ (slope @ (word(F0) - word(Y))))
    return moved


def _prediction_rate(factor: sp.Expr | int = 1, kernel: Operator | None = None) -> Operator:
    rate: Operator = -factor * learning_rate * ((kernel or word(THETA_XX)) @ word(GRADIENT))
    return rate


def _theta(function: sp.Expr = eigenvalue) -> Operator:
    return function_of_theta(function, eigenvalue)


def _stated(
    key: str,
    title: str,
    section: str,
    formula: str,
    exhibits: Callable[[], tuple[Exhibit, ...]],
    kind: Kind,
    stated: Stated,
    status: Status = Status.HOLDS,
    printed: Printed | None = None,
) -> Claim:
    """Return a definition or a remark, held against concrete numbers."""
    return Claim(
        id=key,
        title=title,
        section=section,
        equation=key.removeprefix("eq") if key.startswith("eq") else "",
        kind=kind,
        status=status,
        theorem=None,
        stated=stated,
        statement=lambda: Formula(formula),
        mutants=tuple,
        exhibits=exhibits,
        printed=printed,
    )


CLAIMS = (
    _stated(
        "eq64",
        "The linear model is the network expanded to first order in its parameters at initialization",
        "5.1",
        r"f_{t}^{\mathrm{lin}}(x) = f_{0}(x) + J(x)\, \omega_{t},\qquad \omega_{t} = \theta_{t} - \theta_{0}",
        _expansion,
        Kind.DEFINITION,
        Stated(
            "a definition", ("the parameters are those that training moves in the linear model, not in the network",)
        ),
    ),
    _stated(
        "sec5.1-constants",
        "Initial outputs and Jacobian do not change in training; over initialization they are random",
        "5.1",
        r"\frac{d}{dt} f_{0}(x) = 0,\qquad \frac{d}{dt} J(x) = 0",
        _constants,
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
        exhibits=_steps,
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
        exhibits=_chain_rule,
        rests_on=("eq64",),
    ),
    _stated(
        "sec5.1.1-only-X",
        "The parameters move with the training inputs, their targets and the initialization; no test input takes part",
        "5.1.1",
        r"\omega_{t} = \omega_{t}(\mathcal{X}, \mathcal{Y}, \theta_{0})",
        _what_moves,
        Kind.REMARK,
        Stated(
            "a remark on what eq 65 depends on",
            ("not on the training inputs alone: the targets and the initial outputs enter too, linearly",),
        ),
        Status.ASSUMPTION,
    ),
    _stated(
        "sec5.1.2-dim",
        "The Jacobian has a row for each training input, or each of its outputs, and a column for each parameter",
        "5.1.2",
        r"J(\mathcal{X}) \in \mathbb{R}^{|\mathcal{X}| \times |\theta|}",
        _shapes,
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
        exhibits=_gram,
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
        exhibits=_gram_at_start,
        rests_on=("eq66",),
    ),
    _stated(
        "eq68",
        "The numbers of the equations go from 67 to 69",
        "5.1.3",
        r"\{1, \dots, 67\} \cup \{69, \dots, 81\}",
        _numbers,
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
        exhibits=_rate_of_prediction,
        observable=Observable.FLOW,
        rests_on=("eq64", "eq65-linear-grad", "eq67"),
        unstated=("Θ̂(x,X) is J(x) Jᵀ at initialization, which the lecture does not define",),
    ),
)
