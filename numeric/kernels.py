"""Infinite-width kernels of fully connected networks: the derived layer recursion, iterated.

The state of a layer is (a, b, c, D): variances at both inputs, covariance, and the determinant D = ab - c^2, which is
computed from sum and difference of the inputs at the first layer and by an exact product in the next ones, so that
identical and antiparallel inputs keep their digits. No recursion is written here: :class:`Recursion` holds the derived
right sides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from derive.activations import Activation, activation
from derive.duals.kernel_side import KernelDual
from derive.lecture import networks, nngp, ntk
from derive.terms import Expression
from numeric.lower import (
    first_layer_determinant,
    first_layer_function,
    layer_function,
    scalar,
)
from numeric.lower_duals import LoweredDual, lowered_dual
from numeric.regression import Prediction, as_scale, as_targets, posterior
from numeric.trained import Spectrum, ensemble, schedule

FloatArray = NDArray[np.float64]

_NEARLY_PARALLEL = 1e-2
"""Below this D / (ab) the determinant is recomputed from the inputs themselves; chosen: it costs two digits."""


@dataclass(frozen=True)
class Recursion:
    """The right sides that the kernels iterate, each ``S delta_kk'``, as derived.

    Attributes:
        first_kernel: K^1 (eq 17).
        first_tangent: Theta^1 (eq 40).
        kernel: K^l from the layer below (eq 58).
        tangent: Theta^l from the layer below (eq 62).
    """

    first_kernel: Expression
    first_tangent: Expression
    kernel: Expression
    tangent: Expression

    @cached_property
    def lowered(self) -> LoweredRecursion:
        """Return the right sides for one unit as NumPy functions."""
        return self._lowered(equal_units=True)

    @cached_property
    def lowered_between_units(self) -> LoweredRecursion:
        """Return the right sides for two different units as NumPy functions: zero, unless a statement is wrong."""
        return self._lowered(equal_units=False)

    def _lowered(self, equal_units: bool) -> LoweredRecursion:
        return LoweredRecursion(
            first_kernel=_first_side(self.first_kernel, equal_units),
            first_determinant=_determinant(self.first_kernel) if equal_units else _no_determinant,
            first_tangent=_first_side(self.first_tangent, equal_units),
            kernel=_deeper_side(self.kernel, equal_units),
            tangent=_deeper_side(self.tangent, equal_units),
        )


# Recursions that differ in one right side share the others.


@cache
def _first_side(side: Expression, equal_units: bool) -> Callable[..., FloatArray]:
    return first_layer_function(scalar(side, networks.FIRST_LAYER, equal_units))


@cache
def _determinant(side: Expression) -> Callable[..., FloatArray]:
    return first_layer_determinant(scalar(side, networks.FIRST_LAYER))


@cache
def _deeper_side(side: Expression, equal_units: bool) -> Callable[..., FloatArray]:
    return layer_function(scalar(side, networks.DEEPER_LAYER, equal_units))


def _no_determinant(*arguments: Any) -> Any:
    raise TypeError("the pair of two different units has no determinant that a recursion would carry")


@cache
def derived_recursion() -> Recursion:
    """Return the recursion of the theorems."""
    sides = []
    for theorem in (nngp.layer1_covariance(), ntk.layer1_ntk(), nngp.covariance(), ntk.ntk_step()):
        assert isinstance(theorem.rhs, Expression)  # theorems on kernels are about expressions
        sides.append(theorem.rhs)
    return Recursion(*sides)


@dataclass(frozen=True, slots=True)
class LoweredRecursion:
    """The recursion as functions of arrays.

    Attributes:
        first_kernel, first_tangent: functions of (inner product, d, sigma_w, sigma_b).
        first_determinant: see :func:`numeric.lower.first_layer_determinant`.
        kernel, tangent: see :func:`numeric.lower.layer_function`.
    """

    first_kernel: Callable[..., Any]
    first_determinant: Callable[..., Any]
    first_tangent: Callable[..., Any]
    kernel: Callable[..., Any]
    tangent: Callable[..., Any]


@dataclass(frozen=True, slots=True, eq=False)
class LayerState:
    """The covariance of one unit of a layer at pairs of inputs: a (n1, 1), b (1, n2), c and D (n1, n2)."""

    a: FloatArray
    b: FloatArray
    c: FloatArray
    D: FloatArray


@dataclass(frozen=True)
class MLP:
    """A fully connected network of infinite width.

    Attributes:
        activation: name, text, SymPy expression, :class:`derive.activations.Activation` or
            :class:`derive.duals.kernel_side.KernelDual`; or a list of them, one per hidden layer.
        hidden_layers: number L of hidden layers; 0 is the linear model on the inputs.
        sigma_w, sigma_b: standard deviations, one for all layers or one per layer (L + 1 values).
        recursion: the right sides to iterate; by default the derived ones.

    Raises:
        ValueError: for a negative or non-finite sigma, a wrong number of values, or an unknown activation.
    """

    activation: Any = "relu"
    hidden_layers: int = 1
    sigma_w: float | Sequence[float] = 1.0
    sigma_b: float | Sequence[float] = 0.0
    recursion: Recursion | None = None

    def __post_init__(self) -> None:
        layers = self.hidden_layers
        if isinstance(layers, bool) or not isinstance(layers, Integral) or layers < 0:
            raise ValueError(f"hidden_layers must be an integer >= 0, got {layers!r}")
        object.__setattr__(self, "hidden_layers", int(layers))
        for name in ("sigma_w", "sigma_b"):
            object.__setattr__(self, name, _per_layer(name, getattr(self, name), self.hidden_layers + 1))
        given = self.activation
        rows = given if isinstance(given, list | tuple) else [_known(given)] * self.hidden_layers
        if len(rows) != self.hidden_layers:
            raise ValueError(
                f"activation must be one or {self.hidden_layers} of them, one per hidden layer, got {len(rows)}"
            )
        object.__setattr__(self, "activation", tuple(map(_known, rows)))

    @property
    def activations(self) -> tuple[Activation | KernelDual, ...]:
        """Return the activation, or the dual given as a kernel, of each hidden layer."""
        rows: tuple[Activation | KernelDual, ...] = self.activation
        return rows

    @property
    def scales(self) -> tuple[tuple[float, float], ...]:
        """Return (sigma_w, sigma_b) of each layer."""
        return tuple(zip(self.sigma_w, self.sigma_b, strict=True))  # type: ignore[arg-type]  # sequences after validation

    def with_recursion(self, **changed: Expression) -> MLP:
        """Return the network with right sides of the recursion replaced, to ask what a wrong one would give."""
        return replace(self, recursion=replace(self.recursion or derived_recursion(), **changed))

    def nngp(self, x1: ArrayLike, x2: ArrayLike | None = None) -> FloatArray:
        """Return K^{L+1}(x1, x2) of one output, shape (n1, n2).

        Args:
            x1: inputs of shape (n1, d).
            x2: inputs of shape (n2, d); x1 if not given.

        Raises:
            ValueError: if an input is empty, not two-dimensional, not finite or of another dimension; if what it takes
                overflows.
        """
        return self.kernels(x1, x2)[0]

    def ntk(self, x1: ArrayLike, x2: ArrayLike | None = None) -> FloatArray:
        """Return Theta^{L+1}(x1, x2) of one output, shape (n1, n2); arguments and errors as :meth:`nngp`."""
        return self.kernels(x1, x2)[1]

    def kernels(self, x1: ArrayLike, x2: ArrayLike | None = None) -> tuple[FloatArray, FloatArray]:
        """Return (K^{L+1}, Theta^{L+1}) at once; arguments and errors as :meth:`nngp`.

        What overflows in the last layer is infinite; before it is an error.
        """
        lowered = (self.recursion or derived_recursion()).lowered
        state, tangent = self.first_layer(x1, x2)
        for row, (sigma_w, sigma_b) in zip(self.activations, self.scales[1:], strict=True):
            require_representable(state.a, state.b, state.D)
            state, tangent = _next_layer(lowered, lowered_dual(row), state, tangent, sigma_w, sigma_b)
        require_numbers(tangent)
        return state.c, tangent

    def posterior(
        self, x_train: ArrayLike, y_train: ArrayLike, x_test: ArrayLike, noise: float = 0.0, covariance: bool = True
    ) -> Prediction:
        """Return the posterior of the outputs of the random network, given targets: GP regression with K^{L+1}.

        Args:
            x_train: inputs (n, d).
            y_train: targets (n,), or (n, k) for k outputs, which are independent.
            x_test: inputs (n_test, d).
            noise: standard deviation s of the noise on the targets.
            covariance: whether the covariance is asked for.

        Raises:
            ValueError: for inputs as :meth:`nngp`, for the rest as :func:`numeric.regression.posterior`.

        Warns:
            IllConditioned: if less than half of the digits may be left.
        """
        known, tested = _train_and_test(x_train, x_test)
        targets = as_targets(y_train, len(known))
        as_scale("noise", noise)
        prior = self.nngp(tested) if covariance else None
        return posterior(prior, self.nngp(tested, known), self.nngp(known), targets, noise)

    def trained(
        self,
        x_train: ArrayLike,
        y_train: ArrayLike,
        x_test: ArrayLike,
        t: ArrayLike | None = None,
        learning_rate: float = 1.0,
        *,
        steps: ArrayLike | None = None,
        last_layer_only: bool = False,
        covariance: bool = True,
    ) -> Prediction:
        """Return mean and covariance of the outputs of networks trained on the loss ``1/2 |f(X) - Y|^2`` (a sum).

        Each network starts at other weights; the law is over these. Theta may be singular: outputs at repeated inputs
        tend to the mean of their targets. Inputs that Theta cannot tell apart to rounding count as repeated.

        Args:
            x_train: inputs (n, d).
            y_train: targets (n,), or (n, k) for k outputs, which are independent.
            x_test: inputs (n_test, d).
            t: time of gradient flow, a number or (n_t,); infinity by default.
            learning_rate: eta; the flow depends on eta t alone.
            steps: numbers of steps of gradient descent with step eta, in place of t.
            last_layer_only: whether only the last layer is trained: its tangent kernel is K^{L+1}.
            covariance: whether the covariance is asked for.

        Returns:
            The mean (n_t, n_test, k) and the covariance of each output (n_t, n_test, n_test), without the axis n_t for
            a single time, and without the axis k for targets (n,).

        Raises:
            ValueError: before any work, for inputs as :meth:`nngp`, for targets that do not fit or are not finite, a
                negative time, a learning rate that is not positive; before training, for a step that diverges.

        Warns:
            IllConditioned: if less than half of the digits may be left at the last time.
        """
        known, tested = _train_and_test(x_train, x_test)
        targets = as_targets(y_train, len(known))
        plan = schedule(t, steps, learning_rate)
        among, tangent = self.kernels(known)
        spectrum = Spectrum.of(among if last_layer_only else tangent)
        spectrum.require_stable(plan)
        between, tangent = self.kernels(tested, known)
        prior = np.block([[self.nngp(tested), between], [between.T, among]]) if covariance else None
        return ensemble(spectrum, plan, between if last_layer_only else tangent, targets, prior)

    def between_outputs(self, x: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return covariance and tangent kernel of two different outputs by the recursion: zero if it is right."""
        recursion = self.recursion or derived_recursion()
        inputs = as_inputs(x)
        if not self.hidden_layers:
            between, size = recursion.lowered_between_units, inputs.shape[1]
            pair = (f(inputs @ inputs.T, size, *self.scales[0]) for f in (between.first_kernel, between.first_tangent))
        else:
            state, tangent = self.first_layer(inputs)
            layers = list(zip(self.activations, self.scales[1:], strict=True))
            for row, scales in layers[:-1]:
                require_representable(state.a, state.b, state.D)
                state, tangent = _next_layer(recursion.lowered, lowered_dual(row), state, tangent, *scales)
            row, scales = layers[-1]
            means = lowered_dual(row)
            arguments = state.a, state.b, state.c, state.D
            below = means.value(*arguments), means.derivative(*arguments), tangent, state.c
            between = recursion.lowered_between_units
            pair = (f(*below, *scales) for f in (between.kernel, between.tangent))
        shape = len(inputs), len(inputs)
        first, second = (np.array(np.broadcast_to(value, shape), dtype=float) for value in pair)
        return first, second

    def first_layer(self, x1: ArrayLike, x2: ArrayLike | None = None) -> tuple[LayerState, FloatArray]:
        """Return state and tangent kernel of the first layer at pairs; arguments and errors as :meth:`nngp`."""
        first = as_inputs(x1)
        second = first if x2 is None else as_inputs(x2)
        if first.shape[1] != second.shape[1]:
            raise ValueError(f"x1 and x2 must have one dimension, got {first.shape[1]} and {second.shape[1]}")
        return _first_layer((self.recursion or derived_recursion()).lowered, first, second, *self.scales[0])


