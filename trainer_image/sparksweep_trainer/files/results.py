"""``results.parquet``: a table of a run's trials, one row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sparksweep_core.api.columns import Kind, SearchDescription, columns_of
from sparksweep_core.api.trials import Trial

_TYPES: Mapping[Kind, pa.DataType] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "text": pa.string(),
    "moment": pa.timestamp("ms", tz="UTC"),
}


def write_results(path: Path, described: SearchDescription, trials: Sequence[Trial]) -> None:
    """Write the table atomically."""
    unfinished = path.with_name(f".{path.name}.new")
    pq.write_table(results_table(described, trials), unfinished)
    unfinished.replace(path)


def results_table(described: SearchDescription, trials: Sequence[Trial]) -> pa.Table:
    """Return the trials as a table with the columns of `columns_of`, ordered by number; missing values are null."""
    columns = columns_of(described, trials)
    return pa.table(
        {name: pa.array(column.values, _TYPES[column.kind]) for name, column in columns.items()}
    )
