"""Progress of a run: a live display on a terminal, plain lines elsewhere. Both write to standard error."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol

from sparksweep._summary import (
    best_text,
    count_text,
    end_text,
    finished_count,
    seconds_left,
    summary,
)
from sparksweep._text import duration_text, headline, number_text, one_line, point_text
from sparksweep.cli.output import Line, Output, Span
from sparksweep.cli.trial_columns import STATE_STYLES
from sparksweep_core.api import Experiment, Trial, TrialState

MOST_RUNNING = 12
"""Running trials that the live display lists."""
PLAIN_INTERVAL_S = 1.0
"""Shortest time between two plain lines of progress."""
BAR_COLUMNS = 40
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_SPINNER_FRAMES_PER_SECOND = 10


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


class Progress:
    """The running trials of a run, and an estimate of its end."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.experiment: Experiment | None = None
        self.running: dict[int, tuple[Trial, float]] = {}
        """By number a running trial, and the time since when it runs."""
        self._ended = 0
        self._ended_s = 0.0

    def trial_changed(self, trial: Trial) -> None:
        """Take a trial's new state."""
        known = self.running.get(trial.number)
        if trial.state is not TrialState.RUNNING:
            self.running.pop(trial.number, None)
        elif known is not None and known[0].status.attempt == trial.status.attempt:
            self.running[trial.number] = (trial, known[1])
        else:
            self.running[trial.number] = (trial, self._clock())
        if trial.state.is_finished and trial.status.duration_seconds is not None:
            self._ended += 1
            self._ended_s += trial.status.duration_seconds

    def left_s(self) -> float | None:
        """Return the seconds to the end, as far as they can be estimated."""
        if self.experiment is None or self.experiment.status is None or not self._ended:
            return None
        now = self._clock()
        return seconds_left(
            self.experiment.status.trials,
            slots=self.experiment.spec.parallel_trial_count,
            durations_s=[self._ended_s / self._ended],
            elapsed_s=[now - since for _, since in list(self.running.values())],
        )


