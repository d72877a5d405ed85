"""The trial server: the trial service over HTTP, on clusters in TLS, for slots that hold a token.

One path for each request of ``protocol.py``, JSON in and out, each with a bound. The token is checked before a body is
read: without it the driver parses 8 KiB of a request's head, and keeps a bounded number of connections for a few seconds.
Each slot has a token of its own, which is good for requests of that slot alone. A request that is held back costs its
connection and a callback.
"""

from __future__ import annotations

import base64
import hmac
import logging
import re
import secrets
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeVar

from pydantic import BaseModel

from sparksweep_core.api import limits
from sparksweep_trainer.driver.run_certificate import RunCertificate
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.driver.waiters import Wake
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.http_server.connections import Bounds
from sparksweep_trainer.http_server.head import Head, Refused
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.server import HttpServer
from sparksweep_trainer.http_server.sockets import PlainSocket
from sparksweep_trainer.http_server.tls import secured_by
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

log = logging.getLogger(__name__)

HOLD_S = 10.0
"""Longest time in seconds that a request is held while there is no order (long polling). Slots wait longer for it."""

BACKLOG = 1024
"""Connections that may wait to be accepted: a thousand slots may start within a second."""

CONNECTIONS_A_SLOT = 4
"""Connections of a slot: for work, for its trial's heartbeat and for its trial's files; one more while it is replaced."""
STRANGERS = limits.PARALLEL_TRIALS + 24
"""Connections at once that have not shown the token, which takes a slot milliseconds: all may start at the same time."""
STRANGERS_OF_ADDRESS = 256
"""The same from one address. Slots of one node that start at the same time and are more than that try again."""
BOUNDS = Bounds(
    connections=CONNECTIONS_A_SLOT * limits.PARALLEL_TRIALS + STRANGERS,
    strangers=STRANGERS,
    strangers_of_address=STRANGERS_OF_ADDRESS,
    owned=CONNECTIONS_A_SLOT,
)

Message = TypeVar("Message", SlotHello, SlotRef, Refusal, Report, Heartbeat, Chunk)
"""A request: each names its slot."""
Ask = Callable[[Wake | None], BaseModel | None]
"""Asks the service for an order; see `TrialService.next`."""


class TrialServer(HttpServer):
    """Serves one experiment's trials to its slots until closed."""

    def __init__(
        self,
        service: TrialService,
        *,
        files: FileStore | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        certificate: RunCertificate | None = None,
    ) -> None:
        """Serve at once; without `files` slots can't send any, without `certificate` the server speaks plain HTTP."""
        self._tokens = SlotTokens()
        super().__init__(
            _TrialApplication(service, files, self._tokens),
            host=host,
            port=port,
            name="trial-server",
            backlog=BACKLOG,
            bounds=BOUNDS,
            wrap=PlainSocket if certificate is None else secured_by(certificate.context),
        )

    def token(self, slot: int) -> str:
        """Return the token of a slot."""
        return self._tokens.of(slot)


