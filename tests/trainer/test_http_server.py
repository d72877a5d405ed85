"""The HTTP server that the driver's and the viewer's servers share: bounds, refusals, and its end."""

from __future__ import annotations

import dataclasses
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_trainer.driver.run_certificate import RunCertificate
from sparksweep_trainer.http_server.connections import Bounds
from sparksweep_trainer.http_server.head import MAX_HEAD_BYTES, Head, Refused, parse_head
from sparksweep_trainer.http_server.messages import Admission, Request, Response
from sparksweep_trainer.http_server.server import HttpServer
from sparksweep_trainer.http_server.sockets import PlainSocket
from sparksweep_trainer.http_server.tls import client_context, secured_by
from support.hypothesis_profiles import examples
from support.trainer.stage import soon

CERTIFICATE = RunCertificate.make()
LIMIT = 10
BOUNDS = Bounds(
    connections=12,
    strangers=6,
    strangers_of_address=4,
    owned=3,
    head_s=0.6,
    idle_s=1.5,
    body_s=1.5,
    gate=2,
    gate_s=1.0,
)
TOKEN = "Authorization: yes\r\n"


class Echo:
    """Answers with the body, to whoever says yes."""

    def __init__(self) -> None:
        self.admitted: list[str] = []
        self.handled: list[bytes] = []
        self.gone: list[bytes] = []
        self.held: list[Request] = []
        self.open = threading.Event()

    def admit(self, head: Head) -> Admission:
        if head.fields.get("authorization") != "yes":
            raise Refused(HTTPStatus.UNAUTHORIZED, "no token")
        self.admitted.append(head.target)
        return Admission(LIMIT, gated=head.target == "/file", owner=head.fields.get("from"))

    def handle(self, request: Request, server: HttpServer) -> None:
        self.handled.append(request.body)
        if request.head.target == "/broken":
            raise ZeroDivisionError
        if request.head.target == "/held":
            request.on_gone = lambda: self.gone.append(request.body)
            self.held.append(request)
            return
        response = Response(request.body, headers={"X-Tag": "a"})
        if request.head.target == "/file":
            server.run_in_thread(request, lambda: self._when_open(response))
        else:
            request.reply(response)

    def _when_open(self, response: Response) -> Response:
        self.open.wait(10)
        return response


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def tls(request: pytest.FixtureRequest) -> bool:
    """Choose whether clients and servers speak TLS."""
    return bool(request.param)


class Server(HttpServer):
    """A server of the tests, which knows how to connect to it."""

    def __init__(self, echo: Echo, bounds: Bounds, *, tls: bool) -> None:
        self.tls = client_context(CERTIFICATE.text) if tls else None
        wrap = secured_by(CERTIFICATE.context) if tls else PlainSocket
        super().__init__(echo, host="127.0.0.1", port=0, name="echo", bounds=bounds, wrap=wrap)


@pytest.fixture
def server(echo: Echo, tls: bool) -> Iterator[HttpServer]:
    server = Server(echo, BOUNDS, tls=tls)
    yield server
    echo.open.set()
    server.close()


@pytest.fixture
def patient(echo: Echo, tls: bool) -> Iterator[HttpServer]:
    """Provide a server that closes nothing for its time alone."""
    bounds = dataclasses.replace(BOUNDS, head_s=60.0, idle_s=60.0, body_s=60.0)
    server = Server(echo, bounds, tls=tls)
    yield server
    echo.open.set()
    server.close()


def connect(server: HttpServer, *, address: str = "127.0.0.1") -> socket.socket:
    connection = reach(server, address=address)
    tls = server.tls if isinstance(server, Server) else None
    return connection if tls is None else tls.wrap_socket(connection)


def reach(server: HttpServer, *, address: str = "127.0.0.1") -> socket.socket:
    """Connect without a handshake."""
    return socket.create_connection(
        ("127.0.0.1", server.port), timeout=5, source_address=(address, 0)
    )


