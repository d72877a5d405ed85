"""The run directory over HTTP, read-only, in parts of files: ``GET /v1/files/trials/0007/stdout.log?offset=4096``.

The server listens on the loopback address alone: reading it takes the right to forward a port to the pod.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sparksweep_core.contract.viewer import (
    FILES_PATH,
    HEALTH_PATH,
    LIST_PATH,
    MAX_PART_BYTES,
    SIZE_HEADER,
)
from sparksweep_trainer.files import openat
from sparksweep_trainer.http_server.connections import Bounds
from sparksweep_trainer.http_server.head import Head, Refused
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.server import HttpServer

MAX_LISTED = 10_000
BOUNDS = Bounds(connections=128, strangers=64, strangers_of_address=64, idle_s=300.0)
"""Every reader comes from the loopback address: ports are forwarded to it."""


@dataclass(frozen=True)
class Answer:
    """The response to a request."""

    body: bytes
    content_type: str = "application/octet-stream"
    size: int | None = None
    """Size of the whole file."""
    status: HTTPStatus = HTTPStatus.OK


class ViewerServer(HttpServer):
    """Serves a directory, and nothing outside it, from construction until closed."""

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Serve at once; see `HttpServer`."""
        super().__init__(
            _ViewerApplication(directory), host=host, port=port, name="viewer", bounds=BOUNDS
        )


class _ViewerApplication:
    """Answers from a directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def admit(self, head: Head) -> Admission:
        """Admit every GET: whoever reaches the loopback address may read."""
        if head.method != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{head.method}: files are read by GET")
        return Admission()

    def handle(self, request: Request, server: HttpServer) -> None:
        """Read in another thread: a disk may be slow."""
        server.run_in_thread(request, lambda: self._answer(request.head.target))

    def _answer(self, target: str) -> Response:
        parts = urlsplit(target)
        try:
            answer = _respond(self._root, unquote(parts.path), parse_qs(parts.query))
        except (OSError, ValueError):
            answer = Answer(b"there is no such file\n", status=HTTPStatus.NOT_FOUND)
        # Trials' files are data: a browser must not render them as pages of this server.
        headers = {"X-Content-Type-Options": "nosniff"}
        if answer.size is not None:
            headers[SIZE_HEADER] = str(answer.size)
        return Response(answer.body, answer.content_type, answer.status, headers)


def _respond(root: Path, path: str, query: dict[str, list[str]]) -> Answer:
    """Return the response to a request for a path.

    Raises:
        OSError: the path does not exist.
        ValueError: the path may not be read.
    """
    if path == HEALTH_PATH:
        return Answer(b"ok\n")
    if path.startswith(FILES_PATH):
        return _file(root, _segments(path.removeprefix(FILES_PATH)), query)
    if path.startswith(LIST_PATH):
        return _list(root, _segments(path.removeprefix(LIST_PATH)))
    raise ValueError(path)


def _file(root: Path, path: list[str], query: dict[str, list[str]]) -> Answer:
    if not path:
        raise ValueError("no file is named")
    offset, limit = _number(query, "offset", 0), _number(query, "limit", MAX_PART_BYTES)
    with (
        openat.directory(root, path[:-1]) as parent,
        openat.regular_file(parent, path[-1], os.O_RDONLY) as file,
    ):
        size = os.fstat(file).st_size
        count = max(0, min(limit, MAX_PART_BYTES, size - offset))
        return Answer(openat.read_at(file, offset, count), size=size)


def _list(root: Path, path: list[str]) -> Answer:
    with openat.directory(root, path) as directory:
        entries = openat.listing(directory, most=MAX_LISTED, depth=20)
    listed = [{"path": entry.path, "size": entry.size} for entry in entries]
    return Answer(json.dumps(listed).encode(), content_type="application/json")


def _segments(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part]
    if any(part.startswith(".") or "\0" in part for part in parts):
        raise ValueError("hidden, or goes up")
    return parts


def _number(query: dict[str, list[str]], name: str, default: int) -> int:
    text = query.get(name, [str(default)])[0]
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError(f"{name} is no number")
    return int(text)
