"""Emitted modules: they stand alone, they compute what the library computes, and a wrong digit in them is seen."""

import ast
import importlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sympy as sp

from derive.activations import ACTIVATIONS, Activation, activation
from derive.notation import a, b, c, z
from numeric import emit_sources, special
from numeric.emit import evaluation, jax_source, python_source, with_positive_parameters
from numeric.emit_formula import LINE, assignments, code, wrapped
from numeric.emit_sources import import_lines, standing_alone
from numeric.kernels import MLP
from numeric.lower_duals import CLOSED_FORM, closed_forms_for_floats, lowered_dual

CHECKOUT = Path(__file__).resolve().parents[1]
SAME = 1e-12
"""Of the largest entry: far above the errors of both sides, a hundred times below the smallest planted one."""

UNFORESEEN = (
    "1.0507009873554805*z*Phi(1.702*z)",
    "max(z, 0)*exp(-z**2)",
    "exp(-(z - 1)**2)",
    "z*sin(z)",
    "step(z - 1)",
    "where(z < 0, exp(z) - 1, where(z < 1, z, 1))",
    "log(1 + z**2)",
    "where(z < 0, 0, z*sqrt(z))",
)
VARIANCES = np.array([[1.0], [0.3]]), np.array([[0.7, 1.0, 0.3]])
CORRELATIONS = np.array([[0.4, 1.0, -0.9], [-1.0, 0.999, 1.0]])
INPUTS = np.array([[0.3, -0.5, 0.4], [0.2, 0.6, -0.1], [0.3, -0.5, 0.4], [-0.2, -0.6, 0.1], [0.0, 0.0, 0.0]])
"""The third is the first again, the fourth is opposite to the second, and the fifth is zero."""


emitted = cache(python_source)


def pairs() -> tuple[Any, ...]:
    first, second = VARIANCES
    covariance = CORRELATIONS * np.sqrt(first * second)
    return first, second, covariance, first * second * (1 - CORRELATIONS**2)


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ModuleType]]:
    directory = tmp_path_factory.mktemp("emitted")
    with pytest.MonkeyPatch.context() as patch:

        def loaded(text: str) -> ModuleType:
            path = directory / f"emitted_{len(list(directory.glob('*.py')))}.py"
            path.write_text(text, encoding="utf-8")
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, path.stem, module)  # dataclasses look for their module there
            spec.loader.exec_module(module)
            return module

        yield loaded


def deviation(module: ModuleType, row: Activation, **parameters: float) -> float:
    """How far an emitted module is from the library: duals at pairs, kernels at inputs."""
    known = activation(row.expression.xreplace({name: sp.Rational(parameters[str(name)]) for name in row.parameters}))
    dual = lowered_dual(known)
    found = list(module.dual(*pairs(), **parameters))
    expected = [dual.value(*pairs()), dual.derivative(*pairs())]
    layers = 1 if None in closed_forms_for_floats(row) else 2  # series take their time
    scales = {"sigma_w": 1.3, "sigma_b": 0.2}
    found += module.nngp_and_ntk(INPUTS, INPUTS[[0, 1, 4]], hidden_layers=layers, **scales, **parameters)
    expected += MLP(known, layers, *scales.values()).kernels(INPUTS, INPUTS[[0, 1, 4]])
    return max(
        float(np.max(np.abs(mine - theirs)) / max(1e-300, np.max(np.abs(theirs))))
        for mine, theirs in zip(found, expected, strict=True)
    )


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_every_activation_is_emitted_as_the_library_computes_it(row: Activation, load: Any) -> None:
    assert deviation(load(emitted(row)), row) < SAME


@pytest.mark.parametrize("text", UNFORESEEN)
def test_expressions_that_nobody_thought_of_are_emitted_too(text: str, load: Any) -> None:
    assert deviation(load(emitted(text)), activation(text)) < SAME


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("gelu", "(2 * np.pi)", "(2.00000001 * np.pi)"),
        ("gelu", "2 * D + a**2", "D + a**2"),
        ("erf", "4 * D", "5 * D"),
        ("relu3", "math.factorial(n)", "math.factorial(n + 1)"),
        ("erf", "sigma_b**2 + sigma_w**2 * value", "sigma_b**2 + sigma_w * value"),
        ("erf", "gram * sigma_w**2 / d", "gram / d"),
        ("erf", "longer = squares[0] >= squares[1]", "longer = squares[0] < squares[1]"),
        ("tanh", "np.tanh(z)", "np.tanh(1.00000001 * z)"),
        ("elu", "np.where(z > 0, z, result)", "np.where(z > 0, 1.00000001 * z, result)"),
    ],
)
def test_a_changed_constant_in_an_emitted_module_is_seen(name: str, old: str, new: str, load: Any) -> None:
    source = emitted(name)
    assert old in source
    assert deviation(load(source.replace(old, new)), activation(name)) > 100 * SAME


