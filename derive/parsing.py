"""Expressions typed by users, read without running them: text to SymPy.

Python's parser only splits the text: every node of its tree must be on a list, and names are looked up in the tables
below and nowhere else. SymPy simplifies while an expression is built, and some of that has no bound in the length of
the text: large powers, products of sums, towers of exponentials. So every part carries the size that it can grow to,
and its value if it is constant, and what would be too large is refused before SymPy sees it.
"""

from __future__ import annotations

import ast
import difflib
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import sympy as sp

from derive.notation import z


class _Size(NamedTuple):
    """Bounds on what an expression can grow to when powers and products are multiplied out.

    Attributes:
        length: characters, where a kinked function has its arguments twice, as in |x| = x sign(x).
        terms: terms.
        degree: variables in a product; functions have the degree of their arguments.
    """

    length: int = 1
    terms: int = 1
    degree: int = 1


_SIZES = ("length", "number of terms", "degree", "product of the orders of roots of numbers")
_LIMITS = _Size(length=2000, terms=1000, degree=64)
_TOKENS, _BRACKETS, _DEPTH = 500, 16, 100
"""Tokens, nested brackets and nested operations of a text; chosen, as the sizes, far from where Python's parser and the
recursions here and in SymPy would end."""
_MAGNITUDE, _DIGITS = 10**100, 300
"""Modulus of numbers and of their reciprocals, and digits of the values of constants; chosen, so that the value of zero
in disguise is 0 or too small."""
_OPERANDS, _COMPARISONS, _ROOTS, _SIGNED_DEGREE = 8, 16, 64, 8
"""Operands of max and min, comparisons, product of the orders of the roots of numbers, and degree of polynomials in one
variable of known sign; chosen: SymPy compares operands in pairs, merges conditions by the distributive law, and decides
signs by minimal polynomials and by the roots of such polynomials."""
_HERMITE = 20
"""The largest degree of a Hermite polynomial; chosen."""

_TOKEN = re.compile(
    r"[ \t]+|(?P<number>(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?+(?![A-Za-z_0-9.]))"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<operator>\*\*|<=|>=|[-+*/()<>,])|(?P<stray>.)",
    re.DOTALL,
)
"""Numbers match without backtracking (``++``, ``?+``, ``*+``), which would take time cubic in their digits."""
_PARAMETER = re.compile("[a-z]{1,10}")
_HINTS = {
    **dict.fromkeys("0123456789.", "write numbers like 0.5 or 1e-3, and * for products"),
    **dict.fromkeys(("=", "and", "or", "not"), "write conditions like z < 1 or -1 < z < 1"),
    "^": "use ** for powers",
    "[": "use round brackets",
    "tan": "it has poles; write tanh or atan",
    "ln": "write log",
    "Compare": "a condition belongs into where(condition, x, y)",
}
_NO_NUMBERS = frozenset({"inf", "infinity", "nan", "oo"})
"""Names that are not taken for parameters."""

_OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
_RELATIONS = {ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}
_CONSTANTS = {"pi": sp.pi, "E": sp.E, "e": sp.E}
_ELEMENTARY = ("log", "sqrt", "sin", "cos", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "erfc")
_SMOOTH = {
    **{name: getattr(sp, name) for name in _ELEMENTARY},
    **{f"arc{name}": getattr(sp, f"a{name}") for name in ("sin", "cos", "tan", "sinh")},
}
_EXTREMA = {"max": sp.Max, "Max": sp.Max, "min": sp.Min, "Min": sp.Min}
_KINKED = {
    **{"abs": sp.Abs, "Abs": sp.Abs, "sign": sp.sign, "sgn": sp.sign, "step": sp.Heaviside, "Heaviside": sp.Heaviside},
    **_EXTREMA,
}
_DEFINED = {
    "relu": "x: max(x, 0)",
    "Phi": "x: (1 + erf(x/sqrt(2)))/2",
    "ndtr": "x: (1 + erf(x/sqrt(2)))/2",
    "sigmoid": "x: 1/(1 + exp(-x))",
    "softplus": "x: log(1 + exp(x))",
    "gelu": "x: x*(1 + erf(x/sqrt(2)))/2",
    "silu": "x: x*sigmoid(x)",
    "swish": "x: x*sigmoid(x)",
    "mish": "x: x*tanh(softplus(x))",
    "clip": "x low high: min(max(x, low), high)",
}
_FORMS = {
    "where": "where(condition, x, y)",
    "Piecewise": "Piecewise((x, condition), (y, True))",
    "hermite": f"hermite(n, x) with a whole number n up to {_HERMITE}",
}
_FUNCTIONS = frozenset({"exp", *_SMOOTH, *_KINKED, *_DEFINED, *_FORMS})


