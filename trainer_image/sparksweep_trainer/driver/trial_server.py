"""The trial server: the trial service over HTTP, for slots that hold the experiment's token.

One path per request of ``protocol.py``, JSON in and out, each with a bound. The token is checked before a body is read,
so whoever lacks it cannot make the driver parse anything.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import (
    MAX_CHUNK_BYTES,
    MAX_REQUEST_BYTES,
    Chunk,
    ChunkTaken,
    Heartbeat,
    Refusal,
    Report,
    SlotHello,
    SlotRef,
    Taken,
)

log = logging.getLogger(__name__)

HOLD_S = 10.0
"""Seconds that a question is held back while there is nothing to say. Slots wait longer than this for an answer."""

FILES_AT_ONCE = 8
"""Parts of files that are in memory at once, however many slots send some."""
FILES_PATIENCE_S = 20.0
"""Seconds that a part of a file waits for its turn, before the slot is asked to try again."""
FILES_PATH = "/v1/files"

Request = TypeVar("Request", bound=BaseModel)


class TrialServer:
    """Serves one experiment's trials to its slots until closed."""

    def __init__(
        self,
        service: TrialService,
        *,
        files: FileStore | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Serve at once; without `files` slots can't send any."""
        self.token = secrets.token_urlsafe(32)
        handler = _handler(service, files, self.token)
        self._http = _Server((host, port), handler)
        self._thread = threading.Thread(
            target=self._http.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="trial-server",
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._http.server_address[1])

    def close(self) -> None:
        """Stop listening. Requests under way end by themselves."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # A thousand slots may start within a second.
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Log a broken connection instead of printing it: slots come and go."""
        log.debug("connection of %s broke", client_address, exc_info=True)


def _handler(
    service: TrialService, files: FileStore | None, token: str
) -> type[BaseHTTPRequestHandler]:
    routes: dict[str, Callable[[bytes], BaseModel]] = {
        "/v1/hello": _route(SlotHello, service.hello),
        "/v1/next": _route(SlotRef, lambda ref: service.next(ref.slot, HOLD_S)),
        "/v1/passed": _route(SlotRef, lambda ref: Taken(taken=service.passed(ref.slot))),
        "/v1/refuse": _route(Refusal, lambda no: Taken(taken=service.refuse(no.slot, no.message))),
        "/v1/report": _route(Report, lambda report: Taken(taken=service.report(report))),
        "/v1/heartbeat": _route(Heartbeat, lambda beat: service.heartbeat(beat, HOLD_S)),
    }
    if files is not None:
        routes[FILES_PATH] = _file_route(service, files)
    turns = threading.BoundedSemaphore(FILES_AT_ONCE)
    expected = f"Bearer {token}".encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in one segment, at once: else Nagle's algorithm and the slot's delayed
        # acknowledgement cost 40 ms an answer.
        wbufsize = -1
        disable_nagle_algorithm = True
        timeout = 60

        def do_POST(self) -> None:
            given = self.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                self._refuse(HTTPStatus.UNAUTHORIZED, "wrong or missing token")
                return
            route = routes.get(self.path)
            if route is None:
                self._refuse(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")
                return
            length = self.headers.get("Content-Length", "")
            if not (length.isascii() and length.isdigit()):
                self._refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
                return
            most = MAX_REQUEST_BYTES + (MAX_CHUNK_BYTES if self.path == FILES_PATH else 0)
            if int(length) > most:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {most} bytes")
                return
            if self.path != FILES_PATH:
                self._respond(route, int(length))
            elif turns.acquire(timeout=FILES_PATIENCE_S):
                try:
                    self._respond(route, int(length))
                finally:
                    turns.release()
            else:
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many files at once")

        def _respond(self, route: Callable[[bytes], BaseModel], length: int) -> None:
            try:
                answer = route(self.rfile.read(length))
            except (ValidationError, ValueError) as error:
                self._refuse(HTTPStatus.BAD_REQUEST, str(error))
                return
            self._answer(HTTPStatus.OK, answer.model_dump_json(exclude_none=True).encode())

        def _refuse(self, status: HTTPStatus, text: str) -> None:
            # What follows on this connection may be an unread body: it must not be taken for a request.
            self.close_connection = True
            self._answer(status, text.encode())

        def _answer(self, status: HTTPStatus, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.close_connection:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler


def _route(
    model: type[Request], answer: Callable[[Request], BaseModel]
) -> Callable[[bytes], BaseModel]:
    return lambda body: answer(model.model_validate_json(body))


def _file_route(service: TrialService, files: FileStore) -> Callable[[bytes], BaseModel]:
    def take(body: bytes) -> ChunkTaken:
        head, _, data = body.partition(b"\n")
        chunk = Chunk.model_validate_json(head)
        if not service.runs(chunk.slot, chunk.number, chunk.attempt):
            return ChunkTaken(taken=False)
        return files.take(chunk, data)

    return take
