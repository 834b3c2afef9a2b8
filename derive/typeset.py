"""LaTeX and plain text of every kind of term: indexed expressions, laws, operator words and duals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import sympy as sp

from derive import notation
from derive.activations import Activation
from derive.duals.series import HermiteSeries
from derive.duals.theorems import ClosedForm, GaussianMean
from derive.exhibit import Formula
from derive.laws import GaussianProcess, Law, Order, Quantity
from derive.moments import Moment
from derive.operators import THETA_HAT, TRAINING, Letter, Operator, Pieces, slot
from derive.scalars import limit
from derive.terms import Atom, Delta, Expression, Factor, Index, Mean, Partial, Term

_BOUND_NAMES = ("j", "i", "m", "n", "q", "r", "s")
_PARAMETER_NAMES = ("p", "q", "r")
_HEADS = {
    "Theta": r"\Theta",
    "Theta_own": r"\Theta^{\mathrm{own}}",
    "Theta_inherited": r"\Theta^{\mathrm{inherited}}",
    "Theta_inf": r"\Theta_{\infty}",
    "Kdot": r"\dot{K}",
    "theta": r"\theta",
    "omega": r"\omega",
    "f_at": "f",
}


def latex(term: Term) -> str:
    """Return the LaTeX of a term.

    Raises:
        TypeError: for a term of an unknown kind.
    """
    match term:
        case Expression():
            return _expression(term, {}, iter(_BOUND_NAMES))
        case Law(variable, given):
            condition = r" \,\middle|\, z^{l-1}" if given else ""
            return rf"\mathrm{{law}}\left({_atom(variable, {})}{condition}\right)"
        case GaussianProcess(covariance):
            return rf"\mathcal{{GP}}\left(0,\; {latex(covariance)}\right)"
        case Formula(source):
            return source
        case Quantity(_, symbol, factor):
            return symbol if factor == 1 else rf"{sympy_latex(factor)}\,{symbol}"
        case Order(_, power, tight):
            size = "1" if power == 0 else f"N^{{{power}}}"
            return ("C" if power == 0 else rf"C\,{size}") if tight else rf"\mathcal{{O}}({size})"
        case Operator():
            return _operator(term)
        case Moment():
            return _moment(term)
        case GaussianMean(activation, order):
            f = r"\dot{\phi}" if order else r"\phi"
            return rf"\mathbb{{E}}\left[{f}(u)\,{f}(v)\right]_{{\phi = {_name_of(activation)}}}"
        case ClosedForm(expression):
            return sympy_latex(expression)
        case HermiteSeries(activation, order, weight):
            f = r"\dot{\phi}" if order else r"\phi"
            means = rf"A_{{k}}(a)\,A_{{k}}(b),\; A_{{k}}(a) = \mathbb{{E}}\left[{f}(\sqrt{{a}} x)\,He_{{k}}(x)\right]"
            means += rf"_{{\phi = {_name_of(activation)}}}"
            return rf"\sum_{{k \ge 0}} {sympy_latex(weight)}\,{means}"
    raise TypeError(f"no LaTeX is known for a {type(term).__name__}")


def _name_of(activation: Activation) -> str:
    """Return the LaTeX of an activation: its name, or the formula that is its name."""
    if activation.name.replace("-", "").isalnum():
        return rf"\mathrm{{{activation.name}}}"
    return sympy_latex(activation.expression)


def text(term: Term) -> str:
    """Return a term as plain text: the LaTeX with fractions, roots and accents written out in Unicode."""
    return plain(latex(term))


_ONE_ARGUMENT = {"sqrt": "√{}", "hat": "{}\u0302", "dot": "{}\u0307"}
_DROPPED = {
    "left",
    "right",
    "middle",
    ",",
    ";",
    "!",
    "quad",
    "qquad",
    "mathbb",
    "mathcal",
    "mathrm",
    "mathbf",
    "operatorname",
    "text",
}
_SPACES = {",", ";", "quad", "qquad"}
_LETTERS = {
    "Theta": "Θ", "phi": "φ", "sigma": "σ", "delta": "δ", "lambda": "λ", "eta": "η", "theta": "θ", "omega": "ω",
    "partial": "∂", "pi": "π", "sum": "Σ", "infty": "∞", "ge": "≥", "rho": "ρ", "Phi": "Φ", "alpha": "α", "gamma": "γ",
    "tau": "τ", "top": "ᵀ", "cdot": "·", "to": "→", "le": "≤", "Delta": "Δ", "epsilon": "ε",
    "times": "×", "in": "∈", "mu": "μ",
    "forall": "∀", "sim": "~", "ne": "≠", "otimes": "⊗", "perp": "⊥", "dots": "…", "ldots": "…", "Sigma": "Σ",
    "implies": "⟹", "iff": "⟺", "equiv": "≡", "star": "*", "nabla": "∇", "|": "‖", "Omega": "Ω", "beta": "β",
    "ell": "ℓ", "int": "∫", "prod": "∏", "propto": "∝", "circ": "∘", "mid": "|",
    "cup": "∪", "cap": "∩",
}  # fmt: skip


def plain(source: str) -> str:
    """Return LaTeX of the kind this module writes as plain text."""
    result, position = "", 0
    while position < len(source):
        letter = source[position]
        if letter == "\\":
            name, position = _command(source, position + 1)
            if name == "frac":
                over, position = _group(source, position)
                under, position = _group(source, position)
                result += f"{_enclosed(over)}/{_enclosed(under)}"
            elif name in _ONE_ARGUMENT:
                argument, position = _group(source, position)
                result += _ONE_ARGUMENT[name].format(_enclosed(argument) if name == "sqrt" else argument)
            elif name in _DROPPED:
                result += " " if name in _SPACES else ""
            else:
                result += _LETTERS.get(name, name)
        elif letter in "^_":
            script, position = _group(source, position + 1)
            short = script.replace(" ", "") if letter == "_" else script
            result += short if short == "ᵀ" else f"{letter}{short}" if len(short) == 1 else f"{letter}{{{short}}}"
        elif letter == "{":
            inner, position = _group(source, position)
            result += inner
        else:
            result, position = result + letter, position + 1
    return " ".join(result.split())


def _command(source: str, start: int) -> tuple[str, int]:
    """Return the name of the command that starts here and where it ends."""
    end = start
    while end < len(source) and source[end].isalpha():
        end += 1
    end = max(end, start + 1)
    return source[start:end], end


def _group(source: str, start: int) -> tuple[str, int]:
    """Return the argument that starts here, converted, and where it ends: a group in braces, a command or a letter."""
    while source[start] == " ":
        start += 1
    if source[start] != "{":
        end = _command(source, start + 1)[1] if source[start] == "\\" else start + 1
        return plain(source[start:end]), end
    depth, end = 1, start + 1
    while depth:
        depth += {"{": 1, "}": -1}.get(source[end], 0)
        end += 1
    return plain(source[start + 1 : end - 1]), end


def _enclosed(part: str) -> str:
    """Return a part of a fraction or root, in brackets unless it is one symbol with its indices."""
    return f"({part})" if " " in part.strip("{}") else part


def sympy_latex(expression: sp.Expr) -> str:
    """Return the LaTeX of a scalar, widths as N_l, and rational numbers that nobody would read as decimals."""
    long = {r: sp.Float(r, 10) for r in expression.atoms(sp.Rational) if len(f"{r.p}{r.q}") > _LONGEST_RATIONAL}
    expression = expression.xreplace(long)
    return str(sp.latex(expression, symbol_names=_SYMBOLS, fold_func_brackets=False).replace(r"\log", r"\ln"))


_LONGEST_RATIONAL = 16
_SYMBOLS: Mapping[sp.Symbol, str] = {
    notation.sigma_w: r"\sigma_{w}",
    notation.sigma_b: r"\sigma_{b}",
    notation.eigenvalue: r"\lambda",
    slot(0): r"\lambda",
}


def _layer(layer: sp.Expr | None) -> str:
    return "" if layer is None else f"^{{{sp.latex(layer).replace(' ', '')}}}"


def dimension(value: sp.Expr) -> str:
    """Return the LaTeX of a dimension: d, N_l, or the number of parameters of the layers up to one."""
    if value.func.__name__ == "N":
        return f"N_{{{sp.latex(value.args[0]).replace(' ', '')}}}"
    if value.func.__name__ == "P":
        return rf"|\theta^{{{sp.latex(value.args[0]).replace(' ', '')}}}|"
    return str(sp.latex(value))


def _coefficient(value: sp.Expr) -> str:
    widths = {f: sp.Symbol(dimension(f), positive=True) for f in value.atoms(sp.Function)}
    return sympy_latex(value.subs(widths))


def _expression(expression: Expression, names: Mapping[Index, str], fresh: Iterator[str]) -> str:
    available = list(fresh)
    parts = []
    for bound, factors, coefficient in sorted(expression, key=lambda term: _reading_order(term[1])):
        taken = {i.name for i in expression.free} | set(names.values())
        letters = (n for n in available if n not in taken)
        parameters = (n for n in _PARAMETER_NAMES if n not in taken)
        here = dict(names)
        sums = ""
        for index in bound:
            here[index] = next(parameters if index.dimension.func.__name__ == "P" else letters)
            sums += rf"\sum_{{{here[index]}=1}}^{{{dimension(index.dimension)}}} "
        left = [n for n in available if n not in here.values()]
        body = r"\,".join(_factor(f, here, left) for f in sorted(factors, key=_factor_order))
        sign = "-" if coefficient.could_extract_minus_sign() else "+"
        scalar = abs(coefficient) if coefficient.is_number else -coefficient if sign == "-" else coefficient
        head = "" if scalar == 1 and body else _bracketed(scalar) if body else _coefficient(scalar)
        parts.append((sign, rf"{head}{' ' if head else ''}{sums}{body}".strip()))
    if not parts:
        return "0"
    first = ("-" if parts[0][0] == "-" else "") + parts[0][1]
    return " ".join([first, *(f"{sign} {part}" for sign, part in parts[1:])])


def _bracketed(scalar: sp.Expr) -> str:
    return rf"\left({_coefficient(scalar)}\right)" if scalar.is_Add else _coefficient(scalar)


def _reading_order(factors: tuple[Factor, ...]) -> tuple[int, str]:
    """Return a key that puts the bias term first and longer terms last, as the literature writes them."""
    return len(factors), " ".join(f.key for f in factors)


def _factor_order(factor: Factor) -> tuple[int, str]:
    """Return a key that puts weights before activations, data and kernels, and deltas last."""
    ranks = {"W": 0, "b": 0, "phi": 2, "dphi": 2, "dz": 3, "input": 2}
    match factor:
        case Atom(head, indices, inputs, _):
            lengths = [len(x) for x in inputs] + [len(i.name) for i in indices[:1]]
            return ranks.get(head, 1), f"{lengths} {factor.key}"
        case Delta():
            return 9, factor.key
        case Mean():
            return 5, factor.key
        case Partial():
            return 4, f"{max((len(x) for a in _atoms(factor.body) for x in a.inputs), default=0)} {factor.key}"


def _atoms(expression: Expression) -> list[Atom]:
    return [f for _, factors, _ in expression for f in factors if isinstance(f, Atom)]


def _name(index: Index, names: Mapping[Index, str]) -> str:
    return names.get(index, index.name)


def _atom(a: Atom, names: Mapping[Index, str]) -> str:
    indices = [_name(i, names) for i in a.indices]
    inputs = ", ".join(a.inputs)
    match a.head:
        case "input":
            return f"{a.inputs[0]}_{{{indices[0]}}}"
        case "dot":
            return rf"{a.inputs[0]}^{{\top}} {a.inputs[1]}"
        case "phi" | "dphi":
            function = r"\phi" if a.head == "phi" else r"\dot{\phi}"
            return rf"{function}\left(z^{{{sp.latex(a.layer).replace(' ', '')}}}_{{{indices[0]}}}({inputs})\right)"
        case "dz":
            unit = f"z{_layer(a.layer)}_{{{indices[0]}}}({inputs})"
            return rf"\frac{{\partial {unit}}}{{\partial \theta_{{{indices[1]}}}}}"
        case "Theta_own" | "Theta_inherited":
            kind = a.head.removeprefix("Theta_")
            exponent = rf"{sp.latex(a.layer).replace(' ', '')},\,\mathrm{{{kind}}}"
            return rf"\Theta^{{{exponent}}}_{{{' '.join(indices)}}}({inputs})"
        case "Theta_inf":
            return rf"\Theta^{{{sp.latex(a.layer).replace(' ', '')}}}_{{\infty}}({inputs})"
    subscript = f"_{{{' '.join(indices)}}}" if indices else ""
    arguments = f"({inputs})" if inputs else ""
    return f"{_HEADS.get(a.head, a.head)}{_layer(a.layer)}{subscript}{arguments}"


def _factor(factor: Factor, names: Mapping[Index, str], fresh: list[str]) -> str:
    match factor:
        case Atom():
            return _atom(factor, names)
        case Delta(first, second):
            pair = sorted((_name(first, names), _name(second, names)), key=lambda n: (len(n), n))
            return rf"\delta_{{{' '.join(pair)}}}"
        case Mean(body, given):
            condition = r"\,\middle|\, z^{l-1}" if given else ""
            return rf"\mathbb{{E}}\left[{_expression(body, names, iter(fresh))}{condition}\right]"
        case Partial(body, parameter):
            inner = _expression(body, names, iter(fresh))
            below = _atom(parameter, names)
            if len(list(body)) == 1:
                return rf"\frac{{\partial {inner}}}{{\partial {below}}}"
            return rf"\frac{{\partial}}{{\partial {below}}}\left({inner}\right)"


_ENDS_IN_INDEX = re.compile(r"_(\{[^{}]*\}|\w)$")


def _moment(moment: Moment) -> str:
    """Return the LaTeX of a mean, or of the covariance of outputs k and k'."""
    given = moment.given
    condition = rf" \,\middle|\, {latex(given.observed)} = {latex(given.value)}" if given else ""
    if len(moment.of) == 1:
        return rf"\mathbb{{E}}\left[{latex(moment.of[0])}{condition}\right]"
    first, second = (
        rf"{{{x}}}_{{{k}}}"  # a symbol with an index of its own cannot carry a second one
        if len(operator.words) == 1 and _ENDS_IN_INDEX.search(x)
        else rf"{x}_{{{k}}}"
        if len(operator.words) == 1
        else rf"\left({x}\right)_{{{k}}}"
        for operator, x, k in ((o, latex(o), k) for o, k in zip(moment.of, ("k", "k'"), strict=True))
    )
    return rf"\mathrm{{Cov}}\left[{first},\, {second}{condition}\right]"


