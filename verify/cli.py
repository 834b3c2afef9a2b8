"""The command line: the only module that prints. Heavy modules are imported inside the commands that need them."""

from __future__ import annotations

import difflib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from verify import runs
from verify.runs import UserError

if TYPE_CHECKING:
    from rich.console import Console

TIERS = ("quick", "standard", "deep")
SEED = 20260101
LATEST, DERIVATIONS = Path("reports/latest"), Path("reports/derivations")
USAGE, INTERRUPTED = 2, 130

Progress = Callable[[str, float], None]


class _Program(click.Group):
    """A group of commands that return their exit code, and whose user errors are one line."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]  # the rest is passed on
        """Run a command and leave with its exit code."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # formulas must not crash a terminal that has no Greek letters
                stream.reconfigure(errors="backslashreplace")
        try:
            code = super().main(args, prog_name or "widelimit", **(extra | {"standalone_mode": False}))
        except click.ClickException as error:
            code = _usage_error(error)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        """Return the exit code of the command."""
        try:
            return super().invoke(ctx)
        except (UserError, click.ClickException) as error:
            if ctx.params["debug"]:
                traceback.print_exc()
            return _usage_error(error)
        except KeyboardInterrupt:
            click.echo("widelimit: interrupted; files that were there are as before", err=True)
            return INTERRUPTED

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Return the command that is meant; an unknown one is answered with the nearest."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.commands, n=1) or sorted(self.commands)
            raise click.UsageError(f"expected a command, got {args[0]!r}; did you mean {', '.join(near)}?", ctx)
        return super().resolve_command(ctx, args)


def _usage_error(error: UserError | click.ClickException) -> int:
    if isinstance(error, click.ClickException):
        message = " ".join(error.format_message().split()).rstrip(".")
        message = message[:1].lower() + message[1:]
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "widelimit"
        message += f"; see {path} --help"
    else:
        message = str(error)
    click.echo(f"widelimit: {message}", err=True)
    return USAGE


