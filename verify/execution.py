"""Where tasks run: in this process, in a pool of processes, or on a cluster; results never depend on which.

Whoever submits tasks sees futures only. Workers may die: their tasks run again, on others. A worker that would compute
other bits, because its versions, sources or CPU are others, refuses to.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from verify.runs import UserError

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""The environment of a worker: products on several threads round differently, and there is a worker for each CPU."""
MOST_DEATHS = 3
"""Deaths of workers in a row, without a finished task in between, before a run gives up (chosen)."""


class SerialExecutor(Executor):
    """An executor that runs a task when it is submitted."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a finished future of the call."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # a future carries any error of its task to whoever asks for the result
            future.set_exception(error)
        return future


class _Worker(SpawnProcess):
    """A process with one thread for linear algebra, which ignores interrupts and ends when its parent does."""

    def start(self) -> None:
        """Start with what is inherited: signals that are blocked, and the environment that NumPy reads when imported.

        A terminal sends an interrupt to workers too, and each would print a traceback.
        """
        masked = hasattr(signal, "pthread_sigmask")  # elsewhere, interrupted workers print what they like
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masked else set()
        before = {name: os.environ.get(name) for name in ONE_THREAD}
        os.environ.update(ONE_THREAD)
        try:
            super().start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
            if masked:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def run(self) -> None:
        """Run tasks; without a parent, which was killed, nobody would ever end the process."""
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().run()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class _WorkerContext(SpawnContext):
    """Makes the processes of a pool."""

    Process = _Worker


class WorkersExecutor(Executor):
    """An executor whose tasks run in other processes.

    Attributes:
        environment: what the bits depend on there, see :func:`verify.store.environment`.
    """

    environment: Mapping[str, str]


class ProcessExecutor(WorkersExecutor):
    """A pool of processes. When one dies, a new pool takes over, and the tasks that are not finished run there.

    It gives up when workers die again and again without finishing anything in between.
    """

    def __init__(self, workers: int) -> None:
        from verify.store import environment

        self.environment = environment()
        self._new_pool = partial(ProcessPoolExecutor, workers, mp_context=_WorkerContext())
        # Broken ones are kept: from Python 3.12 on, a pool that nobody holds any more waits for itself while it breaks.
        self._pools = [self._new_pool()]
        self._replacing = threading.Lock()
        self._deaths = 0
        self._closed = False

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call; UserError if workers die of it."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()  # it can no longer be cancelled, so there will be a result or an error
        self._start(future, partial(run_in, self.environment, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, after their tasks or without waiting."""
        self._closed = True
        for pool in self._pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _start(self, future: Future[Any], call: Callable[[], Any]) -> None:
        pool = self._pools[-1]
        try:
            attempt = pool.submit(call)
        except BrokenProcessPool as error:  # a moment ago
            attempt = Future()
            attempt.set_exception(error)
        attempt.add_done_callback(partial(self._finish, future, call, pool))

    def _finish(
        self, future: Future[Any], call: Callable[[], Any], pool: ProcessPoolExecutor, attempt: Future[Any]
    ) -> None:
        error = CancelledError() if attempt.cancelled() else attempt.exception()
        if error is None:
            self._deaths = 0
            future.set_result(attempt.result())
        elif not isinstance(error, BrokenProcessPool):
            future.set_exception(error)
        elif self._replaced(pool):
            self._start(future, call)
        else:
            lost = UserError(
                f"worker processes died {self._deaths} times in a row, perhaps for want of memory; run the same "
                "command again with fewer --workers: it goes on with what was finished"
            )
            lost.__cause__ = error
            future.set_exception(lost)

    def _replaced(self, broken: ProcessPoolExecutor) -> bool:
        """Return whether there is a pool that is not the broken one; the first task that was lost makes it."""
        # Never held while a pool is asked for something: this runs in threads of pools, which hold locks of theirs.
        with self._replacing:
            if self._pools[-1] is broken and not self._closed:
                self._deaths += 1
                self._closed = self._deaths >= MOST_DEATHS
                if not self._closed:
                    self._pools.append(self._new_pool())
            return not self._closed


def expect(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Refuse what would compute other bits.

    Raises:
        UserError: if something is found to be other than expected.
    """
    for name, value in expected.items():
        if (came := found.get(name, "none")) != value:
            raise UserError(
                f"expected workers with {name} {value[:60]}, got one with {came[:60]}; start the run again when all "
                "have the same versions, unchanged sources, CPUs of one kind, and dask worker has --nthreads 1"
            )


def run_in(environment: Mapping[str, str], call: Callable[[], Any]) -> Any:
    """Return the result of a call, made by a worker of the environment that its bits depend on.

    Raises:
        UserError: if the worker is of another one.
    """
    from verify import store

    expect(environment, store.environment())
    return call()


@contextmanager
def executor_of(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Yield an executor with this many worker processes, or one in this process for 1, or a Dask cluster.

    Local processes end when the block fails or is interrupted: running tasks are not waited for, since one may take
    half a minute and nobody will read its result.

    Args:
        workers: number of processes on this machine.
        scheduler: address of the scheduler of a cluster, whose workers are used instead.

    Raises:
        ValueError: if the number of workers is not positive.
        UserError: if the cluster cannot be used, or is lost.
    """
    if workers < 1:
        raise ValueError(f"workers must be a positive integer, got {workers}")
    if scheduler is not None:
        from verify.cluster import cluster_at  # not above, since it builds on this module

        with cluster_at(scheduler) as cluster:
            yield cluster
    elif workers == 1:
        yield SerialExecutor()
    else:
        others = set(multiprocessing.active_children())
        with ProcessExecutor(workers) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in set(multiprocessing.active_children()) - others:
                    process.terminate()
                raise


def environment_of(executor: Executor) -> Mapping[str, str]:
    """Return what the bits of tasks depend on where an executor runs them, see :func:`verify.store.environment`."""
    if isinstance(executor, WorkersExecutor):
        return executor.environment
    from verify.store import environment  # brings NumPy along, which commands that do not sample can do without

    return environment()