@pytest.mark.parametrize("text", ["max(z, 0) + alpha*min(z, 0)", "erf(beta*z)", "sin(omega*z) + shift*z"])
def test_parameters_become_keyword_arguments(text: str, load: Any) -> None:
    row = with_positive_parameters(text)
    module = load(emitted(text))
    given = {str(name): 0.25 + 0.5 * n for n, name in enumerate(row.parameters)}
    assert deviation(module, row, **given) < SAME
    with pytest.raises(TypeError, match="required keyword-only"):
        module.dual(*pairs())


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_what_is_emitted_needs_nothing_but_numpy_and_scipy(row: Activation) -> None:
    source = emitted(row)
    roots = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [x.name for x in node.names])
    }
    assert roots - {*sys.stdlib_module_names} <= {"numpy", "scipy"}
    assert str(CHECKOUT) not in source
    assert "widelimit" in source


GROWING = ("exp", "cosh")
"""Their kernels at inputs of norm 1000 are beyond float64."""


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_no_input_gives_nan_or_a_warning(row: Activation, load: Any) -> None:
    module = load(emitted(row))
    for norm in (1e-6, 1.0) if row.name in GROWING else (1e-6, 1.0, 1e6):
        inputs = np.concatenate([INPUTS, INPUTS[:1] * (1 + 1e-9), INPUTS[1:2] / norm]) * norm
        for kernel in module.nngp_and_ntk(inputs, hidden_layers=2, sigma_w=1.5):
            assert np.isfinite(kernel).all()
            assert (kernel[0] == kernel[2]).all()
            assert np.allclose(kernel, kernel.T, rtol=1e-12, atol=0)


