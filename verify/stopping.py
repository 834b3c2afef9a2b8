"""Workers that an interrupt stops at once and in silence."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from verify.execution import executor_of


class _Shielded(Executor):
    """An executor whose processes are started with interrupts blocked, which they inherit.

    A terminal sends an interrupt to workers too, and each would print a traceback. An interrupt that comes while a task
    is handed over is not lost: it waits until the end of the call.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return the future of a call."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(fn, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def stoppable_workers(workers: int) -> Iterator[Executor]:
    """Yield an executor as :func:`verify.execution.executor_of` does, whose processes end when the block fails.

    Running tasks are not waited for: one may take half a minute, and nobody will read its result.

    Raises:
        ValueError: if the number of workers is not positive.
    """
    others = set(multiprocessing.active_children())
    with executor_of(workers) as executor:
        try:
            # One process is interrupted itself, and where signals have no masks workers print what they like.
            shield = workers > 1 and hasattr(signal, "pthread_sigmask")
            yield _Shielded(executor) if shield else executor
        except BaseException:
            for process in set(multiprocessing.active_children()) - others:
                process.terminate()
            raise
