"""Metrics that a command prints, on standard output and standard error. Pure, constant memory.

A metric that is printed more than once is a series, of which one value counts; Katib's metricStrategies say which.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sparksweep_core.api.search_spec import MetricStrategyValue, Objective, ObjectiveType
from sparksweep_core.api.template import MetricsFormat
from sparksweep_core.metric_names import composed
from sparksweep_trainer.slot.metric_lines import MetricNames, Reading, read_line
from sparksweep_trainer.slot.output_lines import (
    LineSplitter,
    is_plain,
    split_lines,
    visible_lines,
    without_colours,
)

OnLine = Callable[[Mapping[str, float]], None]

MAX_OTHERS = 3
"""Metrics of other names that are remembered, for the message about a missing one."""
MAX_SHOWN_NAME = 60
MAX_SKIPPED_BYTES = 1024
"""Bytes that hold any name in UTF-8, and its sign."""


@dataclass(frozen=True)
class Printed:
    """Metrics that a command has printed, and what only looks like them."""

    values: Mapping[str, float] = field(default_factory=dict)
    """Of each metric the value that counts; it may be NaN or infinite."""
    not_numbers: Mapping[str, str] = field(default_factory=dict)
    """Of metrics the last text that stood in a number's place; of those with a value only text like a number."""
    others: tuple[str, ...] = ()
    """Metrics, as printed, whose names contain one that is looked for."""
    with_colon: Mapping[str, str] = field(default_factory=dict)
    """Of metrics without a value, text such as ``loss: 0.5``, which the format Equals does not read."""
    is_cut: bool = False
    """True if a line named a metric where it was too long to be read."""


def strategies(objective: Objective) -> dict[str, MetricStrategyValue]:
    """Map each metric of the objective to the value of its series that counts; by default the best one."""
    default = (
        MetricStrategyValue.MAX
        if objective.type is ObjectiveType.MAXIMIZE
        else MetricStrategyValue.MIN
    )
    names = [objective.objective_metric_name, *objective.additional_metric_names]
    chosen = {strategy.name: strategy.value for strategy in objective.metric_strategies}
    return {name: chosen.get(name, default) for name in names}


class PrintedMetrics:
    """Reads the metrics of a command from its two streams, in the order in which their lines end.

    min and max ignore values that are not finite unless there are no others: a loss that becomes NaN after ten good
    epochs leaves those ten. latest is the last value, finite or not.
    """

    def __init__(
        self,
        wanted: Mapping[str, MetricStrategyValue],
        form: MetricsFormat = MetricsFormat.EQUALS,
        *,
        on_line: OnLine | None = None,
    ) -> None:
        """
        Args:
            wanted: by metric, the value of its series that counts.
            form: the signs that may stand between a name and its value.
            on_line: receives the metrics of each line that has some.
        """
        self._series = _Series(wanted, on_line)
        self.stdout = StreamReader(self._series, form)
        """Reader of standard output."""
        self.stderr = StreamReader(self._series, form)
        """Reader of standard error."""

    def finish(self) -> Printed:
        """Return what was printed, at the end of both streams."""
        self.stdout.finish()
        self.stderr.finish()
        return self._series.printed(is_cut=self.stdout.is_cut or self.stderr.is_cut)


