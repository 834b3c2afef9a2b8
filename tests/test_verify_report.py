"""The report stage: a record in, pages out that are complete, self-contained, safe and the same every time."""

import base64
import copy
import io
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # fontTools ships no types
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.report import write_derivations, write_report
from verify.report.coverage import fates
from verify.report.fonts import fallback_font
from verify.report.graph import claim_graph
from verify.report.layers import ancestors, layered, rows_of, spread, without_shortcuts
from verify.report.math import related, split_at_plus, to_mathml
from verify.report.plots import convergence_plot, forest_plot
from verify.report.tex import tex_text
from verify.report.training import rate_table, real_data_plot
from verify.report.words import guarantee, interval, number, power_of_two

DERIVATION: dict[str, Any] = {
    "name": "ntk_recursion",
    "title": "Recursion of Θ̂² — “tangent” kernel",
    "statement": {"latex": r"\hat{\Theta}^{l} \to K^{l} + \dot{K}^{l}\,\Theta^{l-1}", "text": "Theta^l -> K^l + …"},
    "relation": "→",
    "assumptions": ["units of layer l−1 are iid"],
    "limits": ["N₂ → ∞", "then N₃ → ∞"],
    "where": [{"latex": r"\dot{K}^{l}", "text": "σ_w² E[φ′(u)φ′(v)]"}],
    "start": {"latex": r"\sum_{j=1}^{N}\frac{\partial z_{k}}{\partial \theta_{j}}", "text": "sum_j dz_k/dtheta_j"},
    "steps": [
        {
            "rule": "linearity",
            "why": "expectation is linear",
            "relation": "=",
            "latex": r"\sigma_b^{2} + \frac{\sigma_w^{2}}{N}\sum_{j=1}^{N}\mathbb{E}\left[\phi(z_{j})^{2}\right]",
            "text": "",
            "examined": 24,
        },
        {
            "rule": "law of large numbers",
            "why": "summands are iid",
            "relation": "→",
            "latex": "K^{l}",
            "text": "",
            "examined": 0,
        },
    ],
}


def a_mutant(
    name: str, *, killed: bool = True, equivalent: bool = False, distance: float | None = 0.3
) -> dict[str, Any]:
    return {"name": name, "reason": "easy slip", "distance": distance, "killed": killed, "equivalent": equivalent}


def an_entry(label: str, estimate: float, verdict: str = "confirmed") -> dict[str, Any]:
    return {
        "label": label,
        "target": 1.25,
        "estimate": estimate,
        "interval": [estimate - 0.005, estimate + 0.005],
        "verdict": verdict,
    }


def a_check(name: str, **changes: Any) -> dict[str, Any]:
    check: dict[str, Any] = {
        "name": name,
        "kind": "monte_carlo",
        "verdict": "confirmed",
        "estimate": 0.0012,
        "interval": [-0.004, 0.0064],
        "allowed": 0.001,
        "resolution": 0.02,
        "alpha": 1e-8,
        "samples": 40000,
        "unit": "relative to sqrt(K(x,x)K(x′,x′))",
        "note": "",
        "mutants": [],
        "entries": [],
        "series": [],
    }
    return {**check, **changes}


def an_exact_check(name: str, **changes: Any) -> dict[str, Any]:
    exact = {"kind": "symbolic", "estimate": None, "interval": None, "allowed": 0.0, "resolution": 0.0, "unit": ""}
    return a_check(name, **{**exact, "alpha": 0.0, "samples": 0, **changes})


SERIES: dict[str, Any] = {
    "title": "Standard deviation of Θ̂²(x,x′) over networks",
    "x_label": "width N",
    "y_label": "sd",
    "x": [16, 32, 64],
    "curves": [
        {"label": "relu, sampled", "y": [0.4, 0.2, None], "low": [0.3, -0.1, None], "high": [0.5, 0.3, None]}
        | {"style": "measured"},
        {"label": "relu, predicted", "y": [0.4, 0.28, 0.2], "low": None, "high": None, "style": "predicted"},
        {"label": "1/N", "y": [0.4, 0.2, 0.1], "low": None, "high": None, "style": "guide"},
    ],
}


def a_claim(name: str, **changes: Any) -> dict[str, Any]:
    claim: dict[str, Any] = {
        "id": name,
        "title": f"Title of {name}",
        "section": "4",
        "equation": None,
        "kind": "limit",
        "statement": {"latex": r"K^{l}(x,x') = \sigma_b^{2}", "text": "K^l(x,x') = sigma_b^2"},
        "status_as_printed": None,
        "verdict": "confirmed",
        "rests_on": [],
        "resting": [],
        "assumptions": [],
        "limits": [],
        "derivation": None,
        "checks": [],
        "printed": None,
    }
    return {**claim, **changes}


