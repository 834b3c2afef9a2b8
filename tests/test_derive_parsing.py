"""Reading expressions: what texts mean, what is refused and how, and limits that are there for a reason."""

from __future__ import annotations

import ast
import math
import operator

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from derive import parsing
from derive.notation import D, a, b, c, z
from derive.parsing import Unreadable, read_expression

VARIANCES = frozenset({a, b, c, D})
half = sp.Rational(1, 2)

MEANINGS = {
    "z": z,
    "x": z,
    "  z\n": z,
    "-z": -z,
    "+z - -1": z + 1,
    "2*z**3 - z/4": 2 * z**3 - z / 4,
    "1 - 2 - 3 + z": z - 4,
    "-z**2": -(z**2),
    "2**-1*z": z / 2,
    "z**0.5": sp.sqrt(z),
    "z**(1/2)": sp.sqrt(z),
    "abs(z)**1.5": sp.Abs(z) ** sp.Rational(3, 2),
    "z**-1": 1 / z,
    "E**(-z**2)": sp.exp(-(z**2)),
    "e**z": sp.exp(z),
    "exp(-z**2/2)/sqrt(2*pi)": sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi),
    "sin(pi*z) + cos(z)": sp.sin(sp.pi * z) + sp.cos(z),
    "sinh(z)/cosh(z) + tanh(z)": sp.sinh(z) / sp.cosh(z) + sp.tanh(z),
    "atan(z) + arctan(z) + asinh(z) + arcsinh(z)": 2 * sp.atan(z) + 2 * sp.asinh(z),
    "asin(z) + arcsin(z) + acos(z) + arccos(z)": 2 * sp.asin(z) + 2 * sp.acos(z),
    "erf(z) + erfc(2*z)": sp.erf(z) + sp.erfc(2 * z),
    "log(1 + z**2)": sp.log(1 + z**2),
    "abs(z) + Abs(z - 1)": sp.Abs(z) + sp.Abs(z - 1),
    "sign(z) + sgn(z - 1)": sp.sign(z) + sp.sign(z - 1),
    "max(z, 0) + Max(0, -z, 1)": sp.Max(z, 0) + sp.Max(0, -z, 1),
    "min(z, 6) + Min(1, z, z**2)": sp.Min(z, 6) + sp.Min(1, z, z**2),
    "step(z) + Heaviside(z - 1)": sp.Heaviside(z) + sp.Heaviside(z - 1),
    "relu(z - 1)": sp.Max(z - 1, 0),
    "clip(z, -1, 1)": sp.Min(sp.Max(z, -1), 1),
    "Phi(z)": (1 + sp.erf(z / sp.sqrt(2))) / 2,
    "ndtr(z)": (1 + sp.erf(z / sp.sqrt(2))) / 2,
    "gelu(z)": z * (1 + sp.erf(z / sp.sqrt(2))) / 2,
    "sigmoid(2*z)": 1 / (1 + sp.exp(-2 * z)),
    "softplus(z)": sp.log(1 + sp.exp(z)),
    "silu(z) - swish(z)": sp.S.Zero,
    "silu(z)": z / (1 + sp.exp(-z)),
    "mish(z)": z * sp.tanh(sp.log(1 + sp.exp(z))),
    "hermite(0, z)": sp.S.One,
    "hermite(4, z)": z**4 - 6 * z**2 + 3,
    "hermite(3, z + 1)": (z + 1) ** 3 - 3 * (z + 1),
    "z if z > 0 else exp(z) - 1": sp.Piecewise((z, z > 0), (sp.exp(z) - 1, True)),
    "where(-1 < z <= 1, z, sign(z))": sp.Piecewise((z, sp.And(z > -1, z <= 1)), (sp.sign(z), True)),
    "Piecewise((0, z < -1), (z, z <= 1), (1, True))": sp.Piecewise((0, z < -1), (z, z <= 1), (1, True)),
    "1 if abs(z) < 1 else 0": sp.Piecewise((1, sp.Abs(z) < 1), (0, True)),
    "0.5*z*(1 + tanh(sqrt(2/pi)*(z + 0.044715*z**3)))": z
    * (1 + sp.tanh(sp.sqrt(2 / sp.pi) * (z + sp.Rational(44715, 10**6) * z**3)))
    / 2,
}