def post(body: bytes = b"", *, path: str = "/", fields: str = TOKEN) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def everything(connection: socket.socket) -> bytes:
    """Return all that the server sends until it closes the connection."""
    received = b""
    try:
        while data := connection.recv(65536):
            received += data
    except ConnectionError:
        pass
    return received


def statuses(answers: bytes) -> list[int]:
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d+) ", answers)]


def test_a_connection_serves_one_request_after_another(server: HttpServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.sock = connect(server)
    for body in (b"one", b"two"):
        connection.request("POST", "/", body, {"Authorization": "yes"})
        response = connection.getresponse()
        assert (response.status, response.read(), response.headers["X-Tag"]) == (200, body, "a")
    connection.close()


HEADS: list[tuple[str, bytes, list[int]]] = [
    ("no token", post(fields=""), [401]),
    ("no token, a huge body", b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", [401]),
    ("too large a body", post(b"x" * (LIMIT + 1)), [413]),
    ("a body of exabytes", b"POST / HTTP/1.1\r\nAuthorization: yes\r\nContent-Length: 9" + b"9" * 30 + b"\r\n\r\n", [413]),
    ("no length", b"POST / HTTP/1.1\r\nAuthorization: yes\r\n\r\n", [411]),
    ("a negative length", b"POST / HTTP/1.1\r\nAuthorization: yes\r\nContent-Length: -1\r\n\r\n", [411]),
    ("a length in another alphabet", "POST / HTTP/1.1\r\nAuthorization: yes\r\nContent-Length: \u0663\r\n\r\n".encode(), [411]),
    ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", [400]),
    ("chunks", b"POST / HTTP/1.1\r\nAuthorization: yes\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", [411]),
    ("chunks and a length", post(fields=f"{TOKEN}Transfer-Encoding: chunked\r\n"), [411]),
    ("an expectation", post(fields=f"{TOKEN}Expect: 100-continue\r\n"), [417]),
    ("HTTP/0.9", b"GET /\r\n\r\n", [400]),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400]),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\r\n\r\n", [400]),
    ("nothing but line ends", b"\r\n\r\n", [400]),
    ("a proxy's target", b"GET http://other/ HTTP/1.1\r\nAuthorization: yes\r\n\r\n", [400]),
    ("a folded line", b"POST / HTTP/1.1\r\nAuthorization: yes\r\n more\r\n\r\n", [400]),
    ("a name with a blank", b"POST / HTTP/1.1\r\nContent-Length : 1\r\n\r\n", [400]),
    ("a NUL", b"POST / HTTP/1.1\r\nAuthorization: y\0es\r\n\r\n", [400]),
    ("a bare line feed", b"POST / HTTP/1.1\nAuthorization: yes\r\nContent-Length: 0\r\n\r\n", [400]),
    ("a head of a megabyte", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200_000, [431]),
    ("a line of a megabyte", b"GET /" + b"a" * 1_000_000, [431]),
    ("a fault in the answer", post(path="/broken"), [500]),
    ("two requests at once, and an end", post(b"1") + post(b"2", fields=f"{TOKEN}Connection: close\r\n"), [200, 200]),
    ("a request after one that is refused", post(fields="") + post(b"2"), [401]),
    ("HTTP/1.0", b"POST / HTTP/1.0\r\nAuthorization: yes\r\nContent-Length: 1\r\n\r\nx", [200]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "answers"), [row[1:] for row in HEADS], ids=[row[0] for row in HEADS])  # fmt: skip
def test_a_request_is_answered_or_refused_and_its_connection_closed(
    server: HttpServer, echo: Echo, data: bytes, answers: list[int]
) -> None:
    with connect(server) as connection:
        # First one, then the other: a TLS connection is not for two threads at once.
        _send(connection, data)
        received = everything(connection)
    # A reset may take the answer away from a client that goes on sending.
    assert statuses(received) == answers or (len(data) > 100_000 and not received)
    assert received.count(b"Connection: close") == bool(received)
    if answers[-1] not in (200, 500):
        assert echo.handled == []
    assert soon(lambda: server.connections == (0, 0))


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return


