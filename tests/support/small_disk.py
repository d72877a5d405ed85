"""A disk of a megabyte that a test fills: a tmpfs, which root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

FILLER = "filler"


@contextmanager
def small_disk(path: Path, *, kibibytes: int = 1024) -> Iterator[Path]:
    """Mount a small tmpfs for the duration of a block; skip the test where that is not allowed."""
    path.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a tmpfs can be mounted by root alone")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kibibytes}k,mode=755", "tmpfs", str(path)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> None:
    """Write until nothing more fits."""
    with (disk / FILLER).open("ab", buffering=0) as file:
        for size in (4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


def free(disk: Path) -> None:
    """Give the room back."""
    (disk / FILLER).unlink()
