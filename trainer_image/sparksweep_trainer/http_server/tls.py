"""TLS for `HttpServer`. Apart from it, so that servers without TLS need not load OpenSSL.

A client costs nothing until its first byte: only then a TLS session is made, whose handshake is a part of the first
`receive`. So the bounds of a connection that was not admitted, its time and number, hold for the handshake, too.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sparksweep_trainer.http_server.sockets import MustWait, end_gently


def server_context() -> ssl.SSLContext:
    """Return a context for a server, still without its certificate.

    TLS 1.3 alone, which has no renegotiation. No session is resumed: a slot connects a few times in hours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    return context


def client_context(certificate: str) -> ssl.SSLContext:
    """Return a context for clients of the one server that has this certificate.

    Args:
        certificate: the certificate, as PEM. It is the only one that is trusted, and signs no others. The server's name
            is not compared: a key that was made for one run says more than an address.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(cadata=certificate)
    return context


def secured_by(context: ssl.SSLContext) -> Callable[[socket.socket], SecureSocket]:
    """Return the function that `HttpServer` calls for each connection."""
    return lambda sock: SecureSocket(sock, context)


class SecureSocket:
    """A server's side of one TLS connection; see `sockets.Transport`."""

    __slots__ = ("_context", "_is_shaken", "_secure", "_sock")

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._context = context
        self._secure: ssl.SSLSocket | None = None
        self._is_shaken = False

    def fileno(self) -> int:
        """See `Transport`."""
        return self._sock.fileno()

    def receive(self, size: int) -> bytes:
        """See `Transport`. The first calls do the handshake."""
        with _waits():
            if self._secure is None:
                self._secure = self._context.wrap_socket(
                    self._sock, server_side=True, do_handshake_on_connect=False
                )
                self._sock = self._secure
            if not self._is_shaken:
                self._secure.do_handshake()
                self._is_shaken = True
            return self._secure.recv(size)

    def send(self, data: bytes) -> int:
        """See `Transport`."""
        with _waits():
            return self._sock.send(data)

    @property
    def has_buffered(self) -> bool:
        """See `Transport`."""
        return self._is_shaken and self._secure is not None and self._secure.pending() > 0

    def close(self, *, gently: bool) -> None:
        """See `Transport`."""
        if gently and self._is_shaken and self._secure is not None:
            # Says that the connection ends here, and does not wait for the client to say so, too.
            with suppress(OSError, ValueError):
                self._secure.unwrap()
        if gently:
            end_gently(self._sock)
        self._sock.close()


@contextmanager
def _waits() -> Iterator[None]:
    try:
        yield
    except ssl.SSLWantReadError:
        raise MustWait(selectors.EVENT_READ) from None
    except ssl.SSLWantWriteError:
        raise MustWait(selectors.EVENT_WRITE) from None