def test_without_the_token_no_more_than_a_head_is_read(server: HttpServer, echo: Echo) -> None:
    with connect(server) as connection:
        connection.setblocking(False)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += connection.send(b"POST / HTTP/1.1\r\na: " if not sent else b"a" * 65536)
        except OSError:
            pass
        # The rest is in the kernel's buffers, or was refused.
        assert sent < 20_000_000
    assert echo.admitted == []


SLOW: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("a part of a head", b"POST / HTTP/1.1\r\nAuthorization: yes\r\n"),
    ("a part of a line", b"POS"),
]


@pytest.mark.parametrize("data", [row[1] for row in SLOW], ids=[row[0] for row in SLOW])
def test_a_stranger_that_is_slow_is_closed_within_the_time_for_a_head(
    server: HttpServer, data: bytes
) -> None:
    with connect(server) as connection:
        connection.sendall(data)
        assert everything(connection) == b""


def test_a_byte_now_and_then_does_not_lengthen_the_time_for_a_head(server: HttpServer) -> None:
    with connect(server) as connection:
        for byte in post(fields=TOKEN + "a: b\r\n" * 500):
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            threading.Event().wait(0.02)
        assert everything(connection) == b""


def test_a_body_that_does_not_come_is_not_waited_for_any_longer(server: HttpServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"12345")[:-1])
        assert everything(connection) == b""


def test_a_connection_that_was_admitted_stays_idle_for_longer(server: HttpServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"1"))
        assert statuses(connection.recv(1000)) == [200]
        threading.Event().wait(BOUNDS.head_s + 0.3)
        connection.sendall(post(b"2"))
        assert statuses(connection.recv(1000)) == [200]
        assert everything(connection) == b""


def test_strangers_are_bounded_and_keep_nobody_out(patient: HttpServer) -> None:
    """The oldest stranger of an address makes room, then the oldest of all; who is admitted stays."""
    with connect(patient) as friend:
        friend.sendall(post(b"1"))
        assert statuses(friend.recv(1000)) == [200]
        threads = threading.active_count()
        strangers = [connect(patient, address="127.0.0.2") for _ in range(20)]
        strangers += [connect(patient, address="127.0.0.3") for _ in range(20)]
        assert soon(lambda: patient.connections[1] == BOUNDS.strangers)
        assert patient.connections == (BOUNDS.strangers + 1, BOUNDS.strangers)
        assert threading.active_count() <= threads
        for stranger in strangers[:16]:
            assert everything(stranger) == b""
        with connect(patient, address="127.0.0.4") as other:
            other.sendall(post(b"2"))
            assert statuses(other.recv(1000)) == [200]
        friend.sendall(post(b"3"))
        assert statuses(friend.recv(1000)) == [200]
        for stranger in strangers:
            stranger.close()


def test_connections_are_bounded(patient: HttpServer) -> None:
    held = []
    for n in range(2, 2 + BOUNDS.connections):
        held.append(connect(patient, address=f"127.0.0.{n}"))
        held[-1].sendall(post(b"x", path="/held"))
        assert soon(lambda: patient.connections == (len(held), 0))
    with reach(patient) as more:
        assert everything(more) == b""
    assert patient.connections == (BOUNDS.connections, 0)
    for connection in held:
        connection.close()
    assert soon(lambda: patient.connections == (0, 0))


def test_a_request_that_is_held_back_costs_no_thread_and_outlasts_the_idle_time(
    server: HttpServer, echo: Echo
) -> None:
    threads = threading.active_count()
    with connect(server) as connection:
        connection.sendall(post(b"x", path="/held"))
        assert soon(lambda: len(echo.held) == 1)
        assert threading.active_count() <= threads
        threading.Event().wait(BOUNDS.idle_s + 0.5)
        echo.held[0].reply(Response(b"now"))
        echo.held[0].reply(Response(b"again"))
        assert connection.recv(1000).endswith(b"now")
    assert echo.gone == []