@click.group(
    "widelimit",
    cls=_Program,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="widelimit", prog_name="widelimit")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Derive what happens to neural networks as their widths grow, and check it on sampled networks.

    Exit codes: 0 as expected, 1 crash, 2 usage, 3 something refuted that should hold (or printed wrong and confirmed),
    4 something left open and nothing wrong, 130 interrupted.

    Example: widelimit verify eq36 --tier quick
    """


def _options_of_verify(command: Callable[..., int]) -> Callable[..., int]:
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    options = (
        click.option("--tier", type=click.Choice(TIERS), default="quick", show_default=True, help="Sampling effort."),
        click.option(
            "--seed", type=click.IntRange(min=0), default=SEED, show_default=True, help="Key of all random numbers."
        ),
        click.option(
            "--run", type=click.Path(path_type=Path), default=LATEST, show_default=True, help="Directory of the run."
        ),
        click.option(
            "--widest",
            type=click.IntRange(min=128, max=2**24),
            metavar="N",
            help="Follow convergence up to this width. Default: 128 at quick, 4096 at standard, 65536 at deep.",
        ),
        click.option(
            "--inputs",
            type=click.Path(path_type=Path),
            help="A .npy array or .csv table of inputs, one per row. Default: digit images.",
        ),
        click.option(
            "--workers",
            type=click.IntRange(min=1),
            default=cpus,
            help="Processes; the results do not depend on them. Default: one per CPU.",
        ),
        click.option(
            "--executor",
            metavar="tcp://HOST:PORT",
            help="A Dask scheduler, whose workers are used instead of --workers.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@main.command("list")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help=f"Where to look for the last verdicts: a run, or a directory of runs. Default: {LATEST}",
)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_claims(run: Path | None, as_json: bool) -> int:
    """List all claims.

    Every claim with its last verdict, its equation, its status as printed and what it rests on.

    Example: widelimit list --json
    """
    from derive.lecture import CLAIMS
    from verify.screen import MARKS, claim_entry, claim_table, found_in

    last = _last_run(run)
    if isinstance(last, UserError):
        click.echo(f"widelimit: no verdicts are shown: {last}", err=True)
    found = found_in(last[0]) if isinstance(last, tuple) else None
    if as_json:
        entries = [claim_entry(claim, (found or {}).get(key)) for key, claim in CLAIMS.items()]
        click.echo(json.dumps(entries, ensure_ascii=False, indent=1))
        return runs.EXPECTED
    console = _console()
    console.print(claim_table(CLAIMS.values(), console.width, found))
    if isinstance(last, tuple):
        told = last[0]["run"]
        console.print(f"Verdicts of {last[1]}, tier {told['tier']}, seed {told['seed']}: {MARKS}")
    return runs.EXPECTED


@main.command()
@click.argument("claim", metavar="ID")
@click.option(
    "--run",
    type=click.Path(path_type=Path),
    help=f"Where to look for the last verdict: a run, or a directory of runs. Default: {LATEST}",
)
def show(claim: str, run: Path | None) -> int:
    """Show everything about one claim.

    Statement, derivation step by step, assumptions, what the lecture prints, planted errors, and the last verdict.

    Example: widelimit show eq36
    """
    from derive.lecture import CLAIMS
    from derive.record import claim_record
    from verify.checks.symbolic import printed
    from verify.screen import claim_page

    (key,) = _known([claim])
    shown = CLAIMS[key]
    last = _last_verdict(key, run)
    record = claim_record(shown, None)
    as_printed = printed(shown, shown.printed).to_json() if shown.printed else None
    console = _console()
    for line in claim_page(shown, record, as_printed, last):
        console.print(line)
    return runs.EXPECTED


@main.command()
@click.argument("phi")
@click.option(
    "--emit",
    type=click.Choice(("text", "latex", "python", "jax")),
    default="text",
    show_default=True,
    help="What to print: a page, formulas, or a module to paste.",
)
@click.option("--weak", is_flag=True, help="Differentiate with Dirac deltas where PHI jumps.")
def kernel(phi: str, emit: str, weak: bool) -> int:
    """Derive the kernels of one activation.

    PHI is a name or an expression in z, after -- if it begins with a minus; other variables are positive parameters.
    Shown are its duals E[PHI(u) PHI(v)] and E[PHI'(u) PHI'(v)], which determine the kernels of every layer.

    Example: widelimit kernel "max(z, 0) + alpha*min(z, 0)" --emit python
    """
    from derive.activations import activation

    try:
        activation(phi, parameters=True)  # a text that is none is refused before anything slow is imported
        from numeric.emit import jax_source, python_source, with_positive_parameters
        from verify.kernel_screen import kernel_latex, kernel_page

        row = with_positive_parameters(phi)
        if emit == "text":
            console = _console()
            for line in list(kernel_page(row, weak, console.width)):
                console.print(line)
        else:
            write: dict[str, Callable[..., str]] = {"latex": kernel_latex, "python": python_source, "jax": jax_source}
            click.echo(write[emit](row, weak), nl=False)
    except ValueError as error:
        raise UserError(str(error)) from error
    return runs.EXPECTED


@main.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--out", type=click.Path(path_type=Path), default=DERIVATIONS, show_default=True, help="Directory of the files."
)
@click.option("--errata", is_flag=True, help="Write what the lecture prints wrong, with counterexamples, instead.")
def derive(ids: tuple[str, ...], out: Path, errata: bool) -> int:
    """Derive claims again as HTML, LaTeX and JSON.

    All claims by default; every step is re-examined, and nothing is written if one is refuted. With --errata, what the
    lecture prints wrong, worst first, beside what to print instead; nothing is written if a printed form is not refuted
    or a corrected one not confirmed.

    Example: widelimit derive eq34 eq36 --out derivations
    """
    if errata:
        return _errata(ids, out)
    runs.make_ready(out, "derivations.html", "derivations.tex", "derivations.json")
    keys = _known(ids)
    from verify.derivations import examined_records
    from verify.execution import executor_of
    from verify.report import write_derivations

    with _progress() as progress, executor_of(min(2, len(keys))) as executor:
        records, refuted = examined_records(keys, executor, progress)
    for key, reason in refuted.items():
        click.echo(f"{key}: a step of its derivation is refuted: {reason}", err=True)
    if refuted:
        click.echo("nothing is written", err=True)
        return runs.WRONG
    for path in write_derivations(records, out):
        click.echo(path)
    return runs.EXPECTED


def _errata(ids: Sequence[str], out: Path) -> int:
    """Write the errata sheet, all of it or of some claims, and return the exit code."""
    runs.make_ready(out, "errata.html", "errata.tex", "errata.json")
    wanted = _known(ids)
    from verify.errata import errata, misprinted, uncovered
    from verify.execution import executor_of
    from verify.report import write_errata

    keys = tuple(key for key in misprinted() if key in wanted)
    if right := [key for key in wanted if ids and key not in keys]:
        raise UserError(f"expected claims that the lecture prints wrong, got {', '.join(right)}; widelimit list tells")
    with _progress() as progress, executor_of(max(1, min(2, len(keys)))) as executor:
        entries, failed = errata(keys, executor, progress)
    for key, reason in failed.items():
        click.echo(f"{key}: {reason}", err=True)
    if failed:
        click.echo("nothing is written", err=True)
        return runs.WRONG
    for path in write_errata(entries, () if ids else uncovered(), out):
        click.echo(path)
    return runs.EXPECTED


@main.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@_options_of_verify
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON instead of a table.")
def verify(ids: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Verify claims and print the verdicts.

    All claims by default. The run's directory gets results.json, the same for the same seed, inputs and versions,
    timings.json, and blocks.sqlite with everything that was sampled: the same command in the same directory goes on
    where a run was stopped, however it ended, and a deeper tier adds to what is there.

    Example: widelimit verify eq36 eq40 --tier standard --seed 7 --run reports/ntk
    """
    results, path = _verified(ids, **options)
    if as_json:
        click.echo(runs.to_text(results), nl=False)
    else:
        _print_verdicts(results)
        click.echo(path)
    return runs.outcome(results)


