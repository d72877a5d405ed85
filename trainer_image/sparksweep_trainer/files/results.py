"""``results.parquet``: a table of a run's trials, one row each."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sparksweep_core.api.columns import Column, Kind, SearchDescription, columns_of
from sparksweep_core.api.trials import Trial
from sparksweep_trainer.files import openat

_TYPES: Mapping[Kind, pa.DataType] = {
    "int": pa.int64(),
    "unsigned": pa.uint64(),
    "float": pa.float64(),
    "text": pa.string(),
    "moment": pa.timestamp("ms", tz="UTC"),
}
_DIGITS, _MOST_DIGITS = 38, 76
"""Digits of Arrow's two types of decimals."""
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def write_results(path: Path, described: SearchDescription, trials: Sequence[Trial]) -> None:
    """Write the table atomically.

    Raises:
        OSError: it can't be written.
    """
    with replacing(path) as unfinished:
        pq.write_table(results_table(described, trials), unfinished)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Yield a new file, which then replaces `path`; nothing of it stays if it can't be written. No link is followed.

    Raises:
        OSError: it can't be written.
    """
    unfinished = f".{path.name}.new"
    with openat.directory(path.parent.resolve()) as parent:
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=parent)
        try:
            with (
                openat.regular_file(parent, unfinished, _NEW) as descriptor,
                open(descriptor, "wb", closefd=False) as file,
            ):
                yield file
            os.rename(unfinished, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=parent)
            raise


def results_table(described: SearchDescription, trials: Sequence[Trial]) -> pa.Table:
    """Return the trials as a table with the columns of `columns_of`, ordered by number; missing values are null."""
    columns = columns_of(described, trials)
    return pa.table({name: _array(column) for name, column in columns.items()})


def _array(column: Column) -> pa.Array:
    """Return a column with exact values: integers beyond 64 bits are decimals, or text where those end.

    Integers beside floats that no float column holds are text, too.
    """
    if column.kind == "mixed":
        return pa.array([_text(value) for value in column.values], pa.string())
    if column.kind != "large":
        return pa.array(column.values, _TYPES[column.kind])
    digits = max((len(str(abs(value))) for value in column.values if value is not None), default=1)
    if digits > _MOST_DIGITS:
        return pa.array([_text(value) for value in column.values], pa.string())
    # All runs of one search have the same type, unless they need more digits.
    decimal = pa.decimal128(_DIGITS) if digits <= _DIGITS else pa.decimal256(_MOST_DIGITS)
    return pa.array([None if v is None else Decimal(v) for v in column.values], decimal)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
