"""Heads of HTTP requests: a strict reader of a small part of HTTP/1.1 (RFC 9112). Pure.

What clients of this project never send is refused: bodies without a length, folded lines, fields that are given twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

MAX_HEAD_BYTES = 8 * 1024
"""Bytes of a request's first line and its fields together."""
END = b"\r\n\r\n"

_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_ONCE = frozenset({"authorization", "content-length", "host", "transfer-encoding"})


class Refused(Exception):
    """A request that is answered with an error, after which the connection is closed."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a request and its fields."""

    method: str
    target: str
    """Path and query."""
    fields: Mapping[str, str]
    """Values by name, in lower case."""
    keeps_alive: bool
    """True if the client wants to send another request."""

    def body_length(self, *, limit: int) -> int:
        """Return the length of the body in bytes.

        Raises:
            Refused: a POST says no length, or the length is above `limit`.
        """
        text = self.fields.get("content-length")
        if text is None and self.method != "POST":
            return 0
        if text is None or not (text.isascii() and text.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
        if len(text) > 18 or int(text) > limit:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit} bytes")
        return int(text)


def parse_head(data: bytes) -> Head:
    """Parse a head.

    Args:
        data: the bytes before the empty line.

    Raises:
        Refused: it is none, or has what is not supported.
    """
    first, *lines = data.split(b"\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        raise Refused(HTTPStatus.BAD_REQUEST, "no request of HTTP/1.1")
    fields: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise Refused(HTTPStatus.BAD_REQUEST, "a header that is no name and value")
        name = field[1].decode().lower()
        if name in fields and name in _ONCE:
            raise Refused(HTTPStatus.BAD_REQUEST, f"{name} is given twice")
        fields[name] = field[2].decode("latin-1")
    if "transfer-encoding" in fields:
        raise Refused(HTTPStatus.LENGTH_REQUIRED, "send Content-Length, not Transfer-Encoding")
    if "expect" in fields:
        raise Refused(HTTPStatus.EXPECTATION_FAILED, "send the body at once, without Expect")
    connection = fields.get("connection", "").lower()
    keeps_alive = connection != "close" if request[3] == b"1" else connection == "keep-alive"
    return Head(request[1].decode(), request[2].decode(), fields, keeps_alive)
