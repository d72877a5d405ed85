"""A progress bar over an experiment's trials, with the best value so far: ``tqdm.auto``, in terminals and notebooks."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Any

from sparksweep_core.api import Experiment


class Progress:
    """A progress bar; a context manager."""

    def __init__(self, name: str, *, shown: bool) -> None:
        self._name = name
        self._shown = shown
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self._shown:
            with warnings.catch_warnings():
                # In a notebook without ipywidgets tqdm warns that it draws a plain bar.
                warnings.simplefilter("ignore")
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

    def show(self, experiment: Experiment, phase: str) -> None:
        """Draw the experiment's progress."""
        if self._bar is None:
            return
        status = experiment.status
        if status is None:
            self._bar.set_postfix_str(phase)
            return
        counts = status.trials
        self._bar.total = counts.expected
        self._bar.n = counts.succeeded + counts.failed + counts.stopped
        notes = [f"{counts.running} running"] if counts.running else []
        if phase and not counts.running and not self._bar.n:
            notes.append(phase)
        if status.best_trial is not None:
            notes.append(
                f"best {status.best_trial.objective:.6g} (trial {status.best_trial.number})"
            )
        if counts.failed:
            notes.append(f"{counts.failed} failed")
        self._bar.set_postfix_str(", ".join(notes))
