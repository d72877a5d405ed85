"""A slot's client against servers that misbehave: what is tried again, and when the driver is gone."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sparksweep_trainer.protocol import MAX_RESPONSE_BYTES, Refusal
from sparksweep_trainer.slot.trial_client import Address, DriverGone, TrialClient

WAIT = b'{"order": "wait"}'
TAKEN = b'{"taken": true}'
Reply = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next of the server's replies, the last one for ever."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, body, self.headers["Authorization"]))
        self.server.connections.add(self.client_address[1])
        replies = self.server.replies
        (replies.pop(0) if len(replies) > 1 else replies[0])(self)

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies: list[Reply] = []
        self.requests: list[tuple[str, bytes, str]] = []
        self.connections: set[int] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def ok(body: bytes) -> Reply:
    return lambda handler: handler.answer(200, body)


def status(number: int) -> Reply:
    return lambda handler: handler.answer(number, b"no")


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def cut_short(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(WAIT)
    handler.close_connection = True


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[TrialClient]:
    client = TrialClient(Address("127.0.0.1", server.server_port, "secret", patience_s=0.5))
    yield client
    client.close()


def test_requests_carry_the_token_and_share_a_connection(
    server: Server, client: TrialClient
) -> None:
    server.replies = [ok(WAIT)]
    assert client.next(3).order == "wait"
    assert client.next(3).order == "wait"
    assert server.requests == [("/v1/next", b'{"slot":3}', "Bearer secret")] * 2
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "trouble",
    [hang_up, cut_short, status(500), status(503)],
    ids=["hang up", "cut short", "500", "503"],
)
def test_an_answer_that_was_lost_is_asked_for_again(
    server: Server, client: TrialClient, trouble: Reply
) -> None:
    server.replies = [trouble, trouble, ok(TAKEN)]
    client.refuse(Refusal(slot=0, message="no such function"))
    assert len(server.requests) == 3
    assert len({body for _, body, _ in server.requests}) == 1


def test_a_driver_that_does_not_recover_is_gone_after_a_while(
    server: Server, client: TrialClient
) -> None:
    server.replies = [status(500)]
    with pytest.raises(DriverGone, match="500"):
        client.next(0)
    assert 2 < len(server.requests) < 10


@pytest.mark.parametrize("number", [400, 401, 404, 413])
def test_a_driver_that_does_not_know_the_slot_is_gone_at_once(
    server: Server, client: TrialClient, number: int
) -> None:
    server.replies = [status(number)]
    with pytest.raises(DriverGone, match=f"{number} to /v1/next: no"):
        client.next(0)
    assert len(server.requests) == 1


def test_an_endless_answer_is_not_read(server: Server, client: TrialClient) -> None:
    server.replies = [ok(b" " * (MAX_RESPONSE_BYTES + 1))]
    with pytest.raises(DriverGone):
        client.next(0)
    assert len(server.requests) == 1


def test_nobody_listens(server: Server) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    client = TrialClient(Address("127.0.0.1", port, "secret", patience_s=0.2))
    with pytest.raises(DriverGone, match="ConnectionRefusedError"):
        client.next(0)
