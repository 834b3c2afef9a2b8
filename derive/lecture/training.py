"""Linear models in training: their letters, and the two ways to train them, gradient flow and gradient descent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from derive.model import Model
from derive.notation import learning_rate
from derive.operators import JACOBIAN, JACOBIAN_T, OUTPUTS, PARAMETERS, TEST, TRAINING, Letter, Space, word
from derive.theorem import Rule, Theorem


def inputs(at: Space) -> str:
    """Return the LaTeX of some inputs."""
    return r"\mathcal{X}" if at == TRAINING else at.name


def output(at: Space) -> Letter:
    """Return ``f_t`` at some inputs."""
    return Letter(f"f_t({at.name})", at, OUTPUTS, rf"f_{{t}}^{{\mathrm{{lin}}}}({inputs(at)})")


def initial(at: Space) -> Letter:
    """Return ``f_0`` at some inputs."""
    return Letter(f"f_0({at.name})", at, OUTPUTS, rf"f_{{0}}({inputs(at)})")


def kernel(name: str, latex: str, rows: Space, columns: Space, belongs_to: str = "") -> Letter:
    """Return a kernel between two sets of inputs, whose transpose is the kernel with its arguments exchanged."""
    pairs = (rows, columns), (columns, rows)
    (own, shown), mirror = ((f"{name}({a.name},{b.name})", f"{latex}({inputs(a)},{inputs(b)})") for a, b in pairs)
    return Letter(own, rows, columns, shown, belongs_to, mirror=mirror)


def rate(of: Letter) -> Letter:
    """Return the rate of a quantity in time."""
    return Letter(f"d{of.name}/dt", of.rows, of.columns, rf"\frac{{d}}{{dt}} {of.latex}", rate_of=of.name)


def change(of: Letter) -> Letter:
    """Return the change of a quantity in one step of gradient descent."""
    return Letter(f"change of {of.name}", of.rows, of.columns, rf"\Delta {of.latex}", step_of=of.name)


Y = Letter("Y", TRAINING, OUTPUTS, r"\mathcal{Y}")
F0, F0_TEST = initial(TRAINING), initial(TEST)
F, F_TEST = output(TRAINING), output(TEST)
OMEGA = Letter("omega_t", PARAMETERS, OUTPUTS, r"\omega_{t}")


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """How a linear model is trained: by gradient flow, or by steps of gradient descent.

    Attributes:
        model: what the letters stand for.
        changed: the rate of a quantity, or its change in one step.
        solve: the inference from a change towards a target to the state.
        accumulate: the inference from a change to the quantity.
        begin, end: the rules for no training and for endless training.
    """

    model: Model
    changed: Callable[[Letter], Letter]
    solve: Callable[..., Theorem]
    accumulate: Callable[..., Theorem]
    begin: Rule
    end: Rule

    def on(self, model: Model) -> Training:
        """Return the same training of another model."""
        return replace(self, model=model)


def parameter_training(name: str, changed: Callable[[Letter], Letter], **rest: Any) -> Model:
    """Return the model of the parameters of a linear model in training on the loss 1/2 |f(X) - Y|^2.

    Args:
        name: where it holds.
        changed: the rate of a quantity, or its change in one step.
        rest: what else the model says.
    """
    letters = (
        (changed(F), word(JACOBIAN) @ word(changed(OMEGA))),
        (changed(OMEGA), -learning_rate * (word(JACOBIAN_T) @ (word(F) - word(Y)))),
    )
    return Model(name=name, gaussian=frozenset(), letters=(*letters, *rest.pop("letters")), **rest)
