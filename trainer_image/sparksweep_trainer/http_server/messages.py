"""Messages between `HttpServer` and the application that answers its requests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from sparksweep_trainer.http_server.head import END, Head, Refused


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to a request."""

    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def refusal(cls, refused: Refused) -> Response:
        """Return the answer to a request that is refused."""
        return cls(refused.text.encode(), status=refused.status)

    def encode(self, *, closes: bool) -> bytes:
        """Return the answer as bytes of HTTP/1.1.

        Args:
            closes: True if the connection is closed after it, which it then says.
        """
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            *(["Connection: close"] if closes else []),
        ]
        return "\r\n".join(lines).encode("latin-1") + END + self.body


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
