"""The functions of an emitted module as text: the duals, the activation, the recursion over layers.

Formulas are printed from the theorems; the text is as the formatter would have it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping

import sympy as sp

from derive.activations import Activation
from derive.duals.stable import stable
from derive.duals.theorems import ClosedForm
from derive.notation import D, input_dimension, sigma_b, sigma_w, z
from derive.pieces import pieces
from numeric.emit_formula import LINE, assignments
from numeric.kernels import derived_recursion
from numeric.lower_duals import FarForm, undefined_at_zero
from numeric.lower_functions import jumps_in_floats, near_zero, without_overflow

Forms = tuple[ClosedForm | None, ClosedForm | None]
FarForms = tuple[FarForm | None, FarForm | None]

MEANS = {"value": "E[phi(u) phi(v)]", "derivative": "E[phi'(u) phi'(v)]"}
_SPECIAL = {"erf", "erfc", "expit", "ndtr", "arc_moment", "spread", "exp_spread"}
_FORMULAS = {*"abcDkuvz", "L", "rho", "np", "jnp", "math", *_SPECIAL}
_FUNCTIONS = {
    "phi",
    "dphi",
    "dual",
    "partial",
    "functions",
    "exists",
    "zeros",
    "x",
    "x1",
    "x2",
    "hidden_layers",
    *MEANS,
}
TAKEN = frozenset({*_FORMULAS, *_FUNCTIONS, "sigma_w", "sigma_b", "first_layer", "next_layer", "iterated_layers"})
"""Names that a parameter cannot have."""

_SERIES = {"value": ("VALUE", "phi"), "derivative": ("DERIVATIVE", "dphi")}
_PAIR = "tuple[FloatArray, FloatArray]"
_SMALLEST = "1e-300"
_QUIET = '@np.errstate(over="ignore", under="ignore")\n'
_CAN_OVERFLOW = re.compile(r"\b(exp\w*|sinh|cosh|logaddexp)\(")


def dual_text(row: Activation, forms: Forms, far: FarForms = (None, None), jax: bool = False) -> str:
    """Return the function of the duals: closed forms, and calls of what :func:`series_texts` makes for the others."""
    used = {name: form for name, form in zip(MEANS, far, strict=True) if form is not None}
    closed = {name: form for name, form in zip(MEANS, forms, strict=True) if form is not None}
    closed |= {name: form.form for name, form in used.items()}
    body = ["a, b, c, D = (np.asarray(x, dtype=float) for x in (a, b, c, D))"]
    exists = sp.And(*(mass > 0 for form in closed.values() for mass in form.positive))
    if exists != sp.true and not jax:  # a traced array has no truth value
        body += assignments({"exists": exists}, TAKEN)
        body += [
            "if not np.all(exists):",
            '    raise ValueError("the means do not exist at these variances; take smaller inputs")',
        ]
    expressions = {name: stable(form.expression) for name, form in closed.items()}
    if any(undefined_at_zero(form.expression) for form in closed.values()):
        body.append("a, b, D = away_from_zero(a, b, D)")
    divisors = [power.base for e in expressions.values() for power in e.atoms(sp.Pow) if power.exp.is_negative]
    if any(divisor.subs(D, 0) == 0 for divisor in divisors):
        body.append(f"D = np.maximum(D, {_SMALLEST})  # the mean has a limit at D = 0, or is infinite there")
    body += assignments(expressions, [*TAKEN, *map(str, row.parameters)])
    body += [f"{name} = {_SERIES[name][0]}(a, b, c, D)" for name in MEANS if name not in closed]
    for name, form in used.items():
        body.append(f"{name} = replaced_where({form.least}, {form.opposite}, {_SERIES[name][0]}, {name}, a, b, c, D)")
    body.append("zeros = np.zeros(np.broadcast_shapes(a.shape, b.shape, c.shape, D.shape))")
    body.append("return value + zeros, derivative + zeros")
    arguments = {
        **{"a: ArrayLike": "variance of u.", "b: ArrayLike": "variance of v.", "c: ArrayLike": "their covariance."},
        "D: ArrayLike": "ab - c^2; where it is small it has more digits than a, b and c would give it.",
    }
    first = f"Return {MEANS['value']} and {MEANS['derivative']}, broadcast."
    text = _function("dual", first, arguments | _keywords(row), body, _PAIR)
    return _QUIET + text if _CAN_OVERFLOW.search(text) and not jax else text


def kernels_text(row: Activation) -> str:
    """Return the function of the kernels of a network."""
    first = "Return the NNGP kernel K and the neural tangent kernel Theta of one output, each of shape (n1, n2)."
    more = """
