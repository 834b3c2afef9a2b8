"""Section 1 on concrete numbers: processes ``f(x) = w . phi(x)`` with standard normal w, whose laws are known.

Left sides come from how the variables are made of independent normals, or from the joint precision matrix; right sides
from kernels and Schur complements. Inputs have unequal norms.
"""

from __future__ import annotations

import sympy as sp

from derive.exhibit import Exhibit

_X = sp.Rational(1, 2), sp.Integer(-2), sp.Integer(3)
_TRAIN, _TEST = _X[:2], _X[2:]
_TARGETS = sp.Matrix([1, -3])
_VARIANCE = sp.Rational(1, 4)
_SETTING = "f(x) = w₁ + w₂ x at x = 1/2, -2, 3"
_BUMPS = "k(x,x') = exp(-(x - x')²/2)"


def _root(inputs: tuple[sp.Expr, ...] = _X) -> sp.Matrix:
    """Return L with f = L w: a row for each input."""
    return sp.Matrix([[1, x] for x in inputs])


def _gram(inputs: tuple[sp.Expr, ...], others: tuple[sp.Expr, ...]) -> sp.Matrix:
    """Return the kernel 1 + x x' between inputs."""
    return sp.Matrix(len(inputs), len(others), lambda i, j: 1 + inputs[i] * others[j])


def _bump(x: sp.Expr | int, y: sp.Expr | int) -> sp.Expr:
    return sp.exp(-sp.Rational(1, 2) * (sp.sympify(x) - y) ** 2)


def _given(joint: sp.Matrix, observed: sp.Matrix) -> sp.Matrix:
    """Return mean and covariance of the last variables given the first, side by side, by the joint precision."""
    n = observed.rows
    precision = joint.inv()
    covariance = precision[n:, n:].inv()
    mean: sp.Matrix = -covariance * precision[n:, :n] * observed
    return mean.row_join(covariance)


def _conditioned(train: sp.Matrix, between: sp.Matrix, test: sp.Matrix, sign: int = -1) -> sp.Matrix:
    """Return the same by the Schur complement, or with another sign in place of its minus."""
    weights = between * train.inv()
    return (weights * _TARGETS[: train.rows, :]).row_join(test + sign * weights * between.T)


def finite_subfamilies() -> tuple[Exhibit, ...]:
    """Return that covariances take two arguments, and that pairs do not make a family jointly Gaussian."""
    normal = sp.Symbol("v", real=True)
    density = sp.exp(-(normal**2) / 2) / sp.sqrt(2 * sp.pi)
    size = 2 * sp.integrate(normal * density, (normal, 0, sp.oo))
    return (
        Exhibit(
            setting=_SETTING,
            left=_root() * _root().T,
            right=_gram(_X, _X),
            wrong={"k(x,x) stands for k(x,x')": lambda: sp.Matrix(3, 3, lambda i, j: _gram(_X, _X)[i, i])},
        ),
        Exhibit(
            setting="E[Z₁ Z₂ Z₃] of a centred Gaussian family, and of Z₃ = |V| sign(Z₁ Z₂), normal in pairs only",
            left=sp.S.Zero,
            right=sp.diff(sp.exp(sp.Rational(1, 2) * normal**2), normal, 3).subs(normal, 0),
            wrong={"all pairs are Gaussian, not all finite subfamilies": lambda: size**3},
        ),
    )


def prior() -> tuple[Exhibit, ...]:
    """Return the quadratic form in the exponent of the density, by the normals themselves and by the Gram matrix."""
    gram, root = _gram(_TRAIN, _TRAIN), _root(_TRAIN)
    normals = root.LUsolve(_TARGETS)
    return (
        Exhibit(
            setting="-2 log p(f) up to its constant, f(x) = w₁ + w₂ x at x = 1/2, -2, values 1 and -3",
            left=normals.dot(normals),
            right=(_TARGETS.T * gram.inv() * _TARGETS)[0],
            wrong={
                "the inverse is the covariance": lambda: (_TARGETS.T * gram * _TARGETS)[0],
                "the law is put on the inputs": lambda: (sp.Matrix(_TRAIN).T * gram.inv() * sp.Matrix(_TRAIN))[0],
                "the mean is one": lambda: ((_TARGETS - sp.ones(2, 1)).T * gram.inv() * (_TARGETS - sp.ones(2, 1)))[0],
            },
        ),
    )