def a_record() -> dict[str, Any]:
    """A record that exercises every field: verdicts, nulls, series, a printed refutation, an equivalent mutant."""
    claims = [
        a_claim(
            "eq24",
            equation="24",
            verdict="refuted",
            status_as_printed="wrong",
            checks=[
                a_check(
                    "moments",
                    verdict="refuted",
                    entries=[an_entry("digit 0 · digit 1", 0.031, "refuted"), an_entry("数字 0", 0.001)],
                )
            ],
            printed={
                "verdict": "refuted",
                "statement": {"latex": r"\operatorname{Var}\left[\phi(z)\right]", "text": "Var[phi(z)]"},
                "counterexample": "ReLU, K¹ = 1: 0.5000 against 0.3408.",
                "correction": "The second moment stands where the variance is printed.",
            },
        ),
        a_claim("dual.<b>relu</b>", title="Dual of <script>alert(1)</script> & co", checks=[an_exact_check("algebra")]),
        a_claim("eq31", verdict="inconclusive", rests_on=["eq30"], checks=[a_check("law", verdict="inconclusive")]),
        a_claim(
            "eq36",
            title="Recursion of Θ̂",
            equation="36",
            status_as_printed="holds under an unstated assumption",
            rests_on=["eq24", "eq31"],
            resting=["eq24", "eq31"],
            assumptions=["φ is Lipschitz"],
            limits=["N₂ → ∞"],
            derivation=DERIVATION,
            checks=[
                a_check(
                    "all pairs",
                    kind="convergence",
                    note="two hidden layers",
                    entries=[an_entry(f"pair {index}", 0.0001 * index) for index in range(9)],
                    series=[SERIES],
                    mutants=[
                        a_mutant("σ_w and σ_b swapped"),
                        a_mutant("off by 2.5 %", distance=0.025),
                        a_mutant("K̇ dropped", killed=False),
                        a_mutant("x ↔ x′", killed=False, equivalent=True, distance=None),
                    ],
                ),
                an_exact_check("digits", kind="precision", estimate=3e-15, interval=[-4e-15, 4e-15], resolution=1e-12),
            ],
        ),
    ]
    return {
        "schema": 1,
        "run": {
            "tier": "quick",
            "seed": 20260101,
            "inputs": {"source": "scikit-learn digits", "n_points": 7, "sha256": "ab" * 32, "labels": ["digit 0"]},
            "networks": {"sigma_w": 1.4, "sigma_b": 0.1 + 0.2},
            "command": "widelimit verify --tier quick --seed 20260101",
            "versions": {"python": "3.11.7"},
            "digest": "9d55a7af0f4d0e49" * 4,
        },
        "budget": {
            "total": 1e-6,
            "safety": 4,
            "spent": 2.5e-7,
            "checks": [{"claim": "eq24", "check": "moments", "alpha": 1e-8}],
        },
        "claims": claims,
        "lecture": [
            {"section": "3.4.1", "title": "By induction", "statements": [{"id": "eq24", "title": "Title of eq24"}]},
            {
                "section": "4.1",
                "title": "The limit <of> kernels",
                "statements": [
                    {"id": "eq35", "title": "Title of eq35"},
                    {"id": "eq36", "title": "Recursion of Θ̂"},
                    {"id": "sec4.1-nobody", "title": None},
                ],
            },
        ],
    }


class Page(HTMLParser):
    """The ids, links, loaded addresses and opened or closed elements of a page."""

    VOID = ("meta", "link", "br", "img", "hr", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.handle_attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handle_attributes(attrs)

    def handle_attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "xlink:href"):
                self.links.append(value or "")
            if name in ("src", "srcset", "data", "action"):
                self.loads.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_report(a_record(), tmp_path_factory.mktemp("run")).read_text(encoding="utf-8")


def section(page: str, claim: str) -> str:
    """The part of the page that belongs to one claim."""
    return page.split(f'<section class="claim" id="claim-{claim}">')[1].split("</section>")[0]


# The page


def test_the_same_record_gives_the_same_bytes(page: str, tmp_path: Path) -> None:
    assert write_report(a_record(), tmp_path / "again").read_text(encoding="utf-8") == page


def test_rendering_does_not_change_the_record(tmp_path: Path) -> None:
    record = a_record()
    before = copy.deepcopy(record)
    write_report(record, tmp_path)
    assert record == before


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    parsed = Page(page)
    assert parsed.loads == []
    assert not {"script", "link", "iframe", "object", "img"} & set(parsed.tags)
    addresses = set(re.findall(r"(?:https?:)?//[\w./-]+", re.sub(r"data:[^\"]*", "", page)))
    assert addresses <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert all(link.startswith("#") or link in ("results.json", "companion.html") for link in parsed.links)
    assert set(re.findall(r"url\((?!#)\"?(\w+):", page)) == {"data"}


