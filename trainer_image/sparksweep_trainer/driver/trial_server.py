"""The trial server: the trial service over HTTP, for slots that hold the experiment's token.

One path for each request of ``protocol.py``, JSON in and out, each with a bound. The token is checked before a body is
read, so that the driver parses nothing that comes without it.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel

from sparksweep_core.api.base import Model
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.http_server import HttpServer, RequestHandler
from sparksweep_trainer.protocol import (
    FILES_PATH,
    HEARTBEAT_PATH,
    HELLO_PATH,
    MAX_CHUNK_BYTES,
    MAX_REQUEST_BYTES,
    NEXT_PATH,
    PASSED_PATH,
    REFUSE_PATH,
    REPORT_PATH,
    Chunk,
    ChunkTaken,
    Heartbeat,
    Refusal,
    Report,
    SlotHello,
    SlotRef,
    Taken,
)

HOLD_S = 10.0
"""Longest time in seconds that a request is held while there is no order (long polling). Slots wait longer for it."""

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand slots may start within a second."""

FILES_AT_ONCE = 8
"""Parts of files in memory at once, however many slots send some."""
FILES_PATIENCE_S = 20.0
"""Seconds that a part of a file waits to be read, before the server answers 503."""

Request = TypeVar("Request", bound=Model)


class TrialServer(HttpServer):
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
        super().__init__(handler, host=host, port=port, name="trial-server", backlog=BACKLOG)


def _handler(service: TrialService, files: FileStore | None, token: str) -> type[RequestHandler]:
    routes: dict[str, Callable[[bytes], BaseModel]] = {
        HELLO_PATH: _route(SlotHello, service.hello),
        NEXT_PATH: _route(SlotRef, lambda ref: service.next(ref.slot, HOLD_S)),
        PASSED_PATH: _route(SlotRef, lambda ref: Taken(taken=service.code_check.accept(ref.slot))),
        REFUSE_PATH: _route(
            Refusal, lambda no: Taken(taken=service.code_check.refuse(no.slot, no.message))
        ),
        REPORT_PATH: _route(Report, lambda report: Taken(taken=service.report(report))),
        HEARTBEAT_PATH: _route(Heartbeat, lambda beat: service.heartbeat(beat, HOLD_S)),
    }
    if files is not None:
        routes[FILES_PATH] = _file_route(service, files)
    file_requests = threading.BoundedSemaphore(FILES_AT_ONCE)
    expected = f"Bearer {token}".encode()

    class Handler(RequestHandler):
        timeout = 60

        def do_POST(self) -> None:
            given = self.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, expected):
                self.refuse(HTTPStatus.UNAUTHORIZED, "wrong or missing token")
                return
            route = routes.get(self.path)
            if route is None:
                self.refuse(HTTPStatus.NOT_FOUND, f"no such path: {self.path}")
                return
            takes_file = self.path == FILES_PATH
            length = self.content_length(
                limit=MAX_REQUEST_BYTES + (MAX_CHUNK_BYTES if takes_file else 0)
            )
            if length is None:
                return
            if not takes_file:
                self._answer(route, length)
            elif file_requests.acquire(timeout=FILES_PATIENCE_S):
                try:
                    self._answer(route, length)
                finally:
                    file_requests.release()
            else:
                self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "too many files at once")

        def _answer(self, route: Callable[[bytes], BaseModel], length: int) -> None:
            try:
                answer = route(self.rfile.read(length))
            except ValueError as error:  # pydantic's ValidationError is one
                self.refuse(HTTPStatus.BAD_REQUEST, str(error))
                return
            body = answer.model_dump_json(exclude_none=True).encode()
            self.respond(body, content_type="application/json")

    return Handler


def _route(
    model: type[Request], answer: Callable[[Request], BaseModel]
) -> Callable[[bytes], BaseModel]:
    return lambda body: answer(model.from_json(body))


def _file_route(service: TrialService, files: FileStore) -> Callable[[bytes], BaseModel]:
    def take(body: bytes) -> ChunkTaken:
        head, _, data = body.partition(b"\n")
        chunk = Chunk.from_json(head)
        if not service.runs(chunk.slot, chunk.number, chunk.attempt):
            return ChunkTaken(taken=False)
        return files.take(chunk, data)

    return take