class PlainDisplay:
    """Prints at most one line of progress a second, and one at the end, for logs and pipes."""

    def __init__(
        self, output: Output, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._output = output
        self._quiet = quiet
        self._clock = clock
        self._progress = Progress(clock)
        self._changed: dict[int, Trial] = {}
        """By number the trials that have changed since the last line."""
        self._phase = ""
        self._printed_at = float("-inf")
        self._last_line = ""

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._print_progress()
        experiment = self._progress.experiment
        if experiment is not None and (line := summary(experiment)) and line != self._last_line:
            self._print(line)

    def note(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def phase(self, text: str) -> None:
        """Print a line, unless another one follows within a second."""
        self._phase = f"{text} ..."
        self._print_if_due()

    def trial_changed(self, trial: Trial) -> None:
        """Store a trial that has started or ended for the next line."""
        self._progress.trial_changed(trial)
        if trial.state is not TrialState.PENDING or trial.status.attempt:
            self._changed[trial.number] = trial
        self._print_if_due()

    def trial_reported(self, trial: Trial) -> None:
        """Print nothing: a log of the run has lines for starts and ends."""

    def status_changed(self, experiment: Experiment) -> None:
        """Store the status for the next line."""
        self._progress.experiment = experiment
        self._print_if_due()

    def _print_if_due(self) -> None:
        if self._clock() - self._printed_at >= PLAIN_INTERVAL_S:
            self._print_progress()

    def _print_progress(self) -> None:
        """Print a line about what has changed since the last one: of one trial all, of several their numbers."""
        changed, self._changed = list(self._changed.values()), {}
        phase, self._phase = self._phase, ""
        if not changed:
            if phase:
                self._print(phase)
            return
        experiment = self._progress.experiment
        if len(changed) == 1:
            self._print(describe(changed[0], experiment))
            return
        failures = [trial for trial in changed if trial.state is TrialState.FAILED]
        line = summary(experiment, left_s=self._progress.left_s()) if experiment else ""
        parts = [line or f"{len(changed)} trials have changed"]
        if failures:
            parts.append(describe(failures[0], experiment))
        if len(failures) > 1:
            others = ", ".join(str(trial.number) for trial in failures[1:])
            parts.append(f"failed, too: {others}")
        self._print("; ".join(parts))

    def _print(self, line: str) -> None:
        if not self._quiet:
            self._output.line(line)
        self._printed_at = self._clock()
        self._last_line = line


class LiveDisplay:
    """Draws a bar, counts, the running trials and the best one so far, in place."""

    def __init__(self, output: Output, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._begin = clock()
        self._progress = Progress(clock)
        self._phase = "Starting"
        self._lock = threading.Lock()
        """The lines are drawn in another thread."""
        self._drawing: contextlib.AbstractContextManager[object] = output.drawing(self.draw)

    def __enter__(self) -> LiveDisplay:
        self._drawing.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._phase = ""
        self._drawing.__exit__(kind, error, trace)

    def note(self, text: str) -> None:
        """Print a line above the live display."""
        self._output.line(Span(text, "dim"))

    def phase(self, text: str) -> None:
        """Show the work before the first trial, or after an interrupt."""
        with self._lock:
            self._phase = text

    def trial_changed(self, trial: Trial) -> None:
        """Update the list of running trials, and print failures above it."""
        with self._lock:
            self._progress.trial_changed(trial)
            if trial.state is TrialState.RUNNING:
                self._phase = ""
            experiment = self._progress.experiment
        if trial.state is TrialState.FAILED:
            self._output.line(Span(describe(trial, experiment), "red"))

    def trial_reported(self, trial: Trial) -> None:
        """Update the metrics of a running trial."""
        with self._lock:
            self._progress.trial_changed(trial)

    def status_changed(self, experiment: Experiment) -> None:
        """Update the counts and the best trial."""
        with self._lock:
            self._progress.experiment = experiment

    def draw(self, width: int) -> list[Line]:
        """Return the lines for a terminal of that many columns, which they may exceed."""
        with self._lock:
            experiment, phase = self._progress.experiment, self._phase
            running = sorted(self._progress.running.items())
            left_s = self._progress.left_s()
        now = self._clock()
        lines: list[Line] = []
        if experiment is not None and experiment.status is not None:
            lines.append(self._bar(experiment, width, now - self._begin, left_s))
            lines.append(_counts(experiment))
            if best := best_text(experiment, with_point=True):
                lines.append([Span(f"  {best}", "bold")])
        if phase:
            frame = int(now * _SPINNER_FRAMES_PER_SECOND) % len(_SPINNER)
            lines.append([Span(_SPINNER[frame], "green"), Span(f" {phase}")])
        lines += _running_lines([item for _, item in running], experiment, now)
        return lines

    def _bar(
        self, experiment: Experiment, width: int, elapsed_s: float, left_s: float | None
    ) -> Line:
        assert experiment.status is not None
        counts = experiment.status.trials
        finished = finished_count(counts)
        name = one_line(experiment.metadata.name)
        time_text = duration_text(elapsed_s, has_tenths=False)
        tail = f" {count_text(counts)}  {time_text}"
        if end := end_text(experiment, left_s):
            tail += f", {end}"
        room = min(BAR_COLUMNS, width - len(name) - len(tail) - 2)
        if not counts.expected or room < 10:
            return [Span(name, "bold"), Span(f" {tail}")]
        filled = room * min(finished, counts.expected) // counts.expected
        return [
            Span(f"{name} ", "bold"),
            Span("━" * filled, "green"),
            Span("─" * (room - filled), "bright_black"),
            Span(tail),
        ]


def describe(trial: Trial, experiment: Experiment | None) -> str:
    """Return a trial's state and result on one line."""
    objective = experiment.spec.objective if experiment is not None else None
    values = _point(trial, experiment)
    attempt = f" (attempt {trial.status.attempt})" if trial.status.attempt > 1 else ""
    line = f"trial {trial.number}{attempt} {trial.state.value}: {values}"
    value = trial.objective_value(objective)
    if value is not None and objective is not None:
        line += f" -> {one_line(objective.objective_metric_name)}={number_text(value)}"
    if trial.status.reason and trial.state is not TrialState.SUCCEEDED:
        line += f" -> {trial.status.reason}"
        # All are stopped for the same reason, which the end of the run prints once.
        if trial.state is not TrialState.STOPPED and (detail := headline(trial.status.message)):
            line += f": {detail}"
    if trial.state.is_finished and trial.status.duration_seconds is not None:
        line += f" in {duration_text(trial.status.duration_seconds)}"
    return line


def _point(trial: Trial, experiment: Experiment | None) -> str:
    if experiment is not None:
        return point_text(experiment.spec.parameters, trial.spec.parameters)
    return ", ".join(f"{name}={value}" for name, value in trial.spec.parameters.items())


def _counts(experiment: Experiment) -> Line:
    assert experiment.status is not None
    spans = [Span(" ")]
    for state in (
        TrialState.SUCCEEDED,
        TrialState.FAILED,
        TrialState.STOPPED,
        TrialState.RUNNING,
        TrialState.PENDING,
    ):
        number = getattr(experiment.status.trials, state.value.lower())
        if number or state in (TrialState.SUCCEEDED, TrialState.RUNNING):
            spans.append(Span(f" {state.value.lower()} {number} ", STATE_STYLES[state]))
    return spans


def _running_lines(
    running: Sequence[tuple[Trial, float]], experiment: Experiment | None, now: float
) -> list[Line]:
    """Return a line for each running trial: its time, its newest report, its parameters."""
    lines: list[Line] = []
    shown = running[:MOST_RUNNING]
    numbers = [f"trial {trial.number}" for trial, _ in shown]
    times = [duration_text(now - since, has_tenths=False) for _, since in shown]
    reports = [_report(trial) for trial, _ in shown]
    wide = [max(map(len, texts), default=0) for texts in (numbers, times)]
    for (trial, _), number, elapsed, report in zip(shown, numbers, times, reports, strict=True):
        line = [Span(f"  {number:<{wide[0]}}  {elapsed:>{wide[1]}}")]
        if report:
            line.append(Span(f"  {report}", "cyan"))
        line.append(Span(f"  {_point(trial, experiment)}", "dim"))
        lines.append(line)
    if len(running) > MOST_RUNNING:
        lines.append([Span(f"  and {len(running) - MOST_RUNNING} more")])
    return lines


def _report(trial: Trial) -> str:
    report = trial.status.reported
    if report is None:
        return ""
    metrics = " ".join(
        f"{one_line(name)}={number_text(value)}" for name, value in report.metrics.items()
    )
    return f"step {report.step}: {metrics}"