def noisy_targets() -> tuple[Exhibit, ...]:
    """Return the covariance of targets with noise, from how they are made of independent normals."""
    deviation = sp.sqrt(_VARIANCE)
    made = _root(_TRAIN).row_join(deviation * sp.eye(2))
    return (
        Exhibit(
            setting="f(x) = w₁ + w₂ x at x = 1/2, -2, noise of variance 1/4",
            left=made * made.T,
            right=_gram(_TRAIN, _TRAIN) + _VARIANCE * sp.eye(2),
            wrong={
                "all targets share one noise": lambda: _gram(_TRAIN, _TRAIN) + _VARIANCE * sp.ones(2, 2),
                "the noise depends on the process": lambda: (
                    (_root(_TRAIN) + deviation * sp.eye(2)) * (_root(_TRAIN) + deviation * sp.eye(2)).T
                ),
            },
        ),
    )


def _noisy_joint(off: sp.Expr | int = 0, test: sp.Expr = _VARIANCE, train: sp.Expr = _VARIANCE) -> sp.Matrix:
    joint = _gram(_X, _X) + sp.diag(train, train, test)
    for i in range(2):
        joint[i, 2] += off
        joint[2, i] += off
    return joint


def noisy_joint() -> tuple[Exhibit, ...]:
    """Return the joint covariance of targets and a new target, all with noise of their own."""
    made = _root().row_join(sp.sqrt(_VARIANCE) * sp.eye(3))
    return (
        Exhibit(
            setting=f"{_SETTING}, the last to be predicted, noise of variance 1/4",
            left=made * made.T,
            right=_noisy_joint(),
            wrong={
                "noise between the blocks": lambda: _noisy_joint(off=_VARIANCE),
                "no noise on the new target": lambda: _noisy_joint(test=sp.S.Zero),
                "a standard deviation on the diagonal": lambda: _noisy_joint(train=sp.sqrt(_VARIANCE)),
            },
        ),
    )


def noisy_predictive() -> tuple[Exhibit, ...]:
    """Return mean and variance of a new target, by the joint precision matrix and by the Schur complement."""
    kernel, between = _gram(_TRAIN, _TRAIN), _gram(_TEST, _TRAIN)
    noisy, test = kernel + _VARIANCE * sp.eye(2), _gram(_TEST, _TEST) + _VARIANCE * sp.eye(1)
    return (
        Exhibit(
            setting="mean and variance of y(3) given y(1/2) = 1, y(-2) = -3, k = 1 + x x', noise of variance 1/4",
            left=_given(_noisy_joint(), _TARGETS),
            right=_conditioned(noisy, between, test),
            wrong={
                "the noise of the new target is left out": lambda: _conditioned(noisy, between, _gram(_TEST, _TEST)),
                "the correction has the wrong sign": lambda: _conditioned(noisy, between, test, sign=1),
                "K alone is inverted": lambda: _conditioned(kernel, between, test),
            },
        ),
    )


def noiseless_targets() -> tuple[Exhibit, ...]:
    """Return the covariance of noiseless targets."""
    return (
        Exhibit(
            setting="f(x) = w₁ + w₂ x at x = 1/2, -2",
            left=_root(_TRAIN) * _root(_TRAIN).T,
            right=_gram(_TRAIN, _TRAIN),
            wrong={"the targets have noise": lambda: _gram(_TRAIN, _TRAIN) + _VARIANCE * sp.eye(2)},
        ),
    )


def noiseless_joint() -> tuple[Exhibit, ...]:
    """Return the joint covariance of noiseless targets and a new value: the Gram matrix of all inputs."""
    return (
        Exhibit(
            setting=f"{_SETTING}, the last to be predicted",
            left=_root() * _root().T,
            right=_gram(_X, _X),
            wrong={"noise on the block of the targets": lambda: _noisy_joint(test=sp.S.Zero)},
        ),
    )


