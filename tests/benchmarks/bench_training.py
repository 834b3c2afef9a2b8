"""Rates of lazy training; run by hand: python tests/benchmarks/bench_training.py (about a minute on one core).

Exponents of the width of medians over networks, with 95 % intervals from resampling networks, and CPU seconds per
network. NTK parameterization, gradient flow, 3 training inputs and 1 test input, until 4 over the median eigenvalue of
the limiting kernel. Nothing fails here: the expected exponents stand beside the measured ones.
"""

import sys
import time

import numpy as np

from derive.activations import activation
from numeric import MLP
from numeric.gradients import Learner, Rates
from numeric.integrators import Schedule
from numeric.lower_functions import lowered_activation
from numeric.network import NetworkShape, sample_parameters
from numeric.pathwise import predict
from numeric.training import TrainingData, train

DATA = TrainingData(
    np.array([[1.0, 0.3], [-0.6, 0.8], [0.2, -1.1]]), np.array([0.8, -0.5, 0.3]), np.array([[0.5, 0.7]])
)
SIGMA_W, SIGMA_B = 1.4, 0.3
STUDIES = (
    ("tanh", 1, (64, 128, 256, 512, 1024), 48),
    ("tanh", 1, (256, 512, 1024, 2048, 4096), 64),  # what is left falls with N² only once it is small
    ("erf", 2, (64, 128, 256, 512), 40),
    ("erf", 2, (1024,), 4),
)
EXPECTED = {
    "sup |f - f_lin|": "-1",
    "|Theta_T - Theta_0|_F": "-1",
    "|theta_T - theta_0|": "0",
    "|displacement / linear one - 1|": "-1",
    "left of f - f_lin": "-2",
    "left of Theta_T - Theta_0": "-2",
}


def measured(name, hidden_layers, width, count):
    """Return the figures of each network, the path-wise ratios, and CPU seconds of training and of prediction."""
    layers, pair = hidden_layers + 1, lowered_activation(activation(name))
    shape = NetworkShape(2, (width,) * hidden_layers, 1, (SIGMA_W,) * layers, (SIGMA_B,) * layers)
    learner = Learner(shape, [pair[0]] * hidden_layers, [pair[1]] * hidden_layers, Rates.ntk(shape))
    eigenvalues = np.linalg.eigvalsh(MLP(name, hidden_layers, SIGMA_W, SIGMA_B).kernels(DATA.x)[1])
    end = 4 / np.median(eigenvalues)
    steps = 10 * int(np.ceil(end * eigenvalues[-1] / 3.5))  # a step of at most 0.35 over the largest eigenvalue
    schedule = Schedule("flow", end / steps, tuple(range(0, steps + 1, steps // 10)))
    key = np.random.SeedSequence([2024, hidden_layers, width])
    parameters = sample_parameters(shape, count, np.random.Generator(np.random.Philox(key)))

    begin = time.process_time()
    found = train(learner, parameters, DATA, schedule)
    middle = time.process_time()
    expected = predict(learner, parameters, DATA, schedule)
    seconds = middle - begin, time.process_time() - middle

    left = np.abs(found.outputs - found.linearized - expected.outputs).max(axis=(1, 2, 3))
    change = (found.ntk[:, -1] - found.ntk[:, 0] - expected.ntk[:, -1])[:, : len(DATA.x)]
    figures = (
        found.departure,
        found.kernel_change[:, -1],
        found.displacement[:, -1],
        np.abs(found.displacement[:, -1] / found.linear_displacement[:, -1] - 1),
        left,
        np.linalg.norm(change.reshape(count, -1), axis=1),
    )
    ratio = expected.departure / found.departure
    return np.array(figures), ratio, np.array(seconds) / count, steps


def slopes(widths, figures, rng, resamples=2000):
    """Return the exponent of the median, and the ends of its interval; figures are (networks,) per width."""

    def slope(samples):
        return np.polyfit(np.log(widths), np.log([np.median(sample) for sample in samples]), 1)[0]

    again = [slope([rng.choice(sample, len(sample)) for sample in figures]) for _ in range(resamples)]
    return slope(figures), *np.quantile(again, [0.025, 0.975])


def main() -> None:
    rng = np.random.default_rng(0)
    for name, hidden_layers, widths, count in STUDIES:
        print(f"\n{name}, {hidden_layers} hidden, {count} networks per width")
        print("width steps   CPU s/network: trained, predicted   predicted/actual: median [quartiles]")
        study = []
        for width in widths:
            figures, ratio, seconds, steps = measured(name, hidden_layers, width, count)
            study.append(figures)
            low, middle, high = np.quantile(ratio, [0.25, 0.5, 0.75])
            print(f"{width:5} {steps:5}   {seconds[0]:8.4f} {seconds[1]:8.4f}   {middle:.4f} [{low:.4f}, {high:.4f}]")
            sys.stdout.flush()
        for index, (figure, expected) in enumerate(EXPECTED.items() if len(widths) > 1 else ()):
            values = [figures[index] for figures in study]
            found, low, high = slopes(widths, values, rng)
            medians = " ".join(f"{np.median(value):.3g}" for value in values)
            print(f"{figure:<32} {found:+.2f} [{low:+.2f}, {high:+.2f}], expected {expected:>2}; medians {medians}")


if __name__ == "__main__":
    main()