NUMBERS = {
    "0.1": sp.Rational(1, 10),
    "1e-3": sp.Rational(1, 1000),
    "2.50": sp.Rational(5, 2),
    ".5": half,
    "5.": sp.Integer(5),
    "1E2": sp.Integer(100),
    "0.0": sp.S.Zero,
    "1.6732632423543772848170429916717": sp.Rational(16732632423543772848170429916717, 10**31),
    "123456789012345678901234567890": sp.Integer(123456789012345678901234567890),
    "1/9 + 2/9 - 1/3": sp.S.Zero,
    "(1/45)*45 - 1": sp.S.Zero,
    "hermite(20, 0)": sp.Integer(654729075),
}

REFUSED = {
    # no formula
    "": "got an empty text",
    "   ": "got an empty text",
    "z if": "a mistake at column 5",
    "z z": "a mistake at column 3",
    "(1 + z": "never closed",
    "z)": "unmatched",
    "z\n+1": "column 2",
    "z \\\n+ 1": "column 3",
    "z\x00": "column 2",
    "z # comment": "column 3",
    "z; z": "column 2",
    "0777": "leading zeros",
    # Python beyond formulas
    "__import__('os').system('true')": "column 12",
    "__import__": "expected a known name",
    "().__class__": r"column 3, got '\.__class__'",
    "z.is_real": "column 2",
    "z.__class__.__mro__": "column 2",
    "z[0]": "use round brackets",
    "[z for z in z]": "use round brackets",
    "{z}": "column 1",
    "(lambda: z)()": "column 2, got 'lambda",
    "(y := 1)": "column 4",
    "f'{z}'": "column 2",
    "'z'": "column 1",
    '"""z"""': "column 1",
    "b'z'": "column 2",
    "exp(z, evaluate=False)": "column 16",
    "max(*z, 1)": "Starred is not read here",
    "max(**z)": "Call is not read here",
    "z, 1": "Tuple is not read here",
    "(z, 1)": "Tuple is not read here",
    "z @ z": "column 3",
    "z // 2": "FloorDiv is not read here",
    "z % 2": "column 3",
    "z & 1": "column 3",
    "~z": "column 1",
    "z << 2": "LShift is not read here",
    "1j*z": "column 1",
    "True": "Constant is not read here",
    "None": "column 1",
    "...": "column 1",
    "await z": "column 1",
    "yield": "column 1",
    "exec(z)": "expected a known function",
    "eval(z)": "expected a known function",
    "z(1)": "expected a known function",
    "2(z)": "Call is not read here",
    "sin(z)(z)": "Call is not read here",
    "exp": r"write exp\(\.\.\.\)",
    # other letters than ASCII, also those that Python takes for ASCII
    "\uff5a": "column 1",
    "m\u00e1x(z, 0)": "column 2",
    "\u03c0*z": "column 1",
    "z \u2212 1": "column 3",
    "\u1d49xp(z)": "column 1",
    "\ud800": "column 1",
    # slips
    "z^2": r"column 2, got '\^2'; use \*\* for powers",
    "2z": r"column 1, got '2z'; .* \* for products",
    "1.2.3": "write numbers like 0.5",
    "1_000": "write numbers like 0.5",
    "0x10": "write numbers like 0.5",
    "tan(z)": "poles",
    "ln(z)": "write log",
    "tahn(z)": "did you mean tanh",
    "zz": "did you mean",
    "y": "parameters=True",
    "z + x": "both x and z",
    "exp()": r"1 argument\(s\) of exp",
    "exp(z, z)": r"1 argument\(s\) of exp",
    "max(z)": "2 to 8 argument",
    "clip(z, 1)": r"3 argument\(s\) of clip",
    "hermite(z, 2)": r"hermite\(n, x\)",
    "hermite(True, z)": r"hermite\(n, x\)",
    "hermite(-1, z)": r"hermite\(n, x\)",
    "hermite(2.0, z)": r"hermite\(n, x\)",
    # conditions
    "z < 1": "a condition belongs into where",
    "z == 1": r"column 3, got '== 1'; write conditions like",
    "z if z < 1 and z > 0 else 1": "column 12, got 'and",
    "z if not z < 1 else 1": "write conditions like",
    "z if z else 1": "expected a condition",
    "z if True else 1": "expected a condition",
    "z if 1 < 2 else 1": "compares constants",
    "z if 0 < 1 < z else 1": "compares constants",
    "z if 0 < z < 1 < 2 else 1": "expected a condition",
    "z if z < (1 if z < 0 else 2) else 1": "without others in it",
    "z if log(-1 - z**2) < 1 else 1": "cannot compare them",
    "where(z < 1, z)": r"expected where\(condition, x, y\)",
    "Piecewise((z, z < 1))": r"\(y, True\)",
    "Piecewise((z, z < 1, z), (1, True))": r"\(y, True\)",
    "Piecewise(z, (1, True))": r"\(y, True\)",
    "Piecewise()": r"\(y, True\)",
    # not finite, or not real
    "1/0": "divisor other than 0",
    "1/(z - z)": "divisor other than 0",
    "z/(sqrt(2)*sqrt(3) - sqrt(6))": "divisor other than 0",
    "z/(sqrt(3 + 2*sqrt(2)) - 1 - sqrt(2))": "divisor other than 0",
    "0**-1": "base other than 0",
    "(z - z)**-0.5": "base other than 0",
    "log(0)": "not a finite expression",
    "log(exp(z) - exp(z))": "not a finite expression",
    "sqrt(-1)": "not a finite expression",
    "(-8)**(1/3)": "not a finite expression",
    "asin(2)": "not a finite expression",
    "max(log(-1), z)": "not a finite expression",
    "nan": "expected a finite number",
    "inf": "expected a finite number",
    "oo*z": "expected a finite number",
    # powers
    "z**z": "expected a rational exponent",
    "z**pi": "expected a rational exponent",
    "2**z": r"write exp\(y\*log\(x\)\)",
    "z**z**z": "expected a rational exponent",
    "exp(2*log(z))": "write a power",
}

