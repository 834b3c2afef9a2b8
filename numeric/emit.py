"""The kernels of one activation as a module to paste into other code: NumPy and SciPy, or JAX, and nothing else.

Formulas are printed from the theorems, those of the duals as those of the recursion over layers. What is no formula is
the text of tested functions of this stage, see :mod:`numeric.emit_sources`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from keyword import iskeyword

import sympy as sp

from derive.activations import ACTIVATIONS, Activation, activation
from derive.duals import dual
from derive.duals.function_class import NotInClass
from derive.duals.functions import BivariateTail
from derive.duals.integration import NotIntegrable, gaussian_mean
from derive.duals.theorems import ClosedForm, mean_theorem
from derive.theorem import Theorem
from numeric import lower_duals, special, standalone
from numeric.emit_formula import LINE, wrapped
from numeric.emit_functions import MEANS, TAKEN, Forms, dual_text, kernels_text, layer_texts, series_texts
from numeric.emit_sources import Import, import_lines, names_in, standing_alone
from numeric.lower_duals import ROUNDING, closed_forms_far_out, closed_forms_for_floats, lowered_dual

_HELPERS = (
    (standalone, ("FloatArray", "iterated_layers")),
    (special, ("arc_moment", "spread", "exp_spread", "away_from_zero", "replaced_where")),
    (lower_duals, ("HermiteMehler",)),
)
_IMPORTS: Mapping[str, Import] = {
    "np": ("numpy as np", ""),
    "ArrayLike": ("numpy.typing", "ArrayLike"),
    "partial": ("functools", "partial"),
    **{name: ("scipy.special", name) for name in ("erf", "erfc", "expit", "ndtr")},
}
_JAX_IMPORTS: Mapping[str, Import] = {
    "Array": ("jax", "Array"),
    "ArrayLike": ("jax.typing", "ArrayLike"),
    "jnp": ("jax.numpy as jnp", ""),
    "math": ("math", ""),
    "np": ("numpy as np", ""),
}
_PLAIN = {"Atan2": "atan2", "NormalCdf": "Phi", "Heaviside": "step", "Abs": "abs", "Max": "max", "Min": "min"}
_LONGEST_RATIONAL = 16
"""Digits of a rational number beyond which it is shown as a decimal; chosen."""
_MEHLER = "sum over k >= 0 of rho^k/k! A(a) A(b), A(a) = E[{}(sqrt(a) x) He_k(x)]"
_INDENT = " " * 8
_MEANINGS = {
    "He_k": "rho = c/sqrt(a b), and He_k is the Hermite polynomial orthogonal for a standard normal x",
    "L": "L(h, k, rho) = P(X > h, Y > k) for standard normals X and Y of correlation rho",
    "Phi": "Phi(x) = P(X < x) for a standard normal X",
}


def with_positive_parameters(which: str | sp.Expr | Activation) -> Activation:
    """Return an activation with its parameters positive.

    Raises:
        ValueError: as :func:`derive.activations.activation`, or if a parameter has a name that means something else.
    """
    row = activation(which, parameters=True)
    for name in map(str, row.parameters):
        if name in TAKEN or not name.isidentifier() or iskeyword(name):
            raise ValueError(f"expected another name for the parameter {name}: it means something else here; rename it")
    positive = {symbol: sp.Symbol(str(symbol), positive=True) for symbol in row.parameters}
    return Activation(row.name, row.expression.xreplace(positive), row.aliases) if positive else row


def python_source(which: str | sp.Expr | Activation, weak: bool = False) -> str:
    """Return a module with ``dual(a, b, c, D)`` and ``nngp_and_ntk(x1, x2, ...)`` for NumPy and SciPy.

    Args:
        which: name, text, SymPy expression or activation; parameters besides z are positive, and keyword arguments.
        weak: whether phi' is the weak derivative, with a Dirac delta where phi jumps.

    Raises:
        NotPiecewise: if the pieces of the activation cannot be told apart.
        ValueError: if a dual has no elementary closed form, and the activation has parameters or phi' Dirac deltas, so
            that no series can be summed; or as :func:`with_positive_parameters`.
    """
    row = with_positive_parameters(which)
    forms = closed_forms_for_floats(row, weak)
    functions, objects = series_texts(row, forms, weak)
    functions = [dual_text(row, forms, closed_forms_far_out(row, weak)), kernels_text(row), *layer_texts(), *functions]
    return _module(_description(row, forms, weak), functions, objects)


def jax_source(which: str | sp.Expr | Activation, weak: bool = False) -> str:
    """Return a module with ``dual(a, b, c, D)`` for JAX; arguments as of :func:`python_source`.

    Raises:
        ValueError: if a dual has no elementary closed form, or as :func:`with_positive_parameters`.
    """
    row = with_positive_parameters(which)
    forms, far = closed_forms_for_floats(row, weak), closed_forms_far_out(row, weak)
    # without a series the small means of nearly opposite inputs have fewer digits, absolute errors are the same
    forms = forms[0] or (far[0].everywhere if far[0] else None), forms[1] or (far[1].everywhere if far[1] else None)
    if None in forms:
        raise ValueError(
            f"expected duals with elementary closed forms, those of {row.name} have none; emit NumPy instead"
        )
    description = f"{_description(row, forms, weak)}\nJAX computes in float64 only if jax_enable_x64 is set."
    return _module(description, [dual_text(row, forms, jax=True)], jax=True)


def evaluation(row: Activation, forms: Forms, weak: bool = False) -> str:
    """Return how the two duals are computed in float64, and with which error, in words.

    Raises:
        ValueError: if one would be summed as a series but is not known to exist.
    """

    def told(order: int) -> str:
        if forms[order] is not None:
            return f"from a closed form, errors measured below {ROUNDING:.0e}"
        if order and weak and row.jumps:
            return "not at all: without an elementary closed form Dirac deltas would have to be summed"
        if row.parameters:
            return f"as a Hermite-Mehler series, once there are numbers for {', '.join(map(str, row.parameters))}"
        function = row.derivative if order else row.expression
        try:
            gaussian_mean(function, function, 1, 1, 1, digits=3)
        except NotIntegrable as error:
            raise ValueError(f"expected a square with a mean at variance 1, got {plain(function)}: {error}") from None
        lowered = lowered_dual(row)
        bound = (lowered.value, lowered.derivative)[order].error
        why = " as terms of the closed form cancel," if has_closed_form else ""
        far = closed_forms_far_out(row, weak)[order]
        if far:
            why += f" and from that form if {far.where},"
        return f"as a Hermite-Mehler series,{why} errors estimated below {bound:.0e}"

    has_closed_form = not why_no_closed_form(row)
    value, derivative = told(0), told(1)
    both = f"each {value}" if value == derivative else f"the first {value}, the second {derivative}"
    return f"{both}, relative to sqrt(k(a,a)*k(b,b))" if "below" in both else both


def theorems_on(row: Activation, weak: bool = False) -> tuple[Theorem, Theorem]:
    """Return the theorems on both duals; without a closed form, those with a series on the right side.

    Raises:
        ValueError: if there is no closed form and phi' has Dirac deltas, which no series is for.
    """
    try:
        proven = dual(row, weak)
    except NotInClass as error:
        if weak and row.jumps:
            raise ValueError(f"expected a closed form of the dual of a weak derivative, but {error}") from None
        return mean_theorem(row, 0), mean_theorem(row, 1)
    return proven.theorem, proven.derivative_theorem


def why_no_closed_form(row: Activation) -> str:
    """Return the part of an activation that is outside the class with closed forms, and why; empty if there is none."""
    try:
        dual(row)
    except NotInClass as error:
        return str(error)
    return ""


def notes_of(theorems: Iterable[Theorem]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the facts that evaluated Gaussian means, and remarks on what they are."""
    notes = [theorem.steps[-1].used.note.partition("; ") for theorem in theorems]
    facts = {fact for used, _, _ in notes for fact in used.removeprefix("used: ").split(", ")}
    return tuple(sorted(facts)), tuple(remark for _, _, remark in notes if remark)