def test_a_client_that_goes_away_is_noticed(server: HttpServer, echo: Echo) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"x", path="/held"))
        assert soon(lambda: len(echo.held) == 1)
    assert soon(lambda: echo.gone == [b"x"])
    echo.held[0].reply(Response(b"too late"))
    assert soon(lambda: server.connections == (0, 0))


def test_large_bodies_are_read_a_few_at_a_time(server: HttpServer, echo: Echo) -> None:
    connections = []
    for n in range(2, 7):
        connections.append(connect(server, address=f"127.0.0.{n}"))
        connections[-1].sendall(post(b"x", path="/file"))
        # The first ones pass the gate, whatever the order in which handshakes end.
        assert soon(lambda: len(echo.admitted) == len(connections))
    assert soon(lambda: len(echo.handled) == BOUNDS.gate)
    assert len(echo.handled) == BOUNDS.gate
    # Those that wait for too long are told to come again.
    for connection in connections[BOUNDS.gate :]:
        assert statuses(everything(connection)) == [503]
    echo.open.set()
    for connection in connections[: BOUNDS.gate]:
        assert statuses(connection.recv(1000)) == [200]
    with connect(server) as another:
        another.sendall(post(b"x", path="/file"))
        assert statuses(another.recv(1000)) == [200]
    for connection in connections:
        connection.close()


def test_those_that_wait_follow_when_a_large_body_is_done(server: HttpServer, echo: Echo) -> None:
    connections = [connect(server, address=f"127.0.0.{n}") for n in range(2, 7)]
    for connection in connections:
        connection.sendall(post(b"x", path="/file"))
    assert soon(lambda: len(echo.handled) == BOUNDS.gate)
    echo.open.set()
    for connection in connections:
        assert statuses(connection.recv(1000)) == [200]
        connection.close()


def test_a_broken_connection_is_logged_and_not_printed(
    server: HttpServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"12345")[:-3])
    with connect(server) as other:
        other.sendall(post(b"ok"))
        assert other.recv(1000).endswith(b"ok")
    assert capfd.readouterr().err == ""


def test_a_closed_server_frees_its_port_and_finishes_what_it_has_begun(echo: Echo) -> None:
    server = HttpServer(echo, host="127.0.0.1", port=0, name="echo")
    port = server.port
    with connect(server) as connection:
        connection.sendall(post(b"x", path="/held"))
        assert soon(lambda: len(echo.held) == 1)
        server.close()
        HttpServer(echo, host="127.0.0.1", port=port, name="next").close()
        echo.held[0].reply(Response(b"done"))
        assert connection.recv(1000).endswith(b"done")
    server.close()


def test_a_port_that_is_taken_is_an_error(server: HttpServer, echo: Echo) -> None:
    with pytest.raises(OSError, match="in use"):
        HttpServer(echo, host="127.0.0.1", port=server.port, name="third")


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
@examples(300)
def test_any_bytes_are_a_head_or_refused(data: bytes) -> None:
    for start in (b"", b"POST / HTTP/1.1\r\n", b"GET /a HTTP/1.1\r\nHost: x\r\n"):
        try:
            head = parse_head(start + data)
        except Refused:
            continue
        assert head.target.startswith("/")
        assert all(name == name.lower() for name in head.fields)


