"""Parquet for training: as a pandas.DataFrame, or as a tf.data.Dataset that reads as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sparksweep.errors import MissingDependency

if TYPE_CHECKING:
    import numpy
    import pandas

ROWS = 8192
"""Rows that are read at once."""


class Dataset:
    """A Parquet file, or a folder of them, on this node."""

    def __init__(self, path: str, columns: Sequence[str] | None = None) -> None:
        """Look at the files; nothing is read yet.

        Raises:
            KeyError: there is no such column.
        """
        try:
            import pyarrow.dataset
        except ModuleNotFoundError as error:
            raise MissingDependency(
                "pyarrow is not installed. Parquet needs it: pip install 'sparksweep[data]'"
            ) from error
        self._dataset = pyarrow.dataset.dataset(path, format="parquet")
        known = self._dataset.schema.names
        unknown = [name for name in columns or () if name not in known]
        if unknown:
            raise KeyError(f"{path} has no column {unknown[0]!r}; it has {', '.join(known)}")
        self.columns = list(columns) if columns is not None else list(known)
        """The columns that are read."""

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def pandas(self) -> pandas.DataFrame:
        """Everything, in memory."""
        frame: pandas.DataFrame = self._dataset.to_table(columns=self.columns).to_pandas()
        return frame

    def batches(self, rows: int = ROWS) -> Iterator[dict[str, numpy.ndarray]]:
        """The columns as NumPy arrays, so many rows at a time; a column of lists of one length is two-dimensional."""
        for batch in self._dataset.to_batches(columns=self.columns, batch_size=rows):
            if batch.num_rows:
                yield {
                    name: _array(column)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }

    def tf(
        self, label: str | None = None, *, batch_size: int = 32, shuffle: int | None = None
    ) -> Any:
        """A tf.data.Dataset of dictionaries of features, or of pairs of those and the label.

        Args:
            label: the column to predict.
            batch_size: rows of a batch.
            shuffle: a seed; None: in the order of the files.

        Raises:
            MissingDependency: TensorFlow is not installed.
        """
        from sparksweep.data._tensorflow_dataset import dataset_of

        return dataset_of(self, label, batch_size=batch_size, shuffle=shuffle)


def _array(column: Any) -> numpy.ndarray:
    import numpy as np
    import pyarrow as pa

    if pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type):
        return np.stack([np.asarray(row) for row in column.to_numpy(zero_copy_only=False)])
    array: numpy.ndarray = column.to_numpy(zero_copy_only=False)
    return array
