"""The HTTP server that the trial server, the driver's metrics and the viewer share: one thread for all connections.

A connection costs a few KiB and no thread, also while its request is held back. Nobody may make the server keep much
without being admitted: a head has 8 KiB and a few seconds, a stranger's connection is closed when there are too many, and
a body is read only once the request is admitted, as far as its route allows.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol, TypeVar

from sparksweep_trainer.http_head import END, MAX_HEAD_BYTES, Head, Refused, parse_head
from sparksweep_trainer.http_sockets import READ_BYTES, MustWait, PlainSocket, Transport

log = logging.getLogger(__name__)

ACCEPT_AT_ONCE = 32
"""Connections accepted before others are served again."""
STRANGERS_AT_ONCE = 8
"""Strangers served before others are served again: a TLS handshake takes 0.3 ms of the thread."""
CHECK_S = 0.5
"""Seconds between two looks for connections whose time is over."""
Group = TypeVar("Group", bound=Hashable)
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds of a server's connections."""

    connections: int = 64
    """Connections at once."""
    strangers: int = 32
    """Connections at once of which no request has been admitted; beyond it the oldest is closed."""
    strangers_of_address: int = 16
    """The same, of one address."""
    head_s: float = 5.0
    """Seconds in which a stranger must send a head, and anyone the rest of one."""
    owned: int = 4
    """Connections at once of one owner, once admitted; beyond it the owner's oldest is closed."""
    idle_s: float = 60.0
    """Seconds for which a connection stays without a request, once one was admitted; and for an answer to be read."""
    body_s: float = 10.0
    """Seconds in which a body must come."""
    gate: int = 8
    """Requests at once whose bodies are large."""
    gate_s: float = 20.0
    """Seconds that a request waits for that, before it is answered 503."""


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """The permission to send a body."""

    limit: int = 0
    """Bytes of the body at most."""
    gated: bool = False
    """True if the body is large: only `Bounds.gate` of them are in memory at once, and one of each owner."""
    owner: Hashable = None
    """Party that the request belongs to, whose connections are bounded together; None: they are not."""


class Request:
    """An admitted request with its body."""

    __slots__ = ("_reply", "body", "head", "on_gone", "owner")

    def __init__(
        self, head: Head, body: bytes, owner: Hashable, reply: Callable[[Response], None]
    ) -> None:
        self.head = head
        self.body = body
        self.owner = owner
        """Party that the application has admitted."""
        self.on_gone: Callable[[], None] | None = None
        """Called in the server's thread if the client goes away before the answer."""
        self._reply = reply

    def reply(self, response: Response) -> None:
        """Send the answer, once; from any thread."""
        self._reply(response)


class Application(Protocol):
    """Answers requests. Both methods are called in the server's thread, so they must not block."""

    def admit(self, head: Head) -> Admission:
        """Admit a request by its head.

        Raises:
            Refused: it is not admitted; its body is not read.
        """

    def handle(self, request: Request, server: HttpServer) -> None:
        """Have a request answered by `Request.reply`, now or later.

        Raises:
            Refused: it is answered with an error.
        """


@dataclass(eq=False, slots=True)
class _Connection:
    sock: Transport
    address: str
    deadline: float
    trusted: bool = False
    """True once a request was admitted."""
    owner: Hashable = None
    requests: int = 0
    """Number of requests that were received."""
    turns: int = 0
    """Times that it was served before it was admitted."""
    reads: bool = True
    """False while nothing more is read from it."""
    received: bytearray = field(default_factory=bytearray)
    to_send: bytes = b""
    head: Head | None = None
    length: int = 0
    request: Request | None = None
    ends: bool = False
    """True if the connection closes after the answer."""
    eof: bool = False
    events: int = 0


