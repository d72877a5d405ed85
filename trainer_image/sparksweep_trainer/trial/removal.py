"""Removal of directories that trials have filled, whatever their depth and modes."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OWNERS = stat.S_IRWXU


def remove_tree(path: Path) -> bool:
    """Remove a file, a link, or a directory with all that is in it; follow no link.

    A trial may nest directories deeper than Python recurses and than a path may be long, and take its own permissions
    away. So each directory is made accessible, and moved to the top before it is emptied.

    Returns:
        True if nothing is left. Files of other users may be.
    """
    try:
        is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
        if not is_directory:
            os.unlink(path)
    except OSError:
        return not os.path.lexists(path)
    if not is_directory:
        return True
    waiting, moved = [os.fspath(path)], 0
    while waiting:
        directory = waiting.pop()
        with suppress(OSError):
            os.chmod(directory, _OWNERS)
        for name, is_child in _entries(directory):
            entry = os.path.join(directory, name)
            with suppress(OSError):
                if not is_child:
                    os.unlink(entry)
                    continue
                if directory != os.fspath(path):
                    # A directory that may not be written to can't be moved: its ".." changes.
                    os.chmod(entry, _OWNERS)
                    top = os.path.join(path, f".removed-{os.getpid()}-{moved}")
                    moved += 1
                    os.rename(entry, top)
                    entry = top
                waiting.append(entry)
        if directory != os.fspath(path):
            with suppress(OSError):
                os.rmdir(directory)
    with suppress(OSError):
        os.rmdir(path)
    return not os.path.lexists(path)


def _entries(directory: str) -> list[tuple[str, bool]]:
    """Return the names in a directory, each with True if it is a directory itself."""
    try:
        with os.scandir(directory) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []
