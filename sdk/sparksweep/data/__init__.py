"""Training data for a trial, wherever it is kept: ``data.path("Resources/train.tfrecords")`` is a path that anything can open.

    from sparksweep import data

    with open(data.path("Resources/train.csv")) as file: ...
    images = data.dataset("s3://bucket/digits.parquet").pandas()

For training code: what `path` needs for a local file is in the standard library; pyarrow is imported when data is remote.
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
    """A local path of a file or folder: itself, or a copy that is kept on this node.

    A copy is fetched once however many trials ask for it, and again when the original has another size, time or etag.
    Copies are in the directory SPARKSWEEP_DATA_CACHE (by default one in the temporary directory) and take at most
    SPARKSWEEP_DATA_CACHE_SIZE ("10Gi" by default): those that were not used for longest make room.

    Args:
        where: a path, relative to `hdfs.project_path` unless it begins with ``/``; or a URI: ``s3://``, ``gs://``,
            ``hdfs://``, ``webhdfs://``, ``abfs://``, ``file://``.

    Raises:
        FileNotFoundError: there is nothing; the error names where it was looked for.
        MissingDependency: what reads this kind of URI is not installed.
        OSError: it can't be read, or does not fit.
    """
    given = os.fspath(where)
    whole = given if os.path.isabs(given) or urlsplit(given).scheme else hdfs.project_path() + given
    parts = urlsplit(whole)
    if parts.scheme in ("", "file"):
        found = parts.path if parts.scheme else whole
        if not os.path.exists(found):
            raise FileNotFoundError(f"{found} does not exist")
        return found
    from sparksweep.data._cache import Cache
    from sparksweep.data._stores import remote

    return Cache.of_this_node().fetch(remote(whole))


def dataset(where: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Dataset:
    """A Parquet file, or a folder of them, as a DataFrame or as a tf.data.Dataset.

    Args:
        where: as `path` takes it.
        columns: those to read; None: all.

    Raises:
        FileNotFoundError: there is nothing.
        MissingDependency: pyarrow is not installed.
    """
    from sparksweep.data._datasets import Dataset

    return Dataset(path(where), columns)
