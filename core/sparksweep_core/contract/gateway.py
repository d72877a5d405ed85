"""The gateway to the viewers of a namespace: the SDK asks it by HTTP's CONNECT, over a port forwarded to its pod.

RBAC names a pod, not a container or a port. The gateway's pod has a fixed name, so the right to forward ports to it is no
right to forward ports to others, and the gateway connects to viewers and nothing else.
"""

from __future__ import annotations

import re

GATEWAY_NAME = "sparksweep-viewer"
"""Name of the gateway's StatefulSet, service account and role."""
GATEWAY_POD = f"{GATEWAY_NAME}-0"
"""The gateway's pod, the same in every namespace: users' roles name it."""
TENSORBOARD_SERVICE = "tensorboard"
VIEWER_SERVICE = "viewer"
"""Services of an Experiment that can be reached."""
MAX_HEAD_BYTES = 2000
"""Bytes of a request's or a response's head, at most."""
HEAD_END = b"\r\n\r\n"

_REQUEST_LINE = re.compile(r"CONNECT ([a-z](?:[-a-z0-9]{0,38}[a-z0-9])?)/([a-z]+) HTTP/1\.[01]")
_STATUS_LINE = re.compile(r"HTTP/1\.[01] ([0-9]{3})(?: .*)?")


def connect_request(experiment: str, service: str) -> bytes:
    """Return the request for a connection."""
    return f"CONNECT {experiment}/{service} HTTP/1.1\r\nHost: {GATEWAY_POD}\r\n\r\n".encode()


def parse_request(head: bytes) -> tuple[str, str]:
    """Return the Experiment's name and the service of a request's head.

    Raises:
        ValueError: it asks for something else.
    """
    line = head.partition(b"\r\n")[0].decode("ascii", "replace")
    match = _REQUEST_LINE.fullmatch(line)
    if match is None or match[2] not in (VIEWER_SERVICE, TENSORBOARD_SERVICE):
        raise ValueError(
            f"{line[:100]!r}: ask with CONNECT EXPERIMENT/{VIEWER_SERVICE} or EXPERIMENT/{TENSORBOARD_SERVICE}"
        )
    return match[1], match[2]


def parse_status(head: bytes) -> int:
    """Return the status of a response's head.

    Raises:
        ValueError: it is no response.
    """
    match = _STATUS_LINE.fullmatch(head.partition(b"\r\n")[0].decode("ascii", "replace"))
    if match is None:
        raise ValueError(f"{head[:100]!r} is no HTTP response")
    return int(match[1])