HUGE = [
    "(z + 1)**100000",
    "z**1e6",
    "10**10**10",
    "9**9**9",
    "2**(10**9)",
    "2**64**64**64",
    "0.5**(10**9)",
    "(1 + 1e-50)**1e50",
    "exp(1e50*log(1 + 1e-50))",
    "exp(1e50*log(2*z))",
    "exp(z + 1e50*log(2*z))",
    "((z + 1)**60)**60",
    "(z**10)**10",
    "z**60*tanh(z**60)",
    "((((1 + 1e-30)**64)**64)**64)**64",
    "((10*abs(z))**8)**8*abs((10*abs(z))**60)**60",
    "(z + sin(z) + cos(z) + exp(z) + tanh(z) + erf(z))**40",
    "*".join(f"(z + sin({k}*z))" for k in range(1, 20)),
    "exp(exp(exp(1000)))",
    "exp(exp(z + 1000 - z))",
    "exp(10**6)",
    "exp(-10**6)",
    "cosh(1e60)",
    "1e999999999",
    "1e-999999999",
    "0e999999999",
    "1e99999999999999999999999",
    "1e101*z",
    "z*1e80*1e80",
    "(z/1e30)**10",
    "9" * 1999,
    "9" * 1999 + "z",
    "1" * 900 + "." + "1" * 900 + "e",
    "z" + "+1" * 10**5,
    "(" * 10**5,
    "(" * 10**5 + "z" + ")" * 10**5,
    "(" * 17 + "z" + ")" * 17,
    "-" * 1000 + "z",
    "z**" * 240 + "z",
    "z - -" * 120 + "z",
    "+".join(["z"] * 240),
    "z if z < 1 else " * 60 + "z",
    "exp(" * 17 + "z" + ")" * 17,
    "gelu(" * 14 + "z" + ")" * 14,
    "max(z, 1 - " * 14 + "z" + ")" * 14,
    "max(" + ", ".join(f"z*{k}" for k in range(9)) + ")",
    "Piecewise(" + "".join(f"(0, {2 * k} < z < {2 * k + 1}), " for k in range(20)) + "(1, True))",
    "sqrt(1 + " * 14 + "1" + ")" * 14 + "*z",
    "max(z, 2**0.015625*3**0.5)",
    "hermite(21, z)",
    "hermite(1000000, z)",
]


