"""State of one connection of `HttpServer`, and of the request that is received on it. No I/O."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from http import HTTPStatus

from sparksweep_trainer.http_server.head import END, MAX_HEAD_BYTES, Head, Refused, parse_head
from sparksweep_trainer.http_server.messages import Request
from sparksweep_trainer.http_server.sockets import Transport


@dataclass(eq=False, slots=True)
class Connection:
    """One connection, which has one request at most at a time."""

    sock: Transport
    address: str
    deadline: float
    """Monotonic time at which it is closed, or refused if it waits at the gate."""
    trusted: bool = False
    """True once a request was admitted."""
    owner: Hashable = None
    """Party that its requests belong to, once one was admitted; None: no party."""
    requests: int = 0
    """Number of requests that were received."""
    turns: int = 0
    """Times that it was served before it was admitted."""
    reads: bool = True
    """False while nothing more is read from it."""
    received: bytearray = field(default_factory=bytearray)
    """Bytes of a request that is not complete, or of one that waits for the answer to another."""
    to_send: bytes = b""
    """Rest of the answer that is being sent."""
    head: Head | None = None
    """Head of the request that is received or answered."""
    length: int = 0
    """Bytes of its body."""
    request: Request | None = None
    """Request that is being answered."""
    ends: bool = False
    """True if the connection closes after the answer."""
    eof: bool = False
    """True if the client has closed its side."""
    events: int = 0
    """See `loop.Watched`."""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self.sock.fileno()

    @property
    def is_between_requests(self) -> bool:
        """True if nothing of a request was received that is not answered."""
        return not self.received and self.head is None and self.request is None

    @property
    def is_reading_body(self) -> bool:
        """True if a request's head was admitted, and its body is not complete."""
        return self.head is not None and self.request is None

    @property
    def room(self) -> int:
        """Bytes to read at most: the rest of a body, or of the longest head."""
        limit = self.length if self.is_reading_body else MAX_HEAD_BYTES
        return limit - len(self.received)

    def take_head(self) -> Head | None:
        """Take a head from the bytes that were received; None if it is not complete.

        Raises:
            Refused: it is too long or malformed.
        """
        end = self.received.find(END)
        if end < 0:
            if len(self.received) >= MAX_HEAD_BYTES:
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                raise Refused(status, f"the head has more than {MAX_HEAD_BYTES} bytes")
            return None
        head = parse_head(bytes(self.received[:end]))
        del self.received[: end + len(END)]
        return head

    def take_body(self) -> bytes:
        """Take the body, which must be complete, from the bytes that were received."""
        body = bytes(self.received[: self.length])
        del self.received[: self.length]
        return body