def _train_and_test(x_train: ArrayLike, x_test: ArrayLike) -> tuple[FloatArray, FloatArray]:
    known, tested = as_inputs(x_train), as_inputs(x_test)
    if known.shape[1] != tested.shape[1]:
        raise ValueError(f"x_train and x_test must have one dimension, got {known.shape[1]} and {tested.shape[1]}")
    return known, tested


def _known(given: Any) -> Activation | KernelDual:
    return given if isinstance(given, KernelDual) else activation(given)


def as_inputs(x: ArrayLike) -> FloatArray:
    """Return inputs as a float array (n, d).

    Raises:
        ValueError: if they are empty, not two-dimensional or not finite.
    """
    array = np.asarray(x, dtype=float)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"inputs must have shape (n_points, dimension) with at least one of each, got {array.shape}")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"inputs must be finite, got NaN or infinity in row {row}; remove or replace it")
    return array


def _per_layer(name: str, value: float | Sequence[float], layers: int) -> tuple[float, ...]:
    given = np.asarray(value, dtype=float)
    if given.ndim > 1:
        raise ValueError(f"{name} must be one number or a sequence of them, got an array of shape {given.shape}")
    values = (float(given),) * layers if given.ndim == 0 else tuple(map(float, given))
    if len(values) != layers:
        raise ValueError(f"{name} must be one number or {layers} of them, one per layer, got {len(values)}")
    if not all(np.isfinite(v) and v >= 0 for v in values):
        raise ValueError(f"{name} must be a finite number >= 0, got {value}; it is a standard deviation")
    return values


