"""What claims on linear models are held against: explicit small systems in parameter space, in mpmath arithmetic.

Training is one exponential of the system of all parameters, or its steps one by one; a covariance over initialization
is that of the responses to each standard normal; conditioning solves with the covariance of the data that differ.
Nothing here knows eigenvalues or functions of Theta.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from derive.claim import Claim
from derive.moments import Moment
from derive.operators import Operator
from derive.terms import Term
from numeric.linearized import evaluate

FloatArray = NDArray[np.float64]

_JACOBIAN = np.array([[0.9, -0.4, 0.3, 1.1], [0.2, 0.8, -0.5, 0.4], [-0.6, 0.1, 0.7, 0.5]])
_TEST_JACOBIAN = np.array([[0.5, -0.9, 0.2, 0.3], [1.2, 0.1, -0.7, -0.4]])
_OTHER_JACOBIAN = np.array([[-0.3, 0.6, 0.8, -0.2], [0.4, 1.0, -0.1, 0.7]])
_TARGETS = np.array([[1.0, -0.5], [0.25, 2.0], [-1.5, 0.75]])
_INITIAL = np.array([[0.3, 0.6], [-0.8, 0.1], [0.45, -0.2]])
_TEST_INITIAL = np.array([[0.7, -1.1], [0.2, 0.5]])
_GRADIENT = np.array([[0.6, -1.4], [0.9, 0.35], [-0.2, 1.7]])
"""The gradient of some loss by the outputs on the training set."""
_READOUT = np.array([[0.4, -0.3], [1.2, 0.9], [-0.7, 0.2], [0.1, -1.3]])
_ROOTS = (
    np.array([[0.8, 0.3, -0.5, 0.2], [-0.1, 1.1, 0.4, -0.6], [0.5, -0.2, 0.9, 0.7]]),
    np.array([[0.6, -0.4, 0.1, 0.9], [0.2, 0.5, -0.8, 0.3]]),
    np.array([[-0.7, 0.2, 0.6, 0.4], [0.3, 0.9, 0.1, -0.5]]),
)
"""What standard normals are multiplied with to give ``f_0`` on the training set and at two sets of test inputs."""
_NOISE = 0.6
_TIMES = {"flow": (1.3, 400.0), "descent": (7, 400)}
"""Times, or numbers of steps, in general and for limits: at the late ones less than 1e-50 of any mode is left."""
_RATES = {"flow": 0.7, "descent": 0.4}
_DUPLICATED = (0, 1, 0)


@dataclass(frozen=True, slots=True, eq=False)
class _System:
    """A linear model with explicit matrices.

    Attributes:
        jacobian: on the training set; that of test inputs is always the same.
        targets: Y.
        initial: ``f_0`` on the training set, and at test inputs.
        roots: of ``f_0`` as a random function, on the training set and at both sets of test inputs.
        different: indices of training inputs without their duplicates.
    """

    jacobian: FloatArray
    targets: FloatArray
    initial: tuple[FloatArray, FloatArray]
    roots: tuple[FloatArray, FloatArray, FloatArray]
    different: tuple[int, ...]


def _system(rows: tuple[int, ...], last_layer: bool, observed: bool) -> _System:
    """Return a system of some of the training inputs, with repetition.

    Args:
        rows: which training inputs.
        last_layer: whether the Jacobian is that of a readout, so that it also makes ``f_0``.
        observed: whether targets are values that a process takes, the same for the same input.
    """
    jacobian = _JACOBIAN[list(rows)]
    initial = (jacobian @ _READOUT, _TEST_JACOBIAN @ _READOUT) if last_layer else (_INITIAL, _TEST_INITIAL)
    roots = (jacobian, _TEST_JACOBIAN, _OTHER_JACOBIAN) if last_layer else (_ROOTS[0][list(rows)], *_ROOTS[1:])
    different = tuple(dict.fromkeys(rows))
    return _System(jacobian, _TARGETS[list(rows)] if observed else _TARGETS, initial, roots, different)


def _exact(matrix: FloatArray) -> Any:
    return mpmath.matrix([[mpmath.mpf(repr(float(x))) for x in row] for row in matrix])


@cache
def _accumulated(rows: tuple[int, ...], by: str, late: bool) -> Any:
    """Return the integral, or sum, of what training leaves of a unit rate of every parameter."""
    jacobian, rate, amount = _exact(_JACOBIAN[list(rows)]), mpmath.mpf(str(_RATES[by])), _TIMES[by][late]
    damping = -rate * (jacobian.T * jacobian)
    size = damping.rows
    if by == "descent":
        left, total = mpmath.eye(size), mpmath.zeros(size)
        for _ in range(int(amount)):
            total, left = total + left, left + damping * left
        return total
    system = mpmath.zeros(2 * size)
    system[:size, :size] = damping
    system[:size, size:] = mpmath.eye(size)
    return mpmath.expm(system * mpmath.mpf(str(amount)))[:size, size:]


@dataclass(frozen=True, slots=True)
class _Training:
    """A system in training, or at its end."""

    system: _System
    rows: tuple[int, ...]
    by: str
    late: bool

    def displacement(self, initial: Any, targets: Any) -> Any:
        """Return how far the parameters have moved."""
        force = -mpmath.mpf(str(_RATES[self.by])) * (_exact(self.system.jacobian).T * (initial - targets))
        return _accumulated(self.rows, self.by, self.late) * force

    def moved(self) -> Any:
        """Return how far the parameters of one network have moved."""
        return self.displacement(_exact(self.system.initial[0]), _exact(self.system.targets))

    def trained(self) -> Any:
        """Return its outputs on the training set."""
        return _exact(self.system.initial[0]) + _exact(self.system.jacobian) * self.moved()

    def rate(self) -> Any:
        """Return the rate of its outputs on the training set."""
        force = _exact(self.system.jacobian).T * (self.trained() - _exact(self.system.targets))
        return -mpmath.mpf(str(_RATES[self.by])) * (_exact(self.system.jacobian) * force)

    def tested_rate(self) -> Any:
        """Return the rate of its outputs at test inputs, on a loss of the gradient ``_GRADIENT``."""
        force = _exact(self.system.jacobian).T * _exact(_GRADIENT)
        return -mpmath.mpf(str(_RATES[self.by])) * (_exact(_TEST_JACOBIAN) * force)

    def untrained(self) -> Any:
        """Return its outputs on the training set before training."""
        return _exact(self.system.initial[0])

    def untested(self) -> Any:
        """Return its outputs at test inputs before training."""
        return _exact(self.system.initial[1])

    def tested(self) -> Any:
        """Return its outputs at test inputs."""
        return _exact(self.system.initial[1]) + _exact(_TEST_JACOBIAN) * self.moved()

    def mean(self) -> Any:
        """Return the mean outputs at test inputs: those of the network that starts at zero."""
        targets = _exact(self.system.targets)
        return _exact(_TEST_JACOBIAN) * self.displacement(mpmath.zeros(targets.rows, targets.cols), targets)

    def covariance(self) -> Any:
        """Return the covariance at two sets of test inputs, from the responses to each standard normal."""
        root, *tests = map(_exact, self.system.roots)
        moved = self.displacement(root, mpmath.zeros(root.rows, root.cols))
        jacobians = map(_exact, (_TEST_JACOBIAN, _OTHER_JACOBIAN))
        first, second = (test + jacobian * moved for test, jacobian in zip(tests, jacobians, strict=True))
        return first * second.T

    def initial_covariance(self) -> Any:
        """Return the covariance before training."""
        _, first, second = map(_exact, self.system.roots)
        return first * second.T

    def posterior(self, noisy: bool) -> tuple[Any, Any]:
        """Return mean and covariance at test inputs given the targets."""
        rows = list(range(len(self.rows)) if noisy else self.system.different)
        root, first, second = _exact(self.system.roots[0][rows]), *map(_exact, self.system.roots[1:])
        noise = mpmath.mpf(str(_NOISE)) ** 2 if noisy else mpmath.mpf(0)
        seen = root * root.T + noise * mpmath.eye(root.rows)
        weights = first * root.T * mpmath.inverse(seen)
        return weights * _exact(self.system.targets[rows]), first * second.T - weights * root * second.T


def _posterior_mean(training: _Training) -> Any:
    return training.posterior(noisy=False)[0]


def _posterior_covariance(training: _Training) -> Any:
    return training.posterior(noisy=False)[1]


@dataclass(frozen=True, slots=True)
class _Route:
    """How a claim's value is found.

    Attributes:
        reference: what of an explicit system.
        by: how it is trained.
        last_layer: whether its Jacobian is that of a readout.
        observed: whether its targets are values that a process takes.
        limit: whether its kernel is that of infinite width.
    """

    reference: Callable[[_Training], Any]
    by: str = "flow"
    last_layer: bool = False
    observed: bool = False
    limit: bool = False


_ROUTES: Mapping[str, _Route] = {
    "eq65": _Route(_Training.moved, by="descent"),
    "eq69": _Route(_Training.tested_rate),
    "eq70": _Route(_Training.rate),
    "eq71": _Route(_Training.trained),
    "eq71a": _Route(_Training.untrained),
    "eq71b": _Route(_Training.trained),
    "eq71c": _Route(_Training.trained),
    "eq72": _Route(_Training.moved),
    "eq73": _Route(_Training.tested),
    "eq73a": _Route(_Training.untested),
    "eq74": _Route(_Training.tested),
    "descent.training-outputs": _Route(_Training.trained, by="descent"),
    "descent.outputs": _Route(_Training.tested, by="descent"),
    "descent.trained-outputs": _Route(_Training.tested, by="descent"),
    "descent.mean": _Route(_Training.mean, by="descent"),
    "descent.covariance": _Route(_Training.covariance, by="descent"),
    "sec5.2-mean": _Route(_Training.mean, limit=True),
    "sec5.2-moments": _Route(_Training.initial_covariance, last_layer=True),
    "sec5.2-var": _Route(_Training.covariance, limit=True),
    "ensemble.prior": _Route(_Training.initial_covariance),
    "ensemble.trained-mean": _Route(_Training.mean),
    "ensemble.trained-covariance": _Route(_Training.covariance),
    "ensemble.not-a-posterior": _Route(_Training.covariance),
    "sec5.2.1-model": _Route(_Training.tested, last_layer=True),
    "eq75": _Route(_Training.tested, last_layer=True),
    "eq76": _Route(_Training.mean, last_layer=True),
    "eq77": _Route(_Training.mean, last_layer=True),
    "eq78": _Route(_Training.covariance, last_layer=True),
    "eq79": _Route(_Training.covariance, last_layer=True),
    "eq2": _Route(_posterior_mean, last_layer=True, observed=True),
    "eq3": _Route(_posterior_covariance, last_layer=True, observed=True),
    "gp.noisy-mean": _Route(lambda training: training.posterior(noisy=True)[0], last_layer=True),
    "gp.noisy-covariance": _Route(lambda training: training.posterior(noisy=True)[1], last_layer=True),
    "gp.posterior-by-weights": _Route(_posterior_covariance),
    "sec5.2.1-compare": _Route(_posterior_mean, last_layer=True, observed=True),
    "eq80": _Route(_posterior_covariance, last_layer=True, observed=True),
}


_ONE_NETWORK = 1.1
"""The tangent kernel of one network over its limit, where that is what training goes by (chosen)."""


def _letters(training: _Training, route: _Route) -> dict[str, FloatArray]:
    """Return the matrices of all letters but J and J^T, by name.

    Where only the last layer is trained, the tangent kernel is that of its Jacobian and of the layers below.
    """
    system = training.system
    inherited_roots = dict(zip(("X", "x", "x'"), (_ROOTS[0][list(training.rows)], *_ROOTS[1:]), strict=True))
    jacobians = {"X": system.jacobian, "x": _TEST_JACOBIAN, "x'": _OTHER_JACOBIAN}
    roots = dict(zip(jacobians, system.roots, strict=True))
    known = {
        "Y": system.targets,
        "f_0(X)": system.initial[0],
        "f_0(x)": system.initial[1],
        "J(x)": _TEST_JACOBIAN,
        "f_t(X)": np.array(training.trained().tolist(), dtype=float),
        "dL/df(X)": _GRADIENT,
        "omega_t": np.array(training.moved().tolist(), dtype=float),
    }
    for a, b in product(jacobians, repeat=2):
        known[f"K({a},{b})"] = roots[a] @ roots[b].T
        gram = jacobians[a] @ jacobians[b].T
        known[f"k({a},{b})"] = gram
        inherited = inherited_roots[a] @ inherited_roots[b].T if route.last_layer else 0.0
        known[f"Theta_inf({a},{b})"] = gram + inherited
        known[f"Theta({a},{b})"] = (_ONE_NETWORK if route.limit else 1.0) * (gram + inherited)
    for a in ("x", "x'"):
        known[f"P({a})"] = known[f"K({a},X)"] @ np.linalg.pinv(known["K(X,X)"])
        known[f"P({a})^T"] = known[f"P({a})"].T
    return known


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a claim on a linear model is held against.

    Attributes:
        expected: the entries of the explicit solutions.
        labels: which entries they are.
        value: returns the same entries by a statement.
    """

    expected: list[Any]
    labels: tuple[str, ...]
    value: Callable[[Term], list[Any]]


