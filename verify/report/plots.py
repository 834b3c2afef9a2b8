"""Plots of a check as inline SVG: convergence in the width, and intervals against the bands that decide them.

Both take the dictionaries of a run record and return ``None`` where there is nothing to draw.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from verify.report.drawing import (
    ALLOWED,
    BAND,
    BY_VERDICT,
    CURVES,
    INK,
    LINE,
    MUTED,
    REFUTED,
    STYLE,
    VARIABLES,
    finished_svg,
)
from verify.report.words import clipped, number, power_of_two

# Rows beyond this many are drawn without names; the table beside the plot has them.
_NAMED_ROWS = 24


def _positive(values: Sequence[float | None] | None, size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The values as floats, with NaN for what cannot stand on a logarithmic axis."""
    if values is None:
        return np.full(size, np.nan)
    array = np.array([np.nan if value is None else value for value in values], dtype=float)
    return np.where(array > 0, array, np.nan)


def _plain_log_ticks(axes: Axes, x: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    """Ticks at the sampled widths below, and at decades (or 1-2-5 within few decades) at the side."""
    low, high = axes.get_ylim()
    decades = math.log10(high / low)
    if decades < 0.35:
        # Less than a factor 2.2: logarithmic steps would leave one tick or none.
        ticks = np.linspace(low * 1.02, high * 0.98, 4)
        axes.yaxis.set_major_locator(FixedLocator([float(f"{tick:.2g}") for tick in ticks]))
    else:
        subs = (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
        axes.yaxis.set_major_locator(LogLocator(base=10.0, subs=subs, numticks=9))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value), 2)))
    ticks = np.unique(x)
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: math.ceil(len(ticks) / 8)].tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    doubled = len(ticks) > 0 and ticks[-1] >= _LARGE and all(math.frexp(tick)[0] == 0.5 for tick in ticks)
    label = power_of_two if doubled else partial(number, digits=4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: label(float(value))))


_LARGE = 10_000
"""Width from which powers of two have too many digits to stand side by side (chosen)."""


def curve_colours(curves: Sequence[Mapping[str, Any]]) -> list[str]:
    """The colour of each curve: measured ones are numbered; predictions share them where they pair off one to one."""
    measured = sum(curve["style"] == "measured" for curve in curves)
    predicted = sum(curve["style"] == "predicted" for curve in curves)
    seen = {"measured": 0, "predicted": 0}
    colours = []
    for curve in curves:
        style = curve["style"]
        if style == "guide":
            colours.append(MUTED)
        elif style == "predicted" and (predicted != measured or measured == 1):
            colours.append(INK)
        else:
            colours.append(CURVES[seen[style] % len(CURVES)])
            seen[style] += 1
    return colours


def convergence_plot(series: Mapping[str, Any], name: str) -> Markup | None:
    """A log-log plot of one series: measured curves with their bands against predicted lines and guides.

    Args:
        series: ``x``, ``x_label``, ``y_label``, ``title`` and ``curves`` (``y``, ``low``, ``high``, ``style``).
        name: makes the ids inside the drawing unique on the page.

    Returns:
        The ``<svg>``, or ``None`` if no value is positive, so that there is nothing to draw on logarithmic axes.
    """
    x = _positive(series["x"], len(series["x"]))
    columns = [_positive(curve["y"], len(x)) for curve in series["curves"]]
    if not any(np.isfinite(column * x).any() for column in columns):
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.1), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        axes.set_xscale("log")
        axes.set_yscale("log")
        # A line through the measured points would hide whether the prediction passes through them.
        joined = "none" if any(curve["style"] == "predicted" for curve in series["curves"]) else "solid"
        for curve, y, colour in zip(series["curves"], columns, curve_colours(series["curves"]), strict=True):
            low, high = _positive(curve["low"], len(x)), _positive(curve["high"], len(x))
            # A band that reaches zero has no lower edge on this axis: it ends a decade below its curve.
            low = np.where(np.isnan(low) & np.isfinite(high), y / 10, low)
            if curve["style"] == "measured":
                axes.fill_between(x, low, high, color=colour, alpha=0.22, linewidth=0)
                axes.vlines(x, low, high, color=colour, linewidth=1.0)
                axes.plot(x, y, color=colour, marker="o", linestyle=joined, zorder=3)
            elif curve["style"] == "predicted":
                axes.plot(x, y, color=colour, linestyle=(0, (5, 3)))
            else:
                axes.plot(x, y, color=colour, linestyle=(0, (1, 2)), linewidth=1.2)
        axes.set_xlabel("\n".join(textwrap.wrap(series["x_label"], 60)))
        axes.set_ylabel("\n".join(textwrap.wrap(series["y_label"], 40)))
        axes.grid(visible=True, axis="y", color=LINE, alpha=0.35, linewidth=0.6)
        _plain_log_ticks(axes, x[np.isfinite(x)])
        return finished_svg(figure, name, series["title"])


