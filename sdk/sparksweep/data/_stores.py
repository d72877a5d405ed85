"""Remote files by URI, through Arrow's file systems, and through WebHDFS if Hadoop's native client is not installed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sparksweep.errors import MissingDependency

ADVICE = "pip install 'sparksweep[data]'"
CHUNK_BYTES = 8 * 2**20


@dataclass(frozen=True)
class RemoteFile:
    """One remote file, at the time of the request."""

    name: str
    """The path below the URI; empty if the URI is that of the file."""
    size: int
    changed: str
    """The etag, else the modification time: differs if the content differs."""


@dataclass(frozen=True)
class Remote:
    """A remote file or folder."""

    uri: str
    files: tuple[RemoteFile, ...]
    is_folder: bool
    _store: Any = field(repr=False, compare=False)
    _root: str = field(repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def download(self, file: RemoteFile, target: str) -> None:
        """Copy one file to a path.

        Raises:
            OSError: It can't be read, or its size has changed.
        """
        source = f"{self._root.rstrip('/')}/{file.name}" if file.name else self._root
        with self._store.open_input_stream(source) as reader, open(target, "wb") as writer:
            while chunk := reader.read(CHUNK_BYTES):
                writer.write(chunk)
            written = writer.tell()
        if written != file.size:
            raise OSError(
                f"{self.uri}: {file.name or source} has {written} bytes instead of {file.size}: it changed during the download"
            )


def remote(uri: str) -> Remote:
    """Return the file or folder at a URI.

    Raises:
        FileNotFoundError: There is none.
        MissingDependency: The library that reads this kind of URI is not installed.
        OSError: The store does not answer, or refuses.
    """
    store, root = _open(uri)
    from pyarrow import fs

    info = store.get_file_info(root)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(f"{uri} does not exist")
    if info.type == fs.FileType.File:
        changed = _etag(store, root) or str(info.mtime_ns)
        return Remote(uri, (RemoteFile("", info.size, changed),), False, store, root)
    infos = store.get_file_info(fs.FileSelector(root, recursive=True))
    files = tuple(
        RemoteFile(os.path.relpath(item.path, root), item.size, str(item.mtime_ns))
        for item in sorted(infos, key=lambda item: item.path)
        if item.type == fs.FileType.File
    )
    if not files:
        raise FileNotFoundError(f"{uri} is a folder without files")
    return Remote(uri, files, True, store, root)


def _open(uri: str) -> tuple[Any, str]:
    """Return the file system of a URI, and the path in it."""
    scheme = urlsplit(uri).scheme
    try:
        from pyarrow import fs
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"pyarrow is not installed. {scheme}:// needs it: {ADVICE}"
        ) from error
    if scheme in ("webhdfs", "swebhdfs"):
        return _webhdfs(uri)
    if scheme == "hopsfs":
        uri = f"hdfs{uri.removeprefix('hopsfs')}"
    try:
        store, path = fs.FileSystem.from_uri(uri)
    except OSError as error:
        # Arrow searches many paths for the library and for a Java, and its message lists them all.
        why = str(error).partition("\n")[0]
        if not any(word in str(error) for word in ("libhdfs", "libjvm", "JVM")):
            raise
        raise MissingDependency(
            f"{scheme}:// needs Hadoop's native client, libhdfs and its Java, in the trial's image; "
            f"without it write webhdfs://NAMENODE:9870/PATH ({why})"
        ) from error
    except ValueError as error:
        raise OSError(f"{uri}: {error}") from error
    return store, path


def _webhdfs(uri: str) -> tuple[Any, str]:
    """Return a file system for HDFS that uses the name node's REST interface."""
    try:
        from fsspec.implementations.webhdfs import WebHDFS
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"{error.name} is not installed. webhdfs:// needs it: {ADVICE}"
        ) from error
    from pyarrow import fs

    parts = urlsplit(uri)
    store = WebHDFS(
        parts.hostname,
        parts.port or 9870,
        user=parts.username or os.environ.get("HADOOP_USER_NAME"),
        use_https=parts.scheme == "swebhdfs",
    )
    return fs.PyFileSystem(fs.FSSpecHandler(store)), parts.path


def _etag(store: Any, root: str) -> str | None:
    """Return the etag that S3 and compatible stores give to the content; None for other stores."""
    try:
        with store.open_input_stream(root) as stream:
            metadata: Mapping[Any, Any] = stream.metadata() or {}
    except (OSError, NotImplementedError, AttributeError):
        return None
    etag = metadata.get("ETag", metadata.get(b"ETag"))
    return etag.decode() if isinstance(etag, bytes) else etag
