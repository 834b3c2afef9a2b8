"""Times what the spine promises; run by hand: python tests/benchmarks/bench_spine.py (a few minutes).

Each line is one figure with its bound; nothing fails here, since a busy machine is not a defect of the code.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from derive.examiner import examine
from derive.lecture import CLAIMS
from numeric import MLP
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, empirical_kernels, sample_parameters


def timed(label: str, bound: str, action) -> None:
    start = time.perf_counter()
    action()
    print(f"{label:<58} {time.perf_counter() - start:8.2f} s   (promised: {bound})", flush=True)


def command(*arguments: str) -> None:
    widelimit = Path(sys.executable).with_name("widelimit")
    subprocess.run([str(widelimit), *arguments], check=True, capture_output=True)


def kernels(points: int, depth: int) -> None:
    x = np.random.default_rng(0).normal(size=(points, 64))
    MLP("relu", depth, 1.4, 0.1).kernels(x)


def networks(count: int) -> None:
    shape = NetworkShape(64, (16,), 4, (1.4, 1.4), (0.3, 0.3))
    net = MLP("relu", 1)
    phi, dphi = lowered_activation(net.activations[0])
    x = np.random.default_rng(0).normal(size=(7, 64))
    for block in range(count // 1024):
        parameters = sample_parameters(shape, 1024, np.random.default_rng(block))
        empirical_kernels(shape, parameters, x, [phi], [dphi])


if __name__ == "__main__":
    timed("widelimit --help", "1 s", lambda: command("--help"))
    timed("derive every theorem, without examination", "-", lambda: [claim.proven() for claim in CLAIMS.values()])
    timed("examine every theorem, one core", "-", lambda: [examine(claim.proven()) for claim in CLAIMS.values()])
    kernels(2, 1)  # lowering happens once
    timed("NNGP and NTK, relu, depth 3, 1000 points of dimension 64", "-", lambda: kernels(1000, 3))
    timed("102,400 networks of width 16, both kernels, one core", "-", lambda: networks(102_400))
    with tempfile.TemporaryDirectory() as folder:
        timed("widelimit derive", "30 s on 2 cores", lambda: command("derive", "--out", f"{folder}/derivations"))
        timed("widelimit report (tier quick)", "240 s on 2 cores", lambda: command("report", "--run", f"{folder}/run"))
