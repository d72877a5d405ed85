"""Progress of a run: a live display on a terminal, plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from sparksweep.cli.tables import STATE_STYLES, headline
from sparksweep_core.api import Experiment, Objective, Trial, TrialState

MOST_RUNNING = 12
"""Running trials that the live display lists."""


class Display(Protocol):
    """Shows a run while the context lasts."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def note(self, text: str) -> None:
        """Print a line that stays."""

    def phase(self, text: str) -> None:
        """Show the work before the first trial, or after an interrupt."""

    def trial_changed(self, trial: Trial) -> None:
        """Show a trial's new state."""

    def trial_reported(self, trial: Trial) -> None:
        """Show the metrics that a running trial has reported, `trial.status.reported`; at most once a second."""

    def status_changed(self, experiment: Experiment) -> None:
        """Show a newer status."""


class PlainDisplay:
    """Prints a line for each event, for logs and pipes."""

    def __init__(self, console: Console, *, quiet: bool = False) -> None:
        self._console = console
        self._quiet = quiet
        self._objective: Objective | None = None
        self._progress = ""

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Do nothing: no resource is open."""

    def note(self, text: str) -> None:
        """Print a line."""
        if not self._quiet:
            self._console.print(text, soft_wrap=True)

    def phase(self, text: str) -> None:
        """Print a line."""
        self.note(f"{text} ...")

    def trial_changed(self, trial: Trial) -> None:
        """Print a line when a trial starts or ends."""
        if trial.state is not TrialState.PENDING or trial.status.attempt:
            self.note(describe(trial, self._objective))

    def trial_reported(self, trial: Trial) -> None:
        """Print nothing: a log of the run has one line for each start and end."""

    def status_changed(self, experiment: Experiment) -> None:
        """Store the objective; `trial_changed` prints its metric."""
        self._objective = experiment.spec.objective


class LiveDisplay:
    """Draws a bar, counts, the running trials and the best one so far, in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self._bar = self._progress.add_task("", total=None)
        self._running: dict[int, tuple[Trial, float]] = {}
        self._experiment: Experiment | None = None
        # One object as long as it is shown: a new one would always draw its first frame.
        self._phase: Spinner | None = Spinner("dots", "Starting")
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=8)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._phase = None
        self._live.stop()

    def note(self, text: str) -> None:
        """Print a line above the live display."""
        self._console.print(Text(text, "dim"), soft_wrap=True)

    def phase(self, text: str) -> None:
        """Show the work before the first trial, or after an interrupt."""
        self._phase = Spinner("dots", text)

    def trial_changed(self, trial: Trial) -> None:
        """Update the list of running trials, and print failures above it."""
        if trial.state is TrialState.RUNNING:
            self._running[trial.number] = (trial, time.monotonic())
            self._phase = None
        else:
            self._running.pop(trial.number, None)
        if trial.state is TrialState.FAILED:
            objective = self._experiment.spec.objective if self._experiment else None
            self._console.print(Text(describe(trial, objective), "red"), soft_wrap=True)

    def trial_reported(self, trial: Trial) -> None:
        """Update the metrics of a running trial."""
        if trial.number in self._running:
            _, since = self._running[trial.number]
            self._running[trial.number] = (trial, since)

    def status_changed(self, experiment: Experiment) -> None:
        """Update the counts and the best trial."""
        self._experiment = experiment
        if experiment.status is not None:
            counts = experiment.status.trials
            finished = counts.succeeded + counts.failed + counts.stopped
            self._progress.update(
                self._bar,
                description=f"[bold]{experiment.metadata.name}[/]",
                completed=finished,
                total=counts.expected,
            )

    def _render(self) -> Group:
        parts: list[Progress | Text | Table | Spinner] = [self._progress]
        status = self._experiment.status if self._experiment else None
        if status is not None:
            counts = Text("  ")
            for state in (
                TrialState.SUCCEEDED,
                TrialState.FAILED,
                TrialState.STOPPED,
                TrialState.RUNNING,
                TrialState.PENDING,
            ):
                number = getattr(status.trials, state.value.lower())
                if number or state in (TrialState.SUCCEEDED, TrialState.RUNNING):
                    counts.append(f"{state.value.lower()} {number}  ", STATE_STYLES[state])
            parts.append(counts)
            if status.best_trial is not None:
                best = status.best_trial
                values = ", ".join(f"{name}={value}" for name, value in best.parameters.items())
                parts.append(
                    Text(f"  best {best.objective:.6g} (trial {best.number}: {values})", "bold")
                )
        if self._phase is not None:
            parts.append(self._phase)
        if self._running:
            parts.append(self._running_table())
        return Group(*parts)

    def _running_table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        now = time.monotonic()
        for number in sorted(self._running)[:MOST_RUNNING]:
            trial, since = self._running[number]
            values = ", ".join(f"{name}={value}" for name, value in trial.spec.parameters.items())
            table.add_row("  ", f"trial {number}", f"{now - since:.0f}s", Text(values, "dim"))
        if len(self._running) > MOST_RUNNING:
            table.add_row("  ", f"and {len(self._running) - MOST_RUNNING} more")
        return table


def describe(trial: Trial, objective: Objective | None) -> str:
    """Return a trial's state and result on one line."""
    values = ", ".join(f"{name}={value}" for name, value in trial.spec.parameters.items())
    attempt = f" (attempt {trial.status.attempt})" if trial.status.attempt > 1 else ""
    line = f"trial {trial.number}{attempt} {trial.state.value}: {values}"
    value = trial.objective_value(objective)
    if value is not None and objective is not None:
        line += f" -> {objective.objective_metric_name}={value:.6g}"
    if trial.status.reason and trial.state is not TrialState.SUCCEEDED:
        line += f" -> {trial.status.reason}"
        # All are stopped for the same reason, which the end of the run prints once.
        if trial.state is not TrialState.STOPPED and (detail := headline(trial.status.message)):
            line += f": {detail}"
    if trial.state.is_finished and trial.status.duration_seconds is not None:
        line += f" in {trial.status.duration_seconds:.1f}s"
    return line
