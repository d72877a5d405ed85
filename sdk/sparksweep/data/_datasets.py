"""Parquet files as a pandas.DataFrame, as batches of arrays, or as a tf.data.Dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from sparksweep.errors import MissingDependency

if TYPE_CHECKING:
    import numpy
    import pandas

ROWS = 8192
"""Default number of rows in a batch."""


class Dataset:
    """A Parquet file, or a folder of them, on this node."""

    def __init__(self, path: str, columns: Sequence[str] | None = None) -> None:
        """Read the files' schema, but no rows.

        Args:
            path: A local file or folder.
            columns: The columns to read; None: all.

        Raises:
            KeyError: There is no such column.
            MissingDependency: pyarrow is not installed.
        """
        try:
            import pyarrow.dataset
        except ModuleNotFoundError as error:
            raise MissingDependency(
                "pyarrow is not installed. Parquet needs it: pip install 'sparksweep[data]'"
            ) from error
        self._dataset = pyarrow.dataset.dataset(path, format="parquet")
        names = self._dataset.schema.names
        missing = [name for name in columns or () if name not in names]
        if missing:
            raise KeyError(f"{path} has no column {missing[0]!r}; it has {', '.join(names)}")
        self.columns = list(columns) if columns is not None else list(names)
        """The columns that are read."""

    def __len__(self) -> int:
        return int(self._dataset.count_rows())

    def pandas(self) -> pandas.DataFrame:
        """Return all rows as a DataFrame.

        Raises:
            MissingDependency: pandas is not installed.
        """
        if find_spec("pandas") is None:
            raise MissingDependency(
                "pandas is not installed. A DataFrame needs it: pip install 'sparksweep[notebook]'"
            )
        frame: pandas.DataFrame = self._dataset.to_table(columns=self.columns).to_pandas()
        return frame

    def batches(self, rows: int = ROWS) -> Iterator[dict[str, numpy.ndarray]]:
        """Yield batches of rows.

        Args:
            rows: The largest number of rows in a batch.

        Yields:
            NumPy arrays by column: of shape (rows,), or (rows, length) for a column of lists of one length.
        """
        for batch in self._dataset.to_batches(columns=self.columns, batch_size=rows):
            if batch.num_rows:
                yield {
                    name: _array(column)
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                }

    def tf(
        self, label: str | None = None, *, batch_size: int = 32, shuffle: int | None = None
    ) -> Any:
        """Return a tf.data.Dataset that reads the files in batches.

        Args:
            label: The column to predict.
            batch_size: The number of rows in a batch.
            shuffle: A seed to shuffle rows with; None: in the order of the files.

        Returns:
            A dataset of dictionaries of features by column; with a label, of pairs of features and label.

        Raises:
            KeyError: There is no such column as the label.
            MissingDependency: TensorFlow is not installed.
            ValueError: The files have no rows.
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