class Unreadable(ValueError):
    """A text that is not an expression; the message says in one line what was expected, what came, and where."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What a part of the text means: an expression or a condition, its size, and its value if it is constant."""

    expression: sp.Basic
    size: _Size
    value: sp.Float | None = None

    @property
    def is_zero(self) -> bool:
        """Return whether it is the constant 0, also in disguise."""
        return self.value is not None and bool(self.value.is_zero)


def read_expression(text: str, arguments: frozenset[sp.Symbol] = frozenset({z}), parameters: bool = False) -> sp.Expr:
    """Return the SymPy expression that a text in Python's notation means.

    Numbers are exact: ``0.1`` is 1/10. If z is an argument, it may also be called x. Nothing in the text is run.

    Args:
        text: for example ``"z*Phi(z)"``, ``"max(z, z/10)"`` or ``"z if -1 < z < 1 else sign(z)"``.
        arguments: the symbols that may occur, by their names.
        parameters: whether other names of up to ten small letters may occur; they become real symbols.

    Raises:
        Unreadable: for a text that is not such an expression, is not finite, or is too large. Columns count from the
            first character that is not white space.

    >>> read_expression("1/(1 + exp(-1.702*x))")
    1/(1 + exp(-851*z/500))
    """
    text = text.strip()
    names = _scanned_names(text)
    # SymPy decides signs all the time where it can: parts have symbols without, the whole gets them once it is known.
    signed = {sp.Symbol(symbol.name, real=True): symbol for symbol in arguments if symbol.is_nonnegative is not None}
    unsigned = {symbol: stand_in for stand_in, symbol in signed.items()}
    known = {name: _constant(value) for name, value in _CONSTANTS.items()}
    known |= {symbol.name: _Part(unsigned.get(symbol, symbol), _Size()) for symbol in arguments}
    if z in arguments and "x" not in known:
        if {"x", "z"} <= names:
            raise Unreadable("expected one name of the argument, got both x and z; write z for both")
        known["x"] = known["z"]
    reader, tree = _Reader(text, known, parameters), _tree(text)
    expression = reader.part(tree).expression
    if any(_has_hard_sign(node, signed) for node in sp.preorder_traversal(expression)):
        alone = f"SymPy cannot find signs of others in {', '.join(sorted(symbol.name for symbol in unsigned))} alone"
        raise reader.refusal(tree, f"polynomials with rational coefficients and degree up to {_SIGNED_DEGREE}", alone)
    expression = reader.made(tree, expression.xreplace, signed)
    moduli = [abs(number) for number in expression.atoms(sp.Rational) if number != 0]
    if any(max(modulus, 1 / modulus) > _MAGNITUDE for modulus in moduli):
        raise reader.refusal(tree, "coefficients from 1e-100 to 1e100", "rescale the expression")
    if expression.has(sp.nan, sp.zoo, sp.oo, -sp.oo):
        raise reader.refusal(tree, "a finite expression", "it divides by 0")
    return expression


def _has_hard_sign(expression: sp.Basic, signed: Mapping[sp.Symbol, sp.Symbol]) -> bool:
    """Return whether SymPy would look for roots of a sum in a single variable, and not find them soon."""
    if not (expression.is_Add and len(expression.free_symbols) == 1 and expression.free_symbols <= signed.keys()):
        return False
    (variable,) = expression.free_symbols
    for part in expression.xreplace({sp.Abs(variable): variable}).as_numer_denom():
        if part.is_polynomial(variable) and not part.diff(variable).is_number:
            rational = all(node.is_Rational for node in sp.preorder_traversal(part) if node.is_number)
            if not rational or sp.degree(part, variable) > _SIGNED_DEGREE:
                return True
    return False


