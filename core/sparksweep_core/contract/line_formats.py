"""Formats of the lines in a trial's files, each with its writer and its reader. Standard library only: trials import it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


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


def report_line(step: int, moment: float, metrics: Mapping[str, float | None]) -> str:
    """Format a line of ``metrics.jsonl``; a metric of None stands for NaN or an infinity."""
    return json.dumps({"step": step, "time": moment, "metrics": dict(metrics)}) + "\n"


def parse_report_line(line: bytes) -> tuple[Any, Any, Any]:
    """Parse a line of ``metrics.jsonl``: step, seconds since 1970 and metrics, of any type: a trial may write anything.

    Raises:
        KeyError, RecursionError, TypeError, ValueError: The line is no report.
    """
    report = json.loads(line)
    return report["step"], report["time"], report["metrics"]