def legend_keys(series: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The legend of a series for the page to set: label, style and CSS colour of each curve."""
    joined = all(curve["style"] != "predicted" for curve in series["curves"])
    return [
        {"label": curve["label"], "style": curve["style"], "joined": joined, "colour": VARIABLES[colour]}
        for curve, colour in zip(series["curves"], curve_colours(series["curves"]), strict=True)
    ]


def _scale(reach: float) -> tuple[float, str]:
    """A factor that brings numbers of the size of ``reach`` to between 0.01 and 1000, and how to name it."""
    power = math.floor(math.log10(reach))
    if -3 < power < 4:
        return 1.0, ""
    power -= power % 3
    return 10.0**-power, f" × {number(10.0**power)}"


def forest_plot(check: Mapping[str, Any], name: str) -> Markup | None:
    """Each entry's interval against the band that confirms and the deviation that is allowed; mutants are dotted.

    The band ±resolution is where an interval must lie to be confirmed; the darker band ±allowed is what an interval
    must miss to be refuted. A sampled check without entries is drawn as one row.

    Returns:
        The ``<svg>``, or ``None`` if no interval is finite or a single value was decided without sampling.
    """
    rows = check["entries"] or ([{**check, "label": "all"}] if check["samples"] else [])
    rows = [row for row in rows if row["interval"] is not None and None not in row["interval"]]  # None: infinite
    if not rows:
        return None
    ends = np.array([row["interval"] for row in rows], dtype=float)
    resolution, allowed = check["resolution"] or 0.0, check["allowed"] or 0.0
    reach = 1.15 * max(float(np.abs(ends).max()), resolution, allowed)
    if reach == 0:
        return None
    distances = [mutant["distance"] for mutant in check["mutants"] if mutant["distance"] is not None]
    shown = [distance for distance in distances if 0 < abs(distance) <= 1.5 * reach]
    reach = max([reach, *(1.05 * abs(distance) for distance in shown)])
    factor, unit = _scale(reach)
    named = len(rows) <= _NAMED_ROWS
    step = 0.2 if named else 0.075
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6, 0.75 + step * max(len(rows), 2)), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        axes.axvspan(-resolution * factor, resolution * factor, color=BAND, linewidth=0)
        if allowed:
            axes.axvspan(-allowed * factor, allowed * factor, color=ALLOWED, linewidth=0)
        axes.axvline(0.0, color=MUTED, linewidth=0.8)
        for distance in sorted(set(shown)):
            axes.axvline(distance * factor, color=REFUTED, linewidth=1.2, linestyle=(0, (1, 2)))
        for place, (row, (low, high)) in enumerate(zip(rows, ends * factor, strict=True)):
            colour = BY_VERDICT[row["verdict"]]
            axes.hlines(place, low, high, color=colour, linewidth=2.0 if named else 1.2)
            middle = row["estimate"] * factor if row["estimate"] is not None else (low + high) / 2
            axes.plot([middle], [place], color=colour, marker="o", markersize=4.0 if named else 2.0)
        axes.set_xlim(-reach * factor, reach * factor)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        if named:
            labels = [clipped(row["label"], 34) for row in rows]
            axes.set_yticks(range(len(rows)), labels)
        else:
            axes.set_yticks([])
            axes.set_ylabel(f"{len(rows)} entries, as in the table")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(float(value))))
        axes.set_xlabel("\n".join(textwrap.wrap(f"discrepancy{unit}, {check['unit']}", 62)))
        return finished_svg(figure, name, f"Intervals of {check['name']} against the band that confirms them")
