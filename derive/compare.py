"""Two terms held against each other on concrete instances: where and how they differ."""

from __future__ import annotations

import sympy as sp

from derive.duals.series import RHO, HermiteSeries, K
from derive.duals.theorems import ClosedForm
from derive.examiner import instances_for
from derive.explicit_matrices import SPECTRA, value
from derive.instances import Instance, environments
from derive.laws import GaussianProcess
from derive.model import Model
from derive.notation import D, a, b, c, input_dimension, learning_rate, noise, same_output, sigma_b, sigma_w, step, time
from derive.operators import Operator
from derive.terms import Expression, Index, Term, atom

_POINT = {a: sp.Rational(3, 4), b: sp.Rational(5, 2), c: sp.Rational(2, 5), D: sp.Rational(343, 200)}
_SIGMAS = {sigma_w: sp.Rational(7, 5), sigma_b: sp.Rational(3, 10)}


def counterexample(right: Term, wrong: Term, model: Model) -> str | None:
    """Return a concrete instance where two terms differ, in words with numbers, or None if they agree on all tried.

    Raises:
        TypeError: if the terms are of different or unknown kinds.
    """
    match right, wrong:
        case Expression(), Expression():
            return _of_expressions(right, wrong, model)
        case GaussianProcess(first), GaussianProcess(second):
            return _of_expressions(first, second, model)
        case Operator(), Operator():
            return _of_operators(right, wrong)
        case ClosedForm(first), ClosedForm(second):
            values = [sp.N(e.subs(_POINT), 8) for e in (first, second)]
            if abs(values[0] - values[1]) < sp.Float("1e-12"):
                return None
            return f"a = 3/4, b = 5/2, c = 2/5: {values[0]}, but the wrong form gives {values[1]}"
        case HermiteSeries(), HermiteSeries():
            terms = [series.weight.subs({RHO: sp.Rational(1, 4), K: k}) for k in range(4) for series in (right, wrong)]
            if terms[::2] == terms[1::2]:
                return None
            return f"weights of the first terms at rho = 1/4: {terms[::2]}, but the wrong form has {terms[1::2]}"
    raise TypeError(f"cannot compare a {type(right).__name__} with a {type(wrong).__name__}")


def _of_expressions(right: Expression, wrong: Expression, model: Model) -> str | None:
    for instance in instances_for(model, right, wrong):
        for at in environments((right, wrong), instance.sizes):
            difference = sp.expand(instance.value(right, at) - instance.value(wrong, at))
            if difference != 0:
                shown = [
                    str(sp.N(side.subs(_SIGMAS), 6)) if not (side.subs(_SIGMAS)).free_symbols else "a random number"
                    for side in (instance.value(right, at), instance.value(wrong, at))
                ]
                sizes = ", ".join(f"{dimension} = {size}" for dimension, size in instance.sizes.items())
                units = ", ".join(f"{index.name} = {n + 1}" for index, n in at.items())
                data = ", ".join(_data(instance, x) for x in ("x", "x'") if input_dimension in instance.sizes)
                where = "; ".join(filter(None, (sizes, data, units, "sigma_w = 7/5, sigma_b = 3/10")))
                return f"{where}: {shown[0]}, but the wrong form gives {shown[1]}"
    return None


def _data(instance: Instance, x: str) -> str:
    """Return the components of an input of an instance, in words."""
    p = Index("p", input_dimension)
    component = atom("input", p, at=(x,))
    values = (str(instance.value(component, {p: n})) for n in range(instance.sizes[input_dimension]))
    return f"{x} = ({', '.join(values)})"


def _of_operators(right: Operator, wrong: Operator) -> str | None:
    for spectrum in SPECTRA:
        first, second = value(right, spectrum, {}), value(wrong, spectrum, {})
        for n, (x, y) in enumerate(zip(first, second, strict=True)):
            if sp.expand(x - y) != 0:
                at = {learning_rate: sp.Rational(1, 2), time: 1, step: 1, noise: sp.Rational(2, 3), same_output: 1}
                return (
                    f"Theta with eigenvalues {spectrum[0]} and {spectrum[1]}, entry {n + 1} at eta = 1/2, t = 1: "
                    f"{sp.N(x.subs(at), 6)}, but the wrong form gives {sp.N(y.subs(at), 6)}"
                )
    return None