The network is z^1 = sigma_w/sqrt(d) W x + sigma_b b, z^(l+1) = sigma_w/sqrt(N) W phi(z^l) + sigma_b b. Its
parameters are the entries of all W and b, independent standard normals, and its widths N go to infinity.
"""
    arguments = {
        "x1: ArrayLike": "inputs of shape (n1, d).",
        "x2: ArrayLike | None = None": "inputs of shape (n2, d); x1 if not given.",
        "hidden_layers: int = 1": "how often phi is applied; 0 is the linear model.",
        "sigma_w: float = 1.0": "standard deviation of the weights.",
        "sigma_b: float = 0.0": "standard deviation of the biases.",
    }
    given = ", ".join(f"{name}={name}" for name in row.parameters)
    means = f"partial(dual, {given})" if given else "dual"
    body = [
        f"functions = {means}, first_layer, next_layer",
        "return iterated_layers(functions, x1, x2, hidden_layers, sigma_w, sigma_b)",
    ]
    return _function("nngp_and_ntk", first + "\n" + more.rstrip(), arguments | _keywords(row), body, _PAIR)


def layer_texts() -> list[str]:
    """Return the derived recursion as functions: its lowered right sides, applied to symbols."""
    recursion = derived_recursion().lowered
    dot, gram, distance, *below = map(sp.Symbol, ("dot", "gram", "distance", "value", "derivative", "tangent", "K"))
    first = {
        "kernel": recursion.first_kernel(dot, input_dimension, sigma_w, sigma_b),
        "tangent": recursion.first_tangent(dot, input_dimension, sigma_w, sigma_b),
        "determinant": recursion.first_determinant(gram, distance, sigma_w, sigma_b, input_dimension),
    }
    further = {
        "kernel": recursion.kernel(*below, sigma_w, sigma_b),
        "tangent": recursion.tangent(*below, sigma_w, sigma_b),
    }
    scales = {"sigma_w: float": "", "sigma_b: float": ""}
    products = {f"{name}: FloatArray": "" for name in ("dot", "gram", "distance")}
    means = {f"{name}: FloatArray": "" for name in ("value", "derivative", "tangent")}
    return [
        _function(
            "first_layer",
            "Return K, Theta and K(x,x) K(x',x') - K(x,x')^2 from x.x', |x|^2 |x'|^2 - (x.x')^2, |x - x'|^2, and d.",
            products | {"d: int": ""} | scales,
            [*assignments(first), "return kernel, tangent, determinant"],
            "tuple[FloatArray, FloatArray, FloatArray]",
        ),
        _function(
            "next_layer",
            "Return K and Theta from the duals at K of the layer below and from Theta of that layer.",
            means | scales,
            [*assignments(further), "return kernel, tangent"],
            _PAIR,
        ),
    ]


def series_texts(row: Activation, forms: Forms, weak: bool) -> tuple[list[str], list[str]]:
    """Return what sums the duals without a closed form: functions (phi, phi'), and statements that make series of them.

    Raises:
        ValueError: if there is no function to sum: the activation has parameters, or phi' Dirac deltas.
    """
    functions, statements = [], []
    for name, form in zip(MEANS, forms, strict=True):
        if form is not None:
            continue
        if row.parameters:
            symbols = ", ".join(map(str, row.parameters))
            raise ValueError(
                f"expected numbers for {symbols}: {MEANS[name]} has no elementary closed form; insert them"
            )
        if weak and row.jumps and name == "derivative":
            raise ValueError(
                f"expected the pathwise phi': the weak one has Dirac deltas and {MEANS[name]} no elementary closed form"
            )
        series, function = _SERIES[name]
        expression = row.derivative if name == "derivative" else row.expression
        breaks = tuple(float(part.low) for part in pieces(expression)[1:])
        functions.append(_activation_text(function, expression))
        statements.append(f"{series} = HermiteMehler({function}, {breaks})")
    return functions, statements


def _activation_text(name: str, expression: sp.Expr) -> str:
    """Return phi or phi' as a function; each piece is evaluated on its own side only, so that none overflows."""
    result, where = sp.Symbol("result"), sp.Function("where")
    body = ["z = np.asarray(z, dtype=float)"]
    for n, part in enumerate(pieces(expression)):
        value = without_overflow(near_zero(part.expression))
        if not value.is_polynomial(z) and not (part.low.is_infinite and part.high.is_infinite):
            low, high = ([] if end.is_infinite else [end] for end in (part.low, part.high))
            value = value.xreplace({z: sp.Min(*high, sp.Max(*low, z, evaluate=False), evaluate=False)})
        if n:
            value = where(z > part.low, value, result)
        elif not value.has(z):
            value = sp.Function("full_like")(z, value)
        body += assignments({"result": value}, ["z"])
    for point, mean in jumps_in_floats(expression).items():
        body.append(f"result = np.where(z == {point}, {mean}, result)")
    body.append("return result")
    first = f"Return the {'derivative of the ' if name == 'dphi' else ''}activation."
    text = _function(name, first, {"z: ArrayLike": ""}, body, "FloatArray")
    return _QUIET + text if _CAN_OVERFLOW.search(text) else text


def _keywords(row: Activation) -> dict[str, str]:
    if not row.parameters:
        return {}
    return {"*": "", **{f"{name}: float": "parameter of the activation." for name in row.parameters}}


def _function(name: str, docstring: str, arguments: Mapping[str, str], body: Iterable[str], returns: str) -> str:
    """Return a function; arguments are described if anything is said of them, and get lines of their own if many."""
    described = [f"    {text.partition(':')[0]}: {meaning}" for text, meaning in arguments.items() if meaning]
    if described:
        docstring = "\n".join([docstring, "", "Args:", *described])
    signature = f"def {name}({', '.join(arguments)}) -> {returns}:"
    if len(signature) > LINE:
        signature = "".join([f"def {name}(\n", *(f"    {text},\n" for text in arguments), f") -> {returns}:"])
    quoted = f'"""{docstring}' + ('\n"""' if "\n" in docstring else '"""')
    return "\n".join([signature, textwrap.indent("\n".join([quoted, *body]), "    ")])