class HttpServer:
    """Serves requests from its construction until `close`."""

    def __init__(
        self,
        application: Application,
        *,
        host: str,
        port: int,
        name: str,
        backlog: int = 16,
        bounds: Bounds | None = None,
        wrap: Callable[[socket.socket], Transport] = PlainSocket,
    ) -> None:
        """
        Args:
            application: answers the requests.
            host: address to listen on; "" for all addresses.
            port: port to listen on; 0 for any free one.
            name: name of the server's thread.
            backlog: connections that may wait to be accepted.
            bounds: bounds of its connections.
            wrap: makes the transport of an accepted socket, which does not block.

        Raises:
            OSError: the port is taken.
        """
        self._application = application
        self._bounds = bounds or Bounds()
        self._wrap = wrap
        self._listener = socket.create_server((host, port), backlog=backlog)
        self._listener.setblocking(False)
        self._port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._wake_receiver, self._wake_sender = socket.socketpair()
        for end in (self._wake_receiver, self._wake_sender):
            end.setblocking(False)
        self._selector.register(self._wake_receiver, selectors.EVENT_READ)
        self._woken = False
        self._calls: deque[Callable[[], None]] = deque()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._connections: dict[_Connection, None] = {}
        self._strangers: dict[_Connection, None] = {}
        self._of_address: dict[str, dict[_Connection, None]] = {}
        self._of_owner: dict[Hashable, dict[_Connection, None]] = {}
        self._at_gate: dict[_Connection, None] = {}
        """Connections that wait to send a large body, the oldest first."""
        self._inside: dict[_Connection, None] = {}
        """Connections whose large body is read or answered."""
        self._pool: ThreadPoolExecutor | None = None
        self._name = name
        self._closing = False
        self._stopped_listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def connections(self) -> tuple[int, int]:
        """Number of connections, and of those of which no request was admitted."""
        return len(self._connections), len(self._strangers)

    def close(self) -> None:
        """Stop listening. Requests in progress run to their end."""
        self.call_soon(self._stop_listening)
        self._stopped_listening.wait()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call a function in the server's thread; from any thread."""
        self._calls.append(call)
        if threading.current_thread() is not self._thread and not self._woken:
            self._woken = True
            try:
                self._wake_sender.send(b"\0")
            except BlockingIOError:
                pass  # It has been woken often enough.
            except OSError:
                self._stopped_listening.set()  # The thread has ended.

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function in the server's thread after a time; from that thread only."""
        heapq.heappush(self._timers, (time.monotonic() + delay_s, next(self._order), call))

    def run_in_thread(self, request: Request, answer: Callable[[], Response]) -> None:
        """Answer a request by a function that may block, in one of `Bounds.gate` threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._bounds.gate, thread_name_prefix=self._name)

        def work() -> None:
            try:
                response = answer()
            except Refused as refused:
                response = _refusal(refused)
            except Exception:
                # A fault here must not leave the client without an answer.
                log.exception("%s %s", request.head.method, request.head.target)
                response = _refusal(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed"))
            request.reply(response)

        self._pool.submit(work)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        next_check = 0.0
        while not self._closing or any(item.request or item.to_send for item in self._connections):
            now = time.monotonic()
            if now >= next_check:
                next_check = now + CHECK_S
                self._end_overdue(now)
            while self._timers and self._timers[0][0] <= now:
                _call(heapq.heappop(self._timers)[2])
            # Not those that are added meanwhile: a client that sends requests without a pause would have every turn.
            for _ in range(len(self._calls)):
                _call(self._calls.popleft())
            timer = self._timers[0][0] if self._timers else next_check
            wait_s = 0.0 if self._calls else max(0.0, min(next_check, timer) - now)
            strangers = []
            for key, _ in self._selector.select(wait_s):
                if key.fileobj is self._wake_receiver:
                    self._drain()
                elif key.fileobj is self._listener:
                    self._accept()
                elif key.data in self._strangers:
                    strangers.append(key.data)
                elif key.data in self._connections:
                    self._serve(key.data)
            self._serve_strangers(strangers)
        for connection in list(self._connections):
            self._end(connection)
        self._selector.close()
        self._wake_receiver.close()
        self._wake_sender.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _drain(self) -> None:
        try:
            while self._wake_receiver.recv(4096):
                pass
        except BlockingIOError:
            pass
        # Whoever calls from here on wakes the thread again; earlier calls are made before the next wait.
        self._woken = False

    def _stop_listening(self) -> None:
        if not self._closing:
            self._closing = True
            if self._listener.fileno() in self._selector.get_map():
                self._selector.unregister(self._listener)
            self._listener.close()
        self._stopped_listening.set()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    # Out of descriptors: make room, and look again later.
                    self._drop_stranger()
                    self._selector.unregister(self._listener)
                    self.call_later(CHECK_S, self._listen_again)
                    return
                continue  # The client has gone again.
            self._add(sock, str(address[0]))

    def _listen_again(self) -> None:
        if not self._closing:
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _add(self, sock: socket.socket, address: str) -> None:
        bounds = self._bounds
        if len(self._of_address.get(address, ())) >= bounds.strangers_of_address:
            self._drop_stranger(address)
        elif len(self._strangers) >= bounds.strangers:
            self._drop_stranger()
        if len(self._connections) >= bounds.connections and not self._drop_stranger():
            sock.close()
            return
        sock.setblocking(False)
        # Head and body leave in one segment, at once: Nagle's algorithm and a delayed acknowledgement cost 40 ms otherwise.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(self._wrap(sock), address, time.monotonic() + bounds.head_s)
        self._connections[connection] = self._strangers[connection] = None
        self._of_address.setdefault(address, {})[connection] = None
        self._listen_to(connection, selectors.EVENT_READ)

    def _drop_stranger(self, address: str | None = None) -> bool:
        """Close the stranger, of an address if one is given, that has been there for longest; False if there is none."""
        group = self._strangers if address is None else self._of_address.get(address, {})
        for connection in group:
            log.debug("too many connections: that of %s is closed", connection.address)
            self._end(connection)
            return True
        return False

    def _befriend(self, connection: _Connection, owner: Hashable) -> None:
        """Count a connection as its owner's from now on, and no more as a stranger's."""
        if connection.trusted:
            if connection.owner != owner:
                raise Refused(HTTPStatus.FORBIDDEN, "another token than before on this connection")
            return
        self._forget_stranger(connection)
        connection.trusted = True
        connection.owner = owner
        if owner is None:
            return
        group = self._of_owner.setdefault(owner, {})
        group[connection] = None
        if len(group) > self._bounds.owned:
            log.debug("too many connections of %s: the oldest is closed", owner)
            self._end(next(iter(group)))

    def _forget_stranger(self, connection: _Connection) -> None:
        if connection in self._strangers:
            del self._strangers[connection]
            _discard(self._of_address, connection.address, connection)

    def _end_overdue(self, now: float) -> None:
        for connection in [item for item in self._connections if item.deadline <= now]:
            if connection in self._at_gate:
                del self._at_gate[connection]
                error = Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many large requests at once")
                self._refuse(connection, error)
            else:
                self._end(connection)

    # ------------------------------------------------------------------ one connection

    def _serve_strangers(self, ready: list[_Connection]) -> None:
        """Serve a few; the others stay ready. Those that were served least come first, so that none can keep others out."""
        if len(ready) > STRANGERS_AT_ONCE:
            ready.sort(key=lambda item: item.turns)
        for connection in ready[:STRANGERS_AT_ONCE]:
            if connection in self._connections:
                connection.turns += 1
                self._serve(connection)

    def _serve(self, connection: _Connection) -> None:
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
            self._end(connection)
        else:
            if connection.to_send:
                # An answer that was begun while the request was received waits for what it said.
                events |= connection.events & selectors.EVENT_WRITE
            if connection.reads:
                events |= selectors.EVENT_READ
            self._listen_to(connection, events)

    def _receive(self, connection: _Connection) -> None:
        requests = connection.requests
        while connection.requests == requests:
            room = self._room(connection)
            if room <= 0:
                # A request is being answered, and the next one has begun: the rest of it waits.
                connection.reads = False
                return
            data = connection.sock.receive(min(room, READ_BYTES))
            if not data:
                self._client_ended(connection)
                return
            if not connection.received and connection.head is None and connection.request is None:
                connection.deadline = min(
                    connection.deadline, time.monotonic() + self._bounds.head_s
                )
            connection.received += data
            self._advance(connection)
            if connection not in self._connections:
                return

    def _room(self, connection: _Connection) -> int:
        """Return the bytes to read at most."""
        received = len(connection.received)
        if connection.head is not None and connection.request is None:
            return 0 if connection in self._at_gate else connection.length - received
        return MAX_HEAD_BYTES - received

    def _client_ended(self, connection: _Connection) -> None:
        connection.eof = connection.ends = True
        if connection.request is None and not connection.to_send:
            self._end(connection)
            return
        connection.reads = False
        if connection.request is not None and connection.request.on_gone is not None:
            self._end(connection)

    def _advance(self, connection: _Connection) -> None:
        """Do all that can be done with the bytes that were received."""
        if connection.request is not None or connection.to_send:
            return
        try:
            if connection.head is None and not self._take_head(connection):
                return
            if connection not in self._at_gate and len(connection.received) >= connection.length:
                self._take_body(connection)
        except Refused as refused:
            self._refuse(connection, refused)

    def _take_head(self, connection: _Connection) -> bool:
        end = connection.received.find(END)
        if end < 0:
            if len(connection.received) >= MAX_HEAD_BYTES:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                raise Refused(status, f"the head has more than {MAX_HEAD_BYTES} bytes")
            return False
        head = parse_head(bytes(connection.received[:end]))
        del connection.received[: end + len(END)]
        admission = self._application.admit(head)
        self._befriend(connection, admission.owner)
        connection.length = head.body_length(limit=admission.limit)
        connection.head = head
        connection.ends = connection.ends or not head.keeps_alive
        connection.deadline = time.monotonic() + self._bounds.body_s
        if admission.gated:
            connection.deadline = time.monotonic() + self._bounds.gate_s
            self._at_gate[connection] = None
            self._open_gate()
        return True

    def _take_body(self, connection: _Connection) -> None:
        assert connection.head is not None
        body = bytes(connection.received[: connection.length])
        del connection.received[: connection.length]
        # An answer that is held back has no deadline here: whoever holds it has one.
        connection.deadline = float("inf")

        def reply(response: Response) -> None:
            if threading.current_thread() is self._thread:
                self._reply(connection, request, response)
            else:
                self.call_soon(lambda: self._reply(connection, request, response))

        request = Request(connection.head, body, connection.owner, reply)
        connection.requests += 1
        connection.request = request
        try:
            self._application.handle(request, self)
        except Refused:
            raise
        except Exception as error:
            # The thread serves everybody, and must survive a fault in one answer.
            log.exception("%s %s", request.head.method, request.head.target)
            raise Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed") from error

    def _reply(self, connection: _Connection, request: Request, response: Response) -> None:
        if connection.request is not request or connection not in self._connections:
            return
        connection.request = None
        connection.head = None
        self._leave_gate(connection)
        self._answer(connection, response)

    def _refuse(self, connection: _Connection, refused: Refused) -> None:
        """Send an error and close the connection: an unread body on it would be parsed as the next request."""
        connection.ends = True
        connection.request = connection.head = None
        connection.received.clear()
        self._leave_gate(connection)
        self._answer(connection, _refusal(refused))

    def _answer(self, connection: _Connection, response: Response) -> None:
        lines = [
            f"HTTP/1.1 {response.status.value} {response.status.phrase}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            *(f"{name}: {value}" for name, value in response.headers.items()),
            *(["Connection: close"] if connection.ends else []),
        ]
        connection.to_send = "\r\n".join(lines).encode("latin-1") + END + response.body
        connection.deadline = time.monotonic() + self._bounds.idle_s
        try:
            self._send(connection)
        except MustWait as wait:
            self._listen_to(connection, connection.events | wait.events)
        except OSError:
            self._end(connection)

    def _send(self, connection: _Connection) -> None:
        while connection.to_send:
            sent = connection.sock.send(connection.to_send)
            connection.to_send = connection.to_send[sent:]
        if connection.ends:
            self._end(connection)
            return
        connection.deadline = time.monotonic() + self._bounds.idle_s
        self._read_on(connection)

    def _read_on(self, connection: _Connection) -> None:
        """Read from a connection again, and advance with what was received meanwhile."""
        connection.reads = not connection.eof
        self._listen_to(connection, selectors.EVENT_READ if connection.reads else 0)
        if connection.received:
            # The client has sent its next request without waiting for the answer.
            self.call_soon(lambda: self._advance(connection))
        if connection.sock.has_buffered:
            self.call_soon(lambda: self._serve_if_there(connection))

    def _serve_if_there(self, connection: _Connection) -> None:
        if connection in self._connections:
            self._serve(connection)

    def _open_gate(self) -> None:
        """Read the bodies of those that have waited longest, one of each owner."""
        inside = {item.owner for item in self._inside if item.owner is not None}
        for connection in list(self._at_gate):
            if len(self._inside) >= self._bounds.gate:
                return
            if connection.owner in inside:
                continue
            if connection.owner is not None:
                inside.add(connection.owner)
            del self._at_gate[connection]
            self._inside[connection] = None
            connection.deadline = time.monotonic() + self._bounds.body_s
            self._read_on(connection)

    def _leave_gate(self, connection: _Connection) -> None:
        if connection in self._inside:
            del self._inside[connection]
            self._open_gate()

    def _listen_to(self, connection: _Connection, events: int) -> None:
        if events == connection.events or connection not in self._connections:
            return
        if not connection.events:
            self._selector.register(connection.sock, events, connection)
        elif not events:
            self._selector.unregister(connection.sock)
        else:
            self._selector.modify(connection.sock, events, connection)
        connection.events = events

    def _end(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        if connection.events:
            self._selector.unregister(connection.sock)
        del self._connections[connection]
        self._forget_stranger(connection)
        _discard(self._of_owner, connection.owner, connection)
        self._at_gate.pop(connection, None)
        self._leave_gate(connection)
        request, connection.request = connection.request, None
        connection.sock.close(gently=not connection.eof)
        if request is not None and request.on_gone is not None:
            request.on_gone()


def _call(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        # The thread serves everybody, and must survive a fault in one answer.
        log.exception("a call in the server's thread failed")


def _discard(
    groups: dict[Group, dict[_Connection, None]], key: Group, connection: _Connection
) -> None:
    group = groups.get(key)
    if group is not None:
        group.pop(connection, None)
        if not group:
            del groups[key]


def _refusal(refused: Refused) -> Response:
    return Response(refused.text.encode(), status=refused.status)
