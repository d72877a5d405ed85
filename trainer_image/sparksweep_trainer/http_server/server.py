"""The server: accepts connections, serves them from one thread, and answers what may block from a few more."""

from __future__ import annotations

import errno
import logging
import selectors
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from sparksweep_trainer.http_server.connection import Connection
from sparksweep_trainer.http_server.connections import Bounds, Connections
from sparksweep_trainer.http_server.exchanges import Exchanges
from sparksweep_trainer.http_server.head import Head, Refused
from sparksweep_trainer.http_server.loop import EventLoop
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.sockets import PlainSocket, Transport

log = logging.getLogger(__name__)

ACCEPT_AT_ONCE = 32
"""Connections accepted before others are served again."""
STRANGERS_AT_ONCE = 8
"""Strangers served before others are served again: a TLS handshake takes 0.3 ms of the thread."""
CHECK_S = 0.5
"""Seconds between two looks for connections whose time is over."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


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
class _Listener:
    """The listening socket, as `EventLoop` watches it."""

    sock: socket.socket
    events: int = 0

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.sock.fileno()


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
        self._bounds = bounds or Bounds()
        self._wrap = wrap
        self._listener = _Listener(socket.create_server((host, port), backlog=backlog))
        self._listener.sock.setblocking(False)
        self._port = int(self._listener.sock.getsockname()[1])
        self._loop = EventLoop()
        self._loop.watch(self._listener, selectors.EVENT_READ)
        self._connections = Connections(self._bounds)
        self._exchanges = Exchanges(
            self._loop,
            self._connections,
            self._bounds,
            admit=application.admit,
            handle=lambda request: application.handle(request, self),
        )
        self._pool: ThreadPoolExecutor | None = None
        self._name = name
        self._closing = False
        self._stopped_listening = threading.Event()
        self._loop.start(self._run, name=name)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    @property
    def connections(self) -> tuple[int, int]:
        """Number of connections, and of those of which no request was admitted."""
        return self._connections.counts

    def close(self) -> None:
        """Stop listening. Requests in progress run to their end."""
        self.call_soon(self._stop_listening)
        self._stopped_listening.wait()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Call a function in the server's thread; from any thread."""
        self._loop.call_soon(call)

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call a function in the server's thread after a time; from that thread only."""
        self._loop.call_later(delay_s, call)

    def run_in_thread(self, request: Request, answer: Callable[[], Response]) -> None:
        """Answer a request by a function that may block, in one of `Bounds.gate` threads."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._bounds.gate, thread_name_prefix=self._name)

        def work() -> None:
            try:
                response = answer()
            except Refused as refused:
                response = Response.refusal(refused)
            except Exception:
                # A fault here must not leave the client without an answer.
                log.exception("%s %s", request.head.method, request.head.target)
                response = Response.refusal(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "it failed"))
            request.reply(response)

        self._pool.submit(work)

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        self._end_overdue()
        while not self._closing or any(item.request or item.to_send for item in self._connections):
            strangers = []
            for ready in self._loop.turn():
                if not isinstance(ready, Connection):
                    self._accept()
                elif self._connections.is_stranger(ready):
                    strangers.append(ready)
                elif ready in self._connections:
                    self._exchanges.serve(ready)
            self._serve_strangers(strangers)
        for connection in list(self._connections):
            self._exchanges.end(connection)
        self._loop.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    def _end_overdue(self) -> None:
        """End overdue connections, now and every `CHECK_S`."""
        self.call_later(CHECK_S, self._end_overdue)
        self._exchanges.end_overdue(time.monotonic())

    def _serve_strangers(self, ready: list[Connection]) -> None:
        """Serve a few; the others stay ready. Those that were served least come first, so that none can keep others out."""
        if len(ready) > STRANGERS_AT_ONCE:
            ready.sort(key=lambda item: item.turns)
        for connection in ready[:STRANGERS_AT_ONCE]:
            if connection in self._connections:
                connection.turns += 1
                self._exchanges.serve(connection)

    # ------------------------------------------------------------------ accepting

    def _stop_listening(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.watch(self._listener, 0)
            self._listener.sock.close()
        self._stopped_listening.set()

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                sock, address = self._listener.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    # Out of descriptors: make room, and look again later.
                    self._drop(self._connections.oldest_stranger())
                    self._loop.watch(self._listener, 0)
                    self.call_later(CHECK_S, self._listen_again)
                    return
                continue  # The client has gone again.
            self._add(sock, str(address[0]))

    def _listen_again(self) -> None:
        if not self._closing:
            self._loop.watch(self._listener, selectors.EVENT_READ)

    def _add(self, sock: socket.socket, address: str) -> None:
        self._drop(self._connections.stranger_in_the_way(address))
        if self._connections.is_full:
            sock.close()
            return
        sock.setblocking(False)
        # Head and body leave in one segment, at once: Nagle's algorithm and a delayed acknowledgement cost 40 ms otherwise.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline = time.monotonic() + self._bounds.head_s
        connection = Connection(self._wrap(sock), address, deadline)
        self._connections.add(connection)
        self._exchanges.begin(connection)

    def _drop(self, stranger: Connection | None) -> None:
        """Close the connection of a stranger, if there is one, to make room for others."""
        if stranger is not None:
            log.debug("too many connections: that of %s is closed", stranger.address)
            self._exchanges.end(stranger)
