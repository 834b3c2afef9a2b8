"""What keeping blocks and handing out tasks costs; run by hand: python tests/benchmarks/bench_store.py (three minutes).

The share is that of the CPU time, of this process and its workers, which is not spent in blocks. Starting workers and
importing NumPy in them is not in it, since a run does that once. What Dask spends on its heartbeats, here also those of
the scheduler, grows with the time that passes: it is stated too. Nothing fails here: a busy machine is no defect.
"""

import os
import re
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from verify import suite
from verify.ensembles import Ensemble, Statistic
from verify.execution import SerialExecutor, executor_of
from verify.inputs import Inputs
from verify.statistics import Moments
from verify.store import BlockStore, environment, specification

BLOCK_SECONDS, BLOCKS, ENTRIES = 0.5, 32, 56
REPEATS = 3
README = Path(__file__).parents[2] / "README.md"
IDLE_SECONDS = 5.0
ENSEMBLE = Ensemble("benchmark", "relu", (16,), 4, 1.4, 0.3, 1024)
STATISTICS = tuple(
    Statistic(name, np.empty(0), np.arange(1.0, 1 + ENTRIES), np.full(ENTRIES, 2.0))
    for name in ("nngp", "ntk", "units")
)


def burn(blocks: range) -> tuple[list[tuple[int, tuple[Moments, ...]]], int]:
    """Moments of blocks, each of which takes the stated CPU time, and the process that they were made in."""
    found = []
    for block in blocks:
        until = time.thread_time() + BLOCK_SECONDS  # of this thread: those of Dask are no work on a block
        while time.thread_time() < until:
            pass
        values = np.random.default_rng(block).normal(size=(64, ENTRIES))
        found.append((block, tuple(Moments.of(values, s.target / s.scale) for s in STATISTICS)))
    return found, os.getpid()


def sample_blocks(ensemble: Ensemble, x: np.ndarray, statistics: object, seed: int, blocks: range) -> object:
    return burn(blocks)[0]


def cpu(pids: tuple[int, ...] = ()) -> float:
    """CPU seconds of this process, and of others that run."""
    ticks = 0
    for pid in pids:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return time.process_time() + ticks / os.sysconf("SC_CLK_TCK")


def share(label: str, executor: Executor, workers: int) -> None:
    """Print which share of the CPU time of a sampled ensemble is not spent in blocks; a task is a single block."""
    warm = [executor.submit(burn, range(2)) for _ in range(2 * workers)]  # whatever is loaded once
    pids = tuple({future.result()[1] for future in warm})
    before = cpu(pids)
    time.sleep(IDLE_SECONDS)
    idle = (cpu(pids) - before) / IDLE_SECONDS
    with tempfile.TemporaryDirectory() as folder, BlockStore(Path(folder) / "blocks.sqlite", environment()) as store:
        ensembles = suite._Ensembles(Inputs("benchmark", np.eye(7), tuple("abcdefg")), 1, store)
        ensembles.statistics[ENSEMBLE] = list(STATISTICS)
        before, start = cpu(pids), time.perf_counter()
        for _ in ensembles.sample(executor, [(ENSEMBLE, n) for n in range(len(STATISTICS))], range(BLOCKS)):
            pass
        spent, passed = cpu(pids) - before, time.perf_counter() - start
    ideal = BLOCKS * BLOCK_SECONDS
    print(
        f"{label:<52} {100 * (spent / ideal - 1):6.2f} % of {ideal:.0f} s CPU (promised: 5 %); "
        f"idle it would be {100 * idle * passed / ideal:.2f} % in the {passed:.0f} s",
        flush=True,
    )


@contextmanager
def timed(label: str, times: int) -> Iterator[None]:
    before, start = time.process_time(), time.perf_counter()
    yield
    spent, passed = time.process_time() - before, time.perf_counter() - start
    print(f"{label:<34} {1e3 * spent / times:8.3f} ms CPU {1e3 * passed / times:8.3f} ms", flush=True)


def rows() -> None:
    """Print what a transaction and a row cost."""
    names = [specification(statistic=s, ensemble=ENSEMBLE) for s in STATISTICS]
    values = np.random.default_rng(0).normal(size=(64, ENTRIES))
    block = tuple(Moments.of(values, s.target / s.scale) for s in STATISTICS)
    with tempfile.TemporaryDirectory() as folder, BlockStore(Path(folder) / "blocks.sqlite", environment()) as store:
        with timed("keep a task of 8 blocks", 200):
            for task in range(200):
                store.keep(names, [(n, block) for n in range(8 * task, 8 * task + 8)])
        with timed("read a block of one statistic", 1600):
            assert sum(1 for _ in store.moments(names[0], range(1600))) == 1600
        with timed("look for 8 blocks", 200):
            for task in range(200):
                store.numbers(names[1], range(8 * task, 8 * task + 8))


def documented_settings() -> dict[str, object]:
    """What the README sets for Dask where schedulers and workers are started."""
    from dask.config import interpret_value

    found = re.findall(r"DASK_(\w+)=(\S+)", README.read_text(encoding="utf-8"))
    return {name.lower().replace("__", "."): interpret_value(value) for name, value in found}


def main() -> None:
    """Print all figures."""
    suite._BLOCKS_OF_A_TASK = 1
    suite._sample_blocks = sample_blocks
    rows()
    share("store, no workers", SerialExecutor(), 0)
    with executor_of(2) as pool:
        share("store and 2 processes", pool, 2)
    if find_spec("distributed"):
        import dask
        from distributed import LocalCluster

        variants = {"its defaults": {}, "the settings of the README": documented_settings()}
        for label, settings in REPEATS * list(variants.items()):  # in turns, since the machine may be busy
            with (
                dask.config.set(settings),
                LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
                executor_of(1, cluster.scheduler_address) as executor,
            ):
                share(f"store and 2 Dask workers, {label}", executor, 2)


if __name__ == "__main__":
    main()