class SlotTokens:
    """Tokens of one server's slots: each slot's number with a MAC, by a key that stays here."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def of(self, slot: int) -> str:
        """Return the token of a slot."""
        mac = hmac.digest(self._key, str(slot).encode(), "sha256")
        return f"{slot}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"

    def slot(self, head: Head) -> int:
        """Return the slot whose token a request has.

        Raises:
            Refused: it has none of these tokens.
        """
        given = head.fields.get("authorization", "")
        match = _TOKEN.match(given)
        if match is not None:
            slot = int(match[1])
            if hmac.compare_digest(given.encode(), f"Bearer {self.of(slot)}".encode()):
                return slot
        raise Refused(HTTPStatus.UNAUTHORIZED, "wrong or missing token")


_TOKEN = re.compile(r"Bearer ([0-9]{1,10})\.", re.ASCII)


class _TrialApplication:
    """Answers slots."""

    def __init__(self, service: TrialService, files: FileStore | None, tokens: SlotTokens) -> None:
        self._service = service
        self._files = files
        self._tokens = tokens
        self._answers: dict[str, Callable[[Request], BaseModel]] = {
            HELLO_PATH: _answer(SlotHello, service.hello),
            PASSED_PATH: _answer(
                SlotRef, lambda ref: Taken(taken=service.code_check.accept(ref.slot))
            ),
            REFUSE_PATH: _answer(
                Refusal, lambda no: Taken(taken=service.code_check.refuse(no.slot, no.message))
            ),
            REPORT_PATH: _answer(Report, lambda report: Taken(taken=service.report(report))),
        }

    def admit(self, head: Head) -> Admission:
        """Admit a request with a slot's token and a known path."""
        slot = self._tokens.slot(head)
        if head.method != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, f"{head.method}: slots send POST")
        if head.target == FILES_PATH and self._files is not None:
            return Admission(MAX_REQUEST_BYTES + MAX_CHUNK_BYTES, gated=True, owner=slot)
        if head.target in self._answers or head.target in (NEXT_PATH, HEARTBEAT_PATH):
            return Admission(MAX_REQUEST_BYTES, owner=slot)
        raise Refused(HTTPStatus.NOT_FOUND, f"no such path: {head.target}")

    def handle(self, request: Request, server: HttpServer) -> None:
        """Answer a request, or hold it back until there is an order."""
        path, service = request.head.target, self._service
        if path == FILES_PATH:
            server.run_in_thread(request, lambda: _respond(self._take_file(request)))
        elif path == NEXT_PATH:
            slot = _parse(SlotRef, request, request.body).slot
            _Held(server, request, service, slot, lambda wake: service.next(slot, wake))
        elif path == HEARTBEAT_PATH:
            beat = _parse(Heartbeat, request, request.body)
            ask: Ask = lambda wake: service.heartbeat(beat, wake)  # noqa: E731
            _Held(server, request, service, beat.slot, ask)
        else:
            request.reply(_respond(self._answers[path](request)))

    def _take_file(self, request: Request) -> ChunkTaken:
        assert self._files is not None
        head, _, data = request.body.partition(b"\n")
        chunk = _parse(Chunk, request, head)
        if len(data) > MAX_CHUNK_BYTES:
            text = f"more than {MAX_CHUNK_BYTES} bytes of a file"
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        if not self._service.runs(chunk.slot, chunk.number, chunk.attempt):
            return ChunkTaken(taken=False)
        try:
            return self._files.take(chunk, data)
        except ValueError as error:
            raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error


class _Held:
    """A request that is held back until there is an order, or its time is over. Belongs to the server's thread."""

    def __init__(
        self,
        server: HttpServer,
        request: Request,
        service: TrialService,
        slot: int,
        ask: Ask,
    ) -> None:
        self._server = server
        self._request = request
        self._service = service
        self._slot = slot
        self._ask = ask
        self._wake: Wake = lambda: server.call_soon(self._again)
        self._is_over = False
        self._again()
        if not self._is_over:
            request.on_gone = self._gone
            # An idle slot may leave before the longest hold is over.
            linger_s = max(0.0, service.linger_left(slot))
            server.call_later(min(HOLD_S, linger_s), self._expire)

    def _again(self) -> None:
        if not self._is_over:
            self._finish(self._wake)

    def _expire(self) -> None:
        if not self._is_over:
            self._service.give_up(self._wake, slot=self._slot)
            self._finish(None)

    def _gone(self) -> None:
        if not self._is_over:
            self._is_over = True
            self._service.give_up(self._wake, slot=self._slot)

    def _finish(self, wake: Wake | None) -> None:
        try:
            answer = self._ask(wake)
        except OSError as error:
            # The change can't be recorded, on a full disk for example: the slot asks again.
            log.warning("no order for slot %d: %s", self._slot, error)
            self._is_over = True
            text = f"the driver can't record it: {error}"
            self._request.reply(Response(text.encode(), status=HTTPStatus.SERVICE_UNAVAILABLE))
            return
        if answer is not None:
            self._is_over = True
            self._request.reply(_respond(answer))


def _answer(
    model: type[Message], answer: Callable[[Message], BaseModel]
) -> Callable[[Request], BaseModel]:
    return lambda request: answer(_parse(model, request, request.body))


def _parse(model: type[Message], request: Request, text: bytes) -> Message:
    """Read a message.

    Raises:
        Refused: it is none, or is about another slot than the token's.
    """
    try:
        message = model.from_json(text)
    except ValueError as error:  # pydantic's ValidationError is one
        raise Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
    if message.slot != request.owner:
        whose = f"slot {message.slot}: the token is that of slot {request.owner}"
        raise Refused(HTTPStatus.FORBIDDEN, whose)
    return message


def _respond(answer: BaseModel) -> Response:
    body = answer.model_dump_json(exclude_none=True).encode()
    return Response(body, content_type="application/json")
