"""Formulas: LaTeX to native MathML, and long right sides broken at their plus signs."""

from functools import cache

from markupsafe import Markup
from math_core import LatexError, LatexToMathML

# Only commands without a counterpart in MathML Core that every browser draws alike.
_MACROS = {"widetilde": r"\tilde{#1}"}

_OPENING = {"{", "(", "[", r"\left", r"\begin", r"\lvert", r"\lVert", r"\langle"}
_CLOSING = {"}", ")", "]", r"\right", r"\end", r"\rvert", r"\rVert", r"\rangle"}
# Signs after which a plus or minus belongs to the term that follows.
_BINDING = {"=", "+", "-", "<", ">", ",", r"\to", r"\cdot", r"\times", r"\pm"}
# Own alignment, and bars that do not say whether they open or close: such formulas are left alone.
_UNBREAKABLE = {"&", r"\\", "|", r"\|", r"\vert", r"\Vert"}


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(macros=_MACROS, fancy_error=False)


@cache
def to_mathml(latex: str, display: bool = True) -> Markup:
    """MathML of one formula, as safe markup.

    Conversion is strict: a formula that cannot be typeset stops the report instead of appearing half right.

    Raises:
        ValueError: if ``latex`` is blank or uses a command that has no MathML, with the formula in the message.
    """
    if not latex.strip():
        raise ValueError("expected a formula in LaTeX, got a blank string: leave the formula out instead")
    try:
        # Safe: the converter escapes every character it copies from the formula.
        return Markup(_converter().convert_with_local_state(latex, displaystyle=display))  # noqa: S704
    except LatexError as error:
        raise ValueError(f"cannot typeset the formula {latex}: {error}") from None


def _tokens(latex: str) -> list[str]:
    """The formula cut into commands and single characters, nothing lost."""
    tokens: list[str] = []
    position = 0
    while position < len(latex):
        end = position + 1
        if latex[position] == "\\":
            end += 1
            if latex[position + 1 : end].isalpha():
                while end < len(latex) and latex[end].isalpha():
                    end += 1
        tokens.append(latex[position:end])
        position = end
    return tokens


def _width(tokens: list[str]) -> int:
    """A rough count of the visible characters, good enough to decide whether a line is long."""
    silent = {"{", "}", "^", "_", " ", r"\left", r"\right", r"\frac", r"\,", r"\;", r"\!", r"\mathbb", r"\mathcal"}
    return sum(token not in silent for token in tokens)


def split_at_plus(latex: str, longest: int = 60) -> list[str]:
    """The formula as lines of about ``longest`` visible characters, cut before top-level plus and minus signs.

    A formula that is short, has no such sign, or has its own alignment comes back as one line. Joining the lines
    gives the formula back.
    """
    tokens = _tokens(latex)
    if _width(tokens) <= longest:
        return [latex]
    terms: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if depth == 0 and token in _UNBREAKABLE:
            return [latex]
        before = next((earlier for earlier in reversed(terms[-1]) if earlier.strip()), None)
        if depth == 0 and token in ("+", "-") and before is not None and before not in _BINDING:
            terms.append([])
        depth += (token in _OPENING) - (token in _CLOSING)
        terms[-1].append(token)
    lines: list[list[str]] = []
    for term in terms:
        if lines and _width(lines[-1]) + _width(term) <= longest:
            lines[-1].extend(term)
        else:
            lines.append(list(term))
    return ["".join(line) for line in lines]


def related(relation: str, latex: str) -> str:
    """LaTeX of one step: the relation followed by the right side, on several aligned lines if that is long."""
    sign = {"=": "=", "→": r"\to"}.get(relation, relation)
    lines = split_at_plus(latex)
    if len(lines) == 1:
        return f"{sign} {latex}"
    # Behind the alignment mark, where both typesetters keep the space around the sign.
    body = r" \\ & \quad {} ".join(lines)
    return rf"\begin{{aligned}} & {sign} {body} \end{{aligned}}"