def _scanned_names(text: str) -> frozenset[str]:
    """Return the names in a text that Python's parser may be given: of bounded size, without unknown tokens."""
    if not text:
        raise Unreadable("expected an expression, got an empty text; write for example max(z, 0)")
    if len(text) > _LIMITS.length:
        raise Unreadable(f"expected at most {_LIMITS.length} characters, got {len(text)}; shorten the expression")
    tokens = [token for token in _TOKEN.finditer(text) if token.lastgroup]
    if len(tokens) > _TOKENS:
        raise Unreadable(f"expected at most {_TOKENS} numbers, names and operators, got {len(tokens)}; shorten it")
    depth = 0
    for token in tokens:
        found, column = token[0], token.start() + 1
        if token.lastgroup == "stray" or (keyword.iskeyword(found) and found not in ("if", "else", "True")):
            hint = _HINTS.get(found, "only numbers, names, + - * / **, comparisons and round brackets are read")
            raise Unreadable(f"expected a formula at column {column}, got {shown(text[token.start() :])}; {hint}")
        depth += (found == "(") - (found == ")")
        if depth > _BRACKETS:
            raise Unreadable(
                f"expected at most {_BRACKETS} nested brackets, got another at column {column}; simplify it"
            )
    return frozenset(token[0] for token in tokens if token.lastgroup == "name")


