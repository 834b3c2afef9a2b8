"""Rules of inference: from theorems to a theorem about laws, or about all layers."""

from __future__ import annotations

import sympy as sp

from derive.laws import GaussianProcess, Law
from derive.model import Hypothesis
from derive.notation import layer, width
from derive.rules.traversal import require_same_model
from derive.terms import Atom, Delta, Expression, Index, Mean, delta
from derive.theorem import Conclusion, Theorem, Where, inference

SEQUENTIAL = "widths go to infinity one after the other, from the input to the output"
CONVERGENCE_OF_MEANS = "the activation grows at most polynomially, so that means converge when laws do"


@inference("a linear image of independent standard normals is Gaussian, with covariance its second moment")
def gaussian_law(second_moment: Theorem) -> Conclusion:
    """Return the law of ``z`` from the theorem ``E[z_k(x) z_k'(x') | given] = C``.

    Raises:
        ValueError: if z is not linear in the Gaussian families once ``given`` is fixed, or the theorem is only a limit.
    """
    mean_, (first, _) = _second_moment(second_moment)
    model = second_moment.model
    definition = model.definition(first.head, first.layer)
    if definition is None:
        raise ValueError(f"{first.head} is not defined in the model {model.name!r}; its law cannot be known")
    for _, factors, _ in definition.body:
        random = [f for f in factors if model.is_random(f, mean_.given)]
        if len(random) != 1 or not (isinstance(random[0], Atom) and random[0].head in model.gaussian):
            raise ValueError(f"{first.key} is not linear in independent standard normals, so it need not be Gaussian")
    if second_moment.relation != "=":
        raise ValueError("an exact law needs the exact second moment, not a limit")
    assert isinstance(second_moment.rhs, Expression)  # the right side of a theorem on expectations
    return Conclusion(Law(first, mean_.given), "=", GaussianProcess(second_moment.rhs))


@inference(
    "a mixture of centred Gaussians whose covariance tends to a constant in probability tends to that Gaussian: "
    "the characteristic functions converge by dominated convergence"
)
def gaussian_mixture(conditional: Theorem, covariance_limit: Theorem) -> Conclusion:
    """Return the limit law of ``z`` from its conditional law and the limit of the conditional covariance."""
    law, process = conditional.lhs, conditional.rhs
    if not (isinstance(law, Law) and isinstance(process, GaussianProcess)):
        raise TypeError("the first premise must be a conditional law")
    conditional_mean, (first, _) = _second_moment(covariance_limit)
    if first != law.variable or conditional_mean.given != law.given:
        raise ValueError("the second premise must be the limit of the conditional covariance of the first")
    require_same_model(conditional.model, covariance_limit)
    if not isinstance(covariance_limit.rhs, Expression):
        raise TypeError("the second premise must be a theorem on expressions")
    if any(covariance_limit.model.is_random(f) for _, factors, _ in covariance_limit.rhs for f in factors):
        raise ValueError("the covariance must tend to something that is not random")
    return Conclusion(Law(law.variable), "→", GaussianProcess(covariance_limit.rhs))


@inference("induction over the layers: true at layer 1, and at layer l whenever at layer l-1")
def induction(base: Theorem, step: Theorem, *lemmas: Theorem) -> Conclusion:
    """Return the statement for all layers, with the recursion that its symbol obeys.

    The hypothesis that is discharged is the one whose statement at layer 1 is the base and at layer l the step. Its
    right side is ``S^{l-1} delta``; the base then defines ``S^1`` and the step ``S^l``. Other hypotheses of the step
    are discharged by lemmas that prove them for all layers.

    Raises:
        ValueError: if no hypothesis of the step has this shape, or one is left that no lemma proves.
    """
    for assumed in step.hypotheses:
        if _matches(assumed, base, 2) and _matches(assumed, step, layer + 1):
            break
    else:
        raise ValueError("the step assumes nothing whose instance at layer 1 is the base and at layer l the conclusion")
    if base.hypotheses:
        raise ValueError(f"the base rests on {[h.name for h in base.hypotheses]}; it must stand alone")
    proven = tuple(h for h in step.hypotheses if any(_proves(lemma, h) for lemma in lemmas))
    left = [h.name for h in step.hypotheses if h is not assumed and h not in proven]
    if left:
        raise ValueError(f"the hypotheses {left} of the step remain; prove them for all layers first")
    symbol = scalar_of(_covariance(assumed.rhs))
    where = (
        Where(symbol.at_layer(layer, 2), scalar_of(_covariance(base.rhs))),
        Where(symbol.at_layer(layer, layer + 1), scalar_of(_covariance(step.rhs))),
    )
    first, second = _indices(step.rhs)
    conclusion = symbol.at_layer(layer, layer + 1) * delta(first, second)
    rhs = GaussianProcess(conclusion) if isinstance(step.rhs, GaussianProcess) else conclusion
    return Conclusion(
        step.lhs,
        "→",
        rhs,
        assumptions=(SEQUENTIAL, CONVERGENCE_OF_MEANS),
        discharged=(assumed, *proven),
        limits=(width(2), width(layer)),
        where=where,
    )


