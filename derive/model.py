"""What is random and how: the probability model that gives the factors of a term their meaning.

A model says which families are independent standard normals, which are functions of the pre-activations of the layer
below, which are data, and what the defined names stand for. Rules ask it; the examiner builds concrete instances from
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sympy as sp

from derive.operators import Letter, Operator
from derive.terms import Atom, Delta, Expression, Factor, Index, Mean, Partial, Relation, Term, atoms


@dataclass(frozen=True, slots=True)
class Definition:
    """A name for an expression: ``head^layer[indices](inputs) := body``."""

    head: str
    indices: tuple[Index, ...]
    inputs: tuple[str, ...]
    layer: sp.Expr | None
    body: Expression

    def at(self, use: Atom) -> Expression:
        """Return the body for the indices and inputs of one use of the name."""
        if len(use.indices) != len(self.indices) or len(use.inputs) != len(self.inputs):
            raise TypeError(
                f"{self.head} takes {len(self.indices)} indices and {len(self.inputs)} inputs, got {use.key}"
            )
        names = dict(zip(self.indices, use.indices, strict=True))
        inputs = dict(zip(self.inputs, use.inputs, strict=True))
        moved = self.body.map_atoms(
            lambda a: Atom(a.head, a.indices, tuple(inputs.get(i, i) for i in a.inputs), a.layer)
        )
        return moved.rename(names)


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A statement assumed about the layer below, to be discharged by induction.

    Attributes:
        name: a short name.
        lhs, relation, rhs: the statement.
        text: the statement in words, with what makes it true.
    """

    name: str
    lhs: Term
    relation: Relation
    rhs: Term
    text: str


@dataclass(frozen=True, slots=True)
class Model:
    """The random families of one layer of a fully connected network, and the names defined over them.

    Attributes:
        name: where the model holds, for people.
        layer: the layer whose parameters are random; fields and gradients are those of the layer below.
        gaussian: families of independent standard normals, mutually independent.
        fields: families that are functions of the pre-activation ``z_j`` of the layer below, by order of derivative:
            ``{"phi": 0, "dphi": 1}``. They are independent of the Gaussian families.
        gradient: the family ``dz_{j,p}(x)`` of derivatives of the layer below by its parameters.
        parameters: the family of all parameters of the layers below.
        data: deterministic families, such as the components of an input.
        definitions: what a head stands for at a layer.
        letters: what letters of operator words stand for.
        products: products of two letters that have a name.
        covariances: the covariance over initialization of two letters with a column for each output, each centred and
            jointly Gaussian, and independent and alike from output to output.
        fixed: letters that do not depend on what is random over initialization; their transposes neither.
        iid_units: the hypothesis under which different ``z_j`` are independent and identically distributed.
    """

    name: str
    gaussian: frozenset[str]
    layer: sp.Expr | None = None
    fields: Mapping[str, int] = field(default_factory=dict)
    gradient: str | None = None
    parameters: str | None = None
    data: frozenset[str] = frozenset()
    definitions: tuple[Definition, ...] = ()
    letters: tuple[tuple[Letter, Operator], ...] = ()
    products: tuple[tuple[Letter, Letter, Letter], ...] = ()
    covariances: tuple[tuple[Letter, Letter, Operator], ...] = ()
    fixed: tuple[Letter, ...] = ()
    iid_units: Hypothesis | None = None

    def __post_init__(self) -> None:
        keys = [(d.head, d.layer) for d in self.definitions]
        if len(keys) != len(set(keys)):
            raise ValueError(f"a head is defined twice at one layer in the model {self.name!r}: {keys}")
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    def definition(self, head: str, layer: sp.Expr | None) -> Definition | None:
        """Return what ``head`` stands for at ``layer``, or None."""
        return next((d for d in self.definitions if d.head == head and d.layer == layer), None)

    @property
    def below(self) -> sp.Expr | None:
        """Return the layer that fields, gradients and their parameters belong to."""
        return None if self.layer is None else self.layer - 1

    def require_known(self, a: Atom) -> None:
        """Check that a random family is one of this model, layer included.

        Raises:
            ValueError: for weights of another layer or fields of another layer below, of which the model says nothing.
        """
        if a.head in self.gaussian and a.layer != self.layer:
            raise ValueError(f"the model {self.name!r} is about {a.head} of layer {self.layer}, not of layer {a.layer}")
        if (a.head in self.fields or a.head in (self.gradient, self.parameters)) and a.layer != self.below:
            raise ValueError(f"the model {self.name!r} is about {a.head} of layer {self.below}, not of layer {a.layer}")

    def is_random(self, factor: Factor, given: tuple[str, ...] = ()) -> bool:
        """Return whether a factor is random once the families in ``given`` are held fixed.

        Raises:
            ValueError: for a family of a layer the model does not know.
        """
        match factor:
            case Atom(head, _, _, layer):
                if head in given:
                    return False
                defined = self.definition(head, layer)
                if defined is not None:
                    return any(self.is_random(f, given) for _, factors, _ in defined.body for f in factors)
                self.require_known(factor)
                return head in self.gaussian or head in self.fields or head == self.gradient
            case Delta():
                return False
            case Mean(body, held):
                return any(self.is_random(a, given) for a in atoms(body) if a.head in held)
            case Partial(body, _):
                return any(self.is_random(f, given) for _, factors, _ in body for f in factors)

    def is_centred(self, letter: Letter) -> bool:
        """Return whether a letter is random and centred over initialization, or fixed.

        Raises:
            ValueError: if the model does not say: it may be a function of what is random.
        """
        if any(letter in pair[:2] for pair in self.covariances):
            return True
        if letter in self.fixed or letter.transpose in self.fixed:
            return False
        raise ValueError(f"the model {self.name!r} does not say how {letter.name} depends on the initialization")

    def family(self, factor: Factor) -> str:
        """Return the name of the independent family a random factor belongs to; all functions of z_j are one family."""
        if isinstance(factor, Atom) and factor.head in self.gaussian:
            return factor.head
        if isinstance(factor, Atom) and factor.head in self.fields:
            return "units of the layer below"
        raise TypeError(f"no independent family is declared for {factor.key}")
