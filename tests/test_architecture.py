"""The architecture as data, checked against the sources; each rule is shown planted violations."""

import ast
import importlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
DISTRIBUTION = "widelimit"

# From left to right: a stage may import itself and what stands to its left.
STAGES = ("derive", "numeric", "verify")
# A path that ends in a slash stands for everything below it.
LOWERING = ("lower", "lower_duals", "lower_functions", "certified", "emit", "emit_formula", "emit_functions")
SYMPY_BELONGS_TO = ("derive/", *(f"numeric/{name}.py" for name in LOWERING))
PRINTING_BELONGS_TO = ("verify/cli.py",)
PRINTERS = ("print", "click.echo", "click.secho")

# What .gitignore names, and what git keeps for itself.
GENERATED = re.compile(r"\.git|\.venv|build|dist|.*\.egg-info|__pycache__|\.(pytest|mypy|ruff)_cache|\.hypothesis")
KEPT_REPORTS = ("README.md", "reference")
MACHINE_PATH = re.compile(r"(?<![\w.])(?:/(?:home|root|Users|work|tmp|opt|mnt|srv)/\w|[A-Z]:\\+Users\\)")
REGISTRY_ADDRESS = re.compile(r"pypi\.(?:org|io)|python[h]osted\.org|(?:index|find)[-_](?:url|links)")

Check = Callable[[Path], list[str]]


def belongs_to(path: str, places: Sequence[str]) -> bool:
    return any(path.startswith(place) if place.endswith("/") else path == place for place in places)


def modules(tree: Path) -> Iterator[tuple[str, ast.Module]]:
    for stage in STAGES:
        for path in sorted((tree / stage).rglob("*.py")):
            yield path.relative_to(tree).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, wherever it stands; the name of a relative one starts with a dot."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, name.name) for name in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                yield from ((node.lineno, "." * level + ".".join(filter(None, (source, name.name)))) for name in names)
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]):
                if ast.unparse(function) in {"__import__", "import_module", "importlib.import_module"}:
                    yield node.lineno, name


def imports_to_the_right(tree: Path) -> list[str]:
    found = []
    for path, module in modules(tree):
        allowed = STAGES[: STAGES.index(path.split("/")[0]) + 1]
        for line, name in imports(module):
            if name.startswith("."):
                found.append(f"{path}:{line}: imports {name}: imports are absolute")
            elif (stage := name.split(".")[0]) in STAGES and stage not in allowed:
                found.append(f"{path}:{line}: imports {name}: imports go left only ({' < '.join(STAGES)})")
    return found


def sympy_outside_its_place(tree: Path) -> list[str]:
    return [
        f"{path}:{line}: imports {name}: SymPy belongs to {' and '.join(SYMPY_BELONGS_TO)}"
        for path, module in modules(tree)
        if not belongs_to(path, SYMPY_BELONGS_TO)
        for line, name in imports(module)
        if name.split(".")[0] == "sympy"
    ]


