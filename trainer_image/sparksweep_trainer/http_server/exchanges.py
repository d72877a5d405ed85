"""Exchanges on a server's connections: receiving a request, having it admitted and handled, and sending the answer."""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from http import HTTPStatus

from sparksweep_trainer.http_server.connection import Connection
from sparksweep_trainer.http_server.connections import Bounds, Connections
from sparksweep_trainer.http_server.gate import Gate
from sparksweep_trainer.http_server.head import Head, Refused
from sparksweep_trainer.http_server.loop import EventLoop
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.sockets import READ_BYTES, MustWait

log = logging.getLogger(__name__)


class Exchanges:
    """Serves connections, in the loop's thread only."""

    def __init__(
        self,
        loop: EventLoop,
        connections: Connections,
        bounds: Bounds,
        *,
        admit: Callable[[Head], Admission],
        handle: Callable[[Request], None],
    ) -> None:
        """
        Args:
            loop: loop that waits for the connections.
            connections: table of the connections, from which those that end are removed.
            bounds: bounds of times, and of large bodies.
            admit: admits a request by its head, or raises `Refused`.
            handle: has a request answered by `Request.reply`, or raises `Refused`.
        """
        self._loop = loop
        self._connections = connections
        self._bounds = bounds
        self._admit = admit
        self._handle = handle
        self._gate = Gate(bounds.gate)

    def begin(self, connection: Connection) -> None:
        """Wait for the first request of a connection in the table."""
        self._watch(connection, selectors.EVENT_READ)

    def serve(self, connection: Connection) -> None:
        """Send what can be, receive one request at most, and wait for the rest.

        TLS may have to read in order to send, and to write in order to receive.
        """
        events = 0
        try:
            if connection.to_send:
                try:
                    self._send(connection)
                except MustWait as wait:
                    events = wait.events
            if connection in self._connections and connection.reads:
                try:
                    self._receive(connection)
                except MustWait as wait:
                    events |= wait.events
        except OSError as error:
            # Clients come and go, and some speak no TLS.
            log.debug("connection of %s broke: %s", connection.address, error)
            self.end(connection)
        else:
            if connection.to_send:
                # An answer that was begun while the request was received waits for what it said.
                events |= connection.events & selectors.EVENT_WRITE
            if connection.reads:
                events |= selectors.EVENT_READ
            self._watch(connection, events)

    def end_overdue(self, now: float) -> None:
        """End the exchanges whose time is over, `now` being a monotonic time."""
        for connection in self._connections.overdue(now):
            if self._gate.give_up(connection):
                error = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many large requests at once")
                self._refuse(connection, error)
            else:
                self.end(connection)

    def end(self, connection: Connection) -> None:
        """Close a connection, unless it is closed."""
        if connection not in self._connections:
            return
        self._loop.watch(connection, 0)
        self._connections.remove(connection)
        self._gate.give_up(connection)
        self._leave_gate(connection)
        request, connection.request = connection.request, None
        connection.sock.close(gently=not connection.eof)
        if request is not None and request.on_gone is not None:
            request.on_gone()

    # ------------------------------------------------------------------ receiving

    def _receive(self, connection: Connection) -> None:
        requests = connection.requests
        while connection.requests == requests:
            room = 0 if self._gate.holds_back(connection) else connection.room
            if room <= 0:
                # A request is being answered, and the next one has begun: the rest of it waits.
                connection.reads = False
                return
            data = connection.sock.receive(min(room, READ_BYTES))
            if not data:
                self._client_ended(connection)
                return
            if connection.is_between_requests:
                connection.deadline = min(
                    connection.deadline, time.monotonic() + self._bounds.head_s
                )
            connection.received += data
            self._advance(connection)
            if connection not in self._connections:
                return

    def _client_ended(self, connection: Connection) -> None:
        connection.eof = connection.ends = True
        if connection.request is None and not connection.to_send:
            self.end(connection)
            return
        connection.reads = False
        if connection.request is not None and connection.request.on_gone is not None:
            self.end(connection)

    def _advance(self, connection: Connection) -> None:
        """Do all that can be done with the bytes that were received."""
        if connection.request is not None or connection.to_send:
            return
        try:
            if connection.head is None and not self._take_head(connection):
                return
            is_complete = len(connection.received) >= connection.length
            if is_complete and not self._gate.holds_back(connection):
                self._take_body(connection)
        except Refused as refused:
            self._refuse(connection, refused)

    def _take_head(self, connection: Connection) -> bool:
        """Take a head and have it admitted; return False if it is not complete."""
        head = connection.take_head()
        if head is None:
            return False
        admission = self._admit(head)
        surplus = self._connections.admit(connection, admission.owner)
        if surplus is not None:
            log.debug("too many connections of %s: the oldest is closed", admission.owner)
            self.end(surplus)
        connection.length = head.body_length(limit=admission.limit)
        connection.head = head
        connection.ends = connection.ends or not head.keeps_alive
        connection.deadline = time.monotonic() + self._bounds.body_s
        if admission.gated:
            connection.deadline = time.monotonic() + self._bounds.gate_s
            self._gate.arrive(connection)
            self._open_gate()
        return True

    def _take_body(self, connection: Connection) -> None:
        """Take a body, and have the request answered."""
        assert connection.head is not None
        body = connection.take_body()
        # An answer that is held back has no deadline here: whoever holds it has one.
        connection.deadline = float("inf")

        def reply(response: Response) -> None:
            if self._loop.is_in_thread:
                self._reply(connection, request, response)
            else:
                self._loop.call_soon(lambda: self._reply(connection, request, response))

        request = Request(connection.head, body, connection.owner, reply)
        connection.requests += 1
        connection.request = request
        try:
            self._handle(request)
        except Refused:
            raise
        except Exception as error:
            # The thread serves everybody, and must survive a fault in one answer.
            log.exception("%s %s", request.head.method, request.head.target)
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed") from error

    # ------------------------------------------------------------------ answering

    def _reply(self, connection: Connection, request: Request, response: Response) -> None:
        if connection.request is not request or connection not in self._connections:
            return
        connection.request = None
        connection.head = None
        self._leave_gate(connection)
        self._answer(connection, response)

    def _refuse(self, connection: Connection, refused: Refused) -> None:
        """Send an error and close the connection: an unread body on it would be parsed as the next request."""
        connection.ends = True
        connection.request = connection.head = None
        connection.received.clear()
        self._leave_gate(connection)
        self._answer(connection, Response.refusal(refused))

    def _answer(self, connection: Connection, response: Response) -> None:
        connection.to_send = response.encode(closes=connection.ends)
        connection.deadline = time.monotonic() + self._bounds.idle_s
        try:
            self._send(connection)
        except MustWait as wait:
            self._watch(connection, connection.events | wait.events)
        except OSError:
            self.end(connection)

    def _send(self, connection: Connection) -> None:
        while connection.to_send:
            sent = connection.sock.send(connection.to_send)
            connection.to_send = connection.to_send[sent:]
        if connection.ends:
            self.end(connection)
            return
        connection.deadline = time.monotonic() + self._bounds.idle_s
        self._read_on(connection)

    def _read_on(self, connection: Connection) -> None:
        """Read from a connection again, and advance with what was received meanwhile."""
        connection.reads = not connection.eof
        self._watch(connection, selectors.EVENT_READ if connection.reads else 0)
        if connection.received:
            # The client has sent its next request without waiting for the answer.
            self._loop.call_soon(lambda: self._advance(connection))
        if connection.sock.has_buffered:
            self._loop.call_soon(lambda: self._serve_if_open(connection))

    def _serve_if_open(self, connection: Connection) -> None:
        if connection in self._connections:
            self.serve(connection)

    def _open_gate(self) -> None:
        """Read the bodies of those that may pass the gate."""
        for connection in self._gate.let_in():
            connection.deadline = time.monotonic() + self._bounds.body_s
            self._read_on(connection)

    def _leave_gate(self, connection: Connection) -> None:
        if self._gate.leave(connection):
            self._open_gate()

    def _watch(self, connection: Connection, events: int) -> None:
        if connection in self._connections:
            self._loop.watch(connection, events)