def _operator(operator: Operator) -> str:
    parts = [_word(operator, letters, pieces) for letters, pieces in operator.words.items()]
    if not parts:
        return "0"
    first = ("-" if parts[0][0] == "-" else "") + parts[0][1]
    return " ".join([first, *(f"{sign} {part}" for sign, part in parts[1:])])


def _word(operator: Operator, letters: tuple[Letter, ...], pieces: Pieces) -> tuple[str, str]:
    """Return sign and LaTeX of a word: its letters with a function of Theta at every joint on X that has one.

    Raises:
        TypeError: if its function is not a product of functions of one eigenvalue each.
    """
    names = [letter.latex for letter in letters]
    if not letters and operator.rows != TRAINING:
        names.append("I")
    factor = notation.same_output if all(p.has(notation.same_output) or p == 0 for p in pieces) else sp.S.One
    pieces = tuple(sp.expand(p / factor) for p in pieces)
    if factor != 1:
        names.append(r"\delta_{k k'}")
    ends = [operator.rows, *(letter.columns for letter in letters)]
    places = [n for n, space in enumerate(ends) if space == TRAINING] or [len(letters)]
    if len(set(pieces)) == 1 and not any(pieces[0].has(slot(n)) for n in range(len(places))):
        minus = pieces[0].could_extract_minus_sign()
        sign, functions = "-" if minus else "+", [_scalar(-pieces[0] if minus else pieces[0])]
    else:
        shown = [_function(separate, _symbol(letters)) for separate in _separated(pieces, len(places))]
        sign, functions = "-" if sum(s == "-" for s, _ in shown) % 2 else "+", [f for _, f in shown]
    for n, function in reversed(list(zip(places, functions, strict=False))):
        names.insert(n, function)
    return sign, r"\,".join(n for n in names if n) or "I"


