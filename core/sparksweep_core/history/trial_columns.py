"""The trials of a finished batch in columns: about a tenth of the memory of their models.

A trial that is read is made again, with its spec exactly as it was. Of its status, what searches and the Experiment's
status read of a finished trial is kept: state, attempt, reason, and of a succeeded one the metrics and the beginning of
the message.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Mapping, Sequence
from typing import overload

from sparksweep_core.api import Trial, TrialSpec, TrialState, TrialStatus
from sparksweep_core.history.columns import Column, column_of

_STATES = tuple(TrialState)
_CODES = {state: code for code, state in enumerate(_STATES)}
_GIVEN = "="
"""Precedes a text in a column of optional ones, so that an empty text differs from none."""
_MESSAGE = 512
"""Characters of a message that the Experiment's status shows."""


class TrialColumns(Sequence[Trial]):
    """Trials sorted by number. Each is made when it is read, so compare them with ``==``."""

    __slots__ = (
        "_attempts", "_lineages", "_messages", "_metrics", "_numbers", "_parameters", "_reasons", "_states",
    )  # fmt: skip

    def __init__(self, trials: Sequence[Trial]) -> None:
        """Store trials that are sorted by number."""
        numbers = [trial.number for trial in trials]
        self._numbers: Sequence[int] = array("q", numbers)
        if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            self._numbers = range(numbers[0], numbers[0] + len(numbers))
        self._parameters = _maps([trial.spec.parameters for trial in trials])
        self._lineages = _optional([trial.spec.lineage for trial in trials])
        self._states = bytes(_CODES[trial.state] for trial in trials)
        self._attempts = array("q", [trial.status.attempt for trial in trials])
        self._reasons = _optional([trial.status.reason for trial in trials])
        self._messages = _optional(list(map(_message, trials)))
        self._metrics = _Metrics(trials)

    def __len__(self) -> int:
        return len(self._states)

    @overload
    def __getitem__(self, row: int) -> Trial: ...
    @overload
    def __getitem__(self, row: slice) -> list[Trial]: ...
    def __getitem__(self, row: int | slice) -> Trial | list[Trial]:
        """Return the trial at a position, or those of a slice."""
        if isinstance(row, slice):
            return [self._trial(index) for index in range(len(self))[row]]
        return self._trial(range(len(self))[row])

    def point(self, row: int) -> dict[str, str]:
        """Return the point of the trial at a position, without making the trial."""
        return self._parameters[row]

    def _trial(self, row: int) -> Trial:
        # Not validated again: the values are those of models.
        status = TrialStatus.model_construct(
            number=self._numbers[row],
            state=_STATES[self._states[row]],
            attempt=self._attempts[row],
            metrics=self._metrics[row],
            reason=_given(self._reasons[row]),
            message=_given(self._messages[row]),
        )
        return Trial(self._spec(row), status)

    def _spec(self, row: int) -> TrialSpec:
        return TrialSpec.model_construct(
            number=self._numbers[row],
            parameters=self._parameters[row],
            lineage=_given(self._lineages[row]),
        )


def _optional(texts: Sequence[str | None]) -> Column:
    return column_of(["" if text is None else f"{_GIVEN}{text}" for text in texts])


def _given(text: str) -> str | None:
    return text.removeprefix(_GIVEN) if text else None


def _message(trial: Trial) -> str | None:
    """Return a succeeded trial's message, shortened; those of failed ones are in the summary."""
    if trial.state is not TrialState.SUCCEEDED or trial.status.message is None:
        return None
    return trial.status.message[:_MESSAGE]


class _Points:
    """Maps from the same names to texts: a column for each name."""

    __slots__ = ("_columns", "_names")

    def __init__(self, names: tuple[str, ...], points: Sequence[Mapping[str, str]]) -> None:
        self._names = names
        self._columns = tuple(column_of([point[name] for point in points]) for name in names)

    def __getitem__(self, row: int) -> dict[str, str]:
        return {name: column[row] for name, column in zip(self._names, self._columns, strict=True)}


class _Documents:
    """Maps from different names to texts: as JSON."""

    __slots__ = ("_texts",)

    def __init__(self, points: Sequence[Mapping[str, str]]) -> None:
        self._texts: Column = column_of([json.dumps(dict(point)) for point in points])

    def __getitem__(self, row: int) -> dict[str, str]:
        point: dict[str, str] = json.loads(self._texts[row])
        return point


def _maps(points: Sequence[Mapping[str, str]]) -> _Points | _Documents:
    names = {tuple(point) for point in points}
    return _Points(names.pop(), points) if len(names) == 1 else _Documents(points)


class _Metrics:
    """Metrics of the succeeded trials: an array for each name; as JSON if not all of them have the same names."""

    __slots__ = ("_has", "_numbers", "_texts")

    def __init__(self, trials: Sequence[Trial]) -> None:
        succeeded = [trial.state is TrialState.SUCCEEDED for trial in trials]
        metrics = [
            trial.status.metrics if has else {}
            for trial, has in zip(trials, succeeded, strict=True)
        ]
        names = {tuple(one) for one, has in zip(metrics, succeeded, strict=True) if has}
        self._has = bytes(succeeded)
        self._numbers: dict[str, array[float]] | None = None
        self._texts: Column | None = None
        if len(names) == 1:
            self._numbers = {
                name: array("d", [one.get(name, 0.0) for one in metrics]) for name in names.pop()
            }
        elif names:
            self._texts = column_of([json.dumps(one) for one in metrics])

    def __getitem__(self, row: int) -> dict[str, float]:
        if not self._has[row]:
            return {}
        if self._numbers is not None:
            return {name: numbers[row] for name, numbers in self._numbers.items()}
        assert self._texts is not None
        metrics: dict[str, float] = json.loads(self._texts[row])
        return metrics
