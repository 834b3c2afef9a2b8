"""Numbers and verdicts in words: how the values of a run record read on a page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_MINUS = "\N{MINUS SIGN}"
_THIN = "\N{NARROW NO-BREAK SPACE}"
_ABSENT = "\N{EN DASH}"

VERDICTS = ("confirmed", "refuted", "inconclusive", "unchecked")

KINDS = {
    "symbolic": "by computer algebra",
    "precision": "against high-precision integration",
    "exhibit": "on concrete numbers, each side by a path of its own",
    "monte_carlo": "on sampled networks",
    "convergence": "as the width grows",
}


def number(value: float | None, digits: int = 3) -> str:
    """A number as it is printed in running text, to ``digits`` significant digits.

    Integers below a million keep all their digits, in groups of three; very small and very large numbers are written
    as a multiple of a power of ten. ``None`` (unknown or not applicable) is a dash.
    """
    if value is None:
        return _ABSENT
    if isinstance(value, int) and abs(value) < 1_000_000:
        return f"{value:,}".replace(",", _THIN if abs(value) >= 10_000 else "").replace("-", _MINUS)
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    power = int(exponent)
    if -4 < power < 6:
        plain = f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}"
        return (plain.rstrip("0").rstrip(".") if "." in plain else plain).replace("-", _MINUS)
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    ten = f"10{str(power).translate(_SUPERSCRIPTS)}"
    if mantissa in ("1", "-1"):
        return f"{mantissa[:-1]}{ten}".replace("-", _MINUS)
    return f"{mantissa}×{ten}".replace("-", _MINUS)


def power_of_two(value: float) -> str:
    """A power of two as one: "2¹⁴" for 16384.

    Raises:
        ValueError: if it is none.
    """
    fraction, exponent = math.frexp(value)
    if fraction != 0.5:
        raise ValueError(f"expected a power of two, got {value}")
    return f"2{str(exponent - 1).translate(_SUPERSCRIPTS)}"


def interval(ends: Sequence[float] | None, digits: int = 3) -> str:
    """An interval in brackets, or a dash where there is none."""
    if ends is None:
        return _ABSENT
    low, high = ends
    return f"[{number(low, digits)}, {number(high, digits)}]"


def plural(count: int, noun: str, many: str | None = None) -> str:
    """A count with its noun: "1 check", "3 checks"."""
    return f"{number(count)} {noun if count == 1 else many or noun + 's'}"


def listed(names: Sequence[str]) -> str:
    """Names joined as in a sentence: "a", "a and b", "a, b and c"."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def sentence(text: str) -> str:
    """The text as a sentence of its own: a capital, unless it begins with a symbol, and a full stop."""
    first = text.partition(" ")[0]
    begun = text[:1].upper() + text[1:] if first.isascii() and first.rstrip(",:;").isalpha() else text
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."


def clipped(text: str, longest: int) -> str:
    """The text, or its beginning with an ellipsis where it has more than ``longest`` characters."""
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def value(entry: Any) -> str:
    """Any JSON value as one line of text, for provenance tables whose keys are not known beforehand."""
    if entry is None:
        return _ABSENT
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, int | float):
        # Provenance is quoted, not rounded: a seed or a sigma must be readable back exactly.
        return repr(entry)
    if isinstance(entry, Mapping):
        return ", ".join(f"{key}: {value(inner)}" for key, inner in entry.items())
    if isinstance(entry, Sequence) and not isinstance(entry, str):
        return ", ".join(value(inner) for inner in entry)
    return str(entry)


def guarantee(check: Mapping[str, Any]) -> str:
    """One sentence on what the verdict of a check excludes, with the size of the deviation it could have seen."""
    verdict, alpha = check["verdict"], check["alpha"]
    allowed, resolution = number(check["allowed"]), number(check["resolution"])
    if not check["samples"] or not alpha:
        if verdict == "confirmed":
            bound = f", to a resolution of {resolution}" if check["resolution"] else ", exactly"
            return f"Decided without sampling{bound}."
        if verdict == "refuted":
            return f"Decided without sampling: the deviation is larger than the allowed {allowed}."
        return "Could not be decided; it does not count as passed."
    chance = number(alpha)
    if verdict == "confirmed":
        return (
            f"Every interval lies within ±{resolution}. Had the deviation been that large, this verdict would have "
            f"had probability at most {chance}."
        )
    if verdict == "refuted":
        return (
            f"An interval excludes every deviation up to the allowed {allowed}. Had the claim been true, this verdict "
            f"would have had probability at most {chance}."
        )
    return (
        f"The samples exclude neither the claim (deviation at most {allowed}) nor a deviation of {resolution}; "
        "it does not count as passed."
    )
