"""Parquet as a DataFrame and as a tf.data.Dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksweep import data


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Write twenty rows in two files: an image as a list, a number, a label."""
    folder = tmp_path / "digits"
    folder.mkdir()
    for part in range(2):
        rows = range(part * 10, part * 10 + 10)
        table = pa.table(
            {
                "image": pa.array([[float(row)] * 4 for row in rows], pa.list_(pa.float32(), 4)),
                "weight": pa.array([row / 2 for row in rows], pa.float64()),
                "label": pa.array(list(rows), pa.int64()),
            }
        )
        pq.write_table(table, folder / f"{part}.parquet")
    return folder


def test_a_folder_is_one_data_frame(digits: Path) -> None:
    found = data.dataset(digits, columns=["label", "weight"])
    assert len(found) == 20
    frame = found.pandas()
    assert frame.columns.tolist() == ["label", "weight"]
    assert frame["label"].tolist() == list(range(20))


def test_batches_are_arrays_and_lists_have_a_second_dimension(digits: Path) -> None:
    batches = list(data.dataset(digits).batches(rows=6))
    assert sum(len(batch["label"]) for batch in batches) == 20
    assert batches[0]["image"].shape == (6, 4)
    assert batches[0]["image"].dtype == np.float32


def test_a_column_that_is_not_there_is_named(digits: Path) -> None:
    with pytest.raises(KeyError, match="has no column 'labels'; it has image, weight, label"):
        data.dataset(digits, columns=["labels"])


@pytest.mark.xdist_group("tensorflow")
def test_tensorflow_gets_features_and_labels_in_batches(digits: Path) -> None:
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
    found: Any = data.dataset(digits).tf(label="label", batch_size=8)
    batches = list(found)
    features, labels = batches[0]
    assert features["image"].shape == (8, 4)
    assert set(features) == {"image", "weight"}
    assert [int(label) for _, batch in batches for label in batch] == list(range(20))
    shuffled = [
        int(x) for _, batch in data.dataset(digits).tf(label="label", shuffle=1) for x in batch
    ]
    assert sorted(shuffled) == list(range(20))
    assert shuffled != list(range(20))
    assert labels.dtype.name == "int64"
