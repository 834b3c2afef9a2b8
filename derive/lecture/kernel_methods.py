"""Section 2: linear models in features, ridge regression, and its form in kernels (eqs 4-9).

The design matrix Phi takes the place of the Jacobian: K = Phi Phi^T is the operator on the training set. No inverse in
feature space is needed: ``w = Phi^T (K + lambda)^-1 Y`` makes the gradient of the loss vanish, and is the only one that
does, since the loss is strictly convex. Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006),
section 2.1; Hoerl and Kennard, Technometrics 12 (1970), for ridge regression.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from derive.claim import Claim, Kind, Mutant, Stated, Status
from derive.lecture import kernel_method_exhibits as shown
from derive.lecture.linearized import JX
from derive.lecture.stating import stated
from derive.lecture.training import Y, kernel
from derive.model import Definition, Model
from derive.notation import eigenvalue, noise, parameter_count
from derive.operators import (
    JACOBIAN,
    JACOBIAN_T,
    OUTPUTS,
    PARAMETERS,
    TEST,
    TRAINING,
    Letter,
    Operator,
    function_of_theta,
    identity,
    word,
)
from derive.rules import collapse, differentiate, unfold
from derive.rules.spectral import definition, gram, name_product
from derive.terms import Atom, Expression, Index, atom, partial, total
from derive.theorem import Theorem, reflexivity

PENALTY = noise**2
"""The ridge lambda, written as a variance of noise: with it the prediction is the mean of a Gaussian process."""
_WRITTEN = "in derivations Φ is written J, and λ as a variance of noise, σ_ε²"
_POSITIVE = "λ > 0: otherwise the minimizer may not be unique, and ΦᵀΦ not invertible"

WEIGHTS = Letter("w", PARAMETERS, OUTPUTS, "w^{*}")
PREDICTION = Letter("y(x)", TEST, OUTPUTS, "y(x)")
KERNEL = kernel("K", r"\mathcal{K}", TEST, TRAINING, belongs_to=r"\mathcal{K}")


def _dual_weights() -> Operator:
    weights: Operator = word(JACOBIAN_T) @ (function_of_theta(1 / (eigenvalue + PENALTY), eigenvalue) @ word(Y))
    return weights


RIDGE = Model(
    name="a linear model in features, the rows of Φ on the training set, with the weights w = Φᵀ (K + λ)⁻¹ Y",
    gaussian=frozenset(),
    letters=((WEIGHTS, _dual_weights()), (PREDICTION, word(JX) @ word(WEIGHTS))),
    products=((JX, JACOBIAN_T, KERNEL),),
)


_POINTS, _FEATURES = sp.Symbol("n", integer=True, positive=True), parameter_count(1)
"""Numbers of inputs and of features; the weights are the parameters of a single layer."""


def _features_in_sums() -> Model:
    i, q = Index("i", _POINTS), Index("q", _FEATURES)
    residual = atom("Y", i) - total(q, atom("J", i, q) * atom("omega", q))
    objective = total(i, residual * residual) + PENALTY * total(q, atom("omega", q) * atom("omega", q))
    return Model(
        name="ridge regression on n inputs with m features",
        gaussian=frozenset(),
        parameters="omega",
        data=frozenset({"J", "Y"}),
        definitions=(Definition("L", (), (), None, objective),),
    )


IN_SUMS = _features_in_sums()


@cache
def gradient_of_ridge() -> Theorem:
    """Return the derivative of the ridge objective by one weight."""
    theorem = reflexivity(partial(atom("L"), Atom("omega", (Index("p", _FEATURES),))), IN_SUMS)
    return theorem.by(unfold, "L").by(differentiate).by(collapse)


def _in_feature_space(left: Operator, function: sp.Expr) -> Operator:
    product: Operator = left @ (word(JACOBIAN_T) @ function_of_theta(function, eigenvalue))
    return product


def _regularized() -> Operator:
    """Return ``Phi^T Phi + lambda`` on feature space."""
    regularized: Operator = word(JACOBIAN_T) @ word(JACOBIAN) + PENALTY * identity(PARAMETERS)
    return regularized


@cache
def push_through() -> Theorem:
    """Return that ``(Phi^T Phi + lambda) Phi^T (Phi Phi^T + lambda)^-1`` is ``Phi^T``."""
    left = _in_feature_space(_regularized(), 1 / (eigenvalue + PENALTY))
    return reflexivity(left, RIDGE).by(gram)


@cache
def prediction() -> Theorem:
    """Return eq 8: the prediction by inner products of features alone."""
    theorem = reflexivity(word(PREDICTION), RIDGE).by(definition, PREDICTION).by(definition, WEIGHTS)
    return theorem.by(name_product, JX, JACOBIAN_T)


def _gradient_statement(penalty: sp.Expr = PENALTY, factor: int = 1, targets: int = 1) -> Expression:
    """Return ``-2 Phi^T (Y - Phi w) + 2 lambda w`` at one weight."""
    i, p, q = Index("i", _POINTS), Index("p", _FEATURES), Index("q", _FEATURES)
    fitted = total(i, atom("J", i, p) * total(q, atom("J", i, q) * atom("omega", q)))
    to_fit = total(i, atom("J", i, p) * atom("Y", i))
    statement: Expression = 2 * factor * fitted - 2 * factor * targets * to_fit + 2 * penalty * atom("omega", p)
    return statement


def _prediction_statement(penalty: sp.Expr = PENALTY, factor: int = 1) -> Operator:
    slope = function_of_theta(1 / (eigenvalue + penalty), eigenvalue)
    statement: Operator = factor * (word(KERNEL) @ (slope @ word(Y)))
    return statement


def _one_sided(numerator: sp.Expr) -> Operator:
    """Return what is left of the identity if the left side has another function of K in place of K + lambda."""
    return _in_feature_space(identity(PARAMETERS), numerator / (eigenvalue + PENALTY))


CLAIMS = (
    stated(
        "eq4",
        "The model is linear in m features",
        "2",
        r"y = \phi(x)^{\top} w",
        shown.linear_model,
        Kind.DEFINITION,
        Stated("a definition"),
    ),
    stated(
        "eq5",
        "The design matrix has the features of an input in each row",
        "2",
        r"\Phi_{i j} = \phi_{j}(x_{i}),\qquad \Phi \in \mathbb{R}^{n \times m}",
        shown.design_matrix,
        Kind.DEFINITION,
        Stated("a definition"),
    ),
    stated(
        "eq6",
        "Ridge regression minimizes squared residuals plus λ times the squared norm of the weights",
        "2",
        r"w^{*} = \operatorname{argmin}_{w} \left|\mathcal{Y} - \Phi w\right|^{2} + \lambda \left|w\right|^{2}",
        shown.objective,
        Kind.DEFINITION,
        Stated("a definition", (_POSITIVE,)),
        Status.ASSUMPTION,
    ),
    Claim(
        id="eq7",
        title="The gradient of the ridge objective, whose only zero is the closed form of the minimizer",
        section="2",
        equation="7",
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        theorem=gradient_of_ridge,
        statement=_gradient_statement,
        mutants=lambda: (
            Mutant("half of λ", _gradient_statement(PENALTY / 2)),
            Mutant("residuals count half", _gradient_statement(PENALTY * 2)),
            Mutant("λ is missing", _gradient_statement(sp.S.Zero)),
            Mutant("the targets have the wrong sign", _gradient_statement(targets=-1)),
        ),
        exhibits=shown.minimizer,
        rests_on=("eq6",),
        unstated=(_POSITIVE, _WRITTEN),
    ),
    Claim(
        id="eq8-push-through",
        title="A matrix moves through the inverse: (ΦᵀΦ + λ)⁻¹ Φᵀ = Φᵀ (ΦΦᵀ + λ)⁻¹",
        section="2",
        equation="8",
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        theorem=push_through,
        statement=lambda: word(JACOBIAN_T),
        mutants=lambda: (
            Mutant("λ on one side only", _one_sided(eigenvalue)),
            Mutant("λ is doubled on one side", _one_sided(eigenvalue + 2 * PENALTY)),
            Mutant("nothing is inverted", _one_sided((eigenvalue + PENALTY) ** 2)),
        ),
        exhibits=shown.moved_inverse,
        unstated=(_POSITIVE, "the two identities are of sizes m and n", _WRITTEN),
    ),
    Claim(
        id="eq8",
        title="The prediction of ridge regression in inner products of features alone",
        section="2",
        equation="8",
        kind=Kind.IDENTITY,
        status=Status.ASSUMPTION,
        theorem=prediction,
        statement=_prediction_statement,
        mutants=lambda: (
            Mutant("λ is doubled", _prediction_statement(2 * PENALTY)),
            Mutant("λ is subtracted", _prediction_statement(-PENALTY)),
            Mutant("the prediction has the wrong sign", _prediction_statement(factor=-1)),
        ),
        exhibits=shown.predictions,
        rests_on=("eq7", "eq8-push-through"),
        unstated=(_POSITIVE, "the two identities are of sizes m and n", _WRITTEN),
    ),
    stated(
        "eq9",
        "Inner products of features are values of a kernel",
        "2.1",
        r"(\Phi \Phi^{\top})_{i j} = \phi(x_{i})^{\top} \phi(x_{j}) = \mathcal{K}(x_{i}, x_{j}),\qquad "
        r"(\phi(x)^{\top} \Phi^{\top})_{j} = \mathcal{K}(x, x_{j})",
        shown.kernel_values,
        Kind.DEFINITION,
        Stated("a definition"),
    ),
    stated(
        "sec2.1-dodge",
        "Predictions need the kernel alone: no vector of features is ever formed",
        "2.1",
        r"y(x) = \mathcal{K}(x, \mathcal{X}) (\mathcal{K} + \lambda)^{-1} \mathcal{Y}",
        shown.kernel_alone,
        Kind.REMARK,
        Stated("a remark that follows from eqs 8 and 9"),
    ),
)
