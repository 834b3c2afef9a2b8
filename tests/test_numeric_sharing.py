"""Work on several threads: what it computes, what it raises, and who decides how many."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import numeric.sharing
from derive.activations import activation
from numeric.lower_duals import lowered_dual
from numeric.sharing import allowed_threads, shared

COUNTS = 1, 2, 5


@pytest.fixture(params=COUNTS)
def threads(request, monkeypatch):
    monkeypatch.setattr(numeric.sharing, "allowed_threads", lambda: request.param)
    return request.param


def test_every_task_is_done_once(threads):
    done, who = np.zeros(1000, dtype=int), set()
    gate = threading.Barrier(threads)

    def work(n):
        if n < threads:
            gate.wait(timeout=10)  # all threads are at work at once
        done[n] += 1
        who.add(threading.get_ident())

    shared(work, range(1000))
    assert (done == 1).all()
    assert len(who) == threads


def test_an_error_reaches_the_caller(threads):
    def work(n):
        if n == 7:
            raise KeyError(n)

    with pytest.raises(KeyError, match="7"):
        shared(work, range(20))


def test_what_is_said_of_overflows_holds_on_all_threads(threads):
    result = np.zeros(8)

    def work(n):
        result[n] = np.exp(np.float64(1000.0))

    with np.errstate(over="ignore"):
        shared(work, range(8))
    assert np.isinf(result).all()
    with np.errstate(over="raise"), pytest.raises(FloatingPointError):
        shared(work, range(8))


@pytest.mark.parametrize(
    ("said", "expected"), [("1", 1), ("1,4", 1), (" 1 ", 1), ("0", None), ("", None), ("two", None)]
)
def test_the_environment_may_ask_for_fewer_threads(said, expected, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    available = allowed_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert allowed_threads() == (expected or available)
    monkeypatch.setenv("OMP_NUM_THREADS", str(available + 1))
    assert allowed_threads() == available


@pytest.mark.parametrize("name", ["tanh", "hard-tanh", "elu"])
def test_series_and_integrals_do_not_depend_on_the_threads(name, monkeypatch):
    monkeypatch.setattr("numeric.series._PAIRS", 8)
    monkeypatch.setattr("numeric.series._SUMMED", 8)
    monkeypatch.setattr("numeric.hermite._NUMBERS", 2000)
    rng = np.random.default_rng(0)
    deviations, gap = rng.uniform(0.5, 2.0, (2, 60)), 10 ** rng.uniform(-8, 0, 60)
    a, b = deviations**2
    found = []
    for count in COUNTS:
        monkeypatch.setattr(numeric.sharing, "allowed_threads", lambda count=count: count)
        found.append(lowered_dual(activation(name)).value(a, b, (1 - gap) * np.sqrt(a * b), a * b * gap * (2 - gap)))
    assert all((other == found[0]).all() for other in found)
