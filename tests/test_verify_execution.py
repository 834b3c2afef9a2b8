"""Where tasks run: the same results everywhere, also when workers or the run itself are killed."""

import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from derive.lecture import CLAIMS
from verify import cluster as clusters
from verify import execution, suite
from verify.cli import main
from verify.cluster import ClusterExecutor
from verify.error_budget import ErrorBudget
from verify.execution import (
    MOST_DEATHS,
    ONE_THREAD,
    ProcessExecutor,
    SerialExecutor,
    environment_of,
    executor_of,
)
from verify.inputs import Inputs
from verify.plans import Plan, plans_for
from verify.runs import UserError
from verify.store import BlockStore, environment
from verify.suite import Tier, _sampled

posix = pytest.mark.skipif(os.name != "posix", reason="kills processes by signals")

INPUTS = Inputs("typed here", np.array([[0.6, -0.8, 1.1], [1.3, 0.4, -0.5], [0.6, -0.8, 1.1]]), ("a", "b", "copy of a"))
TIER = Tier("small", 1e-3, 6, 3)


@cache
def plans() -> tuple[Plan, ...]:
    return tuple(plan for key in ("eq17", "eq18", "nngp.kernel-limit") for plan in plans_for(CLAIMS[key], INPUTS, 1e-3))


def sampled(
    executor: Executor, kept: BlockStore | None = None, told: Callable[[float], object] = lambda _: None
) -> str:
    """The results of the statistical checks of some claims, as text; told is called as blocks come in."""
    budget = ErrorBudget.share(1e-6, [plan.name for plan in plans()])
    results = _sampled(plans(), budget, TIER, 3, INPUTS, executor, lambda _, fraction: told(fraction), kept)
    return json.dumps([(key, result.to_json()) for key, result in results])


@pytest.fixture(scope="module")
def whole() -> str:
    return sampled(SerialExecutor())