def _first_layer(
    lowered: LoweredRecursion, x1: FloatArray, x2: FloatArray, sigma_w: float, sigma_b: float
) -> tuple[LayerState, FloatArray]:
    dimension = x1.shape[1]
    norms1, norms2 = (np.einsum("nd,nd->n", x, x) for x in (x1, x2))
    dot = x1 @ x2.T
    same = _identical(x1, x2)
    dot = np.where(same, norms1[:, None], dot)  # a matrix product rounds x.x otherwise than a dot product
    a = lowered.first_kernel(norms1, dimension, sigma_w, sigma_b)[:, None]
    b = lowered.first_kernel(norms2, dimension, sigma_w, sigma_b)[None, :]
    c = lowered.first_kernel(dot, dimension, sigma_w, sigma_b)
    tangent = lowered.first_tangent(dot, dimension, sigma_w, sigma_b)
    determinant = determinant_of(a, b, c)
    close = np.argwhere(determinant <= _NEARLY_PARALLEL * a * b)
    if len(close):
        rows, columns = close.T
        gram, distance = gram_determinant(x1[rows], x2[columns])
        determinant[rows, columns] = lowered.first_determinant(gram, distance, sigma_w, sigma_b, dimension)
    return LayerState(a, b, np.asarray(c), determinant), np.asarray(tangent)


