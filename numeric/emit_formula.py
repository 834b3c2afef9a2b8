"""Formulas as lines of Python for people: shared parts get names, and a line is as the formatter would have it.

Python parses what SymPy prints, and the tree is written again with the names that NumPy and SciPy have for functions.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate, chain, count, pairwise

import sympy as sp

LINE = 120
"""Characters of a line."""
_LENGTH = LINE - 8
"""The same without its indentation."""
_LARGEST_INTEGER = 2**53
"""Larger integers are written as floats: an array of float64 times one of them is no array of float64."""
_SHORT_SUM = 5
"""Sums of more terms within something else get a name; chosen."""

_FUNCTIONS = {
    **{
        name: f"np.{name}"
        for name in ("exp", "log", "sin", "cos", "sinh", "cosh", "tanh", "sign", "expm1", "logaddexp")
    },
    **{f"a{name}": f"np.arc{name}" for name in ("sin", "cos", "tan", "sinh")},
    "Abs": "np.abs",
    "ArcMoment": "arc_moment",
    "Atan2": "np.arctan2",
    "ExpSpread": "exp_spread",
    "Expit": "expit",
    "NormalCdf": "ndtr",
    "Max": "np.maximum",
    "Min": "np.minimum",
    "Root": "np.sqrt",
    "Spread": "spread",
    "erf": "erf",
    "erfc": "erfc",
    "full_like": "np.full_like",
    "where": "np.where",
}
_CONSTANTS = {"pi": "np.pi", "E": "np.e"}
_NAMES = {
    "Abs": "modulus",
    "Add": "total",
    "ArcMoment": "arc",
    "Atan2": "angle",
    "ExpSpread": "exponential",
    "Max": "inside",
    "Min": "inside",
    "Root": "root",
    "exp": "exponential",
}

_OPERATORS: dict[type[ast.AST], tuple[str, int]] = {
    **{ast.Lt: ("<", 0), ast.LtE: ("<=", 0), ast.Gt: (">", 0), ast.GtE: (">=", 0), ast.BitAnd: ("&", 1)},
    **{
        ast.Add: ("+", 2),
        ast.Sub: ("-", 2),
        ast.Mult: ("*", 3),
        ast.Div: ("/", 3),
        ast.USub: ("-", 4),
        ast.Pow: ("**", 5),
    },
}
_ATOM = 6


class Root(sp.Function):  # type: ignore[misc]  # SymPy is untyped
    """The square root, kept as it is: powers with half-integer exponents share it."""

    nargs = 1


def code(expression: sp.Basic) -> str:
    """Return an expression in Python.

    Raises:
        ValueError: for a function that has no name here.
    """
    return _written(ast.parse(sp.sstr(_for_floats(expression), full_prec=True), mode="eval").body)[0]


def assignments(results: Mapping[str, sp.Expr], taken: Iterable[str] = ()) -> list[str]:
    """Return lines that compute expressions and assign them to their names, after parts that occur several times.

    Args:
        results: the expressions by name.
        taken: names that occur in the expressions or where the lines go.

    Raises:
        ValueError: as :func:`code`.
    """
    expressions = [_for_floats(e) for e in results.values()]
    uses = Counter([*expressions, *(part for node in _nodes(expressions) for part in node.args)])
    names = {*results, *taken}
    lines: list[str] = []

    def named(part: sp.Basic) -> sp.Symbol:
        name = "polynomial" if part.is_Add and part.is_polynomial() else _NAMES.get(type(part).__name__, "part")
        free = next(x for x in chain([name], (f"{name}{n}" for n in count(2))) if x not in names)
        names.add(free)
        assign(free, part)
        return sp.Symbol(free, real=True)

    def assign(name: str, expression: sp.Basic) -> None:
        while len(line := f"{name} = {code(expression)}") > _LENGTH:
            part = max(expression.args, key=lambda x: len(code(x)))
            if expression.is_Add and len(code(part)) < _LENGTH // 2:
                lines.extend(_sum(name, expression))
                return
            expression = expression.xreplace({part: named(part)})
        lines.append(line)

    short: dict[sp.Basic, sp.Basic] = {}
    for node in _nodes(expressions):
        short[node] = node.func(*(short[x] for x in node.args)) if node.args else node
        long = node.is_Add and len(node.args) > _SHORT_SUM and node not in expressions
        if long or (uses[node] > 1 and (node.is_Function or (node.is_Add and node.count_ops() > 1))):
            short[node] = named(short[node])
    for name, expression in zip(results, expressions, strict=True):
        assign(name, short[expression])
    return lines


def _sum(name: str, expression: sp.Expr) -> Iterator[str]:
    """Yield lines that add terms to a name, as many to a line as fit."""
    line = ""
    for term in map(code, expression.as_ordered_terms()):
        more = f" - {term[1:]}" if term.startswith("-") else f" + {term}"
        if line and len(line + more) > _LENGTH:
            yield line
            line = f"{name} = {name}"
        line = line + more if line else f"{name} = {term}"
    yield line


def _nodes(expressions: Iterable[sp.Basic]) -> Iterator[sp.Basic]:
    """Yield every different part once, parts before wholes."""
    seen: set[sp.Basic] = set()
    for expression in expressions:
        for node in sp.postorder_traversal(expression):
            if node not in seen:
                seen.add(node)
                yield node


def _for_floats(expression: sp.Basic) -> sp.Basic:
    """Return an expression in functions of NumPy, with roots as such and numbers that float64 has."""
    for kind, change in _CHANGES.items():
        expression = expression.replace(lambda e, kind=kind: type(e).__name__ == kind, change)
    changed = expression.replace(
        lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2, lambda e: Root(e.base) ** int(2 * e.exp)
    )
    return changed.replace(
        lambda e: e.is_Rational and max(abs(e.p), e.q) > _LARGEST_INTEGER, lambda e: sp.Float(e.p / e.q, 17)
    )


def _where(cases: sp.Piecewise) -> sp.Expr:
    *first, (result, _) = cases.args
    for value, condition in reversed(first):
        result = sp.Function("where")(condition, value, result)
    return result


_CHANGES: Mapping[str, Callable[[sp.Expr], sp.Expr]] = {
    "OneMinusExp": lambda e: -sp.Function("expm1")(-e.args[0]),
    "Piecewise": _where,
    "Softplus": lambda e: sp.Function("logaddexp")(sp.S.Zero, e.args[0]),
}


def _written(node: ast.expr) -> tuple[str, int]:
    """Return the text of a tree and how tightly its outermost operator binds."""
    match node:
        case ast.Name(id=name):
            return _CONSTANTS.get(name, name), _ATOM
        case ast.Constant(value=value):
            return repr(value).replace("e+", "e"), _ATOM
        case ast.UnaryOp(op=op, operand=operand):
            sign, binds = _OPERATORS[type(op)]
            return f"{sign}{_bracketed(operand, binds + 2)}", binds  # a minus before a power has brackets after it
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            parts = _bracketed(left, _ATOM), _bracketed(right, 4)
            simple = all(part.replace(".", "").replace("_", "").lstrip("-").isalnum() for part in parts)
            return ("**" if simple else " ** ").join(parts), 5
        case ast.BinOp(left=left, op=op, right=right):
            sign, binds = _OPERATORS[type(op)]
            return f"{_bracketed(left, binds)} {sign} {_bracketed(right, binds + 1)}", binds
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            sign, binds = _OPERATORS[type(op)]
            return f"{_bracketed(left, 1)} {sign} {_bracketed(right, 1)}", binds
        case ast.Call(func=ast.Name(id=name), args=arguments) if name in _FUNCTIONS:
            *first, text = (_written(argument)[0] for argument in arguments)
            if name in ("Max", "Min"):  # of two in NumPy
                for other in reversed(first):
                    text = f"{_FUNCTIONS[name]}({other}, {text})"
                return text, _ATOM
            return f"{_FUNCTIONS[name]}({', '.join([*first, text])})", _ATOM
    raise ValueError(f"expected functions that NumPy and SciPy have, got {ast.unparse(node)}; it cannot be emitted")


def _bracketed(node: ast.expr, least: int) -> str:
    text, binds = _written(node)
    return text if binds >= least else f"({text})"


def wrapped(formula: str, width: int, indent: str = "") -> list[str]:
    """Return the lines of a formula: broken before plus and minus, and within brackets only what is too long otherwise.

    Args:
        formula: as Python or :func:`derive.typeset.plain` has it.
        width: characters of a line.
        indent: what lines after the first start with.
    """
    depth = list(accumulate((letter in "([{") - (letter in ")]}") for letter in formula))
    signs = {n for n, letter in enumerate(formula) if letter == " " and formula[n + 1 : n + 3] in ("+ ", "- ")}
    spaces = {n for n, letter in enumerate(formula) if letter == " "}
    ends = [0, len(formula)]
    for allowed in (*({n for n in signs if depth[n] == deep} for deep in range(max(depth, default=0) + 1)), spaces):
        for start, end in pairwise(ends[:]):
            room = width - (len(indent) - 1 if start else 0)  # all but the first begin with a space to be dropped
            while end - start > room and (fitting := [n for n in allowed if start < n < end]):
                start = max([n for n in fitting if n - start <= room], default=min(fitting))
                ends.append(start)
                room = width - len(indent) + 1
        ends.sort()
    first, *others = (formula[start:end] for start, end in pairwise(ends))
    return [first, *(indent + line.lstrip() for line in others)]
