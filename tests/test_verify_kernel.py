"""The command ``kernel``: what it prints for people, for papers and for programs, and how it answers mistakes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
from click.testing import CliRunner, Result

from derive.activations import ACTIVATIONS, Activation, activation
from derive.notation import z
from numeric import proven_error
from numeric.emit import jax_source, python_source
from numeric.kernels import MLP
from numeric.proven_error import shown_error
from verify.cli import main

PARAMETRIC = "max(z, 0) + alpha*min(z, 0)"


def kernel(*words: str, columns: int = 80) -> Result:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, ["kernel", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def words_of(result: Result) -> str:
    return " ".join(result.stdout.split())


@pytest.mark.parametrize("columns", [60, 80, 100])
def test_the_page_of_gelu_has_formulas_conditions_facts_and_the_error(columns: int) -> None:
    result = kernel("gelu", columns=columns)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= columns
    page = words_of(result)
    assert "E[φ(u) φ(v)] (c atan2(√(D + a + b + 1), - c))/(2 π) + (D a b" in page
    assert "a centred Gaussian pair (u, v) with variances a, b, covariance c and D = ab - c^2" in page
    assert all(f"{fact}: " in page for fact in ("Price", "Stein", "tilt"))
    assert "each from a closed form, errors measured below 1e-14" in page


@pytest.mark.parametrize("row", ACTIVATIONS, ids=lambda row: row.name)
def test_every_activation_has_a_page_at_60_columns(row: Activation) -> None:
    result = kernel(row.name, columns=60)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert not re.search(r"\\[a-zA-Z]", result.stdout)  # no LaTeX command is left


def test_no_line_of_a_formula_breaks_within_a_product() -> None:
    lines = kernel("gelu", columns=60).stdout.splitlines()
    formula = lines[lines.index("E[φ(u) φ(v)]") + 1 : lines.index("E[φ̇(u) φ̇(v)]") - 1]
    assert len(formula) > 1
    assert all(re.match(r" +[+-] ", line) for line in formula[1:])


def test_an_activation_without_closed_form_says_why_and_how_it_is_summed() -> None:
    page = words_of(kernel("tanh"))
    assert "No closed form is known tanh(z) is outside the class" in page
    assert "each as a Hermite-Mehler series, errors estimated below 1e-1" in page
    assert "A_k(a) = E[φ(√a x) He_k(x)]" in page


@pytest.mark.parametrize("which", ["tanh", "relu", "exp(z**2/8)*tanh(z)"])
def test_the_error_of_a_series_is_proven_at_the_pairs_that_are_shown(which: str) -> None:
    page = words_of(kernel(which))
    if which == "relu":
        assert "proven" not in page
        return
    for order, told in enumerate(("the first", "the second")):
        found = re.search(
            rf"{told} in float64: errors proven to be at most (\S+), relative as above, at (.*?) (the|num)", page
        )
        assert found is not None
        shown = shown_error(activation(which), order)
        assert shown.error <= float(found[1]) <= 1.11 * shown.error
        assert found[2].count("(") == len(shown.proven) + 1
        assert "not proven" not in page
        assert "(4, 4, 3.96875)" in found[2] or which != "tanh"


@pytest.mark.parametrize("which", ["sin(z)/z", "sqrt(abs(z))"])
def test_a_singularity_is_refused_in_one_line_that_says_where_it_is(which: str) -> None:
    result = kernel(which)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert re.search("no bound of .* is found between z = -3 and 0; write it without singularities, removable", line)


@pytest.mark.parametrize(("allowed", "proven"), [(0, 0), (190_000, 4)])
def test_what_is_not_proven_within_the_work_allowed_is_said_not_to_be(
    allowed: int, proven: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proven_error, "SHOWN_OPERATIONS", allowed)
    page = words_of(kernel("tanh"))
    for told in ("the first", "the second"):
        said = re.search(rf"{told} in float64: errors proven to be at most \S+, relative as above, at (.*?) the", page)
        assert (said[1].count("(") - 1 if said else 0) == proven
        missing = re.search(
            rf"{told} in float64: not proven within the {allowed:,} operations .*? at (.*?), where", page
        )
        assert missing is not None
        assert missing[1].count("(") - 1 == len(proven_error.SHOWN) - proven
        assert "there is only the estimate above; proven_means is allowed more" in page


def test_a_jump_is_said_to_be_unseen_by_the_pathwise_derivative_and_seen_by_the_weak_one() -> None:
    pathwise, weak = kernel("step").stdout, kernel("step", "--weak").stdout
    assert "\nE[φ̇(u) φ̇(v)]\n  0\n" in pathwise
    assert "\nE[φ̇(u) φ̇(v)]\n  1/(2 π √D)\n" in weak
    assert "pathwise, what backpropagation uses" in " ".join(pathwise.split())
    assert "weak, with a Dirac delta where phi jumps" in " ".join(weak.split())


def test_parameters_appear_as_positive_letters() -> None:
    page = words_of(kernel(PARAMETRIC))
    assert "α + ((α - 1)^2 atan2(√D, - c))/(2 π)" in page
    assert "alpha > 0" in page


def test_conditions_of_moments_are_shown() -> None:
    assert "1 - a/4 > 0, so that the moment exists" in words_of(kernel("exp(z**2/8)"))


def test_the_symbols_of_bivariate_cdfs_are_explained_where_they_occur() -> None:
    assert "L(h, k; r) = P(X > h, Y > k) for standard normals" in words_of(kernel("relu6"))
    assert "standard normals" not in words_of(kernel("relu"))


@pytest.mark.parametrize("which", ["gelu", PARAMETRIC, "elu"])
def test_python_is_the_emitted_module(which: str) -> None:
    assert kernel(which, "--emit", "python").stdout == python_source(which)


def test_the_printed_module_computes_kernels() -> None:
    names: dict[str, object] = {}
    exec(compile(kernel("relu", "--emit", "python").stdout, "printed", "exec"), names)  # noqa: S102 - what is tested
    x = np.array([[1.0, 2.0], [3.0, -1.0]])
    both = names["nngp_and_ntk"](x, hidden_layers=3)  # type: ignore[operator]  # a function
    assert np.allclose(both, MLP("relu", 3).kernels(x), rtol=1e-13)


def test_jax_is_the_emitted_module() -> None:
    assert kernel("gelu", "--emit", "jax").stdout == jax_source("gelu")


def test_latex_compiles(tmp_path: Path) -> None:
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("there is no pdflatex")
    shown = ["gelu", "elu", "tanh", "step", "exp(z**2/8)", PARAMETRIC, "where(z < 0, exp(z) - 1, z)", "selu"]
    blocks = [kernel(which, "--emit", "latex").stdout for which in shown]
    source = "\n".join([r"\documentclass{article}\usepackage{amsmath}\begin{document}", *blocks, r"\end{document}"])
    (tmp_path / "all.tex").write_text(source, encoding="utf-8")
    words = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-1000:]


def test_long_sums_in_latex_have_a_term_on_each_line() -> None:
    block = kernel("elu", "--emit", "latex").stdout
    assert block.count(r"\quad") > 5
    assert r"\operatorname{L}(h, k; r) = P(X > h, Y > k)" in block
    assert r"\quad" not in kernel("relu", "--emit", "latex").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gellu",), "did you mean gelu, elu, selu?"),
        (("tanhh(z)",), "did you mean tanh"),
        (("2*beta",), "expected an expression in z, got the constant '2*beta'"),
        (("c*z",), "another name for the parameter c"),
        (("exp(z**4)",), "a square with a mean at variance 1"),
        (("abs(sin(z))",), "whose zeros can be found"),
        (("tanh", "--emit", "jax"), "elementary closed forms"),
        (("tanh(alpha*z)", "--emit", "python"), "expected numbers for alpha"),
        (("sign(z) + tanh(z)", "--weak"), "closed form of the dual of a weak derivative"),
        (("gelu", "--emit", "fortran"), "'text', 'latex', 'python', 'jax'"),
        ((), "missing argument 'PHI'"),
        (("",), "expected an expression, got an empty text"),
        (("__import__('os')",), "expected a formula at column 12"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(words: tuple[str, ...], message: str) -> None:
    result = kernel(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("widelimit: ")
    assert message in line


def test_an_expression_may_begin_with_a_minus_after_two() -> None:
    assert "E[φ(u) φ(v)] c " in words_of(kernel("--", "-z"))


def test_help_has_an_example() -> None:
    assert "Example: widelimit kernel" in words_of(kernel("--help"))


def test_a_row_that_is_added_has_kernels_checks_and_a_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    row = Activation("damped-ramp", sp.Max(z, 0) * sp.exp(-(z**2) / 3))
    monkeypatch.setattr("derive.activations.ACTIVATIONS", (*ACTIVATIONS, row))
    kernels = MLP("damped_ramp", hidden_layers=2, sigma_w=1.2).kernels(np.array([[1.0, 0.5], [-0.3, 2.0]]))
    expected = MLP("max(z, 0)*exp(-z**2/3)", hidden_layers=2, sigma_w=1.2).kernels([[1.0, 0.5], [-0.3, 2.0]])
    np.testing.assert_array_equal(kernels, expected)
    ids = ["dual.damped-ramp", "dual.damped-ramp-derivative"]
    words = [word for key in ids for word in ("--claim", key)]
    result = CliRunner().invoke(main, ["report", *words, "--workers", "1", "--run", str(tmp_path)])
    assert result.exit_code == 0, result.output
    claims = json.loads((tmp_path / "results.json").read_text())["claims"]
    assert [(claim["id"], claim["verdict"]) for claim in claims] == [(key, "confirmed") for key in ids]
    assert all({check["kind"] for check in claim["checks"]} >= {"symbolic", "precision"} for claim in claims)
    assert all(key in (tmp_path / "report.html").read_text() for key in ids)
