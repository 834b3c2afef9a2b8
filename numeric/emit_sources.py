"""Definitions of this stage as text that stands alone: with what they use of ours, and the imports they need.

What is emitted is the text that the tests run; nothing is typed a second time.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType

Import = tuple[str, str]
"""A module and the name taken from it, both with ``as`` clauses; without a name the module itself."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A top-level definition of a module.

    Attributes:
        names: what it defines.
        text: its source, with decorators and without comments around it.
        uses: the names in it.
    """

    names: tuple[str, ...]
    text: str
    uses: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class _Source:
    """A module taken apart: definitions by name, and imports by the name that they bind."""

    definitions: dict[str, Definition]
    imports: dict[str, Import]


def names_in(text: str) -> frozenset[str]:
    """Return the names that a Python text uses, in annotations too."""
    return frozenset(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name))


def standing_alone(wanted: Iterable[tuple[ModuleType, str]]) -> tuple[dict[str, str], frozenset[Import]]:
    """Return texts of definitions with all of ours that they use, what is used first, and the imports that they need.

    Where two modules give one name different meanings, the second gets its module's name as a suffix.

    Args:
        wanted: modules of this stage, and names defined in or imported by them.

    Raises:
        ValueError: if a name is not among them.
    """
    texts: dict[str, str] = {}
    meanings: dict[str, str] = {}
    chosen: dict[tuple[str, str], str] = {}
    imports: set[Import] = set()

    def collected(home: str, name: str) -> str:
        """Return the name in the result of what a name means in a module, after adding that."""
        source = _source(home)
        if name in source.imports:
            origin, taken = source.imports[name]
            if origin.partition(".")[0] == __name__.partition(".")[0]:
                return collected(origin, _known(origin, taken))
            imports.add((origin, taken))
        elif (found := source.definitions.get(name)) and (home, name) not in chosen:
            is_new = [meanings.get(own) != found.text for own in found.names]
            for own in found.names:
                other = f"{own}_{home.rpartition('.')[2]}"
                other = other.upper() if own.isupper() else other
                chosen[home, own] = own if meanings.setdefault(own, found.text) == found.text else other
            if any(is_new):
                renamed = {used: collected(home, used) for used in sorted(found.uses)}
                text = found.text
                for used, final in renamed.items():
                    text = re.sub(rf"(?<![.\w]){used}\b", final, text) if used != final else text
                texts[chosen[home, name]] = text
        return chosen.get((home, name), name)

    for module, name in wanted:
        collected(module.__name__, _known(module.__name__, name))
    return texts, frozenset(imports)


def _known(module: str, name: str) -> str:
    source = _source(module)
    if name not in source.definitions and name not in source.imports:
        raise ValueError(f"expected a name of {module}, got {name}")
    return name


@cache
def _source(module: str) -> _Source:
    text = inspect.getsource(importlib.import_module(module))
    lines = text.splitlines()
    definitions: dict[str, Definition] = {}
    imports: dict[str, Import] = {}
    last = ""
    for node in ast.parse(text).body:
        own = lines[node.lineno - 1 : node.end_lineno]
        match node:
            case ast.Import(names=aliases):
                imports |= {alias.asname or alias.name: (_with_name(alias), "") for alias in aliases}
            case ast.ImportFrom(module=str(origin), names=aliases):
                imports |= {alias.asname or alias.name: (origin, _with_name(alias)) for alias in aliases}
            case ast.FunctionDef(decorator_list=decorators) | ast.ClassDef(decorator_list=decorators):
                first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
                definitions[node.name] = _definition((node.name,), lines[first - 1 : node.end_lineno])
            case ast.Assign(targets=[target]) | ast.AnnAssign(target=target):
                names = tuple(part.id for part in ast.walk(target) if isinstance(part, ast.Name))
                definitions |= dict.fromkeys(names, _definition(names, own))
                last = names[0]
            case ast.AugAssign(target=ast.Name(id=name)):
                _extend(definitions, name, own)
            case ast.Expr(value=ast.Constant(value=str())):
                if last:  # a docstring of an assignment, not of the module
                    _extend(definitions, last, own)
            case _:
                raise ValueError(f"expected definitions and imports at the top of {module}, got {own[0]}")
    return _Source(definitions, imports)


def _extend(definitions: dict[str, Definition], name: str, lines: list[str]) -> None:
    """Add lines to a definition, under all its names."""
    before = definitions[name]
    definitions |= dict.fromkeys(before.names, _definition(before.names, [before.text, *lines]))


def _definition(names: tuple[str, ...], lines: list[str]) -> Definition:
    text = "\n".join(lines)
    return Definition(names, text, names_in(text))


def _with_name(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def import_lines(imports: Iterable[Import]) -> Iterator[str]:
    """Yield import statements, sorted and grouped as the formatter would: the standard library, then the others."""
    by_group: dict[bool, dict[tuple[bool, str], list[str]]] = {True: {}, False: {}}
    for origin, name in imports:
        other = origin.partition(".")[0].partition(" ")[0] in ("jax", "numpy", "scipy")
        by_group[not other].setdefault((bool(name), origin), []).append(name)
    for group in by_group.values():
        if group:
            yield ""
        for (taken, origin), names in sorted(group.items()):
            ordered = sorted(names, key=lambda name: (not name.isupper(), not name[:1].isupper(), name))
            yield f"from {origin} import {', '.join(ordered)}" if taken else f"import {origin}"
