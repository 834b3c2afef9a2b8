"""How drawings become part of a page: colours that follow the page, text that stays text, the same bytes every time."""

import hashlib
import io
import re
import warnings
from typing import Any

from markupsafe import Markup, escape
from matplotlib.figure import Figure

# Colours that matplotlib accepts and that stand for CSS variables in the finished drawing.
VARIABLES = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--band)",
    "#040404": "var(--allowed)",
    "#050505": "var(--line)",
    "#060606": "var(--refuted)",
    "#070707": "var(--inconclusive)",
    "#080808": "var(--confirmed)",
    "#090901": "var(--curve-1)",
    "#090902": "var(--curve-2)",
    "#090903": "var(--curve-3)",
    "#090904": "var(--curve-4)",
    "#090905": "var(--curve-5)",
    "#090906": "var(--curve-6)",
}
INK, MUTED, BAND, ALLOWED, LINE = ("#010101", "#020202", "#030303", "#040404", "#050505")
REFUTED, INCONCLUSIVE, CONFIRMED = ("#060606", "#070707", "#080808")
CURVES = tuple(f"#09090{index}" for index in range(1, 7))
BY_VERDICT = {"confirmed": CONFIRMED, "refuted": REFUTED, "inconclusive": INCONCLUSIVE}

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "report",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
}

_XMLNS = "http://www.w3.org/2000/svg"


def finished_svg(figure: Figure, name: str, description: str) -> Markup:
    """The finished drawing as one ``<svg>`` element whose ids are unique to it."""
    buffer = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text, so the reader's fonts supply glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text))
    prefix = "p" + hashlib.sha256(name.encode()).hexdigest()[:8]

    def identified(match: re.Match[str]) -> str:
        return f' id="{prefix}-{match[1]}"' if match[1] in used else ""

    text = re.sub(r' id="([^"]*)"', identified, text)
    text = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{prefix}-", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, variable)
    text = text.replace("'DejaVu Sans'", "var(--sans)")
    # Only the proportions come from here; the page decides the size.
    text = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', rf'<svg viewBox="\1" role="img" xmlns="{_XMLNS}">', text, count=1
    )
    # Safe: matplotlib escapes the text it draws.
    return Markup(text.replace(">", f"><title>{escape(description)}</title>", 1))  # noqa: S704