def _tree(text: str) -> ast.expr:
    """Return Python's tree of a scanned text, if it is shallow."""
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = error.offset or len(text) + 1
        raise Unreadable(f"expected a formula, got a mistake at column {column}: {error.msg}; correct it") from None
    level: list[ast.AST] = [tree]
    for _ in range(_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    if level:
        raise Unreadable(f"expected at most {_DEPTH} nested operations, got more; use fewer terms")
    if sum(len(node.ops) for node in ast.walk(tree) if isinstance(node, ast.Compare)) > _COMPARISONS:
        raise Unreadable(f"expected at most {_COMPARISONS} comparisons, got more; use fewer branches")
    return tree


def shown(text: str) -> str:
    """Return a text in quotes as it may be in a message: whole if it is short, otherwise its beginning."""
    return repr(text if len(text) <= 30 else text[:27] + "...")


def _constant(exact: sp.Expr) -> _Part:
    length = max(len(str(exact.p)), len(str(exact.q))) if exact.is_Rational else 1
    return _Part(exact, _Size(length, 1, 0), sp.Float(exact, _DIGITS))


def _joint_size(parts: Sequence[_Part], copies: int = 1, terms: int = 1) -> _Size:
    """Return the size of an expression that has its parts in it ``copies`` times, but not in one product."""
    return _Size(1 + copies * sum(part.size.length for part in parts), terms, max(part.size.degree for part in parts))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads the nodes of one text, each from what its operands mean.

    Attributes:
        text: the text.
        names: the meanings of names.
        parameters: whether unknown names become symbols.
        call: column and text of the call that this text defines; errors are reported there.
    """

    text: str
    names: Mapping[str, _Part]
    parameters: bool = False
    call: tuple[int, str] | None = None

    def place(self, node: ast.expr) -> tuple[int, str]:
        """Return column and text of a node for messages."""
        return self.call or (node.col_offset + 1, shown(self.text[node.col_offset : node.end_col_offset]))

    def refusal(self, node: ast.expr, expected: str, advice: str) -> Unreadable:
        """Return the error that something else was expected than a node."""
        column, got = self.place(node)
        return Unreadable(f"expected {expected} at column {column}, got {got}; {advice}")

    def part(self, node: ast.expr) -> _Part:
        """Return what a node means."""
        match node:
            case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
                return self.number(node)
            case ast.Name(id=name):
                return self.name(node, name)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.part(operand)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self.part(operand)
                return self.built(node, operator.neg, [inner], _joint_size([inner], terms=inner.size.terms))
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                return self.power(node, self.part(left), self.part(right))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return self.operation(node, type(op), self.part(left), self.part(right))
            case ast.IfExp(test=test, body=body, orelse=otherwise):
                return self.branches(node, [(body, test)], otherwise)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self.called(node, name, arguments)
        kind = type(getattr(node, "op", node)).__name__
        raise self.refusal(node, "a number, name, operation or call", _HINTS.get(kind, f"{kind} is not read here"))

    def built(self, node: ast.expr, build: Callable[..., sp.Basic], parts: Sequence[_Part], size: _Size) -> _Part:
        """Return what ``build`` makes of the expressions of parts, if it is small and, where it is constant, finite.

        Values of constants are built from those of their parts in the same way.
        """
        powers = {power for part in parts for power in part.expression.atoms(sp.Pow) if power.is_number}
        roots = math.prod(power.exp.q for power in powers if power.exp.is_Rational)
        for what, amount, limit in zip(_SIZES, (*size, roots), (*_LIMITS, _ROOTS), strict=True):
            if amount > limit:
                raise self.refusal(node, "a smaller expression", f"its {what} exceeds {limit} when multiplied out")
        constant = all(part.value is not None for part in parts)
        value = build(*(part.value for part in parts)) if constant else None
        expression = self.made(node, build, *(part.expression for part in parts))
        if isinstance(expression, sp.Expr) and not expression.free_symbols:
            if value is None or expression.is_Rational:  # the former, if variables have cancelled
                value = expression.evalf(_DIGITS)
            value = self.bounded(node, value)
        return _Part(expression, size, value)

    def made(self, node: ast.expr, make: Callable[..., sp.Basic], *arguments: object) -> sp.Basic:
        """Return what SymPy makes, unless it compares what is not real, or rewrites a comparison without end."""
        try:
            return make(*arguments)
        except (TypeError, ValueError, RecursionError):
            raise self.refusal(node, "real numbers to compare", "SymPy cannot compare them") from None

    def bounded(self, node: ast.expr, value: sp.Expr) -> sp.Float:
        """Return the value of a constant with many digits, if it is real, and 0 or of bounded modulus."""
        real = value.is_Float or value.is_Rational
        if not real or not (value.is_zero or sp.Rational(1, _MAGNITUDE) <= abs(value) <= _MAGNITUDE):
            raise self.refusal(node, "0 or a real number from 1e-100 to 1e100", "it is not a finite expression")
        return sp.Float(value, _DIGITS)

    def number(self, node: ast.Constant) -> _Part:
        """Return a number as it is written; the float that Python makes of it has lost digits."""
        text = self.text[node.col_offset : node.end_col_offset]
        short = len(text.lower().partition("e")[2]) <= 4  # otherwise it may have too many digits to be computed
        exact = Fraction(text) if short else Fraction(10 * _MAGNITUDE)
        if exact and not Fraction(1, _MAGNITUDE) <= exact <= _MAGNITUDE:
            raise self.refusal(node, "0 or a number from 1e-100 to 1e100", "rescale the expression")
        return _constant(sp.Rational(exact.numerator, exact.denominator))

    def name(self, node: ast.expr, name: str) -> _Part:
        """Return a variable, a constant or a parameter."""
        if name in self.names:
            return self.names[name]
        if name in _FUNCTIONS:
            raise self.refusal(node, "a variable or a number", f"write {name}(...) for the function")
        if name in _NO_NUMBERS:
            raise self.refusal(node, "a finite number", "use another name for a parameter")
        if self.parameters and _PARAMETER.fullmatch(name):
            return _Part(sp.Symbol(name, real=True), _Size())
        near = difflib.get_close_matches(name, {*self.names, *_FUNCTIONS}) or sorted(self.names)
        which = "have up to ten small letters" if self.parameters else "are read with parameters=True"
        raise self.refusal(node, "a known name", f"did you mean {', '.join(near)}? Parameters {which}")

    def operation(self, node: ast.expr, kind: type[ast.operator], left: _Part, right: _Part) -> _Part:
        """Return a sum, difference, product or quotient."""
        if kind is ast.Div and right.is_zero:
            raise self.refusal(node, "a divisor other than 0", "it is not a finite expression")
        x, y = left.size, right.size
        length, degree = x.length + y.length + 1, x.degree + y.degree
        if kind in (ast.Add, ast.Sub):
            size = _Size(length, x.terms + y.terms, max(x.degree, y.degree))
        else:
            size = _Size(length, x.terms * y.terms if kind is ast.Mult else x.terms, degree)
        return self.built(node, _OPERATIONS[kind], [left, right], size)

    def power(self, node: ast.expr, base: _Part, exponent: _Part) -> _Part:
        """Return a power with a rational exponent, or of e."""
        if base.expression == sp.E:
            return self.exponential(node, exponent)
        order = exponent.expression
        if not order.is_Rational:
            advice = "exponents are constant" if base.value is None else "write exp(y*log(x)) for x**y"
            raise self.refusal(node, "a rational exponent", advice)
        if base.is_zero and order < 0:
            raise self.refusal(node, "a base other than 0", "it is not a finite expression")
        n, (length, terms, degree) = max(1, math.ceil(abs(order))), base.size
        size = _Size(n * length + 1, math.comb(terms + n - 1, n), n * degree)
        return self.built(node, lambda x: x**order, [base], size)

    def exponential(self, node: ast.expr, argument: _Part) -> _Part:
        """Return exp of an argument, without multiples of logarithms: SymPy would make large powers of them."""
        for term in sp.Add.make_args(argument.expression):
            logarithms = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sp.log)]
            if logarithms and abs(term.as_coeff_Mul()[0]) > 1:
                raise self.refusal(node, "an exponent without multiples of logarithms", "write a power of the base")
        return self.built(node, sp.exp, [argument], _joint_size([argument]))

    def called(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> _Part:
        """Return the value of a function of the tables."""
        match name, arguments:
            case "where", [test, body, otherwise]:
                return self.branches(node, [(body, test)], otherwise)
            case "Piecewise", [*first, ast.Tuple(elts=[otherwise, ast.Constant(value=True)])]:
                pairs = [tuple(pair.elts) if isinstance(pair, ast.Tuple) else () for pair in first]
                return self.branches(node, pairs, otherwise)
            case "hermite", [ast.Constant(value=int(degree)), argument] if degree is not True and degree <= _HERMITE:
                return self.defined(node, str(sp.hermite_prob_poly(degree, z)), {"z": self.part(argument)})
        if name in _FORMS:
            raise self.refusal(node, _FORMS[name], "write it so")
        if name not in _FUNCTIONS:
            near = difflib.get_close_matches(name, _FUNCTIONS) or sorted(_FUNCTIONS)
            raise self.refusal(node, "a known function", _HINTS.get(name, f"did you mean {', '.join(near)}?"))
        formal, _, text = _DEFINED.get(name, "x: ").partition(": ")
        least, most = (2, _OPERANDS) if name in _EXTREMA else (len(formal.split()),) * 2
        if not least <= len(arguments) <= most:
            count = str(most) if least == most else f"{least} to {most}"
            raise self.refusal(node, f"{count} argument(s) of {name}", f"there are {len(arguments)}")
        parts = [self.part(argument) for argument in arguments]
        if name in _DEFINED:
            return self.defined(node, text, dict(zip(formal.split(), parts, strict=True)))
        if name == "exp":
            return self.exponential(node, parts[0])
        if name in _SMOOTH:
            return self.built(node, _SMOOTH[name], parts, _joint_size(parts))
        terms = 1 + sum(part.size.terms for part in parts)
        return self.built(node, _KINKED[name], parts, _joint_size(parts, copies=2, terms=terms))

    def defined(self, node: ast.expr, text: str, names: Mapping[str, _Part]) -> _Part:
        """Return what a text of our own means, whose names mean the arguments of a call."""
        return _Reader(text, names, call=self.place(node)).part(ast.parse(text, mode="eval").body)

    def branches(self, node: ast.expr, pairs: Sequence[tuple[ast.expr, ...]], otherwise: ast.expr) -> _Part:
        """Return the first of pairs (value, condition) whose condition holds, or what it is otherwise."""
        if any(len(pair) != 2 for pair in pairs):
            raise self.refusal(node, _FORMS["Piecewise"], "write it so")
        parts = [part for value, test in pairs for part in (self.part(value), self.condition(test))]
        parts.append(self.part(otherwise))

        def build(*flat: sp.Basic) -> sp.Expr:
            return sp.Piecewise(*zip(flat[:-1:2], flat[1::2], strict=True), (flat[-1], True))

        return self.built(node, build, parts, _joint_size(parts))

    def condition(self, node: ast.expr) -> _Part:
        """Return a comparison, or a chain of two, as a condition."""
        if not isinstance(node, ast.Compare) or len(node.ops) > 2 or {*map(type, node.ops)} - {*_RELATIONS}:
            raise self.refusal(node, "a condition", "write a comparison such as z < 1, or a chain such as -1 < z < 1")
        sides = [self.part(side) for side in (node.left, *node.comparators)]
        if any(side.expression.has(sp.Piecewise) for side in sides):
            raise self.refusal(node, "a condition without others in it", "compare expressions without branches")
        if any(x.value is not None and y.value is not None for x, y in pairwise(sides)):
            raise self.refusal(node, "a condition on a variable", "this one compares constants")
        relations = [_RELATIONS[type(op)] for op in node.ops]

        def build(*values: sp.Expr) -> sp.Basic:
            return sp.And(*(relation(x, y) for relation, (x, y) in zip(relations, pairwise(values), strict=True)))

        return self.built(node, build, sides, _joint_size(sides))
