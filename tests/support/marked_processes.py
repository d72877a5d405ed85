"""Processes that a test started and did not end, found by an environment variable that only they inherit.

Not even the tests' own cluster, which is their child as well: only what gets `ENVIRONMENT` is marked.
"""

from __future__ import annotations

import uuid
from pathlib import Path

# Not one of ours by its name: those a trial does not inherit.
ENVIRONMENT = {"MARK_OF_A_TEST": uuid.uuid4().hex}


def marked_processes() -> list[int]:
    """Return the processes that were started with the mark, and their descendants."""
    ((name, value),) = ENVIRONMENT.items()
    mark = f"{name}={value}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found
