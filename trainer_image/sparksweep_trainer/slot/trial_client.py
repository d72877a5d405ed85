"""Client of the trial server for slots: one connection, retried as long as the driver may come back."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from sparksweep_core.api.base import Model
from sparksweep_core.backoff import Backoff
from sparksweep_core.contract.program import Program
from sparksweep_trainer.http_server.tls import client_context
from sparksweep_trainer.protocol import (
    FILES_PATH,
    HEARTBEAT_PATH,
    HELLO_PATH,
    MAX_RESPONSE_BYTES,
    NEXT_PATH,
    PASSED_PATH,
    REFUSE_PATH,
    REPORT_PATH,
    Chunk,
    ChunkTaken,
    Heartbeat,
    HeartbeatOrder,
    NextOrder,
    Refusal,
    Report,
    SlotHello,
    SlotRef,
    Taken,
)

ANSWER_TIMEOUT_S = 30.0
"""Seconds to wait for an answer: three times as long as the server may hold a request back."""
FIRST_RETRY_S = 0.05
LONGEST_RETRY_S = 2.0

Answer = TypeVar("Answer", bound=Model)


class DriverGone(Exception):
    """The trial server does not answer, or refuses this slot: the slot ends, and its trial with it."""


@dataclass(frozen=True)
class Address:
    """Address of the trial server for one slot, with the token that it requires of that slot."""

    host: str
    port: int
    token: str = field(repr=False)
    patience_s: float
    """Seconds for which a slot retries if the server does not answer."""
    certificate: str | None = None
    """The server's certificate, as PEM; no other is accepted. None: the server speaks plain HTTP, on this machine."""


class TrialClient:
    """One slot's connection. Not thread-safe: each thread has its own.

    A request may be sent twice, if the answer to the first one was lost: the server counts each report once.
    """

    def __init__(self, address: Address) -> None:
        self._address = address
        self._connection: http.client.HTTPConnection | None = None
        self._tls = None if address.certificate is None else client_context(address.certificate)

    def hello(self, hello: SlotHello) -> Program:
        """Introduce the slot, and return the program that it is to run."""
        return self._post(HELLO_PATH, hello, Program)

    def next(self, slot: int) -> NextOrder:
        """Ask for work; the server may hold the request back."""
        return self._post(NEXT_PATH, SlotRef(slot=slot), NextOrder)

    def passed(self, slot: int) -> None:
        """Report that the trial code can take the parameters."""
        self._post(PASSED_PATH, SlotRef(slot=slot), Taken)

    def refuse(self, refusal: Refusal) -> None:
        """Report that the trial code can't take the parameters, or can't be imported."""
        self._post(REFUSE_PATH, refusal, Taken)

    def report(self, report: Report) -> bool:
        """Report an outcome; False if the driver has given up on the attempt."""
        return self._post(REPORT_PATH, report, Taken).taken

    def heartbeat(self, beat: Heartbeat) -> HeartbeatOrder:
        """Ask whether the trial is to go on; the server may hold the request back."""
        return self._post(HEARTBEAT_PATH, beat, HeartbeatOrder)

    def send_file(self, chunk: Chunk, data: bytes) -> ChunkTaken:
        """Send a part of one of a running trial's files."""
        head = json.dumps(chunk.to_dict()).encode()
        return self._post_body(FILES_PATH, head + b"\n" + data, ChunkTaken)

    def close(self) -> None:
        """Close the connection; from another thread this ends a request under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, path: str, request: BaseModel, model: type[Answer]) -> Answer:
        return self._post_body(path, request.model_dump_json(exclude_none=True).encode(), model)

    def _post_body(self, path: str, body: bytes, model: type[Answer]) -> Answer:
        deadline = time.monotonic() + self._address.patience_s
        backoff = Backoff(FIRST_RETRY_S, LONGEST_RETRY_S)
        while True:
            try:
                answer = self._send(path, body)
            except ssl.SSLCertVerificationError as error:
                # Another process has this address now. It has not seen the token.
                self.close()
                where = f"{self._address.host}:{self._address.port}"
                raise DriverGone(f"{where} is not this run's trial server: {error}") from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                delay_s = backoff.next_s()
                if time.monotonic() + delay_s > deadline:
                    raise DriverGone(f"no answer from the trial server: {error!r}") from error
            else:
                return _read(model, answer, path)
            time.sleep(delay_s)

    def _send(self, path: str, body: bytes) -> bytes:
        if self._connection is None:
            self._connection = self._connect()
        headers = {
            "Authorization": f"Bearer {self._address.token}",
            "Content-Type": "application/json",
        }
        self._connection.request("POST", path, body, headers)
        response = self._connection.getresponse()
        content = response.read(MAX_RESPONSE_BYTES + 1)
        if response.status >= 500:
            raise http.client.HTTPException(f"{response.status} {response.reason}")
        if response.status != 200 or len(content) > MAX_RESPONSE_BYTES:
            text = content[:200].decode(errors="replace")
            raise DriverGone(f"the trial server answered {response.status} to {path}: {text}")
        if response.length:
            # A read with a limit raises no error if the connection broke before the body's end.
            raise http.client.IncompleteRead(content, response.length)
        return content

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address.host, self._address.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
        return http.client.HTTPSConnection(host, port, timeout=ANSWER_TIMEOUT_S, context=self._tls)


def _read(model: type[Answer], answer: bytes, path: str) -> Answer:
    """Read an answer, of a driver whose image may be of another version than the executor's.

    Raises:
        DriverGone: this version does not understand it.
    """
    try:
        return model.from_json(answer)
    except ValidationError as error:
        # Only here: a slot starts without the checks of documents.
        from sparksweep_core.validation.reading import unreadable

        subject = f"the trial server's answer to {path}"
        raise DriverGone(str(unreadable(error, model, subject))) from error
