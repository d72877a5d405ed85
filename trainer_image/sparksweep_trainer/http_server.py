"""The HTTP server that the trial server, the driver's metrics and the viewer share: daemon threads, bounded reads."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

log = logging.getLogger(__name__)

POLL_S = 0.1
"""Longest time in seconds that `HttpServer.close` waits for the accept loop."""
NO_HEADERS: Mapping[str, str] = {}


class RequestHandler(BaseHTTPRequestHandler):
    """Base of the request handlers: one response in one segment, requests in the debug log.

    Subclasses set `timeout`, the seconds that a client may take to send a request or to read a response.
    """

    protocol_version = "HTTP/1.1"
    # Head and body leave in one segment, at once: Nagle's algorithm and a delayed acknowledgement cost 40 ms otherwise.
    wbufsize = -1
    disable_nagle_algorithm = True

    def content_length(self, *, limit: int) -> int | None:
        """Return the length of the body in bytes, or refuse the request and return None.

        A missing length is refused with status 411, one above `limit` with 413.
        """
        text = self.headers.get("Content-Length", "")
        if not (text.isascii() and text.isdigit()):
            self.refuse(HTTPStatus.LENGTH_REQUIRED, "Content-Length is missing")
            return None
        if int(text) > limit:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {limit} bytes")
            return None
        return int(text)

    def respond(
        self,
        body: bytes,
        *,
        content_type: str,
        status: HTTPStatus = HTTPStatus.OK,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        """Send a response."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: HTTPStatus, text: str) -> None:
        """Send an error and close the connection: an unread body on it would be parsed as the next request."""
        self.close_connection = True
        self.respond(text.encode(), content_type="text/plain; charset=utf-8", status=status)

    def log_message(self, format: str, *args: object) -> None:
        """Log a request at debug level instead of printing it."""
        log.debug(format, *args)


class HttpServer:
    """Serves requests, each connection in a daemon thread of its own, from its construction until `close`."""

    def __init__(
        self, handler: type[RequestHandler], *, host: str, port: int, name: str, backlog: int = 5
    ) -> None:
        """
        Args:
            handler: answers the requests.
            host: address to listen on; "" for all addresses.
            port: port to listen on; 0 for any free one.
            name: name of the accepting thread.
            backlog: connections that may wait to be accepted.

        Raises:
            OSError: the port is taken.
        """

        class Server(_Server):
            request_queue_size = backlog

        self._server = Server((host, port), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": POLL_S},
            name=name,
            daemon=True,
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop listening. Requests in progress run to their end."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Log a broken connection instead of printing it: clients come and go."""
        log.debug("connection of %s broke", client_address, exc_info=True)