def one_line(text, **options):
    """Return the message with which a text is refused."""
    with pytest.raises(Unreadable) as refusal:
        read_expression(text, **options)
    message = str(refusal.value)
    assert message.startswith("expected ")
    assert message.isprintable()
    return message


# --- meanings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", MEANINGS)
def test_a_text_means_the_expression_written_by_hand(text):
    assert read_expression(text) == MEANINGS[text]


def check_numbers_are_exact():
    for text, number in NUMBERS.items():
        assert read_expression(text) == number


def test_numbers_mean_what_is_written():
    check_numbers_are_exact()


def test_numbers_that_were_floats_on_the_way_are_noticed(monkeypatch):
    monkeypatch.setattr(parsing._Reader, "number", lambda _, node: parsing._constant(sp.Rational(node.value)))
    with pytest.raises(AssertionError):
        check_numbers_are_exact()


DEFINITIONS = {
    "relu": lambda t: t if t > 0 else 0.0,
    "Phi": lambda t: math.erfc(-t / math.sqrt(2)) / 2,
    "ndtr": lambda t: math.erfc(-t / math.sqrt(2)) / 2,
    "sigmoid": lambda t: (1 + math.tanh(t / 2)) / 2,
    "softplus": lambda t: max(t, 0.0) + math.log1p(math.exp(-abs(t))),
    "gelu": lambda t: t * math.erfc(-t / math.sqrt(2)) / 2,
    "silu": lambda t: t * (1 + math.tanh(t / 2)) / 2,
    "swish": lambda t: t * (1 + math.tanh(t / 2)) / 2,
    "mish": lambda t: t * (1 - 2 / ((1 + math.exp(t)) ** 2 + 1)),
}


def check_definition(name):
    for point in (-1.75, -0.25, 0.5, 2.0):
        expected = DEFINITIONS[name](point)
        assert float(read_expression(f"{name}(z)").subs(z, sp.Rational(point))) == pytest.approx(expected, rel=1e-13)


def test_every_definition_is_compared_with_another_formula():
    assert {*DEFINITIONS, "clip"} == {*parsing._DEFINED}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_defined_function_has_the_values_of_another_formula_for_it(name):
    check_definition(name)


@pytest.mark.parametrize(("name", "wrong"), [("gelu", "x: x*(1 + erf(x))/2"), ("sigmoid", "x: 1/(1 + exp(x))")])
def test_a_planted_wrong_definition_is_noticed(monkeypatch, name, wrong):
    monkeypatch.setitem(parsing._DEFINED, name, wrong)
    with pytest.raises(AssertionError):
        check_definition(name)


def test_a_definition_takes_expressions_for_its_arguments():
    assert read_expression("clip(2*z, -z**2, hermite(2, z))") == sp.Min(sp.Max(2 * z, -(z**2)), z**2 - 1)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("2/pi*asin(2*c/sqrt((1 + 2*a)*(1 + 2*b)))", 2 / sp.pi * sp.asin(2 * c / sp.sqrt((1 + 2 * a) * (1 + 2 * b)))),
        ("sqrt(D)/(2*pi) + c/4", sp.sqrt(D) / (2 * sp.pi) + c / 4),
        ("exp(c - a/2 - b/2)", sp.exp(c - a / 2 - b / 2)),
        ("sqrt(a*b)", sp.sqrt(a) * sp.sqrt(b)),
        ("exp(-pi*a - E)", sp.exp(-sp.pi * a - sp.E)),
    ],
)
def test_duals_are_read_in_their_own_symbols(text, expression):
    assert read_expression(text, VARIANCES) == expression


def test_only_the_given_arguments_are_known():
    assert "a known name at column 5, got 'z'" in one_line("a + z", arguments=VARIANCES)
    assert "a known name at column 5, got 'x'" in one_line("a + x", arguments=VARIANCES)
    assert "a known name at column 5, got 'a'" in one_line("z + a")


def test_parameters_are_real_symbols_on_request():
    alpha, k = sp.symbols("alpha k", real=True)
    assert read_expression("max(z, alpha*z) + k", parameters=True) == sp.Max(z, alpha * z) + k
    assert read_expression("alpha*x", parameters=True) == alpha * z
    assert "parameters=True" in one_line("alpha*z")
    for text in ("Alpha*z", "alphabetical*z", "alpha_1*z", "__class__*z", "w1*z"):
        assert "up to ten small letters" in one_line(text, parameters=True)
    for text in ("exp*z", "lambda*z", "z + x", "alpha(z)", "z**alpha"):
        one_line(text, parameters=True)


