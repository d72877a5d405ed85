"""Formats of the lines in a trial's files, each with its writer and its reader. Standard library only: trials import it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from sparksweep_core.metric_names import is_metric_name

MAX_REPORT_BYTES = 64 * 1024
"""Bytes of a line of ``metrics.jsonl``, its end included."""
MAX_STEP = 2**53
"""The step of a report lies between this and its negative, exclusively."""


def times_line(moment: float, stream: str, offset: int) -> bytes:
    """Format a line of ``output.times``: the stream's log from byte `offset` on was printed at `moment`, or later."""
    return f"{moment:.3f} {stream} {offset}\n".encode()


def parse_times_line(line: bytes) -> tuple[float, str, int]:
    """Parse a line of ``output.times``, without its end: seconds since 1970, stream, offset.

    Raises:
        ValueError: The line is damaged.
    """
    moment, stream, offset = line.split()
    return float(moment), stream.decode(), int(offset)


def note_line(moment: float, text: str) -> bytes:
    """Format a line of ``sparksweep.log``; line breaks in `text` become blanks."""
    return f"{moment:.3f} {' '.join(text.split())}\n".encode()


def parse_note_line(line: bytes) -> tuple[float, bytes]:
    """Parse a line of ``sparksweep.log``, without its end: seconds since 1970, text.

    Raises:
        ValueError: The line is damaged.
    """
    moment, _, text = line.partition(b" ")
    return float(moment), text


def report_line(step: int, moment: float, metrics: Mapping[str, float]) -> str:
    """Format a line of ``metrics.jsonl``; JSON has no NaN and no infinities, so that their names stand for them."""
    values = {
        name: value if math.isfinite(value) else _NAMES[str(value)]
        for name, value in metrics.items()
    }
    return json.dumps({"step": step, "time": moment, "metrics": values}) + "\n"


_YEAR_10000 = 253_402_300_800
_NAMES = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def parse_report_line(line: bytes) -> tuple[int, float, dict[str, float]]:
    """Parse a line of ``metrics.jsonl``: step, seconds since 1970 and metrics. Values that are no numbers are left out.

    Raises:
        ValueError: The line is no report: a trial may write anything.
    """
    try:
        report = json.loads(line)
        step, moment, metrics = report["step"], report["time"], report["metrics"]
        values = {
            name: number
            for name, value in metrics.items()
            if is_metric_name(name) and (number := _number(value)) is not None
        }
    except (KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError("no report") from error
    if type(step) is not int or abs(step) >= MAX_STEP:
        raise ValueError("no step")
    if type(moment) not in (int, float) or not 0 <= moment < _YEAR_10000:
        raise ValueError("no time")
    return step, float(moment), values


def _number(value: object) -> float | None:
    """Return a reported value as a number; null is how earlier versions wrote NaN and infinities."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        return float(value) if value in _NAMES.values() else None
    return float(value) if type(value) in (int, float) else None  # type: ignore[arg-type]
