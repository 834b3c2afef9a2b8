"""A fallback font for formulas, embedded in the pages.

Browsers draw one-letter variables with the mathematical italics of Unicode. A computer without a mathematical font has
no Greek ones and shows empty boxes, so the pages carry those letters along. A mathematical font of the reader comes
first; the embedded letters only fill the gaps.
"""

import base64
import io
from functools import cache
from pathlib import Path

import matplotlib
from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]  # fontTools ships no types
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # fontTools ships no types

_ITALIC = {*range(0x1D434, 0x1D468), *range(0x1D6A4, 0x1D71C), 0x210E}
_SCRIPT_AND_DOUBLE_STRUCK = {*range(0x1D49C, 0x1D4B6), *range(0x1D538, 0x1D552), *map(ord, "ℂℍℕℙℚℝℤℬℰℱℋℐℒℳℛ")}
_GREEK_AND_SIGNS = {*range(0x391, 0x3CA), *map(ord, "ϕϵϑϱ∂∇∑∏∫√∞→←↦≤≥≠≈∼∝∈·×±−‖⊤⊗∘…⟨⟩′ˆ˙˜¯")}


@cache
def fallback_font() -> str:
    """A ``data:`` address of the font: the letters and signs of formulas, cut out of a font that matplotlib ships.

    That font has the SIL Open Font License 1.1, which allows embedding in documents; its copyright stays in the data.
    """
    source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "STIXGeneral.ttf"
    options = Options()
    options.hinting = False
    options.layout_features = []
    # Copyright and licence stay; the font's own names may not be used for a part of it.
    options.name_IDs = [0, 13, 14]
    options.drop_tables += ["FFTM"]
    buffer = io.BytesIO()
    # Without its own time stamp, so that pages are the same to the byte.
    with TTFont(source, recalcTimestamp=False) as font:
        subsetter = Subsetter(options)
        subsetter.populate(unicodes=_ITALIC | _SCRIPT_AND_DOUBLE_STRUCK | _GREEK_AND_SIGNS)
        subsetter.subset(font)
        font.flavor = "woff"
        font.save(buffer)
    return "data:font/woff;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
