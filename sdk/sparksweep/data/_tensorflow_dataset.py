"""A tf.data.Dataset of Parquet files. Alone imports TensorFlow, which comes with the trial's image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from sparksweep.errors import MissingDependency

if TYPE_CHECKING:
    from sparksweep.data._datasets import Dataset

SHUFFLED_ROWS = 10_000
"""Size of the shuffle buffer, in rows."""


def dataset_of(data: Dataset, label: str | None, *, batch_size: int, shuffle: int | None) -> Any:
    """See `Dataset.tf`."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise MissingDependency("TensorFlow is not installed: use an image that has it") from error
    first = next(data.batches(1), None)
    if first is None:
        raise ValueError("the dataset has no rows")
    if label is not None and label not in first:
        raise KeyError(f"there is no column {label!r}; there are {', '.join(first)}")
    signature = {
        name: tf.TensorSpec(
            (None, *array.shape[1:]), tf.as_dtype(array.dtype if array.dtype != object else str)
        )
        for name, array in first.items()
    }

    def batches() -> Iterator[Any]:
        yield from data.batches()

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature).unbatch()
    if shuffle is not None:
        dataset = dataset.shuffle(SHUFFLED_ROWS, seed=shuffle)
    if label is not None:
        dataset = dataset.map(
            lambda row: ({k: v for k, v in row.items() if k != label}, row[label])
        )
    return dataset.batch(batch_size).prefetch(tf.data.AUTOTUNE)
