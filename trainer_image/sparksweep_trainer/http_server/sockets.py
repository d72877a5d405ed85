"""Sockets that do not block, as `HttpServer` uses them: plain ones here, secure ones in `tls`."""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress
from typing import Protocol

READ_BYTES = 64 * 1024


class MustWait(Exception):
    """An operation that would block until the socket is ready for `events`, of the module `selectors`."""

    def __init__(self, events: int) -> None:
        super().__init__(events)
        self.events = events


class Transport(Protocol):
    """One accepted connection."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""

    def receive(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end.

        Raises:
            MustWait: there are none yet.
            OSError: the connection is broken.
        """

    def send(self, data: bytes) -> int:
        """Send bytes, and return how many were sent.

        Raises:
            MustWait: none can be sent yet.
            OSError: the connection is broken.
        """

    @property
    def has_buffered(self) -> bool:
        """True if `receive` would return bytes for which the descriptor is not ready any more."""

    def close(self, *, gently: bool) -> None:
        """Close the connection; `gently` if the client should be able to read the last answer."""


class PlainSocket:
    """A connection in the clear."""

    __slots__ = ("_sock",)

    has_buffered = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """See `Transport`."""
        return self._sock.fileno()

    def receive(self, size: int) -> bytes:
        """See `Transport`."""
        try:
            return self._sock.recv(size)
        except (BlockingIOError, InterruptedError):
            raise MustWait(selectors.EVENT_READ) from None

    def send(self, data: bytes) -> int:
        """See `Transport`."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            raise MustWait(selectors.EVENT_WRITE) from None

    def close(self, *, gently: bool) -> None:
        """See `Transport`."""
        if gently:
            end_gently(self._sock)
        self._sock.close()


def end_gently(sock: socket.socket) -> None:
    """Let the client read the last answer: closing with bytes unread would reset the connection."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        for _ in range(4):
            if not sock.recv(READ_BYTES):
                return
