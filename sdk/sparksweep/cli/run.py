"""``sparksweep run``: an Experiment on this machine."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from rich.console import Console

from sparksweep._local.libraries import require_libraries
from sparksweep._local.program import check_local, notes_on_ignored
from sparksweep._local.run_directory import RunDirectory
from sparksweep.cli.displays import Display, LiveDisplay, PlainDisplay
from sparksweep.cli.documents import read_file
from sparksweep.cli.tables import outcome_text, trials_table
from sparksweep.errors import InvalidExperiment, RunDirectoryError
from sparksweep_core.api import ConditionType, Experiment, ExperimentReason, Trial
from sparksweep_core.validation.immutability import check_update

if TYPE_CHECKING:
    from sparksweep._local.runner import LocalRun

COMPLETE = 0
FAILED = 1
REFUSED = 2


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path),
    help="Directory for state, logs and results (default: runs/NAME-TIME).",
)
@click.option(
    "--resume",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Continue the run in DIR with the Experiment in FILE; finished trials don't run again. Not with --dir.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Format of the result on standard output.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print no progress.")
def run(file: Path, directory: Path | None, resume: Path | None, output: str, quiet: bool) -> int:
    """Run the Experiment in FILE on this machine.

    Runs trials in parallel with Spark in local mode.

    Exit codes: 0 complete, 1 failed, 2 refused (no trial was started), 128 + the signal's number if interrupted.
    """
    if directory and resume:
        raise click.UsageError(
            "--dir starts a new run, --resume continues one: give only one of them"
        )
    experiment = read_file(file)
    check_local(experiment)
    run_class = _local_run_class()
    console = Console(stderr=True, highlight=False)
    if resume:
        run_directory = RunDirectory.open(resume)
        run_directory.lock()
        experiment = _resumed(experiment, run_directory.read_experiment(), resume)
    else:
        experiment = experiment.model_copy(update={"status": None})
        run_directory = RunDirectory.create(directory or _default_directory(experiment))
    display: Display = (
        LiveDisplay(console)
        if console.is_terminal and not quiet
        else PlainDisplay(console, quiet=quiet)
    )
    for note in notes_on_ignored(experiment):
        display.note(note)
    local = run_class(experiment, run_directory, home=file.absolute().parent, observer=display)
    with display, _signals(local.interrupt) as received:
        ended = local.run()
    run_directory.unlock()
    code = _exit_code(ended)
    if output == "json":
        click.echo(json.dumps(ended.to_dict()))
    else:
        again = None if code is not None else f"sparksweep run {file} --resume {run_directory.path}"
        _print_result(ended, local.trials, run_directory.path, again)
    return code if code is not None else 128 + (received or [signal.SIGINT])[0]


def _local_run_class() -> type[LocalRun]:
    """Import the runner, and with it Spark and Arrow, which no other command needs.

    Raises:
        MissingDependency: They are not installed.
    """
    require_libraries()
    from sparksweep._local.runner import LocalRun

    return LocalRun


def _resumed(experiment: Experiment, recorded: Experiment, path: Path) -> Experiment:
    """Return the file's Experiment if the run in `path` can continue with it."""
    if experiment.metadata.name != recorded.metadata.name:
        raise RunDirectoryError(
            f"{path} holds a run of {recorded.metadata.name}, but the file defines {experiment.metadata.name}"
        )
    errors = check_update(recorded, experiment)
    if errors:
        raise InvalidExperiment(errors)
    return experiment


def _default_directory(experiment: Experiment) -> Path:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{experiment.metadata.name}-{stamp}"


def _exit_code(experiment: Experiment) -> int | None:
    """Return the exit code of an experiment that has ended; None for one that can be resumed."""
    if experiment.holds(ConditionType.COMPLETE):
        return COMPLETE
    failed = experiment.condition(ConditionType.FAILED, "True")
    if failed is None:
        return None
    refusals = (ExperimentReason.FUNCTION_REFUSED, ExperimentReason.INVALID_SPEC)
    return REFUSED if failed.reason in refusals else FAILED


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Iterator[list[int]]:
    """Interrupt the run at the first SIGINT or SIGTERM; end this process at the second."""
    received: list[int] = []

    def handle(number: int, _: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)
        interrupt()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_result(
    experiment: Experiment, trials: Sequence[Trial], directory: Path, resume_with: str | None
) -> None:
    console = Console(highlight=False)
    console.print(trials_table(experiment, trials))
    console.print(outcome_text(experiment))
    console.print(f"Logs and results: {directory}", soft_wrap=True)
    if resume_with:
        console.print(f"To continue: {resume_with}", soft_wrap=True)