NOTE = (
    "against explicit linear systems of all parameters, or of all data, in 20-digit arithmetic; also for singular Theta"
)


def comparison(claim: Claim) -> Comparison:
    """Return what a claim is compared with, for positive definite and for singular Theta.

    Raises:
        KeyError: if no explicit route is known for the claim.
    """
    left, late = claim.proven().lhs, claim.proven().relation == "→"
    covariance = isinstance(left, Moment) and len(left.of) == 2
    route = _ROUTES[claim.id]
    trainings = {
        name: _Training(_system(rows, route.last_layer, route.observed), rows, route.by, late)
        for name, rows in (("Theta positive definite", (0, 1, 2)), ("Theta singular", _DUPLICATED))
    }
    expected: list[Any] = []
    labels: list[str] = []
    for name, training in trainings.items():
        matrix = route.reference(training)
        for outputs in ("", ", two outputs") if covariance else ("",):
            for i, j in product(range(matrix.rows), range(matrix.cols)):
                expected.append(mpmath.mpf(0) if outputs else matrix[i, j])
                labels.append(f"{name}, entry {i + 1}, {j + 1}{outputs}")

    def value(statement: Term) -> list[Any]:
        assert isinstance(statement, Operator)  # statements on linear models are operators
        values: list[Any] = []
        for training in trainings.values():
            rate, amount, letters = _RATES[route.by], _TIMES[route.by][late], _letters(training, route)
            for same in (True, False) if covariance else (True,):
                jacobian = training.system.jacobian
                matrix = evaluate(statement, jacobian, letters, rate, amount, noise=_NOISE, same_output=same)
                values += [mpmath.mpf(float(v)) for v in matrix.ravel()]
        return values

    return Comparison(expected, tuple(labels), value)
