"""The store of blocks: the same bits come back, nothing false ever does, and every damage is told in one line."""

import dataclasses
import json
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from derive.lecture import CLAIMS
from verify import store, suite
from verify.cli import main
from verify.ensembles import Ensemble, Statistic
from verify.error_budget import ErrorBudget
from verify.execution import SerialExecutor
from verify.inputs import Inputs
from verify.plans import Plan, plans_for
from verify.runs import UserError
from verify.statistics import Moments
from verify.store import SOURCES, BlockStore, environment, specification
from verify.suite import Tier, _sampled

HERE = {"numpy": "2.0", "blas": "openblas 0.3 Haswell"}
ENSEMBLE = Ensemble("a test", "erf", (4, 5), 2, 1.4, 0.3, 32)
STATISTIC = Statistic("nngp", np.array([0.5, -1.5]), np.array([1.0, 3.0]), np.array([2.0, 7.0]))
PARTS: dict[str, Any] = {
    "ensemble": ENSEMBLE,
    "statistic": STATISTIC,
    "inputs": np.arange(6.0).reshape(2, 3),
    "seed": 3,
}
NAME = specification(**PARTS)
ALL = range(100)


def moments(seed: int, entries: int = 5) -> Moments:
    values = np.random.default_rng(seed).normal(size=(30 + seed, entries)) * np.arange(1, entries + 1)
    return Moments.of(values, np.linspace(-1, 2, entries))