def _symbol(letters: tuple[Letter, ...]) -> str:
    """Return the printed form of the operator that the functions in a word are of."""
    return next((letter.belongs_to for letter in letters if letter.belongs_to), THETA_HAT)


def _separated(pieces: Pieces, joints: int) -> list[tuple[sp.Expr, sp.Expr]]:
    """Return the factors of a function of several eigenvalues, each where its eigenvalue is positive and zero.

    Raises:
        TypeError: if it is no such product.
    """
    if joints == 1:
        return [(pieces[0], pieces[1])]
    point = {slot(n): sp.Integer(n + 2) for n in range(joints)}
    found: list[tuple[sp.Expr, sp.Expr]] = []
    rest = sp.factor(pieces[0])
    factors = sp.separatevars(rest, symbols=list(point), dict=True)
    if factors is None:
        raise TypeError("a word with a function of several eigenvalues that is no product has no printed form")
    for n in range(joints):
        own = sp.expand((factors["coeff"] if n == 0 else 1) * factors[slot(n)])
        others = sp.prod([factors[slot(m)] for m in range(joints) if m != n])
        at_zero = sp.cancel(sp.expand(pieces[1 << n] / others) / (1 if n == 0 else factors["coeff"]))
        found.append((own.subs(slot(n), slot(0)), at_zero))
    return found


