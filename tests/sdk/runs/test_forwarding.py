"""A forwarded port, over connections that a function opens."""

import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sparksweep._runs.forwarding import ForwardedPort


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.encode() * 100_000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def pages() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_each_connection_gets_one_of_its_own(pages: int) -> None:
    opened = []

    def connect() -> socket.socket:
        opened.append(1)
        return socket.create_connection(("127.0.0.1", pages), timeout=10)

    with ForwardedPort(connect) as forwarded:
        for path in ("/a", "/b"):
            assert get(forwarded.port, path) == path.encode() * 100_000
        port = forwarded.port
    assert len(opened) == 2
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_pod_that_can_not_be_reached_costs_its_connection_and_not_the_port(pages: int) -> None:
    reachable = threading.Event()

    def connect() -> socket.socket:
        if not reachable.is_set():
            raise ConnectionError("gone")
        return socket.create_connection(("127.0.0.1", pages), timeout=10)

    with ForwardedPort(connect) as forwarded:
        with pytest.raises((http.client.HTTPException, OSError)):
            get(forwarded.port, "/a")
        reachable.set()
        assert get(forwarded.port, "/a").startswith(b"/a")


def test_a_port_that_is_taken_is_refused(pages: int) -> None:
    with pytest.raises(OSError, match="in use"):
        ForwardedPort(socket.socket, port=pages)
