"""The gateway's server and its choice of a pod: it reaches the viewers of its namespace, at bounded cost, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api_server.errors import Forbidden, KubeError, NotFound, Unavailable
from sparksweep_core.contract.gateway import MAX_HEAD_BYTES, connect_request, parse_request
from sparksweep_operator.gateway.server import Bounds, GatewayServer
from sparksweep_operator.gateway.viewers import Refusal, Viewers, viewer_pod
from sparksweep_operator.kube.port_forward import PortForward, PortForwardError
from support.operator.operator_objects import NAME, NAMESPACE, UID, beside_a_viewer, ended, pod_body

REQUEST = connect_request(NAME, "viewer")


class Echo:
    """A forwarded port behind which each byte comes back."""

    def __init__(self) -> None:
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self.is_closed = False
        self.breaks = False

    async def send(self, data: bytes) -> None:
        await self.data.put(data)

    async def receive(self) -> bytes:
        if self.breaks:
            raise PortForwardError("connection refused")
        return await self.data.get()

    async def close(self) -> None:
        self.is_closed = True


class Rig:
    """A server in front of echoes."""

    def __init__(self, **bounds: Any) -> None:
        self.opened: list[Echo] = []
        self.asked: list[tuple[str, str]] = []
        self.refusal: Refusal | None = None
        self.delay_s = 0.0
        self.writers: list[asyncio.StreamWriter] = []
        self.server = GatewayServer(self._connect, Bounds(**bounds))
        self.port = 0

    async def _connect(self, experiment: str, service: str) -> PortForward:
        self.asked.append((experiment, service))
        await asyncio.sleep(self.delay_s)
        if self.refusal is not None:
            raise self.refusal
        self.opened.append(Echo())
        return cast(PortForward, self.opened[-1])

    async def client(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        return reader, writer

    async def ask(self, request: bytes) -> bytes:
        """Return all that the server answers until it closes."""
        reader, writer = await self.client()
        writer.write(request)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer


def serve(rig: Rig, use: Callable[[Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        rig.port = await rig.server.start(0)
        await use(rig)
        for _ in range(200):
            if not rig.server.open_connections:
                break
            await asyncio.sleep(0.02)
        assert rig.server.open_connections == 0
        await rig.server.close()
        for writer in rig.writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    asyncio.run(run())
    assert all(echo.is_closed for echo in rig.opened)


def test_bytes_go_both_ways_until_the_client_leaves() -> None:
    async def use(rig: Rig) -> None:
        reader, writer = await rig.client()
        # What follows the head at once belongs to the viewer.
        writer.write(REQUEST + b"first")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 OK\r\n\r\n"
        assert await reader.readexactly(5) == b"first"
        block = bytes(range(256)) * 4096
        writer.write(block)
        assert await reader.readexactly(len(block)) == block
        writer.close()

    rig = Rig()
    serve(rig, use)
    assert rig.asked == [(NAME, "viewer")]


def test_a_port_that_breaks_closes_the_connection() -> None:
    async def use(rig: Rig) -> None:
        reader, writer = await rig.client()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        rig.opened[0].breaks = True
        writer.write(b"x")
        assert await asyncio.wait_for(reader.read(), 10) in (b"", b"x")
        writer.close()

    serve(Rig(), use)


@pytest.mark.parametrize(
    "line",
    [
        "CONNECT digits/metrics", "CONNECT digits/7780", "CONNECT digits:7780", "CONNECT digits", "CONNECT /viewer",
        "CONNECT digits/viewer/..", "CONNECT ../digits/viewer", "CONNECT other/digits/viewer", "CONNECT digits/Viewer",
        "CONNECT digits,sparksweep.dev/role=executor/viewer", "CONNECT digits%2Fx/viewer", "CONNECT Digits/viewer",
        "CONNECT " + "a" * 41 + "/viewer", "CONNECT -a/viewer", "CONNECT a-/viewer", "CONNECT 127.0.0.1:7780",
        "CONNECT https://kubernetes.default.svc/viewer", "GET /digits/viewer", "connect digits/viewer", "CONNECT  digits/viewer",
        "POST digits/viewer", "",
    ],
)  # fmt: skip
def test_nothing_but_two_services_of_an_experiment_can_be_asked_for(line: str) -> None:
    async def use(rig: Rig) -> None:
        answer = await rig.ask(f"{line} HTTP/1.1\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert b"EXPERIMENT/viewer" in answer

    rig = Rig()
    serve(rig, use)
    assert rig.asked == []


@given(st.binary(max_size=200))
def test_a_head_is_parsed_or_refused(head: bytes) -> None:
    try:
        experiment, service = parse_request(head)
    except ValueError:
        return
    assert head.startswith(f"CONNECT {experiment}/{service} HTTP/1.".encode())


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"CONNECT digits/viewer HTTP/1.1\r\nX: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431),
        (b"x" * (2 * MAX_HEAD_BYTES), 431),
        (b"CONNECT digits/viewer HTTP/1.1\r\n", 408),
        (b"", 408),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
    ],
)
def test_a_request_is_bounded_in_bytes_and_time(request_bytes: bytes, status: int) -> None:
    async def use(rig: Rig) -> None:
        assert (await rig.ask(request_bytes)).startswith(f"HTTP/1.1 {status} ".encode())

    rig = Rig(request_s=0.2)
    serve(rig, use)
    assert rig.asked == []


def test_a_client_that_leaves_before_it_has_asked_costs_nothing() -> None:
    async def use(rig: Rig) -> None:
        _, writer = await rig.client()
        writer.write(b"CONN")
        writer.close()

    serve(Rig(), use)


def test_a_connection_too_many_is_refused_and_later_ones_are_served() -> None:
    async def use(rig: Rig) -> None:
        held = [await rig.client() for _ in range(2)]
        for reader, writer in held:
            writer.write(REQUEST)
            await reader.readuntil(b"\r\n\r\n")
        assert (await rig.ask(REQUEST)).startswith(b"HTTP/1.1 503 ")
        for _, writer in held:
            writer.close()
        while rig.server.open_connections:
            await asyncio.sleep(0.01)
        reader, writer = await rig.client()
        writer.write(REQUEST)
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.close()

    rig = Rig(connections=2)
    serve(rig, use)
    assert len(rig.opened) == 3


def test_a_silent_connection_is_closed_and_a_slow_one_is_not() -> None:
    async def use(rig: Rig) -> None:
        reader, writer = await rig.client()
        writer.write(REQUEST)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(4):
            await asyncio.sleep(0.2)
            writer.write(b".")
            assert await reader.readexactly(1) == b"."
        assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()

    serve(Rig(silence_s=0.4), use)


def test_a_pod_that_does_not_open_in_time_is_a_gateway_timeout() -> None:
    async def use(rig: Rig) -> None:
        assert (await rig.ask(REQUEST)).startswith(b"HTTP/1.1 504 ")

    rig = Rig(open_s=0.1)
    rig.delay_s = 5
    serve(rig, use)


def test_a_refusal_is_the_response() -> None:
    async def use(rig: Rig) -> None:
        answer = await rig.ask(REQUEST)
        assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
        assert answer.endswith(b"there is none\n")

    rig = Rig()
    rig.refusal = Refusal(HTTPStatus.NOT_FOUND, "there is none")
    serve(rig, use)


# ---------------------------------------------------------------------- the pod

RUNNING = beside_a_viewer({"phase": "Running"})


def driver(number: int = 0, **arguments: Any) -> dict[str, Any]:
    body = pod_body(f"digits-driver-{number}", **{"status": RUNNING, **arguments})
    body["metadata"]["ownerReferences"][0]["controller"] = True
    return body


def changed(**metadata: Any) -> dict[str, Any]:
    body = driver()
    body["metadata"] |= metadata
    return body


OTHERS: dict[str, dict[str, Any]] = {
    "an executor": driver(role="executor"),
    "a pod without a role": driver(role=""),
    "a driver of an earlier Experiment": driver(owner="earlier"),
    "one without an owner": changed(ownerReferences=[]),
    "one that it owns and does not control": changed(
        ownerReferences=[{"kind": "Experiment", "name": NAME, "uid": UID}]
    ),
    "one with another's name": changed(name="web-0"),
    "one that is being deleted": driver(deleting=True),
    "one whose viewer waits": driver(status=beside_a_viewer({}, state="waiting")),
    "one whose viewer has ended": driver(status=beside_a_viewer({}, state="terminated")),
    "one without a viewer": driver(status=ended("Completed", 0, 3)),
}


@pytest.mark.parametrize("other", OTHERS)
def test_no_other_pod_is_reached(other: str) -> None:
    assert viewer_pod([OTHERS[other]], experiment_uid=UID) is None
    assert viewer_pod([OTHERS[other], driver(7)], experiment_uid=UID) == "digits-driver-7"


def test_the_newest_driver_with_a_viewer_is_reached() -> None:
    pods = [driver(2), driver(10), driver(11, status=beside_a_viewer({}, state="waiting"))]
    assert viewer_pod(pods, experiment_uid=UID) == "digits-driver-10"
    after_its_end = driver(3, status=beside_a_viewer(ended("Completed", 0, 3)))
    assert viewer_pod([after_its_end], experiment_uid=UID) == "digits-driver-3"


class FakeKubernetes:
    def __init__(
        self, error: KubeError | None = None, pods: list[dict[str, Any]] | None = None
    ) -> None:
        self.error = error
        self.pods = [driver()] if pods is None else pods
        self.forwarded: list[tuple[str, str, int]] = []

    async def get_experiment(self, namespace: str, name: str) -> dict[str, Any]:
        assert (namespace, name) == (NAMESPACE, NAME)
        return {"metadata": {"uid": UID}}

    async def list_pods(self, namespace: str, experiment: str) -> dict[str, Any]:
        assert (namespace, experiment) == (NAMESPACE, NAME)
        return {"items": self.pods}

    async def forward(self, namespace: str, pod: str, port: int) -> PortForward:
        if self.error is not None:
            raise self.error
        self.forwarded.append((namespace, pod, port))
        return cast(PortForward, Echo())


@pytest.mark.parametrize(("service", "port"), [("viewer", 7781), ("tensorboard", 6006)])
def test_a_service_is_one_port_of_the_drivers_pod(service: str, port: int) -> None:
    kubernetes = FakeKubernetes()
    asyncio.run(Viewers(kubernetes, NAMESPACE).connect(NAME, service))
    assert kubernetes.forwarded == [(NAMESPACE, "digits-driver-0", port)]


@pytest.mark.parametrize(
    ("kubernetes", "status", "words"),
    [
        (FakeKubernetes(pods=[]), 404, "has no driver's pod with a running viewer"),
        (FakeKubernetes(NotFound("pods not found")), 404, "pods not found"),
        (FakeKubernetes(Forbidden("pods is forbidden")), 502, "the gateway lacks a right"),
        (FakeKubernetes(Unavailable("away")), 502, "away"),
    ],
)
def test_what_can_not_be_reached_is_refused_with_its_reason(
    kubernetes: FakeKubernetes, status: int, words: str
) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        asyncio.run(Viewers(kubernetes, NAMESPACE).connect(NAME, "viewer"))
    assert refused.value.status == status
    assert f"Experiment {NAME} in namespace {NAMESPACE}" in str(refused.value)
