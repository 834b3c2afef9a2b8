"""The command line: what it prints, what it writes, how it answers mistakes, and its exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from derive.lecture import CLAIMS
from verify import runs, suite
from verify.cli import TIERS, main
from verify.report import files

CHEAP = ("eq70", "eq71")


def widelimit(*words: object, columns: int = 80) -> Result:
    result = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("runs") / "one"
    assert widelimit("verify", *CHEAP, "--run", directory, "--workers", 1).exit_code == 0
    return directory


def test_the_list_names_every_claim_at_60_columns() -> None:
    result = widelimit("list", columns=60)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 60
    assert {line.split()[0] for line in result.stdout.splitlines() if line.strip()} >= set(CLAIMS)


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_the_list_shows_the_verdicts_of_the_latest_run(run: Path, columns: int) -> None:
    result = widelimit("list", "--run", run.parent, columns=columns)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert next(line for line in lines if line.startswith("eq71 ")).split()[1 if columns > 90 else 2] == "confirmed"
    assert "–" in next(line for line in lines if line.startswith("eq36 "))  # the run did not look at it
    assert "rests on what is not confirmed" in " ".join(result.stdout.split())


def test_the_list_for_machines_has_the_verdicts_too(run: Path) -> None:
    listed = {entry["id"]: entry for entry in json.loads(widelimit("list", "--run", run, "--json").stdout)}
    assert listed["eq71"]["verdict"] == "confirmed"
    assert listed["eq71"]["resting"] == []
    assert listed["eq36"]["verdict"] is None


def test_a_list_without_a_run_has_no_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = widelimit("list")
    assert shown.exit_code == 0
    assert "confirmed" not in shown.stdout
    (tmp_path / "reports" / "latest").mkdir(parents=True)
    (tmp_path / "reports" / "latest" / "results.json").write_text("{}", encoding="utf-8")
    broken = widelimit("list")
    assert broken.exit_code == 0
    assert "no verdicts are shown: expected results of schema 1" in broken.stderr
    assert broken.stdout == shown.stdout
    assert widelimit("list", "--run", tmp_path / "reports").exit_code == 2


def test_the_list_for_machines_has_every_claim() -> None:
    listed = json.loads(widelimit("list", "--json").stdout)
    assert [entry["id"] for entry in listed] == list(CLAIMS)
    assert {entry["id"]: tuple(entry["rests_on"]) for entry in listed} == {k: c.rests_on for k, c in CLAIMS.items()}


def test_a_shown_claim_has_its_steps_its_refutation_and_its_last_verdict(run: Path) -> None:
    shown = widelimit("show", "eq71", "--run", run.parent).stdout
    assert CLAIMS["eq71"].title in " ".join(shown.split())
    assert all(f"{step.rule}:" in shown for step in CLAIMS["eq71"].proven().steps)
    assert "refuted: ill-typed" in shown
    assert all(mutant.name in shown for mutant in CLAIMS["eq71"].mutants())
    assert re.search(r"Last verdict\n  confirmed", shown)


def test_derive_writes_what_it_prints(tmp_path: Path) -> None:
    result = widelimit("derive", "eq70", "--out", tmp_path / "out")
    paths = [Path(line) for line in result.stdout.splitlines()]
    assert [path.suffix for path in paths] == [".html", ".tex", ".json"]
    (theorem,) = json.loads(paths[2].read_text(encoding="utf-8"))["theorems"]
    assert theorem["name"] == "eq70"
    assert all(step["examined"] > 0 for step in theorem["steps"])
    assert result.stderr == "eq70\n"


def test_results_are_the_same_bytes_on_one_and_two_workers(tmp_path: Path) -> None:
    for workers in (1, 2):
        assert widelimit("verify", "eq40", "--run", tmp_path / str(workers), "--workers", workers).exit_code == 0
    one, two = ((tmp_path / name / "results.json").read_bytes() for name in "12")
    assert one == two
    assert json.loads((tmp_path / "2" / "timings.json").read_text(encoding="utf-8"))["workers"] == 2


def test_the_recorded_command_gives_the_run_again_on_any_machine(run: Path) -> None:
    recorded = json.loads((run / "results.json").read_text(encoding="utf-8"))["run"]["command"]
    assert recorded == "widelimit verify --tier quick --seed 20260101 eq70 eq71"
    assert runs.command_of((), "deep", 3, 512, "my inputs.npy").endswith(
        "--seed 3 --widest 512 --inputs 'my inputs.npy'"
    )


def test_verify_prints_verdicts_on_stdout_and_stages_on_stderr(tmp_path: Path) -> None:
    result = widelimit("verify", "eq70", "--run", tmp_path, "--workers", 1, columns=60)
    assert re.search(r"eq70 +confirmed +△? +2 +4/4", result.stdout)
    assert result.stdout.splitlines()[-1] == str(tmp_path / "results.json")
    stages = result.stderr.splitlines()
    assert stages[0].startswith("planning")
    assert stages[-1] == "derivations"
    assert len(set(stages)) == len(stages)


def test_verify_for_machines_prints_the_file(tmp_path: Path) -> None:
    result = widelimit("verify", "eq70", "--run", tmp_path, "--workers", 1, "--json")
    assert result.stdout == (tmp_path / "results.json").read_text(encoding="utf-8")


def test_the_last_line_of_a_report_is_its_path(run: Path) -> None:
    for given in (run, run / "results.json"):
        result = widelimit("report", given)
        assert result.exit_code == 0
        assert result.stdout.splitlines()[-1] == str(run / "report.html")
        assert (run / "companion.html").is_file()
    assert "eq71" in (run / "report.html").read_text(encoding="utf-8")


def test_a_report_without_a_run_verifies_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [replace(CLAIMS[key], rests_on=()) for key in CHEAP]
    small = type(CLAIMS)(chosen)
    monkeypatch.setattr("derive.lecture.CLAIMS", small)
    result = widelimit("report", "--run", tmp_path / "new", "--workers", 1, "--seed", 5)
    assert Path(result.stdout.splitlines()[-1]) == tmp_path / "new" / "report.html"
    assert runs.read_run(tmp_path / "new")[0]["run"]["seed"] == 5


def test_a_planted_wrong_statement_exits_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = replace(CLAIMS["eq70"], rests_on=())
    wrong = replace(right, statement=lambda: right.mutants()[1].statement, mutants=lambda: ())
    for place in ("derive.lecture.CLAIMS", "verify.suite.CLAIMS"):
        monkeypatch.setattr(place, type(CLAIMS)([wrong]))
    result = widelimit("verify", "--run", tmp_path, "--workers", 1)
    assert result.exit_code == 3
    assert "eq70: derivation: refuted, the derivation gives another right side" in " ".join(result.stdout.split())
    assert widelimit("report", tmp_path).exit_code == 3


def test_a_tier_that_looks_too_little_exits_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite.TIERS, "quick", suite.Tier("quick", 0.02, first_blocks=1, looks=1))
    result = widelimit("verify", "eq18", "--run", tmp_path, "--workers", 1)
    assert result.exit_code == 4
    assert "1 inconclusive" in result.stdout


@pytest.mark.parametrize(
    ("claim", "as_printed", "expected"),
    [
        ("confirmed", "refuted", 0),
        ("confirmed", "confirmed", 3),
        ("refuted", "inconclusive", 3),
        ("inconclusive", "refuted", 4),
        ("confirmed", "inconclusive", 4),
    ],
)
def test_the_worst_outcome_is_the_exit_code(claim: str, as_printed: str, expected: int) -> None:
    fine = {"verdict": "confirmed", "printed": None}
    assert runs.outcome({"claims": [fine, {"verdict": claim, "printed": {"verdict": as_printed}}]}) == expected


def test_the_tiers_on_offer_are_those_of_the_suite() -> None:
    assert tuple(suite.TIERS) == TIERS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["verify", "eq7O"], r"expected the id of a claim, got 'eq7O'; did you mean .*eq7"),
        (["show", "eq7O"], "expected the id of a claim, got 'eq7O'"),
        (["derive", "eq7O", "--out", "OUT"], "expected the id of a claim, got 'eq7O'"),
        (["verify", "--tier", "slow"], "'slow' is not one of 'quick', 'standard', 'deep'; see widelimit verify --help"),
        (["verify", "--seed", "-1"], "invalid value for '--seed': -1 is not in the range"),
        (["verify", "--workers", "0"], "invalid value for '--workers': 0 is not in the range"),
        (["verify", "--run", "FILE"], "expected a directory to write to, but .*file.txt is a file"),
        (["derive", "--out", "FILE/below"], "expected a directory to write to, but .*file.txt is a file"),
        (["report", "missing"], "missing does not exist; make one with widelimit verify"),
        (["report", "FILE", "--seed", "3"], "expected a run to report or .*drop one: got .* and --seed"),
        (["show"], "missing argument 'ID'; see widelimit show --help"),
        (["verfy"], "expected a command, got 'verfy'; did you mean verify"),
        ([], "missing command; see widelimit --help"),
    ],
)
def test_a_mistake_is_answered_in_one_line(words: list[str], expected: str, tmp_path: Path) -> None:
    taken = tmp_path / "file.txt"
    taken.write_text("", encoding="utf-8")
    out = tmp_path / "out"
    words = [word.replace("FILE", str(taken)).replace("OUT", str(out)) for word in words]
    new = ["--run", str(out)] if words[:1] == ["verify"] and "--run" not in words else []
    result = widelimit(*words, *new)
    assert result.exit_code == 2
    assert re.match(f"widelimit: .*{expected}", result.stderr)
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [taken]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("x.npy", None, "does not exist"),
        ("x.txt", "1,2\n", "the suffix .txt is not known"),
        ("x.csv", "", "the file is empty"),
        ("x.csv", "# a comment\n", "input contained no data"),
        ("x.csv", "1,nan\n", "got NaN or infinity"),
        ("x.csv", "1,2\n3\n", "number of columns changed"),
        ("x.npy", "not an array", "cannot use"),
        ("x.csv", "1,2\n" * 13, "expected at most 12 inputs, got 13"),
    ],
)
def test_bad_inputs_are_answered_before_any_work(name: str, text: str | None, expected: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = widelimit("verify", "eq70", "--inputs", tmp_path / name, "--run", tmp_path / "out")
    assert result.exit_code == 2
    assert re.match(f"widelimit: .*{expected}", result.stderr)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a directory that nobody can write to")
def test_a_directory_that_cannot_be_written_is_found_before_any_work() -> None:
    result = widelimit("verify", "eq70", "--run", "/proc/run")
    assert result.exit_code == 2
    assert re.fullmatch("widelimit: cannot write to /proc/run: .*; give another directory\n", result.stderr)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda text: text[: len(text) // 2], "is not JSON"),
        (lambda text: "[]", "expected results of schema 1, but .* has none"),
        (lambda text: text.replace('"schema": 1', '"schema": 7', 1), "expected results of schema 1, .* has schema 7"),
        (lambda text: '{"schema": 1}', "lacks its run, budget or claims"),
        (
            lambda text: text.replace('"verdict": "confirmed"', '"verdict": "refuted"', 1),
            "was changed after",
        ),
    ],
)
def test_a_broken_run_is_answered_in_one_line(
    change: Callable[[str], str], expected: str, run: Path, tmp_path: Path
) -> None:
    text = (run / "results.json").read_text(encoding="utf-8")
    (tmp_path / "results.json").write_text(change(text), encoding="utf-8")
    result = widelimit("report", tmp_path)
    assert result.exit_code == 2
    assert re.match(f"widelimit: .*{expected}", result.stderr)
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_debug_shows_the_traceback_of_a_mistake() -> None:
    result = widelimit("--debug", "show", "eq7O")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_a_failure_while_writing_leaves_the_old_results(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        widelimit("verify", "eq70", "--run", run, "--workers", 1)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before


def test_an_interrupt_in_a_command_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "run", interrupted)
    result = widelimit("verify", "eq70", "--run", tmp_path / "out", "--workers", 1)
    assert result.exit_code == 130
    assert result.stderr == "widelimit: interrupted; files that were there are as before\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name != "posix", reason="sends a signal to a group of processes")
def test_an_interrupt_from_the_terminal_stops_the_workers_in_silence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "verify.cli", "verify", "--run", str(tmp_path / "out"), "--workers", "2"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("planning")
        time.sleep(1.0)
        os.killpg(process.pid, signal.SIGINT)
        printed, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed == ""
    assert told.splitlines()[-1:] == ["widelimit: interrupted; files that were there are as before"]
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["list", "show", "derive", "verify", "report"])
def test_every_command_has_an_example(command: str) -> None:
    assert f"Example: widelimit {command}" in widelimit(command, "--help").stdout


def test_help_and_version_load_nothing_heavy() -> None:
    program = "import sys\nfrom verify.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    for option in ("--help", "--version"):
        done = subprocess.run([sys.executable, "-c", program, option], capture_output=True, text=True, check=True)
        assert not {"numpy", "sympy", "matplotlib", "rich", "derive"} & set(done.stderr.split())


def test_the_reference_run_is_of_this_suite():
    """It must be replaced whenever claims or checks change, or readers would compare with something else."""
    results, _ = runs.read_run(Path(__file__).parents[1] / "reports" / "reference")
    assert [claim["id"] for claim in results["claims"]] == list(CLAIMS)
    unchecked = {key for key, claim in CLAIMS.items() if claim.stated and claim.stated.unchecked}
    assert {claim["id"] for claim in results["claims"] if claim["verdict"] != "confirmed"} == unchecked
    assert runs.outcome(results) == runs.EXPECTED