def test_elements_are_nested_and_ids_are_unique_and_every_link_arrives(page: str) -> None:
    parsed = Page(page)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    targets = {link[1:] for link in parsed.links if link.startswith("#")}
    assert targets <= set(parsed.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(parsed.ids)


def test_a_record_cannot_inject_markup(page: str) -> None:
    assert "<script>" not in page
    assert "<b>relu" not in page
    assert "Dual of &lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in page


def test_the_header_counts_verdicts_and_leaves_equivalent_mutants_out(page: str) -> None:
    assert "<h1>2 of 4 claims confirmed, 1 refuted, 1 inconclusive</h1>" in page
    assert "<strong>2 / 3</strong> mutants killed; 1 survived, 1 equivalent" in page
    assert "<strong>2.5×10⁻⁷</strong> spent of an error budget of 10⁻⁶" in page
    assert "One statement is refuted in the form the lecture prints" in page


def test_a_confirmed_claim_on_an_unconfirmed_ancestor_is_shown_as_such(page: str) -> None:
    assert "Confirmed on an open basis." in section(page, "eq36")
    assert '<a href="#claim-eq24">eq24</a>, <a href="#claim-eq31">eq31</a>, which are not confirmed' in section(
        page, "eq36"
    )
    row = next(line for line in page.split("<tr>") if line.startswith('<td><a href="#claim-eq36">'))
    assert "⚠ basis open" in row
    assert "node confirmed resting" in page


def test_without_unconfirmed_ancestors_no_claim_is_marked(tmp_path: Path) -> None:
    record = a_record()
    record["claims"][3]["resting"] = []
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert "Confirmed on an open basis." not in text
    assert "node confirmed resting" not in text


def test_what_needs_attention_comes_first(page: str) -> None:
    first = page.split("Look at these first")[1].split("</section>")[0]
    assert "Title of eq24</a>: 1 claim rests on it" in first
    assert "Title of eq31" in first
    assert "not told apart from “K̇ dropped”" in first
    assert "Dual of" not in first


def test_a_run_without_findings_has_nothing_to_look_at_first(tmp_path: Path) -> None:
    record = a_record()
    record["claims"] = [a_claim("eq1"), a_claim("eq2", rests_on=["eq1"])]
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert "<h1>2 of 2 claims confirmed</h1>" in text
    assert "Look at these first" not in text


def test_what_the_lecture_prints_is_shown_with_its_refutation(page: str) -> None:
    shown = section(page, "eq24")
    assert "As the lecture prints it" in shown
    assert "0.5000 against 0.3408" in shown
    assert "The second moment stands" in shown


def test_a_derivation_step_shows_its_rule_its_reason_and_its_instances(page: str) -> None:
    shown = section(page, "eq36")
    assert '<span class="rule">linearity</span> expectation is linear. ' in shown
    assert "Re-checked at 24 exact instances." in shown
    assert "Not re-checked at instances." in shown


def test_long_tables_are_folded_and_short_ones_are_open(page: str) -> None:
    assert re.search(r"<details>\s*<summary>9 entries", section(page, "eq36"))
    assert re.search(r"<details open>\s*<summary>2 entries", section(page, "eq24"))


def test_mutants_are_killed_survived_or_equivalent(page: str) -> None:
    shown = section(page, "eq36")
    assert shown.count("✓ killed") == 2
    assert shown.count("✗ survived") == 1
    assert shown.count("= equivalent") == 1


def test_the_page_says_how_to_get_the_numbers_again(page: str) -> None:
    end = page.split('id="again"')[1]
    for quoted in ("widelimit verify --tier quick --seed 20260101", "9d55a7af0f4d0e49" * 4, 'href="results.json"'):
        assert quoted in end
    # Provenance is not rounded.
    assert "0.30000000000000004" in end


def test_a_parent_outside_the_run_is_named_and_not_linked(page: str) -> None:
    assert "eq30 (not in this run)" in section(page, "eq31")
    assert "#claim-eq30" not in page


def test_a_formula_that_cannot_be_typeset_stops_the_report_and_keeps_the_old_page(tmp_path: Path) -> None:
    path = write_report(a_record(), tmp_path)
    before = path.read_bytes()
    record = a_record()
    record["claims"][0]["statement"]["latex"] = r"\nosuchcommand{x}"
    with pytest.raises(ValueError, match=r"cannot typeset the formula \\nosuchcommand\{x\}"):
        write_report(record, tmp_path)
    assert path.read_bytes() == before


def test_an_interrupted_write_leaves_the_old_page_and_no_rubbish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(a_record(), tmp_path)
    before = path.read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        write_report({**a_record(), "claims": []}, tmp_path)
    assert path.read_bytes() == before
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["companion.html", "report.html"]


@pytest.mark.parametrize("schema", [None, 2, "1"])
def test_a_record_of_another_schema_is_refused(schema: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a run record of schema 1, got"):
        write_report({**a_record(), "schema": schema}, tmp_path)


def test_two_claims_with_one_id_are_refused(tmp_path: Path) -> None:
    record = a_record()
    record["claims"].append(a_claim("eq24"))
    with pytest.raises(ValueError, match="distinct ids, got eq24 more than once"):
        write_report(record, tmp_path)


def test_claims_that_rest_on_each_other_are_refused(tmp_path: Path) -> None:
    record = a_record()
    record["claims"] = [a_claim("eq1", rests_on=["eq2"]), a_claim("eq2", rests_on=["eq1"])]
    with pytest.raises(ValueError, match="cycle eq1 → eq2 → eq1"):
        write_report(record, tmp_path)


def test_a_run_without_claims_still_has_a_page(tmp_path: Path) -> None:
    text = write_report({**a_record(), "claims": []}, tmp_path).read_text(encoding="utf-8")
    assert "0 of 0 claims confirmed" in text
    assert Page(text).open == []


# Coverage, and the companion


def row(page: str, label: str) -> list[str]:
    """The numbers of one row of the table of coverage: lecture, chapters 3 and 4, beyond."""
    found = re.search(rf'<th scope="row">{label}</th>(.*?)</tr>', page, flags=re.DOTALL)
    assert found, label
    return re.findall(r">([^<]*)</td>", found[1])


def test_coverage_counts_statements_and_what_was_done_with_them(page: str) -> None:
    assert "<strong>2 / 4</strong> statements of the lecture covered" in page
    assert row(page, "statements") == ["4", "1", "3", "2"]
    assert row(page, "in this run") == ["2", "1", "1", "2"]
    assert row(page, "derived by rules") == ["1", "0", "1", "0"]
    assert row(page, "sampled") == ["2", "1", "1", "1"]
    assert row(page, "precision-checked") == ["1", "0", "1", "0"]
    assert row(page, "confirmed, under assumptions") == ["1", "0", "1", "0"]
    assert row(page, "refuted as printed") == ["1", "1", "0", "0"]
    assert '<tr><th scope="row">refuted as printed' in page
    assert row(page, "mutants killed") == ["2", "0", "2", "0"]
    assert row(page, "mutants equivalent") == ["1", "0", "1", "0"]
    absent = page.split('<th scope="row">not in this run</th>')[1].split("</tr>")[0]
    assert "2 statements" in absent
    assert "<code>eq35</code>, <code>sec4.1-nobody</code>" in absent


def test_a_mutant_that_survived_is_shown_on_the_front_page(page: str, tmp_path: Path) -> None:
    assert row(page, "mutants that survived") == ["1", "0", "1", "0"]
    assert '<tr class="bad"><th scope="row">mutants that survived' in page
    record = a_record()
    record["claims"][3]["checks"][0]["mutants"][2]["killed"] = True
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert row(text, "mutants that survived") == ["0", "0", "0", "0"]
    assert '<tr><th scope="row">mutants that survived' in text
    assert "<strong>3 / 3</strong> mutants killed; 0 survived" in text


def test_a_statement_printed_wrong_that_nothing_refutes_is_shown_on_the_front_page(tmp_path: Path) -> None:
    record = a_record()
    record["claims"][0]["printed"] = None
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert row(text, "printed wrong") == ["1", "1", "0", "0"]
    assert row(text, "refuted as printed") == ["0", "0", "0", "0"]
    assert '<tr class="bad"><th scope="row">refuted as printed' in text


def test_a_mutant_counts_once_and_must_be_caught_by_every_check() -> None:
    killed, survived = a_mutant("K̇ dropped"), a_mutant("K̇ dropped", killed=False)
    equivalent = a_mutant("K̇ dropped", killed=False, equivalent=True)

    def fate(*mutants: dict[str, Any]) -> dict[str, int]:
        return dict(fates([a_claim("eq1", checks=[a_check("c", mutants=[mutant]) for mutant in mutants])]))

    assert fate(killed, killed) == {"killed": 1}
    assert fate(killed, survived) == {"survived": 1}
    assert fate(killed, equivalent) == {"killed": 1}
    assert fate(equivalent, equivalent) == {"equivalent": 1}


def test_a_statement_that_cannot_be_checked_says_why_in_the_table(tmp_path: Path) -> None:
    record = a_record()
    record["claims"].append(a_claim("eq35", verdict="unchecked", unchecked="a question", not_derived="a question"))
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert row(text, "unchecked") == ["1", "0", "1", "0"]
    table = text.split('class="coverage"')[1].split("</table>")[0]
    assert '<a href="#claim-eq35"><code>eq35</code></a>' in table
    assert "Title of eq35: a question" in table
    assert "cannot be checked: a question" in text.split("All claims")[1]
    assert "cannot be checked: a question" in entry(tmp_path, "eq35")


@pytest.mark.parametrize(("why", "told", "count"), [("a definition", "a definition", "1"), (None, "no reason", "0")])
def test_a_statement_that_is_not_sampled_says_why_in_the_table(
    why: str | None, told: str, count: str, tmp_path: Path
) -> None:
    record = a_record()
    record["claims"].append(a_claim("eq35", unsampled=why, checks=[]))
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    table = text.split('class="coverage"')[1].split("</table>")[0]
    assert f"<summary>{told}" in table
    assert '<a href="#claim-eq35"><code>eq35</code></a>' in table.split(f"<summary>{told}")[1].split("</details>")[0]
    assert row(text, "nothing to sample")[0] == count


def test_a_record_without_contents_has_no_coverage_and_no_companion(tmp_path: Path) -> None:
    record = a_record()
    del record["lecture"]
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert "Coverage" not in text
    assert "companion.html" not in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_claim_under_assumptions_is_marked(page: str, tmp_path: Path) -> None:
    assert "△ assumes" in section(page, "eq36")
    assert "△ assumes" not in section(page, "dual.&lt;b&gt;relu&lt;/b&gt;")
    record = a_record()
    record["claims"][3]["assumptions"] = []
    assert "△ assumes" not in section(write_report(record, tmp_path).read_text(encoding="utf-8"), "eq36")
    record["claims"][3]["assuming"] = ["eq24"]
    marked = section(write_report(record, tmp_path).read_text(encoding="utf-8"), "eq36")
    assert "△ assumes" in marked
    assert '<a href="#claim-eq24">eq24</a>' in marked.split("As far as the lecture's assumptions hold")[1]
    record["claims"][3]["verdict"] = "inconclusive"
    assert "△ assumes" not in section(write_report(record, tmp_path).read_text(encoding="utf-8"), "eq36")


def entry(directory: Path, name: str) -> str:
    """The part of the companion that belongs to one statement."""
    text = (directory / "companion.html").read_text(encoding="utf-8")
    return text.split(f'<article class="entry" id="claim-{name}">')[1].split("</article>")[0]


def test_the_companion_has_every_statement_in_the_order_of_the_lecture(tmp_path: Path) -> None:
    report = Page(write_report(a_record(), tmp_path).read_text(encoding="utf-8"))
    companion = Page((tmp_path / "companion.html").read_text(encoding="utf-8"))
    assert companion.open == []
    assert companion.loads == []
    assert len(companion.ids) == len(set(companion.ids))
    statements = [name for name in companion.ids if name.startswith("claim-")]
    assert statements == ["claim-eq24", "claim-eq35", "claim-eq36", "claim-sec4.1-nobody"]
    for link in companion.links:
        page, _, anchor = link.partition("#")
        assert page in ("", "report.html")
        assert not anchor or anchor in (report if page else companion).ids


def test_a_statement_of_the_companion_leads_to_its_derivation_and_says_how_it_is_printed(tmp_path: Path) -> None:
    write_report(a_record(), tmp_path)
    right, wrong = entry(tmp_path, "eq36"), entry(tmp_path, "eq24")
    assert "✓ confirmed" in right
    assert "△ assumes" in right
    assert "⚠ basis open" in right
    assert '<a href="report.html#claim-eq36">Derived in 2 steps</a>' in right
    assert '<a href="#claim-eq24">eq24</a>' in right
    assert '<a href="report.html#claim-eq31">eq31</a>' in right
    assert "✗ refuted" in wrong
    assert '<strong class="bad">wrong</strong>' in wrong
    assert "The second moment stands where the variance is printed" in wrong


def test_a_statement_that_the_run_did_not_look_at_is_shown_as_such(tmp_path: Path) -> None:
    text = write_report(a_record(), tmp_path).read_text(encoding="utf-8")
    assert "Title of eq35" in entry(tmp_path, "eq35")
    assert "this run did not look at it" in entry(tmp_path, "eq35")
    assert "no claim covers it yet" in entry(tmp_path, "sec4.1-nobody")
    listed = text.split("All claims")[1].split("</section>")[0]
    assert listed.index("eq35") < listed.index("eq36") < listed.index("sec4.1-nobody")
    assert listed.count("not in this run</td>") == 2


def test_what_is_confirmed_is_folded_and_what_is_not_is_open(tmp_path: Path) -> None:
    record = a_record()
    record["claims"] = [a_claim("eq24"), a_claim("eq36", verdict="refuted"), a_claim("topic.one")]
    text = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert '<details class="group" id="section-3.4.1">' in text
    assert '<details class="group" id="section-4.1" open>' in text
    assert '<summary><span class="name">topic.*</span> <span class="count confirmed">1 confirmed</span>' in text


# Derivations


def test_derivations_come_back_from_json_as_they_went_in(tmp_path: Path) -> None:
    paths = write_derivations([DERIVATION], tmp_path)
    assert [path.name for path in paths] == ["derivations.html", "derivations.tex", "derivations.json"]
    assert json.loads(paths[2].read_text(encoding="utf-8")) == {"schema": 1, "theorems": [DERIVATION]}


def test_the_derivations_page_is_whole_and_self_contained(tmp_path: Path) -> None:
    parsed = Page(write_derivations([DERIVATION], tmp_path)[0].read_text(encoding="utf-8"))
    assert parsed.open == []
    assert parsed.loads == []
    assert set(parsed.links) == {"derivations.tex", "derivations.json", "#ntk_recursion", "#top"}


def test_the_latex_of_a_derivation_is_ascii_and_names_every_rule(tmp_path: Path) -> None:
    text = write_derivations([DERIVATION], tmp_path)[1].read_text(encoding="utf-8")
    assert text.isascii()
    for step in DERIVATION["steps"]:
        assert rf"\textbf{{{step['rule']}.}}" in text
        assert step["latex"] in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_the_latex_of_derivations_compiles(tmp_path: Path) -> None:
    awkward = {**DERIVATION, "name": "x_1", "title": "50 % of {x} & $y$ ~ \\ # ^ é ß 数字 ½ \N{ANGSTROM SIGN} ⅷ"}
    write_derivations([DERIVATION, {**awkward, "steps": [], "where": [], "limits": []}], tmp_path)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "derivations.tex"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert run.returncode == 0, run.stdout.decode(errors="replace")[-2000:]


def test_two_derivations_with_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="distinct names, got ntk_recursion more than once"):
        write_derivations([DERIVATION, DERIVATION], tmp_path)


def test_a_bad_formula_writes_no_derivation_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot typeset"):
        write_derivations([{**DERIVATION, "start": {"latex": r"\frac{1}", "text": ""}}], tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=40))