def test_another_process_emits_the_same_text() -> None:
    texts = "gelu", "max(z, 0) + alpha*min(z, 0)"
    script = f"from numeric.emit import python_source as f; print(*map(f, {texts}), end='')"
    words = [sys.executable, "-c", script]
    result = subprocess.run(
        words, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert result.stdout == " ".join(map(python_source, texts))


def test_what_is_emitted_is_as_the_formatter_and_the_linter_would_have_it(tmp_path: Path) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    if ruff is None:
        pytest.skip("ruff is not installed beside Python")
    for n, which in enumerate([*ACTIVATIONS, *map(activation, UNFORESEEN)]):
        (tmp_path / f"m{n}.py").write_text(emitted(which), encoding="utf-8")
    (tmp_path / "alpha.py").write_text(emitted("max(z, 0) + alpha*min(z, 0)"), encoding="utf-8")
    (tmp_path / "step.py").write_text(emitted("step(z - 1)", weak=True), encoding="utf-8")
    (tmp_path / "jax_gelu.py").write_text(jax_source("gelu"), encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        words = [ruff, *command, "--no-cache", "--config", str(CHECKOUT / "pyproject.toml"), str(tmp_path)]
        result = subprocess.run(words, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


def test_the_weak_derivative_of_sign_has_the_density_at_zero(load: Any) -> None:
    first, second, covariance, D = pairs()
    module = load(emitted("sign", weak=True))
    density = 1 / (2 * np.pi * np.sqrt(np.where(D > 0, D, 1)))
    assert np.allclose(np.where(D > 0, module.dual(first, second, covariance, D)[1], 4 * density), 4 * density)
    assert (load(emitted("sign")).dual(first, second, covariance, D)[1] == 0).all()


def test_weak_derivatives_at_zero_determinant_give_no_nan(load: Any) -> None:
    for text in ("sign", "step(z - 1)"):
        for mean in load(emitted(text, weak=True)).dual(*pairs()):
            assert np.isfinite(mean).all()


def test_means_that_do_not_exist_are_refused(load: Any) -> None:
    module = load(emitted("exp(z**2/8)"))
    assert np.allclose(module.dual(1.0, 1.0, 0.0, 1.0)[0], 4 / 3)  # 1/(1 - 1/4), the product of means
    with pytest.raises(ValueError, match="do not exist at these variances"):
        module.dual(4.5, 1.0, 0.0, 4.5)


def test_inputs_of_two_dimensions_are_refused(load: Any) -> None:
    with pytest.raises(ValueError, match=r"shape \(n_points, dimension\), got \(1, 2\) and \(1, 3\)"):
        load(emitted("relu")).nngp_and_ntk(np.ones((1, 2)), np.ones((1, 3)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gellu", "did you mean gelu"),
        ("leaky-rely", "did you mean leaky-relu"),
        ("tanh(alpha*z)", "expected numbers for alpha"),
        ("c*z", "another name for the parameter c"),
        ("spread*z", "another name for the parameter spread"),
        ("exp(z**4)", "a square with a mean at variance 1"),
        ("1/z", "a square with a mean at variance 1"),
        ("abs(sin(z))", "whose zeros can be found"),
    ],
)
def test_what_cannot_be_emitted_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        python_source(text)
    assert "\n" not in str(error.value)


def test_the_route_in_words_is_the_route_of_the_library() -> None:
    for row in ACTIVATIONS:
        forms = closed_forms_for_floats(row)
        routes = [form is not None for form in forms]
        assert routes == [mean.route == CLOSED_FORM for mean in (lowered_dual(row).value, lowered_dual(row).derivative)]
        assert ("from a closed form" in evaluation(row, forms)) == any(routes)


def fake_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy in place of JAX, of which emitted modules use what both have."""
    for name, content in {
        "jax": {"Array": np.ndarray},
        "jax.numpy": {name: getattr(np, name) for name in dir(np) if not name.startswith("_")},
        "jax.typing": {"ArrayLike": Any},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(sys.modules["jax"], "numpy", sys.modules["jax.numpy"], raising=False)


OF_JAX = {
    *("abs", "arctan2", "asarray", "broadcast_shapes", "cos", "cosh", "exp", "expm1", "hypot", "maximum", "minimum"),
    *("negative", "pi", "sign", "sin", "sinh", "sqrt", "where", "zeros", "zeros_like"),
}
"""What jax.numpy is known to have, from its reference."""
CLOSED = [row for row in ACTIVATIONS if None not in closed_forms_for_floats(row)]


@pytest.mark.parametrize("row", CLOSED, ids=lambda row: row.name)
def test_the_text_for_jax_is_right_with_numpy_in_its_place(
    row: Activation, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_jax(monkeypatch)
    source = jax_source(row)
    assert not re.search(r"\bnp\.(?!polynomial)", source)
    assert set(re.findall(r"\bjnp\.(\w+)", source)) <= OF_JAX
    for mine, theirs in zip(load(source).dual(*pairs()), load(emitted(row)).dual(*pairs()), strict=True):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("which", ["gelu", "relu", "step", "cosh", "z-gaussian", "max(z,0)*exp(-z**2)"])
def test_jax_itself_computes_the_same(which: str, load: Any) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    dual, compiled = load(jax_source(which)).dual, jax.jit(load(jax_source(which)).dual)
    for mine, fast, theirs in zip(dual(*pairs()), compiled(*pairs()), load(emitted(which)).dual(*pairs()), strict=True):
        assert np.allclose(mine, theirs, rtol=1e-12, atol=1e-15)
        assert np.allclose(fast, theirs, rtol=1e-12, atol=1e-15)


def test_there_is_no_series_for_jax() -> None:
    with pytest.raises(ValueError, match="elementary closed forms"):
        jax_source("tanh")


AT = {a: 0.5, b: 0.25, c: -0.125, z: 2.0}


def computed(load: Callable[[str], ModuleType], lines: list[str]) -> Any:
    """What lines assign, on arrays of one element."""
    values = [f"{symbol} = np.array([{value}])" for symbol, value in AT.items()]
    return load("\n".join(["import numpy as np", *values, *lines]))


def test_shared_parts_are_computed_once() -> None:
    root = sp.sqrt(a + b + 1)
    lines = assignments({"first": root**3 + c, "second": c / root}, "abc")
    assert lines == ["root = np.sqrt(a + b + 1)", "first = c + root**3", "second = c / root"]


def test_names_that_are_taken_are_not_given_to_parts() -> None:
    root2 = sp.Symbol("root2", positive=True)
    first, second = sp.sqrt(a + 1), sp.sqrt(b + root2)
    lines = assignments({"value": first * second + 1 / first + 1 / second}, ["a", "b", "root2"])
    assert [line.split(" = ")[0] for line in lines] == ["root", "root3", "value"]


def test_long_formulas_become_several_lines_with_the_same_value(load: Any) -> None:
    long = sp.expand((a + 2 * b + 3 * c + 1) ** 6) * sp.exp(-a - b)
    lines = assignments({"value": long}, "abc")
    assert len(lines) > 3
    assert max(map(len, lines)) <= LINE - 4
    assert computed(load, lines).value == pytest.approx(float(long.subs(AT)), rel=1e-13)


def test_integers_beyond_float64_are_written_as_floats(load: Any) -> None:
    (line,) = assignments({"value": a * (10**30 + 1) / 3 + b / 10**25}, "ab")
    value = computed(load, [line]).value
    assert value.dtype == np.float64
    assert value[0] == pytest.approx(1e30 / 6)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (-(a**2), "-(a**2)"),
        (sp.exp(-((a + 1) ** 2)), "np.exp(-((a + 1) ** 2))"),
        (a - (b - c), "a - b + c"),
        (2 / (a * b), "2 / (a * b)"),
        (sp.Max(a, b, c), "np.maximum(a, np.maximum(b, c))"),
        (a**-2, "a**-2"),
        (1 / sp.sqrt(a), "1 / np.sqrt(a)"),
        (sp.Piecewise((a, c < 0), (b, True)), "np.where(c < 0, a, b)"),
        (sp.Float("1e30") * z, "1e30 * z"),
    ],
)
def test_code_is_written_as_the_formatter_would_have_it(expression: sp.Expr, text: str, load: Any) -> None:
    assert code(expression) == text
    assert computed(load, [f"value = {text}"]).value == pytest.approx(float(expression.subs(AT)))


def test_functions_without_a_name_in_numpy_are_refused() -> None:
    with pytest.raises(ValueError, match="gamma"):
        code(sp.gamma(a))


def test_formulas_break_outside_of_brackets_first() -> None:
    assert wrapped("f(x + y) + g(x + y)", 12, "  ") == ["f(x + y)", "  + g(x + y)"]
    assert wrapped("f(x + y)", 6) == ["f(x", "+ y)"]
    assert wrapped("f(x, y)", 5) == ["f(x,", "y)"]


def test_a_definition_comes_with_what_it_uses() -> None:
    texts, imports = standing_alone([(special, "exp_spread")])
    assert list(texts)[-1] == "exp_spread"
    assert "_spread_and_error" in texts
    assert "arc_moment" not in texts
    assert list(import_lines(imports)) == ["", "import numpy as np", "from numpy.typing import ArrayLike, NDArray"]


def test_unknown_definitions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a name of numeric\.special, got nothing"):
        standing_alone([(special, "nothing")])


def planted_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> ModuleType:
    (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module(name)


def test_a_constant_that_is_changed_after_its_definition_comes_with_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '"""About."""\n\n_X, _Y = 1.0, 2.0\n"""Two."""\n_Y /= 4\n\n\ndef f():\n    return _Y\n'
    texts, _ = standing_alone([(planted_module(tmp_path, monkeypatch, "with_a_change", text), "f")])
    assert list(texts.values()) == ['_X, _Y = 1.0, 2.0\n"""Two."""\n_Y /= 4', "def f():\n    return _Y"]


def test_statements_that_would_be_lost_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "X = [1]\nX.append(2)\n"
    with pytest.raises(ValueError, match=r"expected definitions and imports .* got X\.append\(2\)"):
        standing_alone([(planted_module(tmp_path, monkeypatch, "with_a_statement", text), "X")])


def test_one_name_with_two_meanings_becomes_two_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: Any
) -> None:
    package = tmp_path / "twofold"
    package.mkdir()
    for name, text in {
        "__init__": "",
        "first": "_X, Y = 1, 2\n\n\ndef f():\n    return _X + Y\n",
        "second": "from twofold.first import Y, f\n\n_X = 40\n\n\ndef g():\n    return f() + _X + 100 * Y\n",
    }.items():
        (package / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(emit_sources, "__name__", "twofold.emit_sources")  # its package is what counts as ours
    second = importlib.import_module("twofold.second")
    texts, imports = standing_alone([(second, "g")])
    assert not imports
    assert load("\n".join(texts.values())).g() == second.g() == 243
    assert len([text for text in texts.values() if text.startswith("_X")]) == 2
