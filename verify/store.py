"""Finished blocks of a run in one SQLite file, so that a run that was stopped goes on where it was.

Power sums are filed under everything that determines their bits: what was sampled, on which inputs, with which seed, by
which code and versions, on which kind of CPU. What was made otherwise has another key and is not found. A row is
believed only if its checksum, which covers the key too, is right.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  # loads SciPy's BLAS, so that every process sees the same ones
from numpy.lib.introspect import opt_func_info
from threadpoolctl import threadpool_info

from verify.runs import UserError
from verify.statistics import Moments

FORMAT = "1"
PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "scikit-learn", "widelimit")
SOURCES = (
    "derive",
    "numeric",
    "verify/ensembles.py",
    "verify/learning_problems.py",
    "verify/statistics.py",
    "verify/trained_ensembles.py",
    "verify/verdict.py",
)
"""What computes a block. A version alone would not tell that a checkout was edited."""

_TABLES = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE series (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, environment TEXT NOT NULL,"
    " specification TEXT NOT NULL)",
    "CREATE TABLE block (series INTEGER NOT NULL, number INTEGER NOT NULL, count INTEGER NOT NULL,"
    " sums BLOB NOT NULL, sha256 BLOB NOT NULL, PRIMARY KEY (series, number))",
)
_ELSEWHERE = "give another directory with --run"
_BLOCKS = "FROM block WHERE series = (SELECT id FROM series WHERE key = ?) AND number >= ? AND number < ?"


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    return {"python": platform.python_version(), "machine": platform.machine(), "system": sys.platform} | {
        name: version(name) for name in PACKAGES
    }


@cache
def environment() -> Mapping[str, str]:
    """Return what the bits of a block depend on here, beside what is sampled.

    These are the versions, the variants that BLAS and NumPy chose for this CPU, and the hash of the sources.
    """
    blas = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kernels = {
        " ".join(str(library.get(key)) for key in ("internal_api", "version", "architecture")) for library in blas
    }
    # Each function runs the best variant that the CPU supports, so all that are in use tell which each one uses.
    simd = {variant["current"] for function in opt_func_info().values() for variant in function.values()}
    root = Path(__file__).parents[1]
    code = hashlib.sha256()
    for source in SOURCES:
        for path in sorted((root / source).rglob("*.py")) or [root / source]:
            code.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return versions() | {
        "blas": ", ".join(sorted(kernels)),
        "simd": " ".join(sorted(simd)),
        "code": code.hexdigest(),
    }


def specification(**parts: Any) -> str:
    """Return as text what is sampled: dataclasses by all their fields, arrays by shape and hash.

    Raises:
        TypeError: for a value of another kind, of which it is not known what determines it.
    """

    def told(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return [value.shape, hashlib.sha256(np.ascontiguousarray(value, dtype="<f8").tobytes()).hexdigest()]
        if is_dataclass(value) and not isinstance(value, type):
            return {field.name: getattr(value, field.name) for field in fields(value)}
        raise TypeError(f"expected numbers, texts, arrays and dataclasses of these, got a {type(value).__name__}")

    return json.dumps(parts, sort_keys=True, default=told)


class BlockStore:
    """A file of finished blocks, which one run at a time may use; a context manager.

    The file is made when the first block is kept, and stays when the run is finished: a deeper tier goes on from it.
    What was kept survives whatever happens to the process later. Blocks of other environments stay too, unused.

    Every method raises UserError if the file is damaged or in use, or cannot be read or written.
    """

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        """Open the file if it exists.

        Args:
            path: the file; None to keep blocks in memory.
            environment: of the processes that sample, see :func:`environment`.

        Raises:
            UserError: as above, and if the file is of another format.
        """
        self._path = path
        self._environment = json.dumps(dict(environment), sort_keys=True)
        self._db: sqlite3.Connection | None = None
        if path is None or path.exists():
            with self._connection():
                pass

    def __enter__(self) -> BlockStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Let other runs use the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def keep(self, specifications: Sequence[str], found: Iterable[tuple[int, Sequence[Moments]]]) -> None:
        """Keep blocks, each with its number and its moments for every specification: all of them or none."""
        series = [(self._key(text), self._environment, text) for text in specifications]
        rows = []
        for number, block in found:
            for (key, *_), moments in zip(series, block, strict=True):
                sums = np.vstack([moments.shift, moments.sums]).astype("<f8").tobytes()
                rows.append((key, number, moments.count, sums, _checksum(key, number, moments.count, sums)))
        with self._connection() as db, db:
            db.execute("BEGIN")
            db.executemany("INSERT OR IGNORE INTO series (key, environment, specification) VALUES (?, ?, ?)", series)
            db.executemany("INSERT INTO block VALUES ((SELECT id FROM series WHERE key = ?), ?, ?, ?, ?)", rows)

    def numbers(self, specification: str, blocks: range) -> set[int]:
        """Return which of the blocks are there."""
        if self._db is None:
            return set()
        with self._connection() as db:
            found = db.execute(f"SELECT number {_BLOCKS}", (self._key(specification), blocks.start, blocks.stop))
            return {number for (number,) in found}

    def moments(self, specification: str, blocks: range) -> Iterator[tuple[int, Moments]]:
        """Yield the numbers and the moments of those of the blocks that are there, in order.

        Raises:
            UserError: as above, and if a block is not as it was written.
        """
        if self._db is None:
            return
        key = self._key(specification)
        with self._connection() as db:
            query = f"SELECT number, count, sums, sha256 {_BLOCKS} ORDER BY number"
            for number, count, sums, checksum in db.execute(query, (key, blocks.start, blocks.stop)):
                if checksum != _checksum(key, number, count, sums):
                    raise UserError(self._damaged(f"block {number} does not match its checksum"))
                shift, *powers = np.frombuffer(sums, "<f8").reshape(4, -1)
                yield number, Moments(count, shift, np.stack(powers))

    def foreign(self) -> int:
        """Return how many blocks are there that were sampled in another environment."""
        if self._db is None:
            return 0
        query = "SELECT count(*) FROM block JOIN series ON series.id = block.series WHERE environment <> ?"
        with self._connection() as db:
            return int(db.execute(query, (self._environment,)).fetchone()[0])

    def _key(self, specification: str) -> str:
        return hashlib.sha256(f"{self._environment}\n{specification}".encode()).hexdigest()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection, opened if it is not; what goes wrong with the file is told in a line."""
        try:
            if self._db is None:
                self._db = self._opened()
            yield self._db
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}; {_ELSEWHERE}") from error
        except UnicodeDecodeError as error:  # in the text of an error, or in a table
            raise UserError(self._damaged("it has text that is none")) from error
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.DatabaseError as error:
            # The primary code of an extended one is its lowest byte; text that is not UTF-8 has no code.
            match getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF:
                case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                    reason = f"{self._path} is in use by another run; wait for its end or {_ELSEWHERE}"
                case sqlite3.SQLITE_FULL:
                    reason = f"cannot write {self._path}: the disk is full; make room and run the same command again"
                case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
                    reason = f"cannot write {self._path}: {error}; {_ELSEWHERE}"
                case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
                    reason = f"cannot use {self._path}: {error}; see to the disk and run the same command again"
                case _:
                    reason = self._damaged(str(error))
            raise UserError(reason) from error

    def _opened(self) -> sqlite3.Connection:
        """Return a new connection; make the tables of a new file, check the format of an old one."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self._path or ":memory:", isolation_level=None, timeout=0)
        try:
            # Exclusive: one run at a time, and no memory shared by processes, which network disks do not offer.
            for setting in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
                db.execute(f"PRAGMA {setting}")
            with db:
                db.execute("BEGIN IMMEDIATE")
                tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
                if not tables:
                    for statement in _TABLES:
                        db.execute(statement)
                    db.execute("INSERT INTO meta VALUES ('format', ?)", (FORMAT,))
                elif "meta" not in tables:
                    raise UserError(self._damaged("it is a database of another kind"))
                row = db.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
            if row != (FORMAT,):
                came = f"format {str(row[0])[:20]}" if row else "none"
                raise UserError(
                    f"expected blocks of format {FORMAT}, but {self._path} has {came}; delete it or {_ELSEWHERE}"
                )
        except BaseException:
            db.close()
            raise
        return db

    def _damaged(self, how: str) -> str:
        return f"expected a store of blocks, but {self._path} is damaged: {how}; delete it, and all is sampled again"


def _checksum(key: str, number: object, count: object, sums: object) -> bytes:
    """Return the hash of a row, whatever types damage gave to its columns."""
    return hashlib.sha256(repr((key, number, count, sums)).encode()).digest()