def test_any_text_becomes_ascii_latex_without_open_braces(text: str) -> None:
    latex = tex_text(text)
    assert latex.isascii()
    bare = re.sub(r"\\[{}\\]", "", latex)
    assert bare.count("{") == bare.count("}")


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("σ_w²", r"\ensuremath{\sigma}\_w\ensuremath{{}^{2}}"),
        ("Θ̂", r"\ensuremath{\hat{\Theta}}"),
        ("K̇", r"\.{K}"),
        ("N₂ → ∞", r"N\ensuremath{{}_{2}} \ensuremath{\to} \ensuremath{\infty}"),
        ("é 100 %", r"\'{e} 100 \%"),
        ("λ", r"\ensuremath{\lambda}"),
        ("数", r"\texttt{[U+6570]}"),
    ],
)
def test_text_in_latex_keeps_greek_accents_and_indices(text: str, latex: str) -> None:
    assert tex_text(text) == latex


# Formulas


@pytest.mark.parametrize(
    "latex",
    [
        r"\frac{1}{N}\sum_{j=1}^{N}\mathbb{E}\left[\phi(z_{j})\right]",
        r"\dot{\phi}\,\delta_{k k'}\sqrt{a b}\,\operatorname{atan2}(a, b)",
        r"\hat{\Theta}^{l} \to \mathcal{N}\left(0, \begin{pmatrix} a & c \\ c & b \end{pmatrix}\right)^{\top}",
        r"\begin{aligned} x &= \infty \\ &\quad {} + \widetilde{K} \end{aligned}",
    ],
)
def test_the_latex_of_the_field_becomes_mathml(latex: str) -> None:
    mathml = to_mathml(latex)
    assert mathml.startswith('<math display="block">')
    assert "\\" not in mathml
    assert Page(mathml).open == []


