"""Options that choose claims, widths and workers: what they choose, and how mistakes are answered."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from derive.lecture import CLAIMS
from verify import cluster, runs, suite
from verify.cli import main
from verify.rates import widths_up_to

DUALS = "dual.sin", "dual.sin-derivative"
SMALL = suite.Tier("quick", 0.02, first_blocks=1, looks=1)


def widelimit(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave two claims of a topic and another one, all without samples."""
    registry = type(CLAIMS)([replace(CLAIMS[key], rests_on=()) for key in ("eq70", *DUALS)])
    for place in ("derive.lecture.CLAIMS", "verify.suite.CLAIMS"):
        monkeypatch.setattr(place, registry)


class Asked(Exception):
    """What the suite was asked to do."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Sequence[str], suite.Tier, str]]:
    """Return what a command asks of the suite: claims, effort, and the command that is recorded."""

    def run(ids: Sequence[str], tier: suite.Tier, *rest: Any) -> None:
        raise Asked(ids, tier, rest[-2])

    monkeypatch.setattr(suite, "run", run)

    def asked_by(*words: object) -> tuple[Sequence[str], suite.Tier, str]:
        with pytest.raises(Asked) as told:
            widelimit(*words, "--workers", 1)
        return told.value.args

    return asked_by


def one_line(result: Result, expected: str) -> bool:
    return (
        result.exit_code == 2
        and re.match(f"widelimit: .*{expected}", result.stderr) is not None
        and result.stderr.count("\n") == 1
        and result.stdout == ""
    )


# Which claims


@pytest.mark.usefixtures("few")
def test_a_report_of_a_topic_has_its_claims_and_no_others(tmp_path: Path) -> None:
    result = widelimit("report", "--claim", "dual.*", "--run", tmp_path / "out", "--workers", 1)
    assert result.exit_code == runs.EXPECTED
    assert result.stdout.splitlines()[-1] == str(tmp_path / "out" / "report.html")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert [claim["id"] for claim in results["claims"]] == list(DUALS)
    assert results["run"]["command"].endswith(" ".join(DUALS))
    assert DUALS[1] in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("nngp.*",), {"nngp."}),
        (("finite-width.*",), {"finite-width."}),
        (("eq71", "nngp.*"), {"eq71", "nngp."}),
        (("nngp.*", "nngp.kernel-limit", "nngp.*"), {"nngp."}),
    ],
)
def test_patterns_and_ids_are_joined_in_the_order_of_the_registry(
    given: tuple[str, ...], expected: set[str], asked: Callable[..., Any], tmp_path: Path
) -> None:
    words = [word for pattern in given for word in ("--claim", pattern)]
    ids, _, command = asked("report", *words, "--run", tmp_path / "out")
    assert list(ids) == [
        key for key in CLAIMS if key in expected or key.startswith(tuple(e for e in expected if e[-1] == "."))
    ]
    assert command.split()[-len(ids) :] == list(ids)
    assert asked("verify", *given, "--run", tmp_path / "out")[0] == ids


def test_a_topic_that_is_not_asked_for_is_left_out(asked: Callable[..., Any], tmp_path: Path) -> None:
    ids, _, _ = asked("report", "--claim", "finite-width.*", "--run", tmp_path / "out")
    assert 0 < len(ids) < len(CLAIMS)
    assert list(asked("report", "--run", tmp_path / "out")[0]) == list(CLAIMS)


TOPICS = re.escape("descent.*, dual.*, ensemble.*, finite-width.*, gp.*, lazy.*, nngp.*, training.*")


@pytest.mark.parametrize("pattern", ["finite.*", "eq7*", "finite-width.x*", "*", ".*", "dual.gelu*", "NNGP.*"])
def test_an_unknown_pattern_is_answered_in_one_line(pattern: str, tmp_path: Path) -> None:
    for words in (("report", "--claim", pattern), ("verify", pattern)):
        result = widelimit(*words, "--run", tmp_path / "out")
        assert one_line(result, rf"one of {TOPICS}, got '{re.escape(pattern)}'")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("nngp.", r"got 'nngp\.'; did you mean .*nngp.*\? widelimit list shows all"),
        ("", "got ''; did you mean"),
        ("dual.gelu(", r"expected a formula, got .* was never closed; correct it; widelimit list shows all"),
    ],
)
def test_an_unknown_claim_is_answered_in_one_line(claim: str, expected: str, tmp_path: Path) -> None:
    assert one_line(widelimit("report", "--claim", claim, "--run", tmp_path / "out"), expected)
    assert not (tmp_path / "out").exists()


# Up to which width


def test_the_widest_width_is_handed_on_and_recorded(asked: Callable[..., Any], tmp_path: Path) -> None:
    for tier in suite.TIERS:
        words = "report", "--tier", tier, "--run", tmp_path / "out"
        _, chosen, command = asked(*words, "--widest", 512)
        assert chosen == replace(suite.TIERS[tier], widest=512)
        assert "--widest 512" in command
        _, default, command = asked(*words)
        assert default == suite.TIERS[tier]
        assert "--widest" not in command


def test_the_help_states_the_widths_of_the_tiers() -> None:
    stated = re.findall(r"(\d+) at\s+(\w+)", " ".join(widelimit("report", "--help").stdout.split()))
    assert {name: int(width) for width, name in stated} == {t.name: t.widest for t in suite.TIERS.values()}


def test_a_study_ends_at_the_widest_width(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(suite.TIERS, "quick", SMALL)
    words = "--claim", "finite-width.nngp-variance", "--widest", 256, "--run", tmp_path / "out", "--workers", 1
    assert widelimit("report", *words).exit_code == runs.OPEN
    results, _ = runs.read_run(tmp_path / "out")
    assert results["run"]["widest"] == 256
    (claim,) = results["claims"]
    studies = [series["x"] for check in claim["checks"] for series in check["series"]]
    assert studies
    assert all(tuple(x) == widths_up_to(256) for x in studies)
    assert max(studies[0]) == 256


@pytest.mark.parametrize("value", [127, 0, -5, 2**24 + 1, "wide", "1e3", "512.0", ""])
def test_a_width_that_is_not_allowed_is_answered_in_one_line(value: object, tmp_path: Path) -> None:
    for words in (("report", "--claim", "eq70"), ("verify", "eq70")):
        result = widelimit(*words, "--widest", value, "--run", tmp_path / "out")
        assert one_line(result, f"invalid value for '--widest': .*see widelimit {words[0]} --help")
    assert not (tmp_path / "out").exists()


def test_a_run_that_is_only_rendered_takes_no_widest(tmp_path: Path) -> None:
    reference = Path(__file__).parents[1] / "reports" / "reference"
    for option in (("--widest", 512), ("--claim", "nngp.*"), ("--executor", "tcp://h:1")):
        assert one_line(widelimit("report", reference, *option), f"expected a run .*, drop one: got .* and {option[0]}")


# Which workers


@pytest.fixture
def stranger() -> Iterator[str]:
    """Yield the address of a server that greets like one for remote logins."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            try:
                with server.accept()[0] as caller:
                    caller.sendall(b"SSH-2.0-server\r\n")
                    caller.recv(4096)
            except OSError:  # closed by the end of the test
                return

        threading.Thread(target=greet, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def mute() -> Iterator[str]:
    """Yield the address of a server that lets callers wait."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def refused(address: str, expected: str, tmp_path: Path) -> None:
    start = time.monotonic()
    for words in (("verify", "eq70"), ("report", "--claim", "eq70")):
        result = widelimit(*words, "--run", tmp_path / "out", "--executor", address)
        assert one_line(result, f"expected a Dask scheduler at {address!r}, but cannot reach it: .*{expected}")
        assert "start it with dask scheduler" in result.stderr
    assert time.monotonic() - start < 2 * 10  # of 0.5 s each, but loading Dask on a busy machine takes some
    assert not (tmp_path / "out").exists()


def test_a_scheduler_out_of_reach_is_answered_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    refused(free_address(), "Timed out", tmp_path)


def test_a_server_that_says_nothing_is_given_up(mute: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "PATIENCE", 0.5)
    refused(mute, "it says nothing", tmp_path)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("here", "missing port"),
        ("tcp://h:port", "invalid literal"),
        ("http://h:1", "unknown address scheme 'http'"),
        ("tls://127.0.0.1:9", "TLS expects"),
    ],
)
def test_an_address_of_no_scheduler_is_answered_in_one_line(address: str, expected: str, tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    refused(address, expected, tmp_path)


def test_a_server_of_another_kind_is_answered_in_one_line_also_at_the_end_of_the_process(
    stranger: str, tmp_path: Path
) -> None:
    pytest.importorskip("distributed")
    command = [sys.executable, "-m", "verify.cli", "verify", "eq70", "--run", str(tmp_path), "--executor", stranger]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert re.fullmatch(f"widelimit: expected a Dask scheduler at '{stranger}', but cannot .*\n", done.stderr)
    assert done.stdout == ""
