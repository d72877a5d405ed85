"""Where a run on a cluster is looked at: what the operator, the driver's pod and the command line agree on."""

from __future__ import annotations

VIEWER_CONTAINER = "viewer"
"""The driver pod's second container, which shows the run directory and stays when the driver has ended."""
VIEWER_PORT = 7781
"""Where it is read, from inside the pod only: a forwarded port leads there."""
TENSORBOARD_PORT = 6006
"""Where TensorBoard is, behind a Service."""
FILES_PATH = "/v1/files/"
"""A file below the run directory, or with ``offset`` and ``limit`` a part of it."""
LIST_PATH = "/v1/list/"
"""The files below a directory, as JSON."""
SIZE_HEADER = "X-File-Size"
"""Size of the whole file."""
MAX_PART_BYTES = 4 * 2**20
"""Bytes of one answer; whoever wants more asks for the next part."""