@pytest.mark.parametrize("latex", [r"\nosuch", r"\frac{1}", r"x & y", r"\left( x"])
def test_a_formula_without_mathml_is_refused_with_the_formula_in_the_message(latex: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"cannot typeset the formula {latex}: ")):
        to_mathml(latex)


def test_a_blank_formula_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a formula in LaTeX, got a blank string"):
        to_mathml("  ")


def test_formulas_are_escaped() -> None:
    assert "<script" not in to_mathml(r"\text{</math><script>} a<b")


TERM = st.sampled_from([r"\frac{a+b}{c}", r"\left(x - y\right)", "x^{-1}", r"\sigma_w^{2} K", "(p+q)", "[r-s]"])


@given(st.lists(TERM, min_size=1, max_size=30), st.lists(st.sampled_from(" +-"), min_size=30, max_size=30))
def test_a_broken_formula_joins_back_and_every_line_is_balanced(terms: list[str], signs: list[str]) -> None:
    latex = "".join(f"{sign}{term}" for sign, term in zip(signs, terms, strict=False))
    lines = split_at_plus(latex, longest=12)
    assert "".join(lines) == latex
    for line in lines:
        assert line.count("{") == line.count("}")
        assert line.count(r"\left") == line.count(r"\right")
    assert all(line.lstrip()[0] in "+-" for line in lines[1:])


