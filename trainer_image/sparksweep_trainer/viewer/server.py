"""Reads the run directory over HTTP, a part of a file at a time: ``GET /v1/files/trials/0007/stdout.log?offset=4096``.

It listens on the loopback address alone: who may forward a port to the pod may read, and nobody else.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from sparksweep_core.contract.viewer import FILES_PATH, LIST_PATH, MAX_PART_BYTES, SIZE_HEADER
from sparksweep_trainer.files import openat

log = logging.getLogger(__name__)

MAX_LISTED = 10_000


@dataclass(frozen=True)
class Found:
    """An answer."""

    body: bytes
    kind: str = "application/octet-stream"
    size: int | None = None
    """Size of the whole file."""
    status: HTTPStatus = HTTPStatus.OK


class ViewerServer:
    """Serves a directory, and nothing outside it, until closed."""

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._http = _Server((host, port), _handler(directory))
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.2},
            name="viewer",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Log a broken connection instead of printing it."""
        log.debug("connection of %s broke", client_address, exc_info=True)


def _handler(root: Path) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        timeout = 300

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            try:
                found = _find(root, unquote(parts.path), parse_qs(parts.query))
            except (OSError, ValueError):
                found = Found(b"there is no such file\n", status=HTTPStatus.NOT_FOUND)
            self.send_response(found.status)
            # What trials wrote is data: no browser is to show it as a page of ours.
            self.send_header("Content-Type", found.kind)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Content-Length", str(len(found.body)))
            if found.size is not None:
                self.send_header(SIZE_HEADER, str(found.size))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler


def _find(root: Path, path: str, query: dict[str, list[str]]) -> Found:
    """What there is at a path.

    Raises:
        OSError: nothing.
        ValueError: nothing that may be asked for.
    """
    if path == "/healthz":
        return Found(b"ok\n")
    if path.startswith(FILES_PATH):
        return _file(root, _segments(path.removeprefix(FILES_PATH)), query)
    if path.startswith(LIST_PATH):
        return _list(root, _segments(path.removeprefix(LIST_PATH)))
    raise ValueError(path)


def _file(root: Path, path: list[str], query: dict[str, list[str]]) -> Found:
    if not path:
        raise ValueError("no file is named")
    offset, limit = _number(query, "offset", 0), _number(query, "limit", MAX_PART_BYTES)
    with (
        openat.directory(root, path[:-1]) as parent,
        openat.regular_file(parent, path[-1], os.O_RDONLY) as file,
    ):
        size = os.fstat(file).st_size
        count = max(0, min(limit, MAX_PART_BYTES, size - offset))
        return Found(openat.read_at(file, offset, count), size=size)


def _list(root: Path, path: list[str]) -> Found:
    with openat.directory(root, path) as directory:
        entries = openat.listing(directory, most=MAX_LISTED, depth=20)
    listed = [{"path": entry.path, "size": entry.size} for entry in entries]
    return Found(json.dumps(listed).encode(), kind="application/json")


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