def prints(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and source of every use of standard output."""
    for node in ast.walk(module):
        match node:
            case ast.Call(func=function) if ast.unparse(function) in PRINTERS:
                yield node.lineno, ast.unparse(function)
            case ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "__stdout__"):
                yield node.lineno, ast.unparse(node)
    yield from ((line, name) for line, name in imports(module) if name in {"sys.stdout", *PRINTERS})


def printing_outside_its_place(tree: Path) -> list[str]:
    return [
        f"{path}:{line}: uses {name}: standard output belongs to {' and '.join(PRINTING_BELONGS_TO)}"
        for path, module in modules(tree)
        if not belongs_to(path, PRINTING_BELONGS_TO)
        for line, name in prints(module)
    ]


def unpacked_files(tree: Path) -> list[str]:
    """What would be missing from the wheel, and what the package lists promise in vain."""
    settings = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    listed = set(settings["packages"])
    present = {path.rpartition("/")[0].replace("/", ".") for path, _ in modules(tree)}
    found = [f"{package}: not in the packages of pyproject.toml" for package in sorted(present - listed)]
    found += [
        f"{package}: in the packages of pyproject.toml, but without a module" for package in sorted(listed - present)
    ]
    packed: set[Path] = set()
    for package, patterns in settings.get("package-data", {}).items():
        for pattern in patterns:
            matched = set(tree.joinpath(*package.split(".")).glob(pattern))
            packed |= matched
            if not matched:
                found.append(f"{package}: nothing matches the package-data {pattern}")
    data = (path for stage in STAGES for path in sorted((tree / stage).rglob("*")) if path.is_file())
    return found + [
        f"{path.relative_to(tree).as_posix()}: not in the package-data of pyproject.toml"
        for path in data
        if path.suffix != ".py" and "__pycache__" not in path.parts and path not in packed
    ]


def sources(folder: Path) -> Iterator[Path]:
    """Every file that is kept: all but what is generated, other people's environments, and runs."""
    for path in sorted(folder.iterdir()):
        if GENERATED.fullmatch(path.name) or (path / "pyvenv.cfg").is_file():
            continue
        if folder.name == "reports" and path.name not in KEPT_REPORTS:
            continue
        if path.is_dir():
            yield from sources(path)
        else:
            yield path


def text_of(path: Path) -> str:
    """The text of a file; nothing for a picture or another binary file."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def addresses_of_one_machine(tree: Path) -> list[str]:
    return [
        f"{path.relative_to(tree).as_posix()}:{line}: {match[0]} is of one machine or registry"
        for path in sources(tree)
        for line, words in enumerate(text_of(path).splitlines(), start=1)
        for pattern in (MACHINE_PATH, REGISTRY_ADDRESS)
        if (match := pattern.search(words))
    ]


def shared_names(owners: Mapping[str, Sequence[str]]) -> list[str]:
    """The import names that are not this distribution's alone, given the distributions that install each name."""
    found = {name: sorted(set(owners.get(name, ()))) for name in STAGES}
    return [
        f"{name} is installed by {names or 'nothing'}, expected {DISTRIBUTION} alone: run make test in this checkout"
        for name, names in found.items()
        if names != [DISTRIBUTION]
    ]


CHECKS: tuple[Check, ...] = (
    imports_to_the_right,
    sympy_outside_its_place,
    printing_outside_its_place,
    unpacked_files,
    addresses_of_one_machine,
)

PYPROJECT = """
[tool.setuptools]
packages = ["derive", "derive.duals", "numeric", "verify", "verify.report"]
[tool.setuptools.package-data]
derive = ["py.typed"]
"verify.report" = ["templates/*"]
"""
OBEDIENT = {
    "pyproject.toml": PYPROJECT,
    "derive/__init__.py": "import sympy\n",
    "derive/py.typed": "",
    "derive/duals/__init__.py": "from derive import terms\n",
    "numeric/__init__.py": "import numpy\nfrom derive.duals import dual\n",
    "numeric/lower.py": "from sympy import lambdify\n",
    "verify/__init__.py": "import derive\nfrom numeric import MLP\n",
    "verify/cli.py": "import sys\nprint('verdict', file=sys.stdout)\n",
    "verify/report/__init__.py": "import sys\nsys.stderr.write('page')\n",
    "verify/report/templates/page.html": "<p>https://example.org/home/page</p>\n",
    "reports/README.md": "runs\n",
}
HOME = "/".join(("", "home", "ada", "data"))
REGISTRY = ".".join(("https://pypi", "org/simple"))
PLANTED = [
    (
        imports_to_the_right,
        "derive/x.py",
        "from numeric.kernels import MLP",
        "derive/x.py:1: imports numeric.kernels.MLP",
    ),
    (imports_to_the_right, "derive/x.py", "import verify.statistics as s", "derive/x.py:1: imports verify.statistics"),
    (imports_to_the_right, "numeric/x.py", "def f():\n    import verify", "numeric/x.py:2: imports verify"),
    (imports_to_the_right, "numeric/x.py", "from importlib import import_module\nimport_module('verify')", "x.py:2"),
    (imports_to_the_right, "verify/x.py", "from . import cli", "imports are absolute"),
    (sympy_outside_its_place, "numeric/kernels.py", "import sympy as sp", "numeric/kernels.py:1: imports sympy"),
    (sympy_outside_its_place, "numeric/lowering.py", "from sympy import exp", "imports sympy.exp"),
    (sympy_outside_its_place, "verify/checks.py", "def f():\n    from sympy.abc import x", "verify/checks.py:2"),
    (printing_outside_its_place, "numeric/x.py", "print('done')", "numeric/x.py:1: uses print"),
    (printing_outside_its_place, "verify/x.py", "import sys\nsys.stdout.write('x')", "verify/x.py:2: uses sys.stdout"),
    (printing_outside_its_place, "verify/x.py", "from sys import stdout as out", "verify/x.py:1: uses sys.stdout"),
    (printing_outside_its_place, "verify/x.py", "from click import echo", "verify/x.py:1: uses click.echo"),
    (unpacked_files, "derive/rules/__init__.py", "", "derive.rules: not in the packages"),
    (unpacked_files, "verify/report/templates/macros/table.html", "", "macros/table.html: not in the package-data"),
    (unpacked_files, "verify/report/style.css", "", "verify/report/style.css: not in the package-data"),
    (unpacked_files, "pyproject.toml", PYPROJECT.replace('"derive.duals", ', ""), "derive.duals: not in the packages"),
    (unpacked_files, "pyproject.toml", PYPROJECT.replace('"numeric"', '"numeric", "numeric.y"'), "without a module"),
    (unpacked_files, "pyproject.toml", PYPROJECT.replace("templates/*", "*.css"), "page.html: not in the package-data"),
    (
        unpacked_files,
        "pyproject.toml",
        PYPROJECT.replace("templates/*", "*.css"),
        "nothing matches the package-data *.css",
    ),
    (addresses_of_one_machine, "notes.md", f"see {HOME}", "notes.md:1: /home"),
    (addresses_of_one_machine, ".ci/run", f"cd x\npip install --{'-'.join(('index', 'url'))} x", ".ci/run:2: index"),
    (addresses_of_one_machine, "constraints.txt", f"numpy @ {REGISTRY}", "constraints.txt:1: pypi"),
    (addresses_of_one_machine, "reports/reference/results.json", f'{{"python": "{HOME}"}}', "results.json:1: /home"),
]


def plant(tree: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("check", CHECKS)
def test_the_sources_obey(check: Check) -> None:
    assert check(CHECKOUT) == []


@pytest.mark.parametrize("check", CHECKS)
def test_an_obedient_tree_passes(check: Check, tmp_path: Path) -> None:
    plant(tmp_path, OBEDIENT)
    assert check(tmp_path) == []


@pytest.mark.parametrize(("check", "path", "text", "expected"), PLANTED)
def test_a_planted_violation_is_caught(check: Check, path: str, text: str, expected: str, tmp_path: Path) -> None:
    plant(tmp_path, OBEDIENT | {path: text})
    assert any(expected in violation for violation in check(tmp_path))


@pytest.mark.parametrize("folder", [".venv", "build", "reports/run-1", "derive/__pycache__", ".hypothesis"])
def test_generated_files_are_not_searched_for_addresses(folder: str, tmp_path: Path) -> None:
    plant(tmp_path, OBEDIENT | {f"{folder}/x.txt": HOME})
    assert addresses_of_one_machine(tmp_path) == []


def test_every_stage_is_searched() -> None:
    assert {path.split("/")[0] for path, _ in modules(CHECKOUT)} == set(STAGES)


def test_each_import_name_belongs_to_this_distribution_alone() -> None:
    assert shared_names(packages_distributions()) == []


def test_a_name_that_another_distribution_also_installs_is_caught() -> None:
    owners = {name: [DISTRIBUTION] for name in STAGES}
    assert shared_names(owners) == []
    assert "'other'" in shared_names(owners | {"verify": [DISTRIBUTION, "other"]})[0]
    assert "nothing" in shared_names({name: owners[name] for name in STAGES[1:]})[0]


@pytest.mark.parametrize("name", STAGES)
def test_what_is_imported_lies_in_this_checkout(name: str) -> None:
    location = importlib.import_module(name).__file__
    assert location is not None
    assert Path(location).is_relative_to(CHECKOUT)