def plain(expression: sp.Expr) -> str:
    """Return an expression as Python would have it, with the names that its functions have in the literature."""

    def changed(e: sp.Expr) -> sp.Expr:
        if isinstance(e, BivariateTail):
            return sp.Function("L")(*e.args[:2], e.correlation)
        return sp.Float(e.p / e.q, 15)

    shown = expression.replace(lambda e: isinstance(e, BivariateTail), changed)
    shown = shown.replace(lambda e: e.is_Rational and len(f"{e.p}{e.q}") > _LONGEST_RATIONAL, changed)
    return re.sub("|".join(_PLAIN), lambda found: _PLAIN[found[0]], str(sp.sstr(shown)))


def _module(description: str, functions: Sequence[str], objects: Sequence[str] = (), jax: bool = False) -> str:
    """Return a module: what it is about, functions for users, the functions that these use, objects made of them."""
    used = frozenset[str]().union(*map(names_in, [*functions, *objects]))
    imports = {_IMPORTS[name] for name in used & {*_IMPORTS}}
    wanted = [(module, name) for module, names in _HELPERS for name in names if name in used]
    helpers, needed = standing_alone(wanted)
    imports |= needed
    alias = helpers.pop("FloatArray")
    blocks = [*functions, *helpers.values(), *filter(None, ["\n".join(objects)])]
    if jax:
        alias = "FloatArray = Array"
        blocks = [re.sub(r"\bnp\.(?!polynomial)", "jnp.", block) for block in blocks]
        used = names_in("\n".join([alias, *blocks]))
        imports = {_JAX_IMPORTS[name] for name in used & {*_JAX_IMPORTS}}
    head = [f'"""{description}\n"""', "", "from __future__ import annotations", *import_lines(imports), "", alias]
    return "\n\n\n".join(["\n".join(head), *blocks]) + "\n"