class StreamReader:
    """Reads one stream, whose pieces may be cut anywhere, into the series of its trial."""

    def __init__(self, series: _Series, form: MetricsFormat) -> None:
        self._series = series
        self._form = form
        self._names = MetricNames(series.wanted)
        self._lines = LineSplitter(self._skip)
        self._skipped = b""
        self._hints = [hint for name in series.wanted for hint in _hints(composed(name))]
        self.read_lines = 0
        """Lines that were searched for metrics: those that may contain the name of one."""
        self.is_cut = False
        """True if a line may have named a metric after its first 64 KiB."""

    def feed(self, data: bytes) -> None:
        """Read more output. Only the first 64 KiB of a line are read."""
        if self._series.wanted:
            self._scan(self._lines.feed(data))

    def finish(self) -> None:
        """Read the last line."""
        if self._series.wanted:
            self._scan(self._lines.finish())

    def _skip(self, data: bytes) -> None:
        # A name and its sign may be in two pieces.
        piece = self._skipped + data
        self.is_cut = self.is_cut or self._may_name(piece)
        self._skipped = piece[-MAX_SKIPPED_BYTES:]

    def _scan(self, block: bytes) -> None:
        # Most output has no metric: to find that out must be faster than the trial can print.
        block = without_colours(block)
        if is_plain(block) and not self._may_name(block):
            return
        for line in split_lines(block):
            plain = is_plain(line)
            if plain and not self._may_name(line):
                continue
            for text in visible_lines(line):
                if plain or self._may_name(text.encode(errors="replace")):
                    self._read(text)

    def _may_name(self, block: bytes) -> bool:
        """Return False if the lines name no metric for sure."""
        if b"=" not in block and b":" not in block:
            return False
        lowered = block.lower()
        return any(hint in lowered for hint in self._hints)

    def _read(self, text: str) -> None:
        self.read_lines += 1
        named = False
        for reading in read_line(text, self._names, self._form):
            named |= reading.name is not None
            self._series.add(reading)
        self._series.end_line()
        if not named and self._form is MetricsFormat.EQUALS and ":" in text:
            for reading in read_line(text, self._names, MetricsFormat.EQUALS_OR_COLON):
                self._series.note_colon(reading)


def _hints(name: str) -> list[bytes]:
    """Return bytes of which every output with the name has one: its longest part in ASCII, which has one form only."""
    part = max(re.findall(r"[\x00-\x7f]+", name), key=len, default="")
    forms = [part] if part else {name, unicodedata.normalize("NFD", name)}
    return [form.encode().lower() for form in forms]


class _Series:
    """The values of each metric so far, as far as they count."""

    def __init__(self, wanted: Mapping[str, MetricStrategyValue], on_line: OnLine | None) -> None:
        self.wanted = dict(wanted)
        self._on_line = on_line
        self._line: dict[str, float] = {}
        self._values: dict[str, float] = {}
        self._not_numbers: dict[str, Reading] = {}
        self._with_colon: dict[str, str] = {}
        self._others: dict[str, None] = {}
        self._texts = [composed(name).lower() for name in wanted]

    def add(self, reading: Reading) -> None:
        """Add a metric, or remember why it is none."""
        name, value = reading.name, reading.value
        if name is None:
            self._note_other(reading)
        elif value is not None:
            self._values[name] = self._better(name, value)
            self._line[name] = value
        else:
            earlier = self._not_numbers.get(name)
            # What is almost a number says more than any other word.
            if earlier is None or reading.starts_like_a_number or not earlier.starts_like_a_number:
                self._not_numbers[name] = reading

    def end_line(self) -> None:
        """Pass on the metrics of the line that has been read."""
        line, self._line = self._line, {}
        if line and self._on_line is not None:
            self._on_line(line)

    def note_colon(self, reading: Reading) -> None:
        """Remember a metric that another format would read."""
        if reading.name is not None and reading.value is not None and reading.sign == ":":
            self._with_colon[reading.name] = f"{reading.printed_name}: {reading.text}"[
                : 2 * MAX_SHOWN_NAME
            ]

    def printed(self, *, is_cut: bool) -> Printed:
        """Return the outcome."""
        return Printed(
            values=dict(self._values),
            not_numbers={
                name: reading.text
                for name, reading in self._not_numbers.items()
                if name not in self._values or reading.starts_like_a_number
            },
            others=tuple(self._others),
            with_colon={
                name: text for name, text in self._with_colon.items() if name not in self._values
            },
            is_cut=is_cut,
        )

    def _better(self, name: str, value: float) -> float:
        before = self._values.get(name)
        strategy = self.wanted[name]
        if before is None or strategy is MetricStrategyValue.LATEST:
            return value
        if not math.isfinite(value):
            return before
        best = min if strategy is MetricStrategyValue.MIN else max
        return best(before, value) if math.isfinite(before) else value

    def _note_other(self, reading: Reading) -> None:
        name = reading.printed_name
        if reading.value is None or len(self._others) >= MAX_OTHERS or len(name) > MAX_SHOWN_NAME:
            return
        lowered = name.lower()
        if any(text in lowered for text in self._texts):
            self._others[f"{name}{reading.sign}{reading.text}"[: 2 * MAX_SHOWN_NAME]] = None