@main.command()
@click.argument("run_to_render", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@click.option("--claim", "ids", metavar="ID", multiple=True, help="Verify this claim only; may be given again.")
@_options_of_verify
@click.pass_context
def report(ctx: click.Context, /, run_to_render: Path | None, ids: tuple[str, ...], **options: Any) -> int:
    """Write the report of a run.

    RUN is a directory or its results.json; without it every claim is verified first. report.html is written beside
    results.json, and companion.html, which goes through the lecture statement by statement. The last line on standard
    output is the path of the report.

    Example: widelimit report --claim "finite-width.*" --widest 1048576 --run reports/convergence
    """
    pages = ("report.html", "companion.html")
    if run_to_render is None:
        results, path = _verified(ids, *pages, **options)
        directory = path.parent
    else:
        default = click.core.ParameterSource.DEFAULT
        given = [
            name for name in ("claim", *options) if ctx.get_parameter_source(_NAMES.get(name, name)) is not default
        ]
        if given:
            raise UserError(
                f"expected a run to report or options of a new one, drop one: got {run_to_render} and --{given[0]}"
            )
        results, directory = runs.read_run(run_to_render)
        runs.make_ready(directory, *pages)
    from verify.report import write_report

    _print_verdicts(results)
    click.echo(write_report(results, directory))
    return runs.outcome(results)


_NAMES = {"claim": "ids"}
"""Parameters of options that have other names."""


def _verified(
    ids: Sequence[str],
    *more: str,
    tier: str,
    seed: int,
    run: Path,
    widest: int | None,
    inputs: Path | None,
    workers: int,
    executor: str | None,
) -> tuple[dict[str, Any], Path]:
    """Return the results of a new run and where they were written."""
    runs.make_ready(run, runs.RESULTS, runs.TIMINGS, runs.BLOCKS, *more)
    keys = _known(ids)
    from verify.inputs import default_inputs, read_inputs

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a table of comments, or of complex numbers, is only warned about
            chosen = default_inputs() if inputs is None else read_inputs(inputs)
    except Warning as error:
        raise UserError(f"cannot use {inputs}: {error}; give a table of real numbers, one input per row") from error
    except ValueError as error:
        raise UserError(str(error)) from error
    from verify import suite
    from verify.execution import environment_of, executor_of
    from verify.store import BlockStore

    stages = runs.Stages()
    with executor_of(workers, executor) as tasks, BlockStore(run / runs.BLOCKS, environment_of(tasks)) as store:
        if foreign := store.foreign():
            click.echo(
                f"{foreign} blocks in {run / runs.BLOCKS} are of other versions or another kind of CPU and not used; "
                "delete the file if nobody needs them",
                err=True,
            )
        with _progress() as progress:

            def told(stage: str, fraction: float) -> None:
                stages.enter(stage)
                progress(stage, fraction)

            effort = replace(suite.TIERS[tier], widest=widest) if widest else suite.TIERS[tier]
            command = runs.command_of(ids and keys, tier, seed, widest, inputs.name if inputs else None)
            try:
                results = suite.run(keys, effort, seed, chosen, tasks, told, command, store)
            except KeyboardInterrupt:
                if (run / runs.BLOCKS).exists():
                    click.echo(f"the same command goes on with what is in {run / runs.BLOCKS}", err=True)
                raise
    stages.enter("writing")
    return results, runs.write_run(results, stages.seconds, executor or workers, run)


def _known(ids: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of claims in the registry's order, each once; all if none are given, ``topic.*`` for a topic."""
    from derive.lecture import CLAIMS

    topics = sorted({f"{key.partition('.')[0]}.*" for key in CLAIMS if "." in key and not key.startswith("sec")})
    for pattern in ids:
        if pattern.endswith("*") and pattern not in topics:  # no expression ends like this either
            raise UserError(f"expected the id of a claim or one of {', '.join(topics)}, got {pattern!r}")
    try:
        given = [[key for key in CLAIMS if key.startswith(i[:-1])] if i in topics else [i] for i in ids]
        return CLAIMS.selected([key for keys in given for key in keys])
    except KeyError as error:
        end = "" if error.args[0].endswith("?") else ";"
        raise UserError(f"{error.args[0]}{end} widelimit list shows all") from error


def _last_verdict(key: str, run: Path | None) -> list[Any]:
    from verify.screen import last_verdict

    last = _last_run(run)
    if last is None:
        return [f"none yet: widelimit verify {key}"]
    if isinstance(last, UserError):
        return [f"unknown: {last}"]
    return list(last_verdict(*last, key))


def _last_run(run: Path | None) -> tuple[dict[str, Any], Path] | UserError | None:
    """Return the newest run and its directory; None, or what is wrong with it, if nobody asked for that one."""
    newest = runs.newest_run(run or LATEST)
    if newest is None and run is None:
        return None
    try:
        return runs.read_run(newest or run or LATEST)
    except UserError as error:
        if run is not None:
            raise
        return error  # a broken run that was not asked for must not hide the claims


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def _print_verdicts(results: dict[str, Any]) -> None:
    from verify.screen import verdict_lines, verdict_table

    console = _console()
    console.print(verdict_table(results))
    for line in verdict_lines(results):
        console.print(line)


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a progress callback: a bar on a terminal, otherwise a line for each change of stage."""
    console = _console(stderr=True)
    if console.is_terminal:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        with Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console, transient=True
        ) as bars:
            task = bars.add_task("starting", total=1.0)
            yield lambda stage, fraction: bars.update(task, description=stage, completed=fraction)
        return
    last: list[str] = []

    def line(stage: str, fraction: float) -> None:
        if last != [stage]:
            click.echo(stage, err=True)
            last[:] = [stage]

    yield line


if __name__ == "__main__":
    main()
