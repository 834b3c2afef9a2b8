"""The lecture statement by statement: its sections with the ids of all that it says; claims must cover every one.

The titles of the sections are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from derive.claim import Claim


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the lecture.

    Attributes:
        number: as the lecture numbers it; "" for what it uses throughout.
        title: what it is about, in our words.
        statements: ids of what it says, in its order.
    """

    number: str
    title: str
    statements: tuple[str, ...]


SECTIONS = (
    Section(
        "1.1",
        "Gaussian processes and their prior",
        (
            "sec1.1-gp-def",
            "sec1.1-prior",
        ),
    ),
    Section(
        "1.2",
        "Targets with noise",
        (
            "sec1.2-noise-model",
            "sec1.2-joint",
            "sec1.2-predictive",
        ),
    ),
    Section(
        "1.3",
        "Targets without noise",
        (
            "eq1",
            "sec1.3-joint",
            "sec1.3-joint-renamed",
            "eq2",
            "eq3",
            "sec1.3-no-integration",
        ),
    ),
    Section("", "Notation, throughout", ("sec0-notation",)),
    Section(
        "2",
        "Ridge regression in features",
        (
            "eq4",
            "eq5",
            "eq6",
            "eq7",
            "eq8",
            "eq8-push-through",
        ),
    ),
    Section(
        "2.1",
        "The same in kernels",
        (
            "eq9",
            "sec2.1-dodge",
        ),
    ),
    Section(
        "3.1",
        "What infinite width gives",
        (
            "eq10",
            "eq10-iid-k",
        ),
    ),
    Section(
        "3.2",
        "The network and its random weights",
        (
            "eq11",
            "eq11-reparam",
        ),
    ),
    Section(
        "3.3",
        "Units of the first layer",
        (
            "eq12",
            "eq13",
            "eq14",
        ),
    ),
    Section(
        "3.3.1",
        "Their law at one input and at two",
        (
            "eq15",
            "eq16",
            "eq17",
            "eq18",
            "eq19",
        ),
    ),
    Section(
        "3.3.2",
        "Their activations",
        (
            "eq20",
            "sec3.3.2-distribution",
        ),
    ),
    Section(
        "3.4",
        "Units of a deeper layer",
        (
            "eq21",
            "eq22",
            "eq23",
        ),
    ),
    Section(
        "3.4.1",
        "Uncorrelated units, by induction",
        (
            "sec3.4.1-zero-cov",
            "sec3.4.1-base",
            "sec3.4.1-hypothesis",
            "eq24",
            "sec3.4.1-independence",
            "sec3.4.1-implies-lower",
        ),
    ),
    Section(
        "3.4.2",
        "The law of a unit at one input",
        (
            "eq25-mean",
            "eq25",
            "sec3.4.2-bounded",
            "sec3.4.2-summands-iid",
            "eq26",
            "sec3.4.2-unknown-law",
        ),
    ),
    Section(
        "3.4.3",
        "The law of a unit at two inputs",
        (
            "sec3.4.3-title",
            "eq27",
            "eq28",
            "sec3.4.3-diag-known",
            "eq29-lead",
            "eq29",
            "sec3.4.3-bias-offdiag",
            "eq30",
        ),
    ),
    Section(
        "3.4.4",
        "From laws at inputs to a Gaussian process",
        (
            "eq31",
            "eq32",
            "eq33",
            "eq34",
        ),
    ),
    Section(
        "4.1",
        "What becomes of the tangent kernel",
        (
            "eq35",
            "eq36",
            "eq36-structure",
        ),
    ),
    Section(
        "4.2",
        "The tangent kernel of a finite network",
        (
            "eq37",
            "sec4.2-name",
        ),
    ),
    Section(
        "4.3",
        "Weights with their scale taken out",
        (
            "eq38-nngp",
            "eq38",
            "sec4.3-reparam",
            "eq39",
        ),
    ),
    Section(
        "4.4.2",
        "The induction over layers",
        (
            "eq40",
            "sec4.4-equal-not-limit",
            "eq41",
            "eq42",
        ),
    ),
    Section(
        "4.5",
        "The first layer, entry by entry",
        (
            "eq43",
            "eq44",
            "sec4.5-only-row-k",
            "sec4.5-grad-prose",
            "sec4.5-outer",
            "eq45",
        ),
    ),
    Section("4.5.1", "The first layer, as a matrix", ("eq46",)),
    Section(
        "4.6",
        "A deeper layer, in two parts",
        (
            "eq47",
            "eq48",
        ),
    ),
    Section(
        "4.6.2",
        "The part inherited from below",
        (
            "eq49",
            "eq50",
            "eq51",
            "sec4.6.2-not-independent",
            "eq52-exact",
            "eq52",
            "sec4.6.2-lln",
            "eq53",
            "eq54",
            "eq55",
            "eq56",
            "eq57",
            "eq58",
            "sec4.6.2-not-recursion",
            "sec4.6.2-scalar",
        ),
    ),
    Section(
        "4.6.3",
        "The part of the layer's own parameters",
        (
            "sec4.6.3-title",
            "eq59",
            "eq60",
            "eq61",
        ),
    ),
    Section(
        "4.6.4",
        "Both parts together",
        (
            "eq62",
            "sec4.6.4-ref",
            "eq63",
        ),
    ),
    Section("4.6.5", "The recursion at the first layer", ("sec4.6.5-kdot-zero",)),
    Section("4.4-4.6", "The order of the limits", ("sec4-width-order",)),
    Section(
        "5.1",
        "The linearized network",
        (
            "eq64",
            "sec5.1-constants",
        ),
    ),
    Section(
        "5.1.1",
        "How its parameters move",
        (
            "eq65",
            "eq65-linear-grad",
            "sec5.1.1-only-X",
        ),
    ),
    Section(
        "5.1.2",
        "Shapes",
        (
            "sec5.1.2-dim",
            "eq66",
            "eq67",
        ),
    ),
    Section(
        "5.1.3",
        "How its outputs move",
        (
            "eq68",
            "eq69",
        ),
    ),
    Section(
        "5.1.4",
        "Its outputs at any time",
        (
            "eq70",
            "eq71",
            "eq71a",
            "eq71b",
            "eq71c",
            "eq72",
            "eq73",
            "eq73a",
            "eq74",
        ),
    ),
    Section(
        "5.2",
        "Mean and covariance over initializations",
        (
            "sec5.2-mean",
            "sec5.2-moments",
            "sec5.2-limits",
            "sec5.2-var",
        ),
    ),
    Section(
        "5.2.1",
        "Training the last layer alone",
        (
            "sec5.2.1-model",
            "eq75",
            "eq76",
            "eq77",
            "eq78",
            "eq79",
            "eq80",
            "sec5.2.1-compare",
        ),
    ),
    Section(
        "5.3",
        "How far networks stay linear",
        (
            "eq81-f",
            "eq81-theta",
            "eq81-Theta",
            "sec5.3-needs-proof",
        ),
    ),
)

STATEMENTS = tuple(key for section in SECTIONS for key in section.statements)
"""Ids of all that the lecture says, in its order."""


def contents_record(claims: Mapping[str, Claim]) -> list[dict[str, Any]]:
    """Return the sections and the titles of their statements as a JSON-able record; no title where no claim is.

    Args:
        claims: all claims, by id.
    """
    titles = {key: claims[key].title for key in claims}
    return [
        {
            "section": section.number,
            "title": section.title,
            "statements": [{"id": key, "title": titles.get(key)} for key in section.statements],
        }
        for section in SECTIONS
    ]
