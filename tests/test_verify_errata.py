"""The errata sheet: everything that is printed wrong, refuted on the spot, or no sheet at all."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from derive.claim import Claim, Kind, Printed, Stated, Status
from derive.exhibit import Exhibit, Formula
from derive.lecture import CLAIMS
from derive.lecture.contents import STATEMENTS
from verify.cli import main
from verify.errata import entry_of, misprinted, uncovered
from verify.report import write_errata


def a_claim(name: str, status: Status = Status.WRONG, printed: int = 5, right: int = 4) -> Claim:
    """A claim that two and two are four, printed otherwise."""
    return Claim(
        id=name,
        title=f"Title of {name}",
        section="2",
        equation=None,
        kind=Kind.IDENTITY,
        status=status,
        theorem=None,
        stated=Stated("arithmetic"),
        statement=lambda: Formula("2 + 2 = 4"),
        mutants=tuple,
        printed=Printed(f"2 + 2 = {printed}", "the sum is one more than three", why="a <slip> & no more"),
        exhibits=lambda: (
            Exhibit("two & two", 2 + 2, right, wrong={"three": lambda: 3}, printed=lambda: printed),  # type: ignore[arg-type]  # plain numbers do
        ),
    )


def a_registry(monkeypatch: pytest.MonkeyPatch, *claims: Claim) -> None:
    registry = type(CLAIMS)(claims)
    for place in ("derive.lecture.CLAIMS", "verify.errata.CLAIMS"):
        monkeypatch.setattr(place, registry)
    monkeypatch.setattr("verify.errata.misprinted", lambda: misprinted(registry))
    monkeypatch.setattr("verify.errata.uncovered", lambda: uncovered(registry))


def errata(*words: object) -> Result:
    result = CliRunner().invoke(main, ["derive", "--errata", *map(str, words)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_sheet_has_what_to_print_and_the_counterexample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_registry(monkeypatch, a_claim("eq4"))
    result = errata("--out", tmp_path)
    assert result.exit_code == 0
    assert [Path(line).name for line in result.stdout.splitlines()] == ["errata.html", "errata.tex", "errata.json"]
    written = json.loads((tmp_path / "errata.json").read_text(encoding="utf-8"))
    (entry,) = written["errata"]
    assert entry["printed"]["text"] == "2 + 2 = 5"
    assert entry["instead"]["text"] == "2 + 2 = 4"
    assert entry["counterexample"] == "two & two: 4 on the left, but 5 on the right"
    assert set(written["uncovered"]) == set(STATEMENTS) - {"eq4"}
    page = (tmp_path / "errata.html").read_text(encoding="utf-8")
    assert "Two &amp; two: 4 on the left, but 5 on the right." in page
    assert "A &lt;slip&gt; &amp; no more." in page
    assert "Nobody has looked at 141 statements" in page
    assert not re.search(r"<script|src=", page)


def test_wrong_statements_come_before_typos_and_each_in_the_order_of_the_lecture() -> None:
    claims = [a_claim("eq25"), a_claim("eq4", Status.TYPO), a_claim("eq3"), a_claim("eq2", Status.TYPO)]
    assert misprinted({claim.id: claim for claim in claims}) == ("eq3", "eq25", "eq2", "eq4")


def test_every_claim_that_is_printed_wrong_is_on_the_sheet() -> None:
    found = misprinted()
    assert set(found) == {key for key, c in CLAIMS.items() if c.printed or c.status in (Status.WRONG, Status.TYPO)}
    assert {"eq3", "eq71"} <= set(found)


@pytest.mark.parametrize(
    ("planted", "reason"),
    [
        (a_claim("eq4", printed=4), "eq4: as printed it is inconclusive, not refuted: no exhibit tells it apart"),
        (a_claim("eq4", right=3), "eq4: as corrected it is refuted, not confirmed: two & two"),
        (replace(a_claim("eq4"), printed=None), "eq4: its status is wrong, but nothing says what is printed"),
    ],
)
def test_a_planted_error_in_an_entry_means_no_sheet(
    planted: Claim, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_registry(monkeypatch, planted)
    result = errata("--out", tmp_path / "out")
    assert result.exit_code == 3
    assert reason in result.stderr
    assert "nothing is written" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_derived_statement_that_is_printed_right_is_found() -> None:
    claim = CLAIMS["eq71"]
    assert isinstance(entry_of(claim), dict)
    assert claim.printed
    right = replace(claim, printed=replace(claim.printed, evaluate=claim.statement))
    assert "as printed it is inconclusive, not refuted" in str(entry_of(right))
    mutant = replace(claim, statement=lambda: claim.mutants()[0].statement, mutants=tuple)
    assert "as corrected it is refuted" in str(entry_of(mutant))


def test_a_claim_that_is_printed_right_is_not_asked_for(tmp_path: Path) -> None:
    result = errata("eq36", "--out", tmp_path / "out")
    assert result.exit_code == 2
    assert "expected claims that the lecture prints wrong, got eq36" in result.stderr


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_of_the_sheet_compiles(tmp_path: Path) -> None:
    entries = [entry for key in ("eq3", "eq71") if isinstance(entry := entry_of(CLAIMS[key]), dict)]
    path = write_errata([*entries, entry_of(a_claim("sec1_%"))], ["eq1", "eq_2"], tmp_path)[1]  # type: ignore[list-item]  # it is an entry
    assert path.read_text(encoding="utf-8").isascii()
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "errata.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]
