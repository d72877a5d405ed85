"""Access to files below a directory that others may write to, without ever following a link.

Each part of a path is opened relative to the descriptor of the part before it (openat): the file that was checked is
the file that is opened.
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
    """A file in a listing."""

    path: str
    """Path below the directory that was listed."""
    size: int
    inode: int
    modified_ns: int


@contextmanager
def directory(root: Path, parts: Sequence[str] = (), *, make: bool = False) -> Iterator[int]:
    """Open a directory below `root`, and create it first if `make`.

    Yields:
        Its descriptor.

    Raises:
        OSError: it does not exist, or `root` or a part of the path below is no directory but, for instance, a link.
    """
    current = os.open(root, _DIRECTORY)
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
    """Open a regular file in a directory.

    Yields:
        Its descriptor.

    Raises:
        OSError: it does not exist, or is no regular file.
    """
    descriptor = os.open(name, flags | _FILE, 0o644, dir_fd=parent)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{name} is no regular file")
        yield descriptor
    finally:
        os.close(descriptor)


def listing(parent: int, *, most: int, depth: int) -> list[Entry]:
    """List the regular files below a directory: at most `most`, and at most `depth` levels deep. Links are left out."""
    entries: list[Entry] = []
    _list(parent, "", entries, most=most, depth=depth)
    return entries


def _list(parent: int, prefix: str, entries: list[Entry], *, most: int, depth: int) -> None:
    with os.scandir(parent) as scanned:
        names = sorted(entry.name for entry in scanned)
    for name in names:
        if len(entries) >= most:
            return
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                path = f"{prefix}{name}"
                entries.append(Entry(path, status.st_size, status.st_ino, status.st_mtime_ns))
            elif stat.S_ISDIR(status.st_mode) and depth > 1:
                inner = os.open(name, _DIRECTORY, dir_fd=parent)
                try:
                    _list(inner, f"{prefix}{name}/", entries, most=most, depth=depth - 1)
                finally:
                    os.close(inner)
        except OSError:
            # Removed, or replaced by something else, since it was listed.
            continue


def read_at(descriptor: int, offset: int, count: int) -> bytes:
    """Read `count` bytes from an offset, fewer only at the file's end."""
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
    """Write all of `data` at an offset."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[written:], offset + written
