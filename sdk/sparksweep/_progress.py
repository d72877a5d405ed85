"""The progress of an experiment while `Experiment.wait` waits: a bar on a terminal or in a notebook, lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from sparksweep._silence import no_warnings
from sparksweep._summary import best_text, finished_count, summary
from sparksweep._text import block, one_line
from sparksweep_core.api import Experiment

LINE_INTERVAL_S = 1.0
"""Shortest time between two lines."""


class Progress:
    """The progress of an experiment on standard error; a context manager."""

    def __init__(
        self, name: str, *, shown: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = one_line(name)
        self._shown = shown
        self._clock = clock
        self._bar: Any = None
        self._line = self._printed = ""
        self._printed_at = float("-inf")

    def __enter__(self) -> Progress:
        if self._shown and (_is_terminal() or _is_notebook()):
            # In a notebook without ipywidgets tqdm warns that it draws a plain bar.
            with no_warnings():
                from tqdm.auto import tqdm

                self._bar = tqdm(total=None, desc=self._name, unit="trial", dynamic_ncols=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        elif self._shown:
            self._print()

    def show(self, experiment: Experiment, phase: str) -> None:
        """Draw the experiment's progress, or print a line if it has changed and the last one is a second old."""
        if self._bar is not None:
            self._draw(experiment, one_line(phase))
        elif self._shown:
            self._line = summary(experiment) if _has_begun(experiment) else one_line(phase)
            if self._clock() - self._printed_at >= LINE_INTERVAL_S:
                self._print()

    def _draw(self, experiment: Experiment, phase: str) -> None:
        status = experiment.status
        if status is None:
            self._bar.set_postfix_str(phase)
            return
        counts = status.trials
        self._bar.total = counts.expected
        self._bar.n = finished_count(counts)
        notes = [
            f"{counts.running} running" if counts.running else "",
            "" if _has_begun(experiment) else phase,
            best_text(experiment),
            f"{counts.failed} failed" if counts.failed else "",
        ]
        self._bar.set_postfix_str(", ".join(note for note in notes if note))

    def _print(self) -> None:
        """Print the newest line, unless it was printed."""
        if self._line and self._line != self._printed:
            say(f"{self._name}: {self._line}")
            self._printed, self._printed_at = self._line, self._clock()


def say(text: str) -> None:
    """Print a message on standard error, if somebody still reads it: that ends no experiment."""
    with contextlib.suppress(OSError, ValueError):
        print(block(text), file=sys.stderr, flush=True)  # noqa: T201 - the only way but tqdm's


def _has_begun(experiment: Experiment) -> bool:
    status = experiment.status
    return status is not None and bool(status.trials.running or finished_count(status.trials))


def _is_terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def _is_notebook() -> bool:
    """Return True in a notebook's kernel, whose standard error is no terminal but can be redrawn."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config
