"""The table of a run's trials while it grows: finished trials as compressed blocks, the others as objects.

A hundred thousand trials take some ten megabytes, and writing them all takes no Python code a trial.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sparksweep_core.api.columns import SearchDescription
from sparksweep_core.api.trials import Trial
from sparksweep_trainer.files.results import replacing, results_table

BLOCK = 500
"""Consecutive numbers of trials in a block."""
_AFTER_METRICS = "node"


@dataclass
class _OpenBlock:
    """Trials of a block of which not all have ended."""

    trials: dict[int, Trial] = field(default_factory=dict)
    finished: int = 0

    def put(self, trial: Trial) -> None:
        before = self.trials.get(trial.number)
        self.finished += trial.state.is_finished - (before is not None and before.state.is_finished)
        self.trials[trial.number] = trial


class ResultsTable:
    """Newest state of every trial. Not thread-safe."""

    def __init__(self, described: SearchDescription, *, block: int = BLOCK) -> None:
        """Describe the columns; `block` is the number of trials that are compressed together."""
        self._described = described
        self._block = block
        self._open: dict[int, _OpenBlock] = {}
        self._sealed: dict[int, pa.Buffer] = {}
        self._types = _types(results_table(described, []))
        self._options = pa.ipc.IpcWriteOptions(compression="zstd")

    def put(self, trial: Trial) -> None:
        """Add a trial, or replace its state. One whose whole block has ended stays as it is."""
        index = (trial.number - 1) // self._block
        if index in self._sealed:
            return
        block = self._open.setdefault(index, _OpenBlock())
        block.put(trial)
        if block.finished == self._block:
            self._seal(index)

    def write(self, path: Path) -> None:
        """Write ``results.parquet`` atomically, with the columns of `results_table`, by number.

        Raises:
            OSError: it can't be written; the file before it stays.
        """
        still_open = {index: self._table(block) for index, block in self._open.items()}
        for table in still_open.values():
            self._take_types(table)
        schema = self._schema()
        with replacing(path) as unfinished, pq.ParquetWriter(unfinished, schema) as writer:
            for index in sorted([*self._sealed, *still_open]):
                table = still_open[index] if index in still_open else self._read(index)
                writer.write_table(_conformed(table, schema))

    @property
    def held_bytes(self) -> int:
        """Bytes of the compressed blocks."""
        return sum(buffer.size for buffer in self._sealed.values())

    def _seal(self, index: int) -> None:
        table = self._table(self._open.pop(index))
        self._take_types(table)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=self._options) as writer:
            writer.write_table(table)
        self._sealed[index] = sink.getvalue()

    def _read(self, index: int) -> pa.Table:
        return pa.ipc.open_stream(self._sealed[index]).read_all()

    def _table(self, block: _OpenBlock) -> pa.Table:
        return results_table(
            self._described, [block.trials[number] for number in sorted(block.trials)]
        )

    def _take_types(self, table: pa.Table) -> None:
        for name, kind in _types(table).items():
            self._types[name] = _wider(self._types.get(name, kind), kind)

    def _schema(self) -> pa.Schema:
        """Return the schema of all blocks: metrics that no objective names are sorted, and follow those it names."""
        expected = results_table(self._described, []).column_names
        split = expected.index(_AFTER_METRICS)
        others = sorted(self._types.keys() - set(expected))
        names = [*expected[:split], *others, *expected[split:]]
        return pa.schema([(name, self._types[name]) for name in names])


def _types(table: pa.Table) -> dict[str, pa.DataType]:
    return {item.name: item.type for item in table.schema}


def _wider(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Return the type that holds the values of both: large integers take as many digits as they need, or text."""
    return max(one, other, key=_width)


def _width(kind: pa.DataType) -> int:
    if pa.types.is_string(kind):
        return 2
    return int(pa.types.is_decimal256(kind))


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the table with the columns of a schema; those that it lacks are null."""
    present = set(table.column_names)
    return pa.table([_column(table, item, present) for item in schema], schema=schema)


def _column(table: pa.Table, item: pa.Field, present: set[str]) -> pa.ChunkedArray | pa.Array:
    if item.name not in present:
        return pa.nulls(table.num_rows, item.type)
    return table[item.name].cast(item.type)