@pytest.mark.parametrize("name", ["inf", "infinity", "nan", "oo"])
def test_what_is_no_number_is_not_taken_for_a_parameter(name):
    assert f"a finite number at column 7, got '{name}'" in one_line(f"max(z,{name})", parameters=True)


# --- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_expression_is_refused_in_one_line(text):
    with pytest.raises(Unreadable, match=REFUSED[text]):
        read_expression(text)
    one_line(text)


@pytest.mark.parametrize("text", HUGE, ids=lambda text: text[:20])
def test_what_would_be_huge_is_refused_before_it_is_built(text):
    one_line(text)


def test_errors_inside_of_a_definition_are_reported_at_the_call():
    assert "column 5, got 'softplus(1e9)'" in one_line("z + softplus(1e9)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exp(pi*a**5 - exp(90)*a**3 + a)", "SymPy cannot find signs of others in D, a, b alone"),
        ("exp(pi*a**5 - exp(90)*sqrt(a**2)**3)", "SymPy cannot find signs of others"),
        ("exp(1/(pi + a) + sqrt(2)/(1 + E*a))", "SymPy cannot find signs"),
        ("1/(sqrt(a**2) - a)", "divides by 0"),
        ("max(asin(15 + b), c)", "cannot compare them"),
    ],
)
def test_what_is_no_small_expression_once_signs_are_known_is_refused(text, message):
    assert message in one_line(text, arguments=VARIANCES)
    assert isinstance(read_expression(text, frozenset(sp.symbols("a b c D", real=True))), sp.Expr)


def test_the_degree_in_one_variance_is_limited(monkeypatch):
    assert read_expression("a**8 + a**2/3 + 105*b**12*c**2", VARIANCES) == a**8 + a**2 / 3 + 105 * b**12 * c**2
    assert "degree up to 8" in one_line("b*(a**9 + 1)", arguments=VARIANCES)
    monkeypatch.setattr(parsing, "_SIGNED_DEGREE", 9)
    assert read_expression("b*(a**9 + 1)", VARIANCES) == b * (a**9 + 1)