def eventually(happens: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Whether something happens in time."""
    until = time.monotonic() + seconds
    while not (so := happens()) and time.monotonic() < until:
        time.sleep(0.05)
    return so


# Results do not depend on where tasks run


@pytest.mark.parametrize("size", [3, 64])
def test_the_size_of_tasks_changes_no_bit(size: int, whole: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "_BLOCKS_OF_A_TASK", size)
    assert sampled(SerialExecutor()) == whole


# Workers that die. Workers cannot import this file, so they are given built-in functions and texts of programs.

ONCE = """
import os, signal
with open(f"{folder}/call {n}", "a") as file:
    file.write("x")
if n == 3 and os.path.getsize(f"{folder}/call 3") == 1:
    signal.raise_signal(signal.SIGKILL)
"""


def once(folder: Path, n: int) -> tuple[Any, ...]:
    """The call that notes that it was made, and kills its process the first time if n is 3."""
    return exec, ONCE, {"folder": str(folder), "n": n}


@posix
@pytest.mark.parametrize("workers", [1, 2])
def test_only_tasks_that_were_lost_run_again(workers: int, tmp_path: Path) -> None:
    with ProcessExecutor(workers) as pool:
        pool.submit(*once(tmp_path, 0)).result()
        for future in as_completed([pool.submit(*once(tmp_path, n)) for n in range(1, 12)]):
            assert future.exception() is None
    calls = [(tmp_path / f"call {n}").stat().st_size for n in range(12)]
    assert calls[0] == 1
    assert calls[3] == 2
    assert min(calls) == 1
    assert sum(calls) <= 12 + 1 + workers  # with the deadly task, others that were running or not reported yet
    assert eventually(lambda: not multiprocessing.active_children())


@posix
def test_deaths_with_results_in_between_do_not_add_up(tmp_path: Path) -> None:
    with ProcessExecutor(1) as pool:
        for n in range(MOST_DEATHS + 1):
            (tmp_path / str(n)).mkdir()
            pool.submit(*once(tmp_path / str(n), 3)).result(60)


@posix
def test_a_pool_that_is_not_replaced_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MOST_DEATHS", 1)
    with pytest.raises(UserError, match="died 1 times"), ProcessExecutor(1) as pool:
        pool.submit(*once(tmp_path, 3)).result(60)


@posix
def test_a_task_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"died 3 times in a row.*; run the same command again with fewer --w") as told,
        executor_of(2) as pool,
    ):
        pool.submit(exec, "open(path, 'a').write('x'); import os; os.abort()", {"path": tmp_path / "calls"}).result(60)
    assert isinstance(told.value.__cause__, BrokenProcessPool)
    assert (tmp_path / "calls").stat().st_size <= MOST_DEATHS == 3
    assert eventually(lambda: not multiprocessing.active_children())


def test_an_ordinary_error_is_not_tried_again(tmp_path: Path) -> None:
    with ProcessExecutor(1) as pool:
        with pytest.raises(FileNotFoundError):
            pool.submit(os.listdir, tmp_path / "none").result()
        assert pool.submit(max, 3, 5).result() == 5
        assert pool._deaths == 0


def test_a_pool_that_was_shut_down_runs_nothing_more() -> None:
    pool = ProcessExecutor(1)
    running, *waiting = [pool.submit(time.sleep, 0.1) for _ in range(6)]
    running.result()
    pool.shutdown(wait=True, cancel_futures=True)
    assert any(isinstance(future.exception(), CancelledError) for future in waiting)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit(max, 3, 5)


# The environment of workers

THREADS = """
import json, os, numpy, threadpoolctl
blas = [library["num_threads"] for library in threadpoolctl.threadpool_info()]
json.dump([{name: os.environ.get(name) for name in names}, blas], open(path, "w"))
"""


def test_workers_have_one_thread_and_the_parent_keeps_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with ProcessExecutor(1) as pool:
        pool.submit(exec, THREADS, {"names": list(ONE_THREAD), "path": tmp_path / "told"}).result()
    assert dict(os.environ) == before
    variables, blas = json.loads((tmp_path / "told").read_text(encoding="utf-8"))
    assert variables == dict(ONE_THREAD)
    assert set(blas) == {1}


def test_a_worker_with_another_environment_refuses() -> None:
    with ProcessExecutor(1) as pool:
        pool.environment = {**environment(), "numpy": "1.0"}
        with pytest.raises(
            UserError, match=r"expected workers with numpy 1\.0, got one with \d.*; start the run again"
        ):
            pool.submit(max, 3, 5).result()
        assert environment_of(pool)["numpy"] == "1.0"
    assert environment_of(SerialExecutor()) == environment()


# A run whose workers are killed, and which is killed itself

PROGRAM = f"""
import multiprocessing, os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_verify_execution import sampled
from verify import suite
from verify.execution import ProcessExecutor
from verify.store import BlockStore, environment

def main():
    commits = []

    def watch(statement):
        if statement == "COMMIT":
            commits.append(statement)
        if len(commits) in (3, 8) and statement == "COMMIT":
            pids = [process.pid for process in multiprocessing.active_children()]
            print(*pids, flush=True)
            os.kill(pids[0] if len(commits) == 3 else os.getpid(), signal.SIGKILL)

    suite._BLOCKS_OF_A_TASK, suite._TASKS_AHEAD = 2, 4
    with BlockStore(Path(sys.argv[1]), environment()) as kept, ProcessExecutor(1) as pool:
        with kept._connection() as db:
            db.set_trace_callback(watch)
        sampled(pool, kept)

if __name__ == "__main__":
    main()
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # of a zombie, which nobody may be there to bury
    return not (status.exists() and status.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z")


def rows(kept: BlockStore) -> int:
    with kept._connection() as db:
        return int(db.execute("SELECT count(*) FROM block").fetchone()[0])


@posix
def test_a_run_that_is_killed_with_its_workers_goes_on_to_the_same_bits(tmp_path: Path, whole: str) -> None:
    program, path = tmp_path / "program.py", tmp_path / "blocks.sqlite"
    program.write_text(PROGRAM, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, str(program), str(path)], capture_output=True, text=True, check=False, timeout=90
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first, second = ([int(pid) for pid in line.split()] for line in killed.stdout.splitlines())
    assert set(second) - set(first)
    assert eventually(lambda: not any(map(alive, first + second)))
    with BlockStore(path, environment()) as kept:
        before = rows(kept)
        assert sampled(SerialExecutor(), kept) == whole
        assert 0 < before < rows(kept)


# Dask


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", silence_logs=50
        ) as cluster,
    ):
        yield cluster