def _scalar(value: sp.Expr) -> str:
    return "" if value == 1 else sympy_latex(value)


def _function(pieces: tuple[sp.Expr, sp.Expr], symbol: str) -> tuple[str, str]:
    """Return sign and LaTeX of ``g(Theta)``: a constant, or g in brackets with the operator for lambda."""
    positive, at_zero = pieces
    point = {slot(0): 1, notation.learning_rate: sp.Rational(1, 2), notation.time: 1, notation.step: 1}
    minus = any(p.could_extract_minus_sign() for p in pieces if not p.is_Add) or (
        positive.is_Add and positive.subs(point) < 0
    )
    if minus:
        positive, at_zero = -positive, -at_zero
    sign = "-" if minus else "+"
    if positive == at_zero and not positive.has(slot(0)):
        return sign, _scalar(positive)
    if positive == 0 and at_zero == 1:
        return sign, r"P_{0}"
    if positive == 1 and at_zero == 0:
        return sign, r"(I - P_{0})"
    over = sp.expand(positive * slot(0))
    inverse = positive.is_Add and positive.has(1 / slot(0))
    body = rf"\frac{{{sympy_latex(over)}}}{{\lambda}}" if inverse else sympy_latex(positive)
    if positive == slot(0):
        return sign, symbol
    if positive == 1 / slot(0):
        return sign, rf"{symbol}^{{+}}"
    scale, rest = positive.as_independent(slot(0), as_Add=False)
    if rest == slot(0):
        return sign, rf"{sympy_latex(scale)}\,{symbol}"
    on_range = r",\, \lambda > 0" if at_zero != limit(positive, slot(0), sp.S.Zero) else ""
    return sign, rf"\left[{body}\right]_{{\lambda = {symbol}{on_range}}}"
