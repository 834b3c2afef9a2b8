"""Plain text as LaTeX source that pdflatex accepts, whatever characters it has."""

import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\ensuremath{<}",
    ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}",
    '"': "''",
}
_MATHS = {
    "→": r"\to",
    "←": r"\leftarrow",
    "↦": r"\mapsto",
    "⇒": r"\Rightarrow",
    "∞": r"\infty",
    "′": r"{}'",
    "≤": r"\le",
    "≥": r"\ge",
    "≠": r"\ne",
    "≈": r"\approx",
    "∼": r"\sim",
    "∝": r"\propto",
    "∈": r"\in",
    "∂": r"\partial",
    "∇": r"\nabla",
    "∑": r"\sum",
    "∏": r"\prod",
    "∫": r"\int",
    "√": r"\surd",
    "·": r"\cdot",
    "×": r"\times",
    "±": r"\pm",
    "−": "-",
    "‖": r"\|",
    "⊤": r"\top",
    "⊗": r"\otimes",
    "∘": r"\circ",
    "…": r"\ldots",
    "⟨": r"\langle",
    "⟩": r"\rangle",
    "ℝ": r"\mathbb{R}",
    "𝔼": r"\mathbb{E}",
    "ϕ": r"\phi",
    "½": r"\tfrac12",
    "¼": r"\tfrac14",
}
_ACCENTS = {"\u0302": r"\hat", "\u0303": r"\tilde", "\u0304": r"\bar", "\u0307": r"\dot", "\u0308": r"\ddot"}
_TEXT_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0327": r"\c",
}
_PUNCTUATION = {"–": "--", "—": "---", "‘": "`", "’": "'", "“": "``", "”": "''", "\u00a0": "~", "\u202f": r"\,"}
_LETTERS = {"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "ı": r"\i{}"}
_DIRECT = {**_SPECIAL, **_PUNCTUATION, **_LETTERS}
# Greek capitals that look like Latin ones have no command of their own.
_LATIN_GREEK = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))


def _character(character: str) -> str:
    if character in _DIRECT:
        return _DIRECT[character]
    if character in _LATIN_GREEK:
        return rf"\ensuremath{{\mathrm{{{_LATIN_GREEK[character]}}}}}"
    if character in _MATHS:
        return rf"\ensuremath{{{_MATHS[character]}}}"
    if " " <= character <= "~" or character == "\n":
        return character
    name = unicodedata.name(character, "")
    for size in ("SMALL", "CAPITAL"):
        prefix = f"GREEK {size} LETTER "
        if name.startswith(prefix) and " " not in name.removeprefix(prefix):
            # Unicode spells one letter differently from LaTeX.
            letter = name.removeprefix(prefix).lower().replace("lamda", "lambda").replace("final sigma", "varsigma")
            return rf"\ensuremath{{\{letter if size == 'SMALL' else letter.capitalize()}}}"
    plain = unicodedata.normalize("NFKC", character)
    if unicodedata.decomposition(character).startswith(("<super>", "<sub>")):
        sign = "^" if "<super>" in unicodedata.decomposition(character) else "_"
        return rf"\ensuremath{{{{}}{sign}{{{''.join(_character(c) for c in plain)}}}}}"
    if plain != character:
        return "".join(_character(c) for c in plain)
    # Better a code that can be looked up than a document that does not compile.
    return rf"\texttt{{[U+{ord(character):04X}]}}"


def tex_text(text: str) -> str:
    """LaTeX source of plain text; accents over any letter are kept, unknown characters become their code point."""
    parts: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        if unicodedata.combining(character) and parts:
            base = parts.pop()
            if base.isascii() and base.isalpha() and character in _TEXT_ACCENTS:
                parts.append(f"{_TEXT_ACCENTS[character]}{{{base}}}")
            elif character in _ACCENTS:
                inner = base.removeprefix(r"\ensuremath{").removesuffix("}") if "ensuremath" in base else base
                parts.append(rf"\ensuremath{{{_ACCENTS[character]}{{{inner}}}}}")
            else:
                parts.append(base)
        else:
            parts.append(_character(character))
    return "".join(parts)
