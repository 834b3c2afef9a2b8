"""The page's part on training: the rates of eq 81 in one table, and trained networks on real data."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from verify.report.drawing import BAND, CURVES, INK, LINE, MUTED, REFUTED, STYLE, VARIABLES, finished_svg
from verify.report.words import clipped

_RATES = ("eq81-", "lazy.")
"""How the ids of claims on the rates of training begin."""
_SPREAD = 0.62
"""How much of the room between two inputs the widths take."""


def rate_table(claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The measured exponents and ratios of the claims on lazy training, one row per check.

    A row of an exponent has the exponent that the claim states; its measured value and interval are the entry's, moved
    by it. An upper bound has neither: what it licenses is in the row of the claim on what truly happens.
    """
    rows = []
    for claim in claims:
        for check in claim["checks"] if claim["id"].startswith(_RATES) else ():
            for entry in check["entries"]:
                bound = check["unit"].startswith("by how much")
                low, high = entry["interval"]
                rows.append(
                    {
                        "id": claim["id"],
                        "what": entry["label"],
                        "where": check["name"].partition(", ")[2],
                        "bound": bound,
                        "claimed": entry["target"],
                        "measured": None if bound else entry["target"] + entry["estimate"],
                        "interval": None
                        if bound or None in (low, high)
                        else [entry["target"] + e for e in (low, high)],
                        "verdict": check["verdict"],
                    }
                )
    return rows


def _colour(place: int) -> str:
    return CURVES[place % len(CURVES)]


def real_data_plot(picture: Mapping[str, Any]) -> Markup:
    """Predicted mean and band at every test input, with networks of each width and both other predictors on it.

    Inputs stand in the order of the predicted mean. A bar is as long as the band would be by the spread of the networks
    of a width; a cross is a target, which no network saw.
    """
    laws, band = picture["laws"], picture["band"]["deviations"]
    stopped = laws["stopped"]
    order = np.argsort(stopped["mean"], kind="stable")
    places = np.arange(len(order))
    mean, deviation = (np.array(stopped[key])[order] for key in ("mean", "deviation"))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.4, 4.0), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        low, high = mean - band * deviation, mean + band * deviation
        axes.fill_between(places, low, high, step="mid", color=BAND, linewidth=0)
        axes.step(places, mean, where="mid", color=INK, linewidth=1.2)
        for key, line in (("trained to the end", (0, (4, 2))), ("posterior", (0, (1, 1.5)))):
            axes.step(
                places, np.array(laws[key]["mean"])[order], where="mid", color=MUTED, linestyle=line, linewidth=1.2
            )
        widths = picture["widths"]
        for place, one in enumerate(widths):
            shift = _SPREAD * ((place + 0.5) / len(widths) - 0.5)
            centre, spread = (np.array(one[key])[order] for key in ("mean", "deviation"))
            at = places + shift
            axes.vlines(at, centre - band * spread, centre + band * spread, color=_colour(place), linewidth=1.3)
            axes.plot(at, centre, color=_colour(place), marker="o", markersize=2.8, linestyle="none")
        targets = np.array([point["target"] for point in picture["points"]])[order]
        axes.plot(places, targets, color=REFUTED, marker="x", markersize=4.5, linestyle="none")
        labels = [clipped(picture["points"][n]["label"], 16) for n in order]
        axes.set_xticks(places, labels, rotation=60, ha="right", fontsize=7)
        axes.set_xlim(-0.7, len(order) - 0.3)
        axes.set_ylabel("output")
        axes.grid(visible=True, axis="y", color=LINE, alpha=0.35, linewidth=0.6)
        title = f"Trained networks beside their prediction: {picture['title']}"
        return finished_svg(figure, f"real-data/{picture['name']}", "\n".join(textwrap.wrap(title, 90)))


def real_data_views(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The pictures on real data with their drawings and the colour of each width; none in records without them."""
    return [
        {
            **picture,
            "svg": real_data_plot(picture),
            "colours": [VARIABLES[_colour(place)] for place in range(len(picture["widths"]))],
        }
        for picture in results.get("real_data", ())
    ]