def same(one: Moments, two: Moments) -> bool:
    return (one.count, one.shift.tobytes(), one.sums.tobytes()) == (two.count, two.shift.tobytes(), two.sums.tobytes())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of ten blocks, closed."""
    path = tmp_path / "run" / "blocks.sqlite"
    with BlockStore(path, HERE) as kept:
        kept.keep([NAME], [(n, (moments(n),)) for n in range(10)])
    return path


def change(path: Path, statement: str, *values: object) -> None:
    db = sqlite3.connect(path)
    with db:
        db.execute(statement, values)
    db.close()


# What is kept


def test_what_was_kept_comes_back_in_order_with_the_same_bits(path: Path) -> None:
    with BlockStore(path, HERE) as kept:
        kept.keep([NAME, "another"], [(n, (moments(n), moments(n + 50, 2))) for n in (12, 11)])
        assert kept.numbers(NAME, range(8, 100)) == {8, 9, 11, 12}
        found = dict(kept.moments(NAME, ALL))
        assert list(found) == [*range(10), 11, 12]
        assert all(same(found[n], moments(n)) for n in found)
        assert all(same(m, moments(n + 50, 2)) for n, m in kept.moments("another", ALL))
        assert [n for n, _ in kept.moments(NAME, range(3, 5))] == [3, 4]


def test_nothing_is_made_before_a_block_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "new" / "blocks.sqlite"
    with BlockStore(path, HERE) as kept:
        assert kept.numbers(NAME, ALL) == set()
        assert list(kept.moments(NAME, ALL)) == []
        assert kept.foreign() == 0
        assert not path.parent.exists()
        kept.keep([NAME], [(0, (moments(0),))])
        assert path.exists()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("rest", [0, 1])
def test_a_file_of_which_next_to_nothing_is_there_is_a_new_one(rest: int, path: Path) -> None:
    path.write_bytes(path.read_bytes()[:rest])
    with BlockStore(path, HERE) as kept:
        assert kept.numbers(NAME, ALL) == set()
        kept.keep([NAME], [(0, (moments(0),))])
    assert same(read(path)[0], moments(0))


def test_what_was_kept_is_on_the_disk(path: Path) -> None:
    with BlockStore(path, HERE) as kept, kept._connection() as db:
        full = 2  # SQLite's number of what waits for the disk at every commit
        assert db.execute("PRAGMA synchronous").fetchone() == (full,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_writing_is_all_or_nothing(path: Path) -> None:
    with BlockStore(path, HERE) as kept, pytest.raises(UserError, match="damaged: UNIQUE constraint failed"):
        kept.keep([NAME], [(20, (moments(20),)), (3, (moments(3),))])
    with BlockStore(path, HERE) as kept:
        assert kept.numbers(NAME, ALL) == set(range(10))


def test_blocks_of_another_environment_are_counted_and_not_found(path: Path) -> None:
    for name in HERE:
        with BlockStore(path, HERE | {name: "another"}) as kept:
            assert kept.numbers(NAME, ALL) == set()
            assert list(kept.moments(NAME, ALL)) == []
            assert kept.foreign() == 10
    with BlockStore(path, HERE) as kept:
        assert kept.foreign() == 0


# What a block is filed under


def variants() -> Mapping[str, dict[str, Any]]:
    """The parts of a specification, each changed in one respect."""
    found: dict[str, dict[str, Any]] = {"seed": PARTS | {"seed": 4}}
    for field in dataclasses.fields(Ensemble):
        value = getattr(ENSEMBLE, field.name)
        found[f"ensemble.{field.name}"] = PARTS | {
            "ensemble": dataclasses.replace(ENSEMBLE, **{field.name: value * 2 if value else 1})
        }
    for field in dataclasses.fields(Statistic):
        value = getattr(STATISTIC, field.name)
        changed = f"{value}!" if isinstance(value, str) else np.nextafter(value, 9)
        found[f"statistic.{field.name}"] = PARTS | {
            "statistic": dataclasses.replace(STATISTIC, **{field.name: changed})
        }
    x = PARTS["inputs"]
    return found | {
        "inputs": PARTS | {"inputs": np.nextafter(x, 9)},
        "shape of inputs": PARTS | {"inputs": x.reshape(3, 2)},
        "order of inputs": PARTS | {"inputs": x[::-1]},
    }


def confused(specify: Callable[..., str]) -> set[str]:
    """The changes that a way to name blocks does not notice."""
    return {what for what, parts in variants().items() if specify(**parts) == specify(**PARTS)}


def test_everything_that_is_sampled_has_its_own_name() -> None:
    assert confused(specification) == set()
    names = [specification(**parts) for parts in variants().values()]
    assert len(set(names)) == len(names)
    assert specification(**dict(reversed(PARTS.items()))) == NAME


@pytest.mark.parametrize("forgotten", ["seed", "statistic.centre", "statistic.target", "statistic.scale", "inputs"])
def test_a_name_that_forgets_something_is_noticed(forgotten: str) -> None:
    def forgetful(**parts: Any) -> str:
        part, _, field = forgotten.partition(".")
        known = json.loads(specification(**parts))
        del (known[part] if field else known)[field or part]
        return json.dumps(known)

    assert forgotten in confused(forgetful)


def test_what_nobody_knows_the_content_of_has_no_name() -> None:
    with pytest.raises(TypeError, match="expected numbers, texts, arrays and dataclasses of these, got a function"):
        specification(**PARTS, loss=lambda z: z)


def test_the_environment_tells_versions_kernels_and_code() -> None:
    here = environment()
    assert set(here) == {"python", "machine", "system", "blas", "simd", "code", *store.PACKAGES}
    assert all(here.values())
    assert "None" not in here["blas"]


def test_an_edited_source_is_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("verify", "derive", "numeric"):
        (tmp_path / name).mkdir()
    for source in SOURCES:
        target = tmp_path / source
        (target if target.suffix else target / "module.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.setattr(store, "__file__", str(tmp_path / "verify" / "store.py"))
    seen = {environment.__wrapped__()["code"]}
    for path in sorted(tmp_path.rglob("*.py")):
        path.write_text("x = 2\n", encoding="utf-8")
        seen.add(environment.__wrapped__()["code"])
        path.write_text("x = 1\n", encoding="utf-8")
    assert len(seen) == 1 + len(SOURCES)


SAMPLING = """
import sys
import numpy as np
from verify.ensembles import Ensemble, Statistic, sample_block
ensemble = Ensemble("a test", "erf", (4,), 2, 1.4, 0.3, 8)
names = ("second moments of units", "ntk")
statistics = tuple(Statistic(name, np.empty(0), np.zeros(2), np.ones(2)) for name in names)
sample_block(ensemble, np.ones((1, 3)), statistics, 1, 0)
print(*(name for name in sys.modules if name.startswith("verify.")))
"""


def test_the_code_of_the_environment_is_all_that_computes_a_block() -> None:
    used = subprocess.run([sys.executable, "-c", SAMPLING], capture_output=True, text=True, check=True).stdout.split()
    assert "verify.ensembles" in used
    assert {f"{name.replace('.', '/')}.py" for name in used} <= set(SOURCES)
    assert {"derive", "numeric"} <= set(SOURCES)


# Damage


def overwrite(path: Path, start: int, text: bytes) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:start] + text + content[start + len(text) :])


def swap(path: Path) -> None:
    db = sqlite3.connect(path)
    with db:
        (one,), (two,) = (db.execute("SELECT sums FROM block WHERE number = ?", (n,)).fetchone() for n in (3, 4))
        db.execute("UPDATE block SET sums = ? WHERE number = 3", (two,))
        db.execute("UPDATE block SET sums = ? WHERE number = 4", (one,))
    db.close()


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda p: p.write_bytes(b"no database at all" * 100), "damaged: file is not a database; delete it"),
    (lambda p: p.write_bytes(p.read_bytes()[:-4096]), "damaged: database disk image is malformed; delete it"),
    (lambda p: p.write_bytes(p.read_bytes()[:5000]), "damaged: database disk image is malformed; delete it"),
    (lambda p: p.write_bytes(p.read_bytes()[:400]), "damaged: database disk image is malformed; delete it"),
    (lambda p: change(p, "DROP TABLE meta"), "damaged: it is a database of another kind; delete it"),
    (lambda p: change(p, "DROP TABLE block"), "damaged: no such table: block; delete it"),
    (
        lambda p: change(p, "UPDATE meta SET value = '2'"),
        "expected blocks of format 1, but .* has format 2; delete it or",
    ),
    (lambda p: change(p, "DELETE FROM meta"), "expected blocks of format 1, but .* has none; delete it or"),
    (lambda p: change(p, "UPDATE meta SET value = CAST(x'ff' AS TEXT)"), "damaged: Could not decode to UTF-8"),
    (lambda p: change(p, "UPDATE block SET count = count + 1 WHERE number = 4"), "block 4 does not match its checksum"),
    (lambda p: change(p, "UPDATE block SET sums = zeroblob(8) WHERE number = 4"), "block 4 does not match"),
    (lambda p: change(p, "UPDATE block SET sums = 'text' WHERE number = 4"), "block 4 does not match its checksum"),
    (lambda p: change(p, "UPDATE block SET sums = 10000000000 WHERE number = 4"), "block 4 does not match"),
    (lambda p: change(p, "UPDATE block SET sha256 = x'00' WHERE number = 4"), "block 4 does not match its checksum"),
    (lambda p: change(p, "UPDATE block SET number = 10 WHERE number = 4"), "block 10 does not match its checksum"),
    (swap, "block 3 does not match its checksum"),
    (lambda p: overwrite(p, p.read_bytes().index(moments(4).sums.tobytes()) + 7, b"\x11"), "block 4 does not match"),
]


def read(path: Path) -> dict[int, Moments]:
    with BlockStore(path, HERE) as kept:
        return dict(kept.moments(NAME, ALL))


@pytest.mark.parametrize(("damage", "expected"), DAMAGES)
def test_damage_is_told_in_one_line_that_names_the_file(
    damage: Callable[[Path], object], expected: str, path: Path
) -> None:
    damage(path)
    with pytest.raises(UserError, match=expected) as told:
        read(path)
    assert str(path) in str(told.value)
    assert "\n" not in str(told.value)
    path.unlink()
    assert read(path) == {}


def false_blocks(path: Path, rng: random.Random, bytes_changed: int) -> list[int]:
    """Change single bytes, one after another; what is read must be right or refused. Return what is neither."""
    content = path.read_bytes()
    found = []
    for _ in range(bytes_changed):
        place = rng.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ rng.randrange(1, 256)]) + content[place + 1 :])
        try:
            found += [n for n, block in read(path).items() if not same(block, moments(n))]
        except UserError:
            continue
    path.write_bytes(content)
    return found


def test_no_changed_byte_gives_a_false_block(path: Path) -> None:
    assert false_blocks(path, random.Random(5), 400) == []


def test_a_store_that_believes_any_row_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(store, "_checksum", lambda *_: b"")
        change(path, "UPDATE block SET sha256 = x''")
        assert false_blocks(path, random.Random(5), 400)
        swap(path)
        assert not same(read(path)[3], moments(3))


def test_a_checksum_that_forgets_which_block_it_is_of_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store._checksum
    monkeypatch.setattr(store, "_checksum", lambda key, number, *rest: whole(key, 0, *rest))
    path.unlink()
    with BlockStore(path, HERE) as kept:
        kept.keep([NAME], [(n, (moments(n),)) for n in range(10)])
    change(path, "UPDATE block SET number = 10 WHERE number = 4")
    assert same(read(path)[10], moments(4))


# What else can go wrong


def test_a_full_disk_loses_nothing_that_was_kept(path: Path) -> None:
    with BlockStore(path, HERE) as kept:
        assert kept._db is not None
        kept._db.execute("PRAGMA max_page_count = 12")
        with pytest.raises(UserError, match="the disk is full; make room and run the same command again") as told:
            kept.keep([NAME], [(n, (moments(n, 60),)) for n in range(20, 60)])
        assert str(path) in str(told.value)
        assert kept.numbers(NAME, ALL) == set(range(10))
    with BlockStore(path, HERE) as kept:
        kept.keep([NAME], [(20, (moments(20),))])
    assert list(read(path)) == [*range(10), 20]


def test_one_run_at_a_time_uses_a_directory(path: Path) -> None:
    with BlockStore(path, HERE), pytest.raises(UserError, match="is in use by another run; wait for its end or give"):
        BlockStore(path, HERE)
    other = (
        f"from pathlib import Path; from verify.store import BlockStore\n"
        f"kept = BlockStore(Path({str(path)!r}), {{}}); print('open', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", other], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        with pytest.raises(UserError, match="is in use by another run"):
            BlockStore(path, HERE)
        process.kill()
    assert list(read(path)) == list(range(10))


def test_a_file_that_cannot_be_written_is_told(path: Path) -> None:
    with BlockStore(path, HERE) as kept:
        assert kept._db is not None
        kept._db.execute("PRAGMA query_only = ON")
        with pytest.raises(UserError, match=r"cannot write .*readonly database; give another directory with --run"):
            kept.keep([NAME], [(20, (moments(20),))])
    with pytest.raises(UserError, match=r"cannot write .*; give another directory"):
        BlockStore(path.parent, HERE)
    with (
        BlockStore(path / "below" / "blocks.sqlite", HERE) as kept,
        pytest.raises(UserError, match=r"cannot write .*: Not a directory; give another directory"),
    ):
        kept.keep([NAME], [(20, (moments(20),))])


# Runs

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1]]), ("a", "b", "copy of a"))
SMALL = Tier("small", 1e-3, 2, 3)
IDS = ("eq17", "eq18", "nngp.kernel-limit")


@cache
def plans(ids: tuple[str, ...]) -> tuple[Plan, ...]:
    return tuple(plan for key in ids for plan in plans_for(CLAIMS[key], INPUTS, SMALL.resolution))


def sampled(
    kept: BlockStore | None,
    seed: int = 3,
    tier: Tier = SMALL,
    ids: tuple[str, ...] = IDS,
    executor: SerialExecutor | None = None,
) -> str:
    """The results of all statistical checks, as text."""
    budget = ErrorBudget.share(1e-6, [plan.name for plan in plans(ids)])
    results = _sampled(plans(ids), budget, tier, seed, INPUTS, executor or SerialExecutor(), lambda *_: None, kept)
    return json.dumps([(key, result.to_json()) for key, result in results])


class Watched(SerialExecutor):
    """Notes what is sampled, and is interrupted after so many tasks."""

    def __init__(self, tasks: int = 10**9) -> None:
        self.tasks = tasks
        self.seen: list[tuple[str, str, int]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        if not self.tasks:
            raise KeyboardInterrupt
        self.tasks -= 1
        ensemble, _, statistics, _, blocks = args
        self.seen += [(ensemble.name, statistic.name, block) for statistic in statistics for block in blocks]
        return super().submit(fn, *args, **kwargs)


def stored(path: Path) -> set[tuple[str, str, int]]:
    """What is in a store, without looking through its eyes."""
    db = sqlite3.connect(path)
    rows = db.execute("SELECT specification, number FROM block JOIN series ON series.id = series").fetchall()
    db.close()
    told = [(json.loads(text), number) for text, number in rows]
    return {(text["ensemble"]["name"], text["statistic"]["name"], number) for text, number in told}


@pytest.fixture(scope="module")
def whole() -> str:
    return sampled(None)


def test_a_run_that_was_stopped_goes_on_where_it_was(tmp_path: Path, whole: str) -> None:
    path = tmp_path / "blocks.sqlite"
    every = Watched()
    assert sampled(None, executor=every) == whole
    kept: set[tuple[str, str, int]] = set()
    for tasks in (0, 4, 5, 10**9):
        watched = Watched(tasks)
        with BlockStore(path, environment()) as file:
            if tasks < 10:
                with pytest.raises(KeyboardInterrupt):
                    sampled(file, executor=watched)
            else:
                assert sampled(file, executor=watched) == whole
        assert not kept & set(watched.seen)
        assert len(watched.seen) == len(set(watched.seen))
        if path.exists():
            assert kept < stored(path) <= kept | set(watched.seen)
            kept = stored(path)
    assert kept == set(every.seen)
    assert 0 < len(watched.seen) < len(every.seen)
    with BlockStore(path, environment()) as file:
        assert sampled(file, executor=Watched(0)) == whole


DEEP = Tier("deep", 1e-3, 4, 3)


def test_a_deeper_tier_and_other_claims_add_to_what_is_there(tmp_path: Path, whole: str) -> None:
    one, two, deeper = Watched(), Watched(), Watched()
    with BlockStore(tmp_path / "blocks.sqlite", environment()) as file:
        sampled(file, ids=("eq18",), executor=one)
        assert sampled(file, executor=two) == whole
        assert sampled(file, tier=DEEP, executor=deeper) == sampled(None, tier=DEEP)
        assert sampled(file, executor=Watched(0)) == whole
    seen = one.seen + two.seen + deeper.seen
    assert one.seen
    assert two.seen
    assert deeper.seen
    assert len(seen) == len(set(seen))


def test_a_store_that_forgets_the_block_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with BlockStore(tmp_path / "blocks.sqlite", environment()) as file:
        sampled(file, tier=DEEP)
        monkeypatch.setattr(store, "_BLOCKS", store._BLOCKS.replace("AND number < ?", "AND ? > 0"))
        with pytest.raises(AssertionError):
            sampled(file)


@pytest.mark.parametrize("forgotten", [None, "seed"])
def test_a_store_that_forgets_the_seed_is_noticed(
    forgotten: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        suite, "specification", lambda **parts: specification(**{k: v for k, v in parts.items() if k != forgotten})
    )
    with BlockStore(tmp_path / "blocks.sqlite", environment()) as file:
        sampled(file, seed=3, ids=("eq18",))
        again = sampled(file, seed=4, ids=("eq18",))
    assert (again == sampled(None, seed=4, ids=("eq18",))) == (forgotten is None)


def test_a_block_that_is_damaged_ends_the_run(tmp_path: Path) -> None:
    path = tmp_path / "blocks.sqlite"
    with BlockStore(path, environment()) as file:
        sampled(file, ids=("eq18",))
    change(path, "UPDATE block SET count = count + 1 WHERE number = 3")
    with BlockStore(path, environment()) as file, pytest.raises(UserError, match="block 3 does not match its checksum"):
        sampled(file, ids=("eq18",))


# The command line


def verify_into(path: Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(main, ["verify", "eq18", "--run", str(path.parent), "--workers", "1"])
    assert result.stdout == ""
    return result.exit_code, result.stderr.splitlines()


def test_a_stopped_run_says_what_is_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "run", interrupted)
    code, (foreign, kept, end) = verify_into(path)
    assert code == 130
    assert foreign.startswith(f"10 blocks in {path} are of other versions or another kind of CPU and not used; delete")
    assert kept == f"the same command goes on with what is in {path}"
    assert end.startswith("widelimit: interrupted")


def test_a_store_that_cannot_be_used_is_told_before_any_work(path: Path) -> None:
    with BlockStore(path, HERE):
        assert verify_into(path) == (2, [f"widelimit: {path} is in use by another run; wait for its end or "
                                         "give another directory with --run"])  # fmt: skip
    path.write_bytes(b"something else" * 100)
    code, (line,) = verify_into(path)
    assert code == 2
    assert line.startswith(f"widelimit: expected a store of blocks, but {path} is damaged: file is not a database;")
    path.unlink()
    path.mkdir()
    code, (line,) = verify_into(path)
    assert code == 2
    assert line.startswith(f"widelimit: expected to write {path}, but it is a directory")
