"""What a run looks like on a terminal: short where all is well, and every reason where it is not."""

import io
from typing import Any

import pytest
from rich.console import Console

from verify.screen import verdict_lines, verdict_table


def a_mutant(name: str, killed: bool = True) -> dict[str, Any]:
    return {"name": name, "killed": killed, "equivalent": False, "reason": "", "distance": None}


def a_claim(name: str, verdict: str = "confirmed", **changes: Any) -> dict[str, Any]:
    check = {"name": "derivation", "kind": "symbolic", "verdict": verdict, "interval": None, "note": "a step is wrong"}
    return {
        "id": name,
        "title": name,
        "verdict": verdict,
        "checks": [{**check, "mutants": [a_mutant("off by one")]}],
        "printed": None,
        "status_as_printed": "holds",
        "assumptions": [],
        "resting": [],
        "derivation": {"steps": []},
        **changes,
    }


def results(*claims: dict[str, Any], of: int = 40) -> dict[str, Any]:
    """A run of a lecture with two sections of so many statements, of which the first is what the claims are about."""
    names = [f"eq{number}" for number in range(1, of + 1)]
    sections = [("1", "One", names), ("2", "Two", [f"sec2-{number}" for number in range(of)])]
    given = {claim["id"] for claim in claims}
    return {
        "claims": [*claims, *(a_claim(name) for name in names if name not in given), a_claim("dual.relu")],
        "lecture": [
            {"section": n, "title": t, "statements": [{"id": i, "title": i} for i in some]} for n, t, some in sections
        ],
    }


def shown(run: dict[str, Any], columns: int = 60) -> list[str]:
    console = Console(width=columns, file=io.StringIO(), markup=False, highlight=False)
    console.print(verdict_table(run))
    for line in verdict_lines(run):
        console.print(line)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]  # it is what was given
    assert max(map(len, lines)) <= columns
    return lines


def test_many_claims_are_counted_by_section() -> None:
    lines = shown(results())
    assert len(lines) < 12
    assert any(line.split() == ["1", "One", "40", "40", "confirmed", "40/40"] for line in lines)
    assert any(line.split() == ["dual.*", "1", "1", "confirmed", "1/1"] for line in lines)
    assert not any(line.startswith("eq") for line in lines)
    assert "Planted errors: 41 caught, 0 survived" in lines
    assert "The lecture: 40 of 80 statements; 40 derived by rules" in lines


def test_few_claims_have_a_line_each() -> None:
    lines = shown(results(of=3))
    assert any(line.split() == ["eq2", "confirmed", "1", "1/1"] for line in lines)


def test_what_is_not_confirmed_is_named_with_the_reason_and_what_rests_on_it() -> None:
    broken = a_claim("eq1", "refuted")
    resting = [a_claim(f"eq{number}", resting=["eq1"]) for number in range(2, 9)]
    lines = shown(results(broken, *resting), columns=100)
    assert any(line.split() == ["1", "One", "40", "39", "confirmed,", "1", "refuted", "40/40"] for line in lines)
    assert "eq1: derivation: refuted, a step is wrong" in lines
    assert "eq1 is not confirmed, but eq2, eq3, eq4, eq5 and 3 more rest on it" in lines


def test_a_planted_error_that_survived_is_counted() -> None:
    survivor = a_claim("eq1", "inconclusive")
    survivor["checks"][0]["mutants"] = [a_mutant("off by one", killed=False)]
    lines = shown(results(survivor), columns=100)
    assert "Planted errors: 40 caught, 1 survived" in lines
    assert "eq1: derivation: inconclusive, not caught: off by one" in lines


@pytest.mark.parametrize("columns", [60, 100])
def test_assumptions_and_what_cannot_be_checked_are_told(columns: int) -> None:
    question = a_claim("eq1", "unchecked", unchecked="a rhetorical question", checks=[])
    lines = shown(results(question, a_claim("eq2", assumptions=["phi is bounded"])), columns)
    told = " ".join(lines)
    assert "41 claims: 40 confirmed, 1 unchecked (1 of these under assumptions △)" in told
    assert "eq1: unchecked, a rhetorical question" in lines
