"""The duals of an activation as they read on a terminal, and in LaTeX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from derive.activations import ACTIVATIONS, Activation
from derive.duals.theorems import GAUSSIAN_PAIR, ClosedForm
from derive.typeset import latex, plain, sympy_latex
from numeric import proven_error
from numeric.emit import evaluation, notes_of, theorems_on, why_no_closed_form
from numeric.emit import plain as typed
from numeric.emit_formula import wrapped
from numeric.lower_duals import closed_forms_for_floats
from verify.parts import part

_ANY_RADIUS = "numeric.certified.certified_dual: a ball around the value, of any radius"
_MEANS = r"\mathbb{E}[\phi(u)\,\phi(v)]", r"\mathbb{E}[\dot{\phi}(u)\,\dot{\phi}(v)]"
_MEANINGS = {
    r"\operatorname{L}": (
        r"\operatorname{L}(h, k; r) = P(X > h, Y > k)",
        "for standard normals X and Y of correlation r",
    ),
    r"\Phi": (r"\Phi(x) = P(X < x)", "for a standard normal X"),
    r"\theta": (r"\theta(z) = 1", "for z > 0 and 0 for z < 0"),
    r"\rho": (r"\rho = c/\sqrt{a b}", "and He are the Hermite polynomials orthogonal for a standard normal x"),
}
_FACTS = {
    "Price": "∂/∂c E[f(u) g(v)] = E[f'(u) g'(v)]",
    "Stein": "E[u f] = a E[∂f/∂u] + c E[∂f/∂v]",
    "linearity": "means of sums are sums of means",
    "slice": "E[δ(u - t) f] is the density of u at t times E[f | u = t]",
    "tilt": "exponentials shift and scale the Gaussian",
    "Parseval": "the remainder of a series of orthogonal functions is known from its norm",
}
_LONG_FORMULA = 200
"""Characters of LaTeX from which a sum gets one line for each term; chosen."""


def kernel_page(row: Activation, weak: bool, columns: int) -> Iterator[RenderableType]:
    """Yield everything about the duals of an activation: formulas, conditions, facts, and how float64 gets them.

    Args:
        row: the activation.
        weak: whether its derivative is the weak one.
        columns: of the terminal; rich would break formulas within products.

    Raises:
        ValueError: if the duals are not known to exist, or there is a weak derivative but no closed form.
    """
    theorems = theorems_on(row, weak)
    facts, remarks = notes_of(theorems)
    formulas = [latex(theorem.rhs) for theorem in theorems]
    yield Text.assemble((f"{row.name}  " if row in ACTIVATIONS else "", "bold"), f"φ(z) = {typed(row.expression)}")
    for mean, formula in zip(_MEANS, formulas, strict=True):
        yield from part(plain(mean), wrapped(plain(formula), columns - 2))
    meanings = (f"{plain(what)} {whose}" for name, (what, whose) in _MEANINGS.items() if name in "".join(formulas))
    yield from part("For", [GAUSSIAN_PAIR.name, *meanings])
    assumed = dict.fromkeys(assumption for theorem in theorems for assumption in theorem.assumptions)
    yield from part("If", ["a, b and D are not negative", *(f"{name} > 0" for name in row.parameters), *assumed])
    yield from part("Facts used", [f"{fact}: {_FACTS[fact]}" if fact in _FACTS else fact for fact in facts])
    yield from part("Derivative", remarks)
    yield from part("No closed form is known", filter(None, [why_no_closed_form(row)]))
    yield from part("In float64", [evaluation(row, closed_forms_for_floats(row, weak), weak)])
    if not row.parameters:
        yield from part("Guaranteed", [*_proven_errors(row, weak), _ANY_RADIUS])


def _proven_errors(row: Activation, weak: bool) -> Iterator[str]:
    """Yield what is proven on the errors of duals that are summed as series; numbers are rounded up."""
    forms = closed_forms_for_floats(row, weak)
    most = proven_error.SHOWN_OPERATIONS
    for order, form in enumerate(forms):
        if form is None and not (order and weak and row.jumps):
            shown = proven_error.shown_error(row, order, most)
            which = f"the {('first', 'second')[order]} in float64"
            if shown.proven:
                yield (
                    f"{which}: errors proven to be at most {1.05 * shown.error:.1e}, relative as above, "
                    f"at (a, b, c) = {_points(shown.proven)}"
                )
            for pair, reason in shown.refused.items():
                yield f"{which}: not computed at (a, b, c) = {_points([pair])}: {reason}"
            if shown.unproven:
                yield (
                    f"{which}: not proven within the {most:,} operations that this page allows "
                    f"at (a, b, c) = {_points(shown.unproven)}, where there is only the estimate above; "
                    "proven_means is allowed more"
                )
    if None in forms:
        yield "numeric.proven_error.proven_means: a proven error of the value in float64, at any pairs"


def _points(pairs: Iterable[tuple[float, float, float]]) -> str:
    return ", ".join(f"({a:g}, {b:g}, {c:g})" for a, b, c in pairs)


def kernel_latex(row: Activation, weak: bool) -> str:
    """Return the duals of an activation in LaTeX, an ``align*`` and a sentence; errors as :func:`kernel_page`."""
    theorems = theorems_on(row, weak)
    sides = [sympy_latex(row.expression), *(_aligned(theorem.rhs) for theorem in theorems)]
    lines = [rf"{name} &= {side}" for name, side in zip((r"\phi(z)", *_MEANS), sides, strict=True)]
    block = " \\\\\n".join(lines).replace(r"\mathbb{E}", r"\operatorname{E}")  # amsmath alone has no blackboard letters
    assumed = dict.fromkeys(assumption for theorem in theorems for assumption in theorem.assumptions)
    meanings = (f"${what}$ {whose}" for name, (what, whose) in _MEANINGS.items() if name in "".join(sides))
    pair = r"$u, v$ are centred Gaussian with variances $a, b$ and covariance $c$, $D = ab - c^{2}$"
    return "\n".join(
        [
            "% derived by widelimit; needs amsmath",
            *(f"% if {condition}" for condition in assumed),
            r"\begin{align*}",
            block,
            r"\end{align*}",
            f"Here {'; '.join([pair, *meanings])}.\n",
        ]
    )


def _aligned(side: Any) -> str:
    """Return the LaTeX of a right side, a long sum with one term on a line."""
    formula = latex(side)
    if len(formula) <= _LONG_FORMULA or not isinstance(side, ClosedForm):
        return formula
    first, *others = (sympy_latex(term) for term in side.expression.as_ordered_terms())
    signed = (term if term.startswith("-") else f"+ {term}" for term in others)
    return " \\\\\n&\\quad ".join([first, *signed])