def test_a_short_formula_and_one_with_its_own_alignment_are_left_alone() -> None:
    assert split_at_plus("a + b") == ["a + b"]
    aligned = "a &= " + " + ".join("bcdef" for _ in range(40))
    assert split_at_plus(aligned) == [aligned]
    assert related("→", "a + b") == r"\to a + b"


def test_a_long_step_is_set_on_aligned_lines() -> None:
    latex = related("=", " + ".join(f"x_{{{index}}} y z w" for index in range(40)))
    assert latex.startswith(r"\begin{aligned} & = x_{0}")
    assert latex.count(r"\\") >= 2
    assert to_mathml(latex).count("<mtr>") == latex.count(r"\\") + 1


def test_the_embedded_letters_hold_italic_greek_and_a_licence_but_no_reserved_name() -> None:
    with TTFont(io.BytesIO(base64.b64decode(fallback_font().split(",")[1]))) as font:
        letters = font.getBestCmap()
        names = {record.nameID: record.toUnicode() for record in font["name"].names}
    assert {0x1D70E, 0x1D6FF, 0x1D719, 0x1D443, 0x210E, ord("∑")} <= set(letters)
    assert "Open Font License" in names[13]
    assert not {1, 4, 6} & set(names)


# Words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0, "0"),
        (20260101, "2.03×10⁷"),
        (40000, "40\u202f000"),
        (4096, "4096"),
        (-3, "−3"),
        (0.00499, "0.00499"),
        (-0.0012, "−0.0012"),
        (1e-8, "10⁻⁸"),
        (-2.5e-7, "−2.5×10⁻⁷"),
        (9.9999e-5, "10⁻⁴"),
        (99.96, "100"),
        (1234.5, "1230"),
    ],
)
def test_numbers_read_well(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(("value", "text"), [(1.0, "2⁰"), (16384.0, "2¹⁴"), (0.25, "2⁻²")])
def test_powers_of_two_are_written_as_such(value, text):
    assert power_of_two(value) == text


@pytest.mark.parametrize("value", [0.0, 3.0, -2.0, 65540.0])
def test_other_numbers_are_no_powers_of_two(value):
    with pytest.raises(ValueError, match="power of two"):
        power_of_two(value)


@given(st.floats(min_value=-1e30, max_value=1e30).filter(lambda x: x == 0 or abs(x) > 1e-30))
def test_a_printed_number_is_within_half_a_percent_of_its_value(value: float) -> None:
    digits = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
    text = number(value).translate(digits)
    text = re.sub(r"(?:×|^(-?))10(-?\d+)$", r"\1e\2", text) if re.search("[⁰¹²³⁴⁵⁶⁷⁸⁹]", number(value)) else text
    text = re.sub(r"^(-?)e", r"\g<1>1e", text)
    assert float(text) == pytest.approx(value, rel=0.0051)


def test_an_interval_that_is_not_known_is_a_dash() -> None:
    assert interval(None) == "–"
    assert interval([-0.0042, 0.5]) == "[−0.0042, 0.5]"


def test_a_verdict_says_what_it_excludes() -> None:
    assert "within ±0.02" in guarantee(a_check("c"))
    assert "at most 10⁻⁸" in guarantee(a_check("c"))
    assert "allowed 0.001" in guarantee(a_check("c", verdict="refuted"))
    assert "does not count as passed" in guarantee(a_check("c", verdict="inconclusive"))
    assert guarantee(an_exact_check("c")) == "Decided without sampling, exactly."
    assert "larger than the allowed" in guarantee(an_exact_check("c", verdict="refuted"))
    assert "does not count as passed" in guarantee(an_exact_check("c", verdict="inconclusive"))


# Plots


def test_plots_are_the_same_to_the_byte_and_share_no_ids() -> None:
    first, again, other = (convergence_plot(SERIES, name) for name in ("a", "a", "b"))
    assert first is not None
    assert other is not None
    assert first == again
    assert not set(Page(first).ids) & set(Page(other).ids)


def test_plots_keep_text_as_text_and_colours_as_variables() -> None:
    svg = convergence_plot(SERIES, "a")
    assert svg is not None
    assert "width N" in svg
    assert "var(--curve-1)" in svg
    assert not re.search(r"#0\d0\d0\d", svg)


def test_a_series_without_positive_values_is_not_drawn() -> None:
    flat = {**SERIES, "curves": [{**SERIES["curves"][0], "y": [0, -1.0, None], "low": None, "high": None}]}
    assert convergence_plot(flat, "a") is None


def test_a_refuted_entry_is_drawn_in_the_colour_of_refutation() -> None:
    good = forest_plot(a_check("c", entries=[an_entry("a", 0.001)]), "a")
    bad = forest_plot(a_check("c", entries=[an_entry("a", 0.001), an_entry("b", 0.04, "refuted")]), "a")
    assert good is not None
    assert bad is not None
    assert "var(--refuted)" not in good
    assert "var(--refuted)" in bad


def test_only_mutants_near_the_bands_are_drawn() -> None:
    far = forest_plot(a_check("c", mutants=[a_mutant("far", distance=0.3), a_mutant("unknown", distance=None)]), "a")
    near = forest_plot(a_check("c", mutants=[a_mutant("near", distance=0.025)]), "a")
    assert far is not None
    assert near is not None
    assert "var(--refuted)" not in far
    assert "var(--refuted)" in near


def test_labels_beyond_the_fonts_of_matplotlib_are_kept() -> None:
    svg = forest_plot(a_check("c", entries=[an_entry("数字 $x_0$ <0>", 0.001)]), "a")
    assert svg is not None
    assert "数字 $x_0$ &lt;0&gt;" in svg


def test_tiny_discrepancies_get_a_scale_of_their_own() -> None:
    entries = [{**an_entry("a", 1e-14), "interval": [-2e-14, 4e-14]}]
    svg = forest_plot(a_check("c", allowed=0.0, resolution=1e-13, entries=entries), "a")
    assert svg is not None
    assert "× 10⁻¹⁵" in svg


def test_an_infinite_interval_is_left_out_of_the_forest() -> None:
    infinite = an_entry("b", 0.0, "inconclusive") | {"interval": [None, None]}
    both = forest_plot(a_check("c", entries=[an_entry("a", 0.001), infinite]), "a")
    assert both == forest_plot(a_check("c", entries=[an_entry("a", 0.001)]), "a")
    assert forest_plot(a_check("c", entries=[infinite]), "a") is None


@pytest.mark.parametrize(
    "check",
    [
        an_exact_check("c"),
        an_exact_check("c", interval=[0.0, 0.0]),
        an_exact_check("c", interval=[-1e-15, 2e-15], resolution=1e-12),
        a_check("c", interval=None),
    ],
)
def test_without_a_sampled_interval_there_is_no_forest(check: dict[str, Any]) -> None:
    assert forest_plot(check, "a") is None


def test_ninety_entries_are_drawn_without_names() -> None:
    svg = forest_plot(a_check("c", entries=[an_entry(f"pair {index}", 0.0) for index in range(90)]), "a")
    assert svg is not None
    assert "90 entries" in svg
    assert "pair 7" not in svg


# The graph


@st.composite
def acyclic(draw: st.DrawFn) -> dict[str, list[str]]:
    size = draw(st.integers(1, 25))
    return {
        f"n{index}": [f"n{parent}" for parent in draw(st.sets(st.integers(0, index - 1), max_size=4))] if index else []
        for index in range(size)
    }


def pairs_in_rows(rows: dict[str, int]) -> Iterator[list[str]]:
    for level in range(max(rows.values()) + 1):
        yield [node for node, row in rows.items() if row == level]


@given(acyclic())
@settings(max_examples=60)
def test_claims_stand_below_what_they_rest_on_in_rows_that_fit(parents: dict[str, list[str]]) -> None:
    rows = rows_of(parents, 5)
    assert all(rows[parent] < rows[node] for node, direct in parents.items() for parent in direct)
    assert all(len(line) <= 5 for line in pairs_in_rows(rows))


def test_long_chains_are_placed_first_so_that_rows_are_few() -> None:
    loose: dict[str, list[str]] = {f"loose {index}": [] for index in range(4)}
    chain = {"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}
    assert max(rows_of({**loose, **chain}, 2).values()) == 3


def test_a_claim_that_rests_on_nothing_stands_just_above_where_it_is_used() -> None:
    rows = rows_of({"a": [], "b": ["a"], "c": ["b"], "late": [], "d": ["c", "late"]}, 5)
    assert rows["late"] == rows["d"] - 1


@given(acyclic())
@settings(max_examples=60)
def test_boxes_never_overlap(parents: dict[str, list[str]]) -> None:
    placed = layered(without_shortcuts(parents), 5, 100.0, 10.0)
    for line in pairs_in_rows(placed.row):
        places = sorted(placed.centre[node] for node in line)
        assert all(right - left >= 110.0 - 1e-6 for left, right in pairwise(places))
        assert places[0] >= 50.0 - 1e-6
        assert places[-1] <= placed.width - 50.0 + 1e-6


@given(acyclic())
def test_leaving_out_shortcuts_keeps_who_rests_on_whom(parents: dict[str, list[str]]) -> None:
    fewer = without_shortcuts(parents)
    assert ancestors(fewer) == ancestors(parents)
    assert all(set(fewer[node]) <= set(parents[node]) for node in parents)


def test_a_shortcut_is_left_out() -> None:
    assert without_shortcuts({"a": [], "b": ["a"], "c": ["a", "b"]}) == {"a": (), "b": ("a",), "c": ("b",)}


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=8), st.floats(0.0, 50.0))
def test_spreading_keeps_distances_and_leaves_what_fits_alone(wanted: list[float], least: float) -> None:
    gaps = [least] * (len(wanted) - 1)
    got = spread(wanted, gaps)
    assert all(right - left >= least - 1e-9 for left, right in pairwise(got))
    assert spread(got, gaps) == pytest.approx(got, abs=1e-6)
    assert sum(got) == pytest.approx(sum(wanted), abs=1e-6)


