"""The HTTP server that the driver's and the viewer's servers share: bounds, refusals, and its end."""

import http.client
import socket
from collections.abc import Iterator

import pytest

from sparksweep_trainer.http_server import HttpServer, RequestHandler

LIMIT = 10


class Echo(RequestHandler):
    timeout = 5

    def do_POST(self) -> None:
        length = self.content_length(limit=LIMIT)
        if length is not None:
            self.respond(self.rfile.read(length), content_type="text/plain", headers={"X-Tag": "a"})


@pytest.fixture
def server() -> Iterator[HttpServer]:
    server = HttpServer(Echo, host="127.0.0.1", port=0, name="echo")
    yield server
    server.close()


def connect(server: HttpServer) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)


def test_a_connection_serves_one_request_after_another(server: HttpServer) -> None:
    connection = connect(server)
    for body in (b"one", b"two"):
        connection.request("POST", "/", body)
        response = connection.getresponse()
        assert (response.status, response.read(), response.headers["X-Tag"]) == (200, body, "a")
    connection.close()


def test_a_body_above_the_limit_is_refused_unread_and_the_connection_closed(
    server: HttpServer,
) -> None:
    connection = connect(server)
    connection.request("POST", "/", b"x" * (LIMIT + 1))
    response = connection.getresponse()
    assert (response.status, response.read()) == (413, b"more than 10 bytes")
    assert response.headers["Connection"] == "close"
    connection.close()


@pytest.mark.parametrize("length", ["", "-1", "\u0663", "x"])
def test_a_body_without_a_length_is_refused(server: HttpServer, length: str) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 411")


def test_a_broken_connection_is_logged_and_not_printed(
    server: HttpServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab")
    other = connect(server)
    other.request("POST", "/", b"ok")
    assert other.getresponse().read() == b"ok"
    other.close()
    assert capfd.readouterr().err == ""


def test_a_closed_server_frees_its_port(server: HttpServer) -> None:
    other = HttpServer(Echo, host="127.0.0.1", port=0, name="other")
    port = other.port
    other.close()
    HttpServer(Echo, host="127.0.0.1", port=port, name="other").close()
    with pytest.raises(OSError, match="in use"):
        HttpServer(Echo, host="127.0.0.1", port=server.port, name="third")