NAMES = st.from_regex(r"[A-Za-z-]{1,20}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40)


@given(st.dictionaries(NAMES, VALUES))
@examples(100)
def test_what_a_client_sends_is_read_as_it_was_sent(fields: dict[str, str]) -> None:
    given_fields = {
        name: value
        for name, value in fields.items()
        if name.lower() not in ("transfer-encoding", "expect")
    }
    if len({name.lower() for name in given_fields}) < len(given_fields):
        return
    lines = "".join(f"\r\n{name}: {value}" for name, value in given_fields.items())
    head = parse_head(f"GET /x?y=1 HTTP/1.1{lines}".encode())
    assert (head.method, head.target) == ("GET", "/x?y=1")
    assert head.fields == {name.lower(): value for name, value in given_fields.items()}
    assert MAX_HEAD_BYTES == 8192


@pytest.fixture
def secure(echo: Echo) -> Iterator[Server]:
    """Provide a server in TLS that closes nothing for its time alone."""
    bounds = dataclasses.replace(BOUNDS, head_s=60.0, connections=60, strangers=50)
    server = Server(echo, bounds, tls=True)
    yield server
    echo.open.set()
    server.close()


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
"""The begin of a TLS record of 512 bytes."""
NO_TLS: list[tuple[str, bytes]] = [
    ("plain HTTP with the token", post(b"1")),
    ("garbage", bytes(range(256)) * 64),
    ("an alert", b"\x15\x03\x03\x00\x02\x02\x28"),
    ("a record of a type that is none", b"\xff\x03\x03\x00\x05hello"),
    ("data before the handshake", b"\x17\x03\x03\x00\x05hello"),
    ("a record that is too long", b"\x16\x03\x03\xff\xff" + b"a" * 65535),
    ("a client hello of garbage", HELLO + b"\xaa" * 506),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n"),
    ("a proxy's preface", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
]


@pytest.mark.parametrize("data", [row[1] for row in NO_TLS], ids=[row[0] for row in NO_TLS])
def test_what_is_no_tls_is_closed_at_once_and_never_parsed(
    secure: Server, echo: Echo, data: bytes
) -> None:
    with reach(secure) as connection:
        _send(connection, data)
        answer = everything(connection)
    assert statuses(answer) == []
    assert len(answer) <= 7, "more than an alert"
    assert soon(lambda: secure.connections == (0, 0))
    assert echo.admitted == []


HALF: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("a byte", b"\x16"),
    ("the begin of a client hello", HELLO + b"a" * 100),
]


@pytest.mark.parametrize("data", [row[1] for row in HALF], ids=[row[0] for row in HALF])
def test_half_a_handshake_blocks_nobody(secure: Server, data: bytes) -> None:
    halves = [reach(secure, address=f"127.0.0.{2 + n // 4}") for n in range(40)]
    for half in halves:
        half.sendall(data)
    assert soon(lambda: secure.connections == (40, 40))
    with connect(secure) as other:
        other.sendall(post(b"2"))
        assert statuses(other.recv(1000)) == [200]
    for half in halves:
        half.close()
    assert soon(lambda: secure.connections == (0, 0))


@pytest.mark.parametrize("data", [row[1] for row in HALF], ids=[row[0] for row in HALF])
def test_half_a_handshake_is_closed_within_the_time_for_a_head(echo: Echo, data: bytes) -> None:
    server = Server(echo, BOUNDS, tls=True)
    with reach(server) as half:
        half.sendall(data)
        assert everything(half) == b""
    server.close()


def test_the_time_for_a_head_includes_the_handshake(echo: Echo) -> None:
    server = Server(echo, BOUNDS, tls=True)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context(CERTIFICATE.text).wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    hello = outgoing.read()
    with reach(server) as connection:
        for n in range(len(hello)):
            try:
                connection.sendall(hello[n : n + 1])
            except OSError:
                break
            threading.Event().wait(0.02)
        everything(connection)
        sent = n
    assert 0 < sent < len(hello) - 1, "the whole hello was taken"
    assert soon(lambda: server.connections == (0, 0))
    server.close()


def test_a_body_larger_than_a_record_arrives_whole_through_the_gate(echo: Echo) -> None:
    """Bytes that OpenSSL has decrypted already make no descriptor ready: nobody may wait for them."""
    bounds = dataclasses.replace(BOUNDS, gate=1, gate_s=10.0, body_s=10.0)
    server = Server(echo, bounds, tls=True)
    try:
        first, second = connect(server), connect(server, address="127.0.0.2")
        first.sendall(post(b"1", path="/file"))
        assert soon(lambda: echo.handled == [b"1"])
        # Head, body and the next request in one record, while the gate is shut.
        second.sendall(post(b"2" * LIMIT, path="/file") + post(b"3"))
        threading.Event().wait(0.1)
        echo.open.set()
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 2 or not answers.endswith(b"3"):
            answers += second.recv(1000)
        assert echo.handled == [b"1", b"2" * LIMIT, b"3"]
        first.close()
        second.close()
    finally:
        server.close()


def test_an_owners_connections_are_bounded_and_no_other_pays(server: HttpServer) -> None:
    """The oldest connection of an owner makes room for its newest; other owners' and strangers' stay."""
    with connect(server, address="127.0.0.9") as other:
        other.sendall(post(b"1", fields=TOKEN + "From: b\r\n"))
        assert statuses(other.recv(1000)) == [200]
        mine = []
        for n in range(BOUNDS.owned + 2):
            mine.append(connect(server, address=f"127.0.0.{2 + n}"))
            mine[-1].sendall(post(b"x", fields=TOKEN + "From: a\r\n"))
            assert statuses(mine[-1].recv(1000)) == [200]
        assert soon(lambda: server.connections == (BOUNDS.owned + 1, 0))
        for closed in mine[:2]:
            assert everything(closed) == b""
        for connection in [other, *mine[2:]]:
            owner = "b" if connection is other else "a"
            connection.sendall(post(b"2", fields=f"{TOKEN}From: {owner}\r\n"))
            assert statuses(connection.recv(1000)) == [200]
        for connection in mine:
            connection.close()


def test_a_connection_belongs_to_its_first_owner(server: HttpServer) -> None:
    with connect(server) as connection:
        connection.sendall(post(b"1", fields=TOKEN + "From: a\r\n"))
        assert statuses(connection.recv(1000)) == [200]
        connection.sendall(post(b"1", fields=TOKEN + "From: b\r\n"))
        assert statuses(everything(connection)) == [403]


def test_one_owner_sends_one_large_body_at_a_time(patient: HttpServer, echo: Echo) -> None:
    """An owner that never sends its bodies holds one place of the gate, and others pass it."""
    fields = TOKEN + "From: a\r\n"
    slow = [connect(patient, address=f"127.0.0.{n}") for n in (2, 3, 4)]
    for connection in slow:
        connection.sendall(post(b"12345", path="/file", fields=fields)[:-1])
    assert soon(lambda: patient.connections == (3, 0))
    echo.open.set()
    for n in range(4):
        with connect(patient, address="127.0.0.8") as other:
            other.sendall(post(b"x", path="/file", fields=f"{TOKEN}From: {n}\r\n"))
            assert statuses(other.recv(1000)) == [200]
    for connection in slow:
        connection.close()


def test_a_flood_of_connections_leaves_those_that_were_admitted_alone(secure: Server) -> None:
    """An admitted client gets its answers while others connect, shake hands and go, as fast as they can."""
    ended = threading.Event()
    tls = client_context(CERTIFICATE.text)

    def flood(address: str) -> None:
        while not ended.is_set():
            with suppress(OSError), reach(secure, address=address) as stranger:
                tls.wrap_socket(stranger).close()

    floods = [threading.Thread(target=flood, args=(f"127.0.0.{n}",)) for n in (2, 3, 4)]
    with connect(secure) as friend:
        friend.sendall(post(b"0"))
        assert statuses(friend.recv(1000)) == [200]
        for thread in floods:
            thread.start()
        for n in range(50):
            friend.sendall(post(str(n).encode()))
            assert statuses(friend.recv(1000)) == [200]
        ended.set()
    for thread in floods:
        thread.join()


def test_a_flood_of_requests_leaves_others_their_turn(patient: HttpServer) -> None:
    """A client that sends requests without reading is served in turns, and its unread answers hold it back."""
    with connect(patient, address="127.0.0.2") as flood, connect(patient) as other:
        sender = threading.Thread(target=lambda: _send(flood, post(b"f") * 20_000), daemon=True)
        sender.start()
        for n in range(20):
            other.sendall(post(str(n).encode()))
            assert statuses(other.recv(1000)) == [200]
        flood.shutdown(socket.SHUT_RDWR)
        sender.join(5)
