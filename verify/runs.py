"""Run directories: where the files of a run go, how they are written, and how ``results.json`` is read back.

Light on imports, so that a wrong path or a broken file is reported before anything heavy is loaded.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SCHEMA = 1
RESULTS, TIMINGS, BLOCKS = "results.json", "timings.json", "blocks.sqlite"

EXPECTED, WRONG, OPEN = 0, 3, 4
"""What a run comes to: all as expected, something that should hold refuted, something only left open."""


class UserError(ValueError):
    """Something the user can put right: one line with what was expected, what came and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclass
class Stages:
    """How long each stage of a run took; a progress callback that passes what it is told on.

    Attributes:
        seconds: seconds spent in each stage so far, in order of appearance.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    _since: float = field(default_factory=time.monotonic)
    _stage: str = "starting"

    def enter(self, stage: str) -> None:
        """Charge the time since the last call to the stage before and go on with this one."""
        now = time.monotonic()
        self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._since, self._stage = now, stage


def make_ready(directory: Path, *names: str) -> None:
    """Check that files can be written in a directory, whether it exists or not, and leave no trace of the check.

    Args:
        directory: where the files will go.
        names: names of the files.

    Raises:
        UserError: if the path is not a directory, cannot be made or written to, or a name is taken by a directory.
    """
    advice = "give another directory"
    try:
        existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        if not existing.is_dir():
            raise UserError(f"expected a directory to write to, but {existing} is a file; {advice}")
        for name in names:
            if (directory / name).is_dir():
                raise UserError(f"expected to write {directory / name}, but it is a directory; remove it or {advice}")
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {directory}: {error.strerror}; {advice}") from error


def command_of(ids: Sequence[str], tier: str, seed: int, widest: int | None, inputs: str | None) -> str:
    """Return the command that gives the same results again, the same on every machine.

    Args:
        ids: the claims; empty for all.
        tier: its name.
        seed: as given.
        widest: as given, or None.
        inputs: name of the file of inputs without its directory, or None.
    """
    words = ["widelimit", "verify", "--tier", tier, "--seed", str(seed)]
    words += ["--widest", str(widest)] if widest else []
    words += ["--inputs", inputs] if inputs else []
    return shlex.join([*words, *ids])


def to_text(results: Mapping[str, Any]) -> str:
    """Return a run record as the text of ``results.json``."""
    return json.dumps(results, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def write_run(results: Mapping[str, Any], stages: Mapping[str, float], workers: int | str, directory: Path) -> Path:
    """Write the results and the times of a run, each file whole or not at all; return the path of the results.

    Times and workers, a number or the address of a cluster, differ from run to run and stay out of the results.
    """
    from verify.report.files import write_whole  # the package brings the plots along, which reading does not need

    text = to_text(results)
    timings = {
        "schema": SCHEMA,
        "workers": workers,
        "seconds": round(sum(stages.values()), 3),
        "stages": [{"stage": name, "seconds": round(seconds, 3)} for name, seconds in stages.items()],
    }
    path = write_whole(directory / RESULTS, text)
    write_whole(directory / TIMINGS, json.dumps(timings, indent=1) + "\n")
    return path


def read_run(run: Path) -> tuple[dict[str, Any], Path]:
    """Return the results of a run, and the directory they lie in.

    Args:
        run: the directory of the run, or its ``results.json``.

    Raises:
        UserError: if there is none, or it is not a complete and unchanged record of this schema.
    """
    path = run / RESULTS if run.is_dir() else run
    again = "run widelimit verify again"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"expected the {RESULTS} of a run, but {path} does not exist; make one with widelimit verify --run DIR"
        ) from None
    except OSError as error:
        raise UserError(f"expected the {RESULTS} of a run, but cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"expected the {RESULTS} of a run, but {path} is not JSON ({error}); {again}") from error
    schema = results.get("schema") if isinstance(results, dict) else None
    if schema != SCHEMA:
        raise UserError(f"expected results of schema {SCHEMA}, but {path} has {_told(schema)}; {again}")
    try:
        digest, claims, _ = results["run"]["digest"], results["claims"], results["budget"]
    except (KeyError, TypeError) as error:
        raise UserError(f"expected a whole {RESULTS}, but {path} lacks its run, budget or claims; {again}") from error
    if digest != digest_of(claims):
        raise UserError(f"{path} was changed after it was written: its claims do not match their digest; {again}")
    return results, path.parent


def digest_of(claims: Any) -> str:
    """Return the hash of the claims part of a run record, as the record itself states it."""
    return hashlib.sha256(json.dumps(claims, sort_keys=True).encode()).hexdigest()


def newest_run(directory: Path) -> Path | None:
    """Return the newest ``results.json`` in a directory or in the directories in it, or None."""
    found = [path for path in (directory / RESULTS, *directory.glob(f"*/{RESULTS}")) if path.is_file()]
    return max(found, key=lambda path: (path.stat().st_mtime, str(path)), default=None)


def outcome(results: Mapping[str, Any]) -> int:
    """Return what a run comes to: EXPECTED, WRONG or OPEN.

    A claim refuted, or a statement that is printed wrong confirmed, is WRONG whatever else was left open.
    """
    claims = [claim["verdict"] for claim in results["claims"]]
    as_printed = [claim["printed"]["verdict"] for claim in results["claims"] if claim["printed"]]
    if "refuted" in claims or "confirmed" in as_printed:
        return WRONG
    return OPEN if "inconclusive" in (*claims, *as_printed) else EXPECTED


def _told(schema: Any) -> str:
    return "none" if schema is None else f"schema {str(schema)[:20]}"