@posix
def test_a_dask_cluster_with_a_killed_worker_changes_no_bit(cluster: Any, whole: str) -> None:
    fractions: list[float] = []

    def kill(fraction: float) -> None:
        fractions.append(fraction)
        if len(fractions) == 3:
            os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    with executor_of(1, cluster.scheduler_address) as executor:
        assert environment_of(executor) == environment()
        assert sampled(executor, told=kill) == whole
    assert len(fractions) > 3


def test_dask_workers_of_another_kind_refuse(cluster: Any) -> None:
    with executor_of(1, cluster.scheduler_address) as executor:
        assert isinstance(executor, ClusterExecutor)
        executor.environment = {**environment(), "blas": "another"}
        with pytest.raises(UserError, match="expected workers with blas another, got one with"):
            executor.submit(max, 3, 5).result()


def test_a_task_that_kills_every_dask_worker_is_given_up(cluster: Any) -> None:
    with (
        pytest.raises(UserError, match=r"Dask workers died again and again, .*; run the same command again"),
        executor_of(1, cluster.scheduler_address) as executor,
    ):
        executor.submit(signal.raise_signal, signal.SIGKILL).result(60)


def unknown_settings(text: str) -> list[str]:
    """The settings in a text that Dask does not have, or that have values of another kind there."""
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    found = []
    for name, value in re.findall(r"DASK_(\w+)=(\S+)", text):
        default = dask.config.get(name.lower().replace("__", "."), None)
        if type(default) is not type(dask.config.interpret_value(value)):
            found.append(name)
    return found


def test_dask_has_the_settings_of_the_readme() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED=False" in text
    assert unknown_settings(text) == []
    for right, wrong in (("PROFILE__ENABLED", "PROFILE__ENABLE"), ("ENABLED=False", "ENABLED=off")):
        assert unknown_settings(text.replace(right, wrong)) != []


def small_cluster(threads: int) -> Any:
    """A cluster with one worker, in this process."""
    distributed = pytest.importorskip("distributed")
    return distributed.LocalCluster(
        n_workers=1, threads_per_worker=threads, processes=False, protocol="tcp", dashboard_address=":0"
    )


def lose(cluster: Any, executor: Executor) -> None:
    waiting = executor.submit(time.sleep, 1.0)
    cluster.close()
    waiting.result(30)


def test_a_scheduler_that_is_lost_is_told() -> None:
    with (
        small_cluster(1) as cluster,
        pytest.raises(UserError, match=r"lost the Dask scheduler at tcp://.*; run the same command again"),
        executor_of(1, cluster.scheduler_address) as executor,
    ):
        lose(cluster, executor)


def test_dask_workers_with_several_threads_are_refused() -> None:
    with small_cluster(2) as cluster, pytest.raises(UserError, match="workers with threads 1, got one with 2"):
        ClusterExecutor(cluster.scheduler_address)


def test_a_cluster_without_workers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    with small_cluster(1) as cluster:
        cluster.scale(0)
        with pytest.raises(UserError, match=r"at tcp://.*, but none answers; start them with dask worker tcp:"):
            ClusterExecutor(cluster.scheduler_address)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("tcp://127.0.0.1:9", r"expected a Dask scheduler at 'tcp://127.0.0.1:9', but cannot reach it: Timed out"),
        ("somewhere", r"expected a Dask scheduler at 'somewhere', but cannot reach it: missing port number"),
        ("", r"expected a Dask scheduler at '', but cannot reach it"),
    ],
)
def test_an_address_without_a_scheduler_is_told(address: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(clusters, "PATIENCE", 0.5)
    with pytest.raises(UserError, match=expected), executor_of(1, address):
        pass


def test_the_command_line_hands_the_address_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str) -> None:
        raise UserError(f"nothing at {address}")

    monkeypatch.setattr(clusters, "ClusterExecutor", refuse)
    words = ["verify", "eq18", "--run", str(tmp_path / "out"), "--executor", "tcp://here:9"]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, result.stderr) == (2, "widelimit: nothing at tcp://here:9\n")
    assert not (tmp_path / "out").exists()


def test_without_dask_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UserError, match=r"needs Dask, which is not installed; pip install 'widelimit\[dask\]'"):
        ClusterExecutor("tcp://127.0.0.1:9")
