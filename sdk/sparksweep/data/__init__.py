"""Training data of any store as local files: ``data.path("Resources/train.tfrecords")`` returns a local path.

    from sparksweep import data

    with open(data.path("Resources/train.csv")) as file: ...
    images = data.dataset("s3://bucket/digits.parquet").pandas()

For training code: pyarrow is imported only when data is remote.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sparksweep import hdfs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sparksweep.data._datasets import Dataset

__all__ = ["dataset", "path"]


def path(where: str | os.PathLike[str]) -> str:
    """Return a local path of a file or folder: its own path, or that of a copy in this node's cache.

    A copy is fetched once for all trials of the node, and again when the original's size, modification time or etag
    has changed. The cache is the directory SPARKSWEEP_DATA_CACHE (by default one in the temporary directory). It takes
    at most SPARKSWEEP_DATA_CACHE_SIZE ("10Gi" by default); the least recently used copies are removed to make room.

    Args:
        where: A path, relative to `hdfs.project_path` unless it begins with ``/``; or a URI: ``s3://``, ``gs://``,
            ``hdfs://``, ``webhdfs://``, ``abfs://``, ``file://``.

    Returns:
        The path. A copy is not removed while this process runs.

    Raises:
        FileNotFoundError: There is no such file or folder; the message names its full path or URI.
        MissingDependency: The library that reads this kind of URI is not installed.
        OSError: It can't be read, or does not fit into the cache.
    """
    given = os.fspath(where)
    whole = given if os.path.isabs(given) or urlsplit(given).scheme else hdfs.project_path() + given
    parts = urlsplit(whole)
    if parts.scheme in ("", "file"):
        local = parts.path if parts.scheme else whole
        if not os.path.exists(local):
            raise FileNotFoundError(f"{local} does not exist")
        return local
    from sparksweep.data._cache import Cache
    from sparksweep.data._stores import remote

    return Cache.of_this_node().fetch(remote(whole))


def dataset(where: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Dataset:
    """Open a Parquet file, or a folder of Parquet files.

    Args:
        where: A path or URI, as for `path`.
        columns: The columns to read; None: all.

    Returns:
        A dataset that reads as a DataFrame, as batches of arrays, or as a tf.data.Dataset.

    Raises:
        FileNotFoundError: There is no such file or folder.
        KeyError: There is no such column.
        MissingDependency: pyarrow is not installed.
    """
    from sparksweep.data._datasets import Dataset

    return Dataset(path(where), columns)