def _description(row: Activation, forms: Forms, weak: bool) -> str:
    """Return the docstring of a module: what was derived, from what, under which conditions, how it is computed."""
    theorems = theorems_on(row, weak)
    facts, remarks = notes_of(theorems)
    which = f" with the activation {row.name}" if row in ACTIVATIONS else ""
    lines = [f"Kernels of infinitely wide networks{which}, derived by widelimit {version('widelimit')}.", ""]
    lines += [*wrapped(f"    phi(z) = {plain(row.expression)}", LINE, _INDENT), ""]
    lines += ["For a centred Gaussian pair (u, v) of variances a, b, covariance c and D = ab - c^2", ""]
    for mean, theorem in zip(MEANS.values(), theorems, strict=True):
        series = _MEHLER.format("phi'" if "'" in mean else "phi")
        side = plain(theorem.rhs.expression) if isinstance(theorem.rhs, ClosedForm) else series
        lines += wrapped(f"    {mean} = {side}", LINE, _INDENT)
    conditions = ["a, b, D >= 0", *(f"{name} > 0" for name in row.parameters)]
    conditions += dict.fromkeys(assumption for theorem in theorems for assumption in theorem.assumptions)
    meanings = [text for name, text in _MEANINGS.items() if f"{name}(" in "".join(lines[4:])]
    text = "; ".join([f"if {', '.join(conditions)}", *meanings, f"facts used: {', '.join(facts)}", *remarks])
    reason = why_no_closed_form(row)
    rest = [f"{text}.", f"No closed form is known: {reason}." if reason else ""]
    lines += ["", *textwrap.wrap(" ".join(filter(None, rest)), LINE)]
    lines += textwrap.wrap(f"In float64 {evaluation(row, forms, weak)}.", LINE)
    return "\n".join(lines)
