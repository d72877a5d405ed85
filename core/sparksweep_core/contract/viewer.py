"""HTTP requests that a viewer answers: the command line reads the run directory with them. Imports nothing."""

from __future__ import annotations

HEALTH_PATH = "/healthz"
"""``ok``, as long as the viewer answers."""
FILES_PATH = "/v1/files/"
"""Before the path of a file below the run directory: its bytes, or with ``offset`` and ``limit`` a part of them."""
LIST_PATH = "/v1/list/"
"""Before the path of a directory: the files below it, as JSON."""
SIZE_HEADER = "X-File-Size"
"""Size of the whole file, in bytes."""
MAX_PART_BYTES = 4 * 2**20
"""Bytes of one response, at most; a client asks for the next part."""
