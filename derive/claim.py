"""Claims: statements to be verified, each with its theorem, its mutants and what of it can be observed.

A claim's statement is typed by hand from its source; it becomes a result only when the theorem's term equals it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from derive.exhibit import Exhibit
from derive.terms import Term
from derive.theorem import Theorem


class Kind(StrEnum):
    """What sort of statement a claim is."""

    IDENTITY = "exact identity"
    FINITE_WIDTH = "exact at finite width"
    LEADING_ORDER = "leading order in the width"
    LIMIT = "holds in the limit"
    RATE = "asymptotic rate"
    DEFINITION = "definition"
    ASSUMPTION = "modelling assumption"
    REMARK = "remark"


class Status(StrEnum):
    """How a statement stands in the lecture as printed."""

    HOLDS = "holds"
    ASSUMPTION = "holds under an unstated assumption"
    TYPO = "typo"
    WRONG = "wrong"


class Observable(StrEnum):
    """What a claim says something observable about; checks select on it."""

    FIRST_LAYER_MOMENTS = "second moments of the first layer"
    FIRST_LAYER_LAW = "fourth moments of the first layer"
    FIRST_LAYER_TANGENT = "tangent kernel of the first layer"
    UNIT_COVARIANCE = "second moments of units of a deeper layer"
    KERNEL = "empirical NNGP kernel on the first layer"
    DEEP_KERNEL = "empirical NNGP kernel of deeper networks, along widths"
    INHERITED_TANGENT_KERNEL = "part of the empirical tangent kernel inherited from the first layer"
    TANGENT_KERNEL = "empirical tangent kernel on the first layer"
    DEEP_TANGENT_KERNEL = "empirical tangent kernel of deeper networks, along widths"
    DIFFERENT_FIRST_UNITS = "second moments of different units of the first layer"
    FIRST_LAYER_AT_FOUR_INPUTS = "fourth moments of the first layer at four inputs"
    DIFFERENT_UNITS = "second moments of different units of a deeper layer"
    LIMIT_LAW = "fourth moments of units of a deeper layer, in the limit"
    LIMIT_LAW_OF_SUMS = "fourth moments of units without their biases, in the limit"
    LIMIT_LAW_AT_FOUR_INPUTS = "fourth moments of units of a deeper layer at four inputs, in the limit"
    BIASES = "second moments of what biases add to units"
    WEIGHTS = "second moments of weights on one hidden unit"
    MEAN_KERNEL = "mean of the empirical NNGP kernel of one unit"
    TERM_MEANS = "means of the terms of a unit's sum over the layer below"
    TERM_VARIANCES = "variances of these terms"
    TERM_MOMENTS = "second moments of these terms at two inputs"
    TERM_SQUARES = "second moments of squares of two of these terms"
    OWN_PART = "mean and spread of the part of a layer's own parameters"
    INHERITED_PART = "mean and spread of the part inherited from the first layer"
    INHERITED_RATE = "fluctuations of the inherited part along widths"
    CROSS_RATE = "fluctuations of the tangent kernel of two outputs along widths"
    REVERSED_LIMITS = "fluctuations of the kernel where the first width is fixed, along the second"
    KERNEL_VARIANCE = "variance of the empirical NNGP kernel"
    TANGENT_VARIANCE = "variance of the empirical tangent kernel"
    KERNEL_COVARIANCE = "covariance of the two empirical kernels"
    OUTPUT_MOMENTS = "fourth moments of outputs on one hidden layer"
    OUTPUT_DEPENDENCE = "covariances of cosines of two outputs on one hidden layer"
    OUTPUT_LAW = "distribution function of an output on one hidden layer"
    ONE_INPUT_LAW = "empirical kernels of deep networks at one input, exact at every width"
    COEFFICIENT = "coefficients of 1/N of the empirical kernels of deep networks"
    TRAINED_MEAN = "mean of the outputs of trained networks"
    TRAINED_COVARIANCE = "covariance of the outputs of trained networks"
    READOUT_MEAN = "mean of outputs whose last layer alone is trained, given the features"
    READOUT_COVARIANCE = "covariance of such outputs"
    FINAL_READOUT_MEAN = "their mean when training has ended"
    FINAL_READOUT_COVARIANCE = "their covariance when training has ended"
    LAZINESS = "what training does to networks and their kernels, along widths"
    STANDARD_LAZINESS = "the same in standard parameterization"
    PATHWISE_RATIO = "path-wise prediction of what training does, over what happens"
    DUAL = "Gaussian mean of a product of activations"
    FLOW = "linear models in training, and Gaussian processes given data"


_NOT_RANDOM: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.DEFINITION: "a definition",
        Kind.ASSUMPTION: "an assumption",
        Kind.IDENTITY: "an identity, in which nothing is estimated",
        Kind.REMARK: "a remark, in which nothing is random",
    }
)
"""Kinds of statements that no sample decides, and why."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A wrong variant of a claim's statement that every check must tell from it.

    Attributes:
        name: what was changed.
        statement: the wrong right side.
    """

    name: str
    statement: Term


@dataclass(frozen=True, slots=True)
class Printed:
    """A statement as the lecture prints it, where that is wrong.

    Attributes:
        latex: the printed formula in the project's notation.
        correction: what is right, in words.
        evaluate: returns the printed right side as a term, or raises IllTyped when it has no meaning; None where an
            exhibit of the claim evaluates it.
        why: why it is wrong, in one line.
    """

    latex: str
    correction: str
    evaluate: Callable[[], Term] | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Cited:
    """What is told of a statement that is taken from its source instead of being derived.

    Attributes:
        left: LaTeX of the left side.
        relation: "=", or "→" for a limit.
        source: where its derivation is.
        assumptions: under which it holds.
    """

    left: str
    relation: str
    source: str
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stated:
    """What is told of a statement in which there is nothing to derive: a definition, an assumption, a remark.

    Attributes:
        why: why nothing is derived.
        assumptions: under which it holds.
        unchecked: why it cannot be checked either; "" if it is.
    """

    why: str
    assumptions: tuple[str, ...] = ()
    unchecked: str = ""


@dataclass(frozen=True, slots=True)
class Observed:
    """What networks show if a claim holds, where that is not the statement itself.

    A formula in words, a right side that is random, or a limit that one layer attains at every width is not what is
    measured; what follows from it for means over networks is.

    Attributes:
        observable: what is measured.
        statement: what it is according to the claim.
        mutants: what it would be according to wrong variants of the claim.
        slot: as of a claim.
    """

    observable: Observable
    statement: Callable[[], Term]
    mutants: Callable[[], tuple[Mutant, ...]]
    slot: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement with everything needed to derive, check and report it.

    Attributes:
        id: permanent name; ``eqN`` and ``secN`` for the lecture, ``topic.statement`` beyond it.
        title: what it says, in words.
        section, equation: where the lecture has it; None beyond it.
        status: how it stands as printed; None beyond the lecture.
        theorem: derives it; None for a statement that is cited, or has nothing to derive.
        statement: the right side as the source has it, corrected where ``printed`` says so.
        derived: the term of the theorem that must equal the statement.
        mutants: wrong variants.
        observable: what of it can be measured, or None.
        rests_on: ids of claims that the derivation uses.
        cited: its source, if it is taken from there instead of being derived.
        stated: why nothing is derived, if it is neither derived nor cited.
        unstated: what the lecture assumes without saying so, beyond what the derivation lists.
        exhibits: the statement, and wrong variants, at concrete numbers.
        slot: the right side of the kernel recursion, or the finite-width law, that the statement is; "" if neither.
        observed: what more of it, or what follows from it, is measured.
        unsampled: why no networks are sampled, where its kind does not say it.
    """

    id: str
    title: str
    kind: Kind
    theorem: Callable[[], Theorem] | None
    statement: Callable[[], Term]
    mutants: Callable[[], tuple[Mutant, ...]]
    section: str | None = None
    equation: str | None = None
    status: Status | None = None
    observable: Observable | None = None
    rests_on: tuple[str, ...] = ()
    printed: Printed | None = None
    cited: Cited | None = None
    stated: Stated | None = None
    unstated: tuple[str, ...] = ()
    exhibits: Callable[[], tuple[Exhibit, ...]] = tuple
    slot: str = ""
    observed: Callable[[], tuple[Observed, ...]] = tuple
    unsampled: str = ""
    derived: Callable[[Theorem], Term] = lambda theorem: theorem.rhs

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.theorem, self.cited, self.stated)) != 1:
            raise ValueError(f"expected one of a theorem, a source and a reason to have neither for {self.id}")

    @property
    def why_unsampled(self) -> str:
        """Return why no networks are sampled, where none are; "" if nothing says it."""
        return self.unsampled or _NOT_RANDOM.get(self.kind, "")

    def planted(self) -> tuple[str, ...]:
        """Return the names of all wrong variants, those of what is observed and those at concrete numbers too."""
        stated = (
            mutant.name for mutants in (self.mutants, *(o.mutants for o in self.observed())) for mutant in mutants()
        )
        exhibited = (name for exhibit in self.exhibits() for name in (*exhibit.wrong, *exhibit.same))
        return tuple(dict.fromkeys((*stated, *exhibited)))

    def as_observed(self) -> tuple[Claim, ...]:
        """Return the claim, and for each thing more that is observed of it a claim that states that."""
        return (
            self,
            *(
                replace(
                    self,
                    observable=o.observable,
                    statement=o.statement,
                    mutants=o.mutants,
                    slot=o.slot,
                    observed=tuple,
                )
                for o in self.observed()
            ),
        )

    def proven(self) -> Theorem:
        """Return the theorem.

        Raises:
            TypeError: if there is none.
        """
        if self.theorem is None:
            raise TypeError(f"the claim {self.id} is {'cited' if self.cited else 'stated'}, it has no theorem")
        return self.theorem()