def leftover_noise() -> tuple[Exhibit, ...]:
    """Return mean and variance at a training input, whose value is known: what the leftover noise makes of them."""
    one, noise, query = sp.Matrix([1]), sp.Rational(1, 10), sp.Matrix([1])

    def of(train: sp.Matrix) -> sp.Matrix:
        weight = one * train.inv()
        return (weight * query).row_join(one - weight * one)

    return (
        Exhibit(
            setting="k(0,0) = 1, f(0) = 1 observed: mean and variance of f(0)",
            left=sp.Matrix([[1, 0]]),
            right=of(one),
            wrong={"noise of variance 1/10 on the targets": lambda: of(one + noise * sp.eye(1))},
            printed=lambda: of(one + noise * sp.eye(1)),
        ),
    )


def nothing_to_integrate() -> tuple[Exhibit, ...]:
    """Return that noiseless targets have the density of the values: noise whose variance vanishes changes nothing."""
    variance = sp.Symbol("v", positive=True)
    gram = _gram(_TRAIN, _TRAIN)

    def form(noise: sp.Expr) -> sp.Expr:
        return (_TARGETS.T * (gram + noise * sp.eye(2)).inv() * _TARGETS)[0]

    return (
        Exhibit(
            setting="-2 log p(y) up to its constant, k = 1 + x x', y(1/2) = 1, y(-2) = -3, noise tending to 0",
            left=sp.limit(form(variance), variance, 0),
            right=_root(_TRAIN).LUsolve(_TARGETS).dot(_root(_TRAIN).LUsolve(_TARGETS)),
            wrong={"noise of variance 1/4 integrated out": lambda: form(_VARIANCE)},
        ),
    )


def _inverse_free(test: tuple[int, ...]) -> tuple[sp.Matrix, sp.Matrix, sp.Matrix]:
    """Return the kernel of bumps at a training input 0, between it and tests, and at the tests."""
    train = sp.Matrix([[_bump(0, 0)]])
    between = sp.Matrix(len(test), 1, lambda i, _: _bump(test[i], 0))
    return train, between, sp.Matrix(len(test), len(test), lambda i, j: _bump(test[i], test[j]))


def posterior() -> tuple[Exhibit, ...]:
    """Return eqs 2 and 3 at two test inputs, by the joint precision matrix, and what one argument gives instead."""
    train, between, test = _inverse_free((-1, 1))
    joint = sp.Matrix(sp.BlockMatrix([[train, between.T], [between, test]]))
    right = _conditioned(train, between, test)

    def one_argument() -> sp.Matrix:
        """Return the variance in place of the covariance, all that an expression in one input can give."""
        variance = 1 - _bump(1, 0) ** 2
        return right[:, :1].row_join(variance * sp.ones(2, 2))

    return (
        Exhibit(
            setting=f"means and covariance at x = -1, 1 given f(0) = 1, {_BUMPS}",
            left=_given(joint, _TARGETS[:1, :]),
            right=right,
            wrong={
                "the covariance has one argument": one_argument,
                "the correction has the wrong sign": lambda: _conditioned(train, between, test, sign=1),
                "the mean is that of the prior": lambda: sp.zeros(2, 1).row_join(right[:, 1:]),
            },
            printed=one_argument,
        ),
    )


def notation() -> tuple[Exhibit, ...]:
    """Return the exponential of a matrix, and the two things called n."""
    identity = sp.eye(2)
    data = sp.Matrix([[1, 2, 3], [0, -1, 1]])
    return (
        Exhibit(
            setting="e^{-Θ} for Θ the identity of size 2",
            left=sp.Matrix((-identity).exp()),
            right=sp.exp(-1) * identity,
            wrong={"the exponential of each entry": lambda: (-identity).applyfunc(sp.exp)},
        ),
        Exhibit(
            setting="the Gram matrix of 2 inputs with 3 features",
            left=sp.Matrix(2, 2, lambda i, j: data.row(i).dot(data.row(j))),
            right=data * data.T,
            wrong={"n counts features": lambda: data.T * data},
        ),
    )
