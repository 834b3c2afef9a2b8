"""A theorem as a JSON-able record: what reports and other programs read."""

from __future__ import annotations

from typing import Any

from derive.claim import Claim
from derive.examiner import Examination
from derive.terms import Term
from derive.theorem import Theorem
from derive.typeset import dimension, latex, plain, text


def typeset(term: Term) -> dict[str, str]:
    """Return the LaTeX and plain text of a term."""
    return {"latex": latex(term), "text": text(term)}


def limits(theorem: Theorem) -> list[str]:
    """Return the limits of a theorem in words, in the order in which they are taken."""
    names = [text_of_dimension(limit) for limit in theorem.limits]
    if len(names) == 2 and names == ["N_2", "N_l"]:
        return ["N_2 → ∞, then N_3 → ∞, and so on up to N_l → ∞"]
    return [f"{name} → ∞" for name in names]


def text_of_dimension(value: Any) -> str:
    """Return a dimension, or the time, as plain text."""
    return dimension(value).replace("{", "").replace("}", "")


def theorem_record(theorem: Theorem, name: str, title: str, examination: Examination | None) -> dict[str, Any]:
    """Return a theorem with its steps as a JSON-able record.

    Args:
        theorem: the theorem.
        name: its permanent name.
        title: what it says, in words.
        examination: the record of its re-checking, or None if it was not examined (every step then says 0).
    """
    counts = examination.instances if examination else (0,) * len(theorem.steps)
    lhs, rhs = typeset(theorem.lhs), typeset(theorem.rhs)
    arrow = r"\to" if theorem.relation == "→" else "="
    where = [
        {key: f"{f(w.symbol)} = {f(w.value)}" for key, f in (("latex", latex), ("text", text))} for w in theorem.where
    ]
    statement = {
        "latex": f"{lhs['latex']} {arrow} {rhs['latex']}",
        "text": f"{lhs['text']} {theorem.relation} {rhs['text']}",
    }
    if where:  # what the theorem is about is the recursion that its symbol obeys
        statement["latex"] += rf",\qquad {where[-1]['latex']}"
        statement["text"] += f" with {where[-1]['text']}"
    return {
        "name": name,
        "title": title,
        "relation": theorem.relation,
        "statement": statement,
        "model": theorem.model.name,
        "assumptions": list(theorem.assumptions) + [h.text for h in theorem.hypotheses],
        "limits": limits(theorem),
        "where": where,
        "start": lhs,
        "steps": [
            {
                "rule": step.rule,
                "why": step.why + (f" ({step.used.note})" if step.used.note else ""),
                "relation": step.relation,
                **typeset(step.after),
                "examined": count,
            }
            for step, count in zip(theorem.steps, counts, strict=True)
        ],
    }


def claim_record(claim: Claim, examination: Examination | None) -> dict[str, Any]:
    """Return the record of what a claim states: its theorem, or the statement alone where there is none.

    Args:
        claim: the claim.
        examination: as of :func:`theorem_record`.
    """
    if claim.theorem:
        record = theorem_record(claim.proven(), claim.id, claim.title, examination)
    else:
        record = {"name": claim.id, "title": claim.title, "limits": [], **_stated(claim)}
    record["assumptions"] = [*record["assumptions"], *claim.unstated]
    return record


def _stated(claim: Claim) -> dict[str, Any]:
    """Return the relation, the statement and the assumptions of a claim without a theorem."""
    if claim.stated:
        return {"relation": "", "statement": typeset(claim.statement()), "assumptions": list(claim.stated.assumptions)}
    assert claim.cited  # every claim is one of the three
    arrow = r"\to" if claim.cited.relation == "→" else "="
    whole = f"{claim.cited.left} {arrow} {latex(claim.statement())}"
    return {
        "relation": claim.cited.relation,
        "statement": {"latex": whole, "text": plain(whole)},
        "assumptions": list(claim.cited.assumptions),
        "source": claim.cited.source,
    }