LIMITS = {
    "length": ("_LIMITS", {"length": 10**4}, "abs(" * 10 + "z" + ")" * 10),
    "terms": ("_LIMITS", {"terms": 10**4}, "(1 + z + exp(z) + sin(z) + cos(z))**11"),
    "degree": ("_LIMITS", {"degree": 100}, "z**65"),
    "characters": ("_LIMITS", {"length": 3000}, "z" + " " * 2000 + "+ 1"),
    "tokens": ("_TOKENS", 600, "max(" + ", ".join(["+z" + "*1" * 90] * 3) + ", 0) + z**2"),
    "brackets": ("_BRACKETS", 30, "(" * 20 + "z" + ")" * 20),
    "depth": ("_DEPTH", 200, "+".join(["z"] * 120)),
    "magnitude": ("_MAGNITUDE", 10**200, "1e120*z"),
    "operands": ("_OPERANDS", 10, "max(1, 2, 3, 4, 5, 6, 7, 8, z)"),
    "comparisons": ("_COMPARISONS", 20, "z if z < 1 else " * 17 + "0"),
    "roots": ("_ROOTS", 200, "z*(sqrt(2) + sqrt(3) + sqrt(5) + sqrt(7) + sqrt(11) + sqrt(13) + sqrt(17) + 1)"),
    "hermite": ("_HERMITE", 30, "hermite(21, z)"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_each_limit_alone_refuses_something_that_would_be_read_without_it(monkeypatch, limit):
    name, looser, text = LIMITS[limit]
    one_line(text)
    if isinstance(looser, dict):
        looser = parsing._LIMITS._replace(**looser)
    monkeypatch.setattr(parsing, name, looser)
    assert read_expression(text).free_symbols == {z}


def test_what_is_just_small_enough_is_read():
    for text in ("z**64", "(" * 16 + "z" + ")" * 16, "+".join(["z"] * 90), "(z + 1)**64", "1e100*z", "hermite(20, z)"):
        assert read_expression(text).free_symbols == {z}


# --- any text ----------------------------------------------------------------------------------------------------

any_text = settings(max_examples=150, deadline=None, derandomize=True)
symbols = "z x 0 1 2 7 0.5 1e99 1e-99 ( ) ( ) , + - * / ** < <= > if else True . = : [ ] ' ^ _".split()  # noqa: SIM905
words = st.sampled_from([*symbols, " ", "\n", *(f"{name}(" for name in sorted(parsing._FUNCTIONS))])


def outcome(text, **options):
    """Return the expression that a text is read as, or the message with which it is refused."""
    try:
        return read_expression(text, **options)
    except Unreadable as refusal:
        return str(refusal)


def check_it_is_read_or_refused(text, **options):
    result = outcome(text, **options)
    if isinstance(result, str):
        assert result.isprintable()
    else:
        assert isinstance(result, sp.Expr)
        assert not result.has(sp.nan, sp.zoo, sp.oo, -sp.oo, sp.I, sp.Float)


@any_text
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    check_it_is_read_or_refused(text)
    check_it_is_read_or_refused(text, parameters=True)


@any_text
@given(st.lists(words, max_size=30).map("".join))
def test_any_words_are_read_or_refused(text):
    check_it_is_read_or_refused(text)
    check_it_is_read_or_refused(text.replace("z", "a"), arguments=VARIANCES)


def nested(inner):
    """Return texts with the values that they have at z = 3/4, or None where these are not finite and real."""

    def lifted(form, function):
        def build(parts):
            try:
                value = function(*(value for _, value in parts))
                tame = isinstance(value, float | int) and 1e-4 < abs(value) < 1e4
            except (ArithmeticError, ValueError, TypeError):
                value, tame = None, False
            return form.format(*(text for text, _ in parts)), value if tame else None

        return build

    def forms(*rows):
        return st.one_of(*(st.tuples(*[inner] * count).map(lifted(form, f)) for count, form, f in rows))

    return forms(
        (2, "({} + {})", lambda s, t: s + t),
        (2, "({} - {})", lambda s, t: s - t),
        (2, "({})*({})", lambda s, t: s * t),
        (2, "({})/({})", lambda s, t: s / t),
        (1, "({})**2", lambda s: s**2),
        (1, "({})**-0.5", lambda s: s**-0.5),
        (1, "-({})", lambda s: -s),
        (1, "exp({})", math.exp),
        (1, "log({})", math.log),
        (1, "tanh({})", math.tanh),
        (1, "erf({})", math.erf),
        (1, "atan({})", math.atan),
        (1, "abs({})", abs),
        (2, "max({}, {})", max),
        (3, "clip({}, {}, {})", lambda s, t, u: min(max(s, t), u)),
        (1, "hermite(3, {})", lambda s: s**3 - 3 * s),
        (3, "({} if {} < z else {})", lambda s, t, u: s if t < 0.75 else u),
        (3, "where(-1 < z <= {}, {}, {})", lambda s, t, u: t if s >= 0.75 else u),
    )


leaves = st.sampled_from([("z", 0.75), ("2", 2), ("0.3", 0.3), ("1e-2", 0.01), ("pi", math.pi)])
formulas = st.recursive(leaves, nested, max_leaves=8)
extremes = st.sampled_from([(text, None) for text in ("z", "0", "64", "1e99", "1e-99", "z**64", "E", "1/3", "z - z")])


def check_value(text, value):
    result = outcome(text)
    if value is not None and isinstance(result, sp.Expr):
        assert complex(result.subs(z, sp.Rational(3, 4)).evalf()) == pytest.approx(value, rel=1e-6, abs=1e-8)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(formulas)
def test_any_formula_has_the_value_that_arithmetic_gives(formula):
    check_value(*formula)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.recursive(extremes, nested, max_leaves=12))
def test_any_formula_with_extreme_numbers_is_read_or_refused(formula):
    check_it_is_read_or_refused(formula[0])
    check_it_is_read_or_refused(formula[0].replace("z", "a"), arguments=VARIANCES)


def test_a_planted_wrong_operation_changes_values(monkeypatch):
    monkeypatch.setitem(parsing._OPERATIONS, ast.Sub, operator.add)
    with pytest.raises(AssertionError):
        check_value("(z - 2)*z", -0.9375)