def test_the_graph_shows_verdicts_links_claims_and_marks_absent_parents() -> None:
    claims = a_record()["claims"]
    graph = claim_graph(claims, {claim["id"]: claim for claim in claims}, "all")
    assert graph is not None
    assert graph.count('<a href="#claim-') == 4
    assert "node refuted" in graph
    assert "node inconclusive resting" not in graph
    assert "node absent" in graph
    assert 'data-edge="eq24 eq36"' in graph
    assert Page(graph).open == []


def test_the_graph_of_a_group_outlines_what_it_rests_on_elsewhere() -> None:
    known = {claim["id"]: claim for claim in a_record()["claims"]}
    graph = claim_graph([known["eq36"]], known, "one", "elsewhere.html#{}".format)
    assert graph is not None
    assert "node refuted outside" in graph
    assert "node confirmed resting outside" not in graph
    assert '<a href="elsewhere.html#eq24">' in graph
    assert "eq30" not in graph  # what is further up stands in the drawings of its own group
    assert claim_graph([known["eq24"]], known, "none") is None


# Training


def a_picture(**changes: Any) -> dict[str, Any]:
    """A picture on real data with three test inputs and two widths, in no order of the predicted means."""
    law = {"mean": [0.4, -0.9, 1.1], "deviation": [0.2, 0.3, 0.25]}
    width = {
        "width": 16,
        "networks": 96,
        **law,
        "coverage": 0.93,
        "interval": [0.9, 0.96],
        "error": 0.5,
        "off": 0.1,
        "off_by_chance": 0.09,
        "spread": -0.05,
        "distance": 0.4,
    }
    picture: dict[str, Any] = {
        "name": "digits",
        "title": "images <b>of</b> 3 and 8",
        "networks": "one hidden layer, erf",
        "points": [{"label": f"3 (image {n})", "target": 1.0} for n in range(3)],
        "laws": {"stopped": law, "trained to the end": law, "posterior": law},
        "band": {"deviations": 1.96, "nominal": 0.95},
        "predictors": [{"label": "NNGP posterior", "error": 0.2, "wrong": 0}],
        "widths": [width, {**width, "width": 256, "interval": None}],
    }
    return {**picture, **changes}


