"""Opens files below a directory without ever following a link, whoever else may write there.

Every step is taken from the descriptor of the one before: what is checked is what is opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, as a listing shows it."""

    path: str
    """Below the directory that was listed."""
    size: int
    inode: int
    modified_ns: int


@contextmanager
def directory(root: Path, parts: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """The descriptor of a directory below `root`; `make` makes it.

    Raises:
        OSError: it is not there, or something on the way is no directory: a link, for instance.
    """
    current = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=current)
            following = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = following
        yield current
    finally:
        os.close(current)


@contextmanager
def regular_file(parent: int, name: str, flags: int) -> Iterator[int]:
    """The descriptor of a regular file in a directory.

    Raises:
        OSError: it is not there, or no regular file.
    """
    descriptor = os.open(name, flags | _FILE, 0o644, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{name} is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def listing(parent: int, *, most: int, depth: int) -> list[Entry]:
    """The regular files below a directory: at most so many, and no deeper than that. Links are left out."""
    found: list[Entry] = []
    _list(parent, "", found, most=most, depth=depth)
    return found


def _list(parent: int, prefix: str, found: list[Entry], *, most: int, depth: int) -> None:
    with os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        if len(found) >= most:
            return
        try:
            seen = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(seen.st_mode):
                path = f"{prefix}{name}"
                found.append(Entry(path, seen.st_size, seen.st_ino, seen.st_mtime_ns))
            elif stat.S_ISDIR(seen.st_mode) and depth > 1:
                inner = os.open(name, _DIRECTORY, dir_fd=parent)
                try:
                    _list(inner, f"{prefix}{name}/", found, most=most, depth=depth - 1)
                finally:
                    os.close(inner)
        except OSError:
            # Removed, or replaced by something else, since it was seen.
            continue


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """So many bytes from an offset, fewer only at the file's end."""
    blocks: list[bytes] = []
    while count > 0:
        block = os.pread(descriptor, count, offset)
        if not block:
            break
        blocks.append(block)
        offset += len(block)
        count -= len(block)
    return b"".join(blocks)


def write_at(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of it at an offset."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