class Registry(Mapping[str, Claim]):
    """Claims by id, in order; parents before children.

    Args:
        topics: the claims, topic by topic.
        made: makes a claim that is in no topic from its id, or returns nothing; it raises ValueError for an id of its
            kind that it cannot make one from.
    """

    def __init__(self, *topics: Iterable[Claim], made: Callable[[str], Claim | None] = lambda key: None) -> None:
        claims: dict[str, Claim] = {}
        for claim in (claim for topic in topics for claim in topic):
            if claim.id in claims:
                raise ValueError(f"the id {claim.id} is used by {claims[claim.id].title!r} and {claim.title!r}")
            missing = [parent for parent in claim.rests_on if parent not in claims]
            if missing:
                raise ValueError(f"{claim.id} rests on {missing}, which must be registered before it")
            claims[claim.id] = claim
        self._claims: Mapping[str, Claim] = MappingProxyType(claims)
        self._made = made

    def __getitem__(self, key: str) -> Claim:
        """Return a claim.

        Raises:
            KeyError: for an unknown id, with the nearest known ones, or what keeps one from being made.
        """
        if key not in self._claims:
            try:
                if (made := self._made(key)) is not None:
                    return made
            except ValueError as error:
                raise KeyError(f"no claim can be made for {key!r}: {error}") from None
            nearest = difflib.get_close_matches(key, self._claims, n=3, cutoff=0.3) or list(self._claims)[:3]
            raise KeyError(f"expected the id of a claim, got {key!r}; did you mean {', '.join(nearest)}?")
        return self._claims[key]

    def __iter__(self):  # type: ignore[no-untyped-def]  # the Mapping protocol fixes the type
        return iter(self._claims)

    def __len__(self) -> int:
        return len(self._claims)

    def selected(self, ids: Sequence[str]) -> tuple[str, ...]:
        """Return ids in registry order, made ones last; all registered if none are given.

        Raises:
            KeyError: for an unknown id, with the nearest known ones.
        """
        wanted = [self[key].id for key in ids]
        made = (key for key in dict.fromkeys(wanted) if key not in self._claims)
        return *(key for key in self if not wanted or key in wanted), *made

    def ancestors(self, key: str) -> tuple[str, ...]:
        """Return the ids of all claims that a claim rests on, directly or not, in registry order."""
        found: set[str] = set()
        waiting = list(self[key].rests_on)
        while waiting:
            parent = waiting.pop()
            if parent not in found:
                found.add(parent)
                waiting.extend(self[parent].rests_on)
        return tuple(k for k in self if k in found)