def a_rate(name: str, **changes: Any) -> dict[str, Any]:
    entry = {"label": "exponent of it, NTK parameterization", "target": -1.0, "estimate": 0.03} | {
        "interval": [-0.1, 0.2],
        "verdict": "confirmed",
    }
    check = {"kind": "convergence", "unit": "difference from the exponent -1", "entries": [{**entry, **changes}]}
    return a_claim(name, checks=[a_check("rate of it, one hidden layer, tanh", **check)])


def test_measured_exponents_are_the_stated_ones_with_what_they_differ_by() -> None:
    (row,) = rate_table([a_rate("lazy.outputs"), a_rate("eq36")])
    assert (row["id"], row["where"], row["claimed"]) == ("lazy.outputs", "one hidden layer, tanh", -1.0)
    assert row["measured"] == pytest.approx(-0.97)
    assert row["interval"] == pytest.approx([-1.1, -0.8])


def test_a_bound_or_an_infinite_interval_has_no_interval_of_an_exponent() -> None:
    bound = a_rate("eq81-f")
    bound["checks"][0]["unit"] = "by how much the exponent exceeds -0.5"
    first, second = rate_table([bound, a_rate("lazy.kernel", interval=[None, None])])
    assert (first["bound"], first["measured"], first["interval"]) == (True, None, None)
    assert (second["bound"], second["interval"]) == (False, None)


def test_trained_networks_are_shown_with_their_prediction_and_the_rates(tmp_path: Path) -> None:
    record = {**a_record(), "real_data": [a_picture(), a_picture(name="diabetes")]}
    record["claims"].append(a_rate("lazy.outputs"))
    page = write_report(record, tmp_path).read_text(encoding="utf-8")
    assert page.count("96 trained networks of width 16") == 2
    assert "mages &lt;b&gt;of&lt;/b&gt; 3 and 8" in page
    assert "0.93 [0.9, 0.96]" in page
    assert "0 of 3" in page
    assert "[−1.1, −0.8]" in page
    assert page == write_report(record, tmp_path / "again").read_text(encoding="utf-8")


def test_a_run_without_training_has_no_such_part(page: str) -> None:
    assert 'id="training"' not in page


def test_inputs_stand_in_the_order_of_the_predicted_mean() -> None:
    drawing = str(real_data_plot(a_picture()))
    assert [int(n) for n in re.findall(r"3 \(image (\d)\)", drawing)] == [1, 0, 2]