def gram_determinant(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return |x|^2 |y|^2 - (x.y)^2 and |x - y|^2 of paired rows, without cancellation where they are nearly parallel.

    The first is the squared area of the parallelogram of x and y, a quarter of that of its diagonals x + y and x - y.
    Rows are first brought to one binary order of length, so that near parallel ones have one long and one short
    diagonal; then what of the short one is along the long one is taken off. Exchanging x and y changes no bit.
    """
    distance = np.einsum("nd,nd->n", x - y, x - y)
    orders = [np.frexp(np.sqrt(np.einsum("nd,nd->n", v, v)))[1] for v in (x, y)]
    common = np.maximum(*orders)
    x, y = (np.ldexp(v, (common - order)[:, None]) for v, order in zip((x, y), orders, strict=True))
    total, difference = x + y, x - y
    squares = [np.einsum("nd,nd->n", v, v) for v in (total, difference)]
    longer = squares[0] >= squares[1]
    long, short = (np.where(w[:, None], total, difference) for w in (longer, ~longer))
    square = np.maximum(*squares)
    along = np.einsum("nd,nd->n", long, short) / np.where(square > 0, square, 1.0)
    across = short - along[:, None] * long
    gram = square * np.einsum("nd,nd->n", across, across) / 4
    return np.ldexp(gram, 2 * (orders[0] + orders[1] - 2 * common)), distance


def _identical(x1: FloatArray, x2: FloatArray) -> NDArray[np.bool_]:
    """Return which pairs of rows are equal, by comparing rows as bytes."""
    keys1, keys2 = ([row.tobytes() for row in x + 0.0] for x in (x1, x2))
    where: dict[bytes, list[int]] = {}
    for j, key in enumerate(keys2):
        where.setdefault(key, []).append(j)
    result = np.zeros((len(x1), len(x2)), dtype=bool)
    for i, key in enumerate(keys1):
        result[i, where.get(key, [])] = True
    return result


def _next_layer(
    lowered: LoweredRecursion,
    means: LoweredDual,
    state: LayerState,
    tangent: FloatArray,
    sigma_w: float,
    sigma_b: float,
) -> tuple[LayerState, FloatArray]:
    zero = np.zeros(())

    def kernel(a: FloatArray, b: FloatArray, c: FloatArray, D: FloatArray) -> FloatArray:
        value = lowered.kernel(means.value(a, b, c, D), means.derivative(a, b, c, D), zero, c, sigma_w, sigma_b)
        return np.asarray(np.broadcast_to(value, np.broadcast_shapes(a.shape, b.shape, c.shape)))

    pair = state.a, state.b, state.c, state.D
    with np.errstate(over="ignore", invalid="ignore"):
        a = kernel(state.a, state.a, state.a, np.zeros_like(state.a))
        b = kernel(state.b, state.b, state.b, np.zeros_like(state.b))
        c = kernel(*pair)
        new = lowered.tangent(means.value(*pair), means.derivative(*pair), tangent, state.c, sigma_w, sigma_b)
    determinant = np.where((state.D == 0) & (state.a == state.b) & (state.c == state.a), 0.0, determinant_of(a, b, c))
    return LayerState(a, b, c, determinant), np.asarray(np.broadcast_to(new, c.shape))


def determinant_of(a: FloatArray, b: FloatArray, c: FloatArray) -> FloatArray:
    """Return ab - c^2 with the rounding errors of both products added back (Dekker 1971, Kahan), at least 0.

    It is not finite if a product overflows, or nearly so.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        ab, ab_error = _exact_product(a, b)
        cc, cc_error = _exact_product(c, c)
        return np.maximum((ab - cc) + (ab_error - cc_error), 0.0)


def require_representable(a: FloatArray, b: FloatArray, determinant: FloatArray) -> None:
    """Refuse variances whose products float64 cannot hold.

    Raises:
        ValueError: if a determinant is not finite.
    """
    if not np.isfinite(determinant).all():
        raise ValueError(
            f"expected variances with products below 1e307, got up to {max(a.max(), b.max()):.3g} before the last "
            "layer; take smaller inputs or sigma_w"
        )


def require_numbers(tangent: FloatArray) -> None:
    """Refuse a tangent kernel that is a difference of overflows, or zero times an overflow.

    Raises:
        ValueError: if there is NaN in it.
    """
    if np.isnan(tangent).any():
        raise ValueError("expected a tangent kernel below 1e308, got an overflow; take smaller inputs or sigma_w")


def _exact_product(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the rounded product and its error, which is lost to over- or underflow above 1e150 and below 1e-150."""
    product = x * y
    x_high, x_low = _split(x)
    y_high, y_low = _split(y)
    error = ((x_high * y_high - product) + x_high * y_low + x_low * y_high) + x_low * y_low
    return product, error


def _split(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    scaled = 134217729.0 * x  # 2^27 + 1
    high = scaled - (scaled - x)
    return high, x - high