def _second_moment(theorem: Theorem) -> tuple[Mean, tuple[Atom, Atom]]:
    """Return the expectation on the left of a theorem on ``E[z_k(x) z_k'(x')]`` and its two factors."""
    if isinstance(theorem.lhs, Expression):
        match list(theorem.lhs):
            case [((), (Mean() as mean_,), coefficient)] if coefficient == 1:
                match list(mean_.body):
                    case [((), (Atom() as first, Atom() as second), scale)] if scale == 1:
                        generic = first.indices != second.indices and first.inputs != second.inputs
                        if first.head == second.head and first.layer == second.layer and generic:
                            lower, upper = sorted((first, second), key=lambda a: a.inputs)
                            return mean_, (lower, upper)
    raise TypeError("expected a theorem on the mean of a product of two units of one family at two inputs")


def _name(term: object) -> Atom | None:
    """Return the atom a statement is about: the left side of a limit, or the variable of a law."""
    if isinstance(term, Law):
        return term.variable if not term.given else None
    if isinstance(term, Expression):
        match list(term):
            case [((), (Atom() as subject,), coefficient)] if coefficient == 1:
                return subject
    return None


def _same(subject: Atom | None, assumed: Hypothesis, at: sp.Expr | int) -> bool:
    """Return whether ``subject`` is what the hypothesis, moved to another layer, is about."""
    assert isinstance(assumed.lhs, Expression | Law)  # the two kinds of statements about layers
    expected = _name(assumed.lhs.at_layer(layer, at))
    if subject is None or expected is None:
        return False
    dimensions = [i.dimension for i in subject.indices], [i.dimension for i in expected.indices]
    return (subject.head, subject.layer, subject.inputs) == (
        expected.head,
        expected.layer,
        expected.inputs,
    ) and dimensions[0] == dimensions[1]


def _matches(assumed: Hypothesis, theorem: Theorem, at: sp.Expr | int) -> bool:
    return _same(_name(theorem.lhs), assumed, at)


def _proves(lemma: Theorem, assumed: Hypothesis) -> bool:
    """Return whether a theorem for all layers l, read at layer l-1, is the hypothesis."""
    if lemma.hypotheses or not isinstance(lemma.rhs, Expression | GaussianProcess):
        return False
    assert isinstance(assumed.rhs, Expression | GaussianProcess)  # the two kinds of statements about layers
    symbols = scalar_of(_covariance(lemma.rhs)), scalar_of(_covariance(assumed.rhs.at_layer(layer, layer + 1)))
    return _same(_name(lemma.lhs), assumed, layer + 1) and symbols[0] == symbols[1]


def _covariance(term: object) -> Expression:
    if isinstance(term, GaussianProcess):
        return term.covariance
    assert isinstance(term, Expression)  # the two kinds of right sides about layers
    return term


def _indices(term: object) -> tuple[Index, Index]:
    """Return the two indices of the delta that every term of a diagonal expression carries."""
    for _, factors, _ in _covariance(term):
        for f in factors:
            if isinstance(f, Delta):
                return f.indices
    raise ValueError("expected a right side that is diagonal in the unit indices")


def scalar_of(expression: Expression) -> Expression:
    """Return the scalar S of an expression of the form ``S delta``.

    Raises:
        ValueError: if a term does not carry the delta.
    """
    pair = Delta(*_indices(expression))
    scalar = Expression()
    for bound, factors, coefficient in expression:
        if factors.count(pair) != 1:
            raise ValueError(f"expected every term to carry the delta of {pair.first.name} and {pair.second.name}")
        rest = tuple(f for f in factors if f != pair)
        scalar = scalar + Expression([(bound, rest, coefficient)])
    return scalar
