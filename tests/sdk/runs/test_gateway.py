"""The way to a viewer: through the gateway where the user may, else to the driver's pod, else one clear sentence."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import pytest

from sparksweep._kube.sync_client import SyncClient
from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep._runs.gateway import Route
from sparksweep.errors import ClusterError, ClusterUnavailable, ExperimentNotFound, Forbidden
from sparksweep_core.contract.gateway import GATEWAY_POD, parse_request

DRIVER = "digits-driver-0"
Answer = bytes | Exception


class Pods:
    """Pods to which ports may be forwarded, or the error of the attempt; answers are written to each request."""

    def __init__(self, gateway: Answer, driver: Answer = b"direct") -> None:
        self._answers = {GATEWAY_POD: gateway, DRIVER: driver}
        self.asked: list[tuple[str, int]] = []
        self.requests: list[bytes] = []

    def connect(self, namespace: str, pod: str, port: int) -> socket.socket:
        assert namespace == "lab"
        self.asked.append((pod, port))
        answer = self._answers[pod]
        if isinstance(answer, Exception):
            raise answer
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs, answer, pod), daemon=True).start()
        return ours

    def _serve(self, end: socket.socket, answer: bytes, pod: str) -> None:
        with end:
            if pod == GATEWAY_POD:
                self.requests.append(end.recv(4096))
            with suppress(OSError):
                end.sendall(answer)
                end.shutdown(socket.SHUT_WR)
                while end.recv(4096):
                    continue


def route(pods: Pods) -> Route:
    return Route(cast(SyncClient, pods), "lab", "digits")


def driver_pod() -> str:
    return DRIVER


def read(opened: socket.socket) -> bytes:
    with opened:
        data = b""
        while more := opened.recv(4096):
            data += more
        return data


OPEN = b"HTTP/1.1 200 OK\r\n\r\nthe viewer's"
NO_RIGHT = Forbidden("Pod sparksweep-viewer-0 in namespace lab: pods is forbidden")
NO_POD = ExperimentNotFound("Pod sparksweep-viewer-0 in namespace lab: not found")
NOT_READY = ClusterUnavailable("Pod sparksweep-viewer-0 in namespace lab: pod not running")
NO_RIGHT_THERE = Forbidden("Pod digits-driver-0 in namespace lab: pods is forbidden")


@pytest.mark.parametrize(("port", "service"), [(7781, "viewer"), (6006, "tensorboard")])
def test_the_gateway_is_asked_for_the_service_and_no_other_pod(port: int, service: str) -> None:
    pods = Pods(OPEN)
    assert read(route(pods).connect(port, driver_pod)) == b"the viewer's"
    assert pods.asked == [(GATEWAY_POD, 7783)]
    assert parse_request(pods.requests[0]) == ("digits", service)


@pytest.mark.parametrize("gateway", [NO_RIGHT, NO_POD, NOT_READY, b""])
def test_without_a_gateway_the_drivers_pod_is_asked(gateway: Answer) -> None:
    pods = Pods(gateway)
    assert read(route(pods).connect(7781, driver_pod)) == b"direct"
    assert pods.asked[-1] == (DRIVER, 7781)


def test_a_gateway_that_may_not_be_used_is_asked_once_and_one_that_starts_again() -> None:
    for gateway, times in ((NO_RIGHT, 1), (NO_POD, 1), (NOT_READY, 3)):
        pods = Pods(gateway)
        way = route(pods)
        for _ in range(3):
            way.connect(7781, driver_pod).close()
        assert [pod for pod, _ in pods.asked].count(GATEWAY_POD) == times


@pytest.mark.parametrize(
    ("gateway", "words"),
    [
        (NO_RIGHT, "you lack the right to create and get pods/portforward of pod sparksweep-viewer-0"),
        (NO_POD, "there is no pod sparksweep-viewer-0, which the chart makes with viewer.enabled"),
        (NOT_READY, "pod sparksweep-viewer-0 does not answer"),
    ],
)  # fmt: skip
def test_with_neither_right_one_sentence_names_the_right_and_the_role(
    gateway: Exception, words: str
) -> None:
    with pytest.raises(Forbidden) as refused:
        route(Pods(gateway, NO_RIGHT_THERE)).connect(7781, driver_pod)
    message = str(refused.value)
    assert words in message
    assert "pods/portforward of pod digits-driver-0" in message
    assert "ClusterRole sparksweep-edit" in message
    assert "\n" not in message


def test_a_refusal_of_the_gateway_is_shown_in_its_own_words() -> None:
    body = b"Experiment digits in namespace lab has no driver's pod with a running viewer\n"
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(body)
    with pytest.raises(ClusterError, match=r"has no driver's pod with a running viewer$"):
        route(Pods(head + body)).connect(7781, driver_pod)


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 10_000])
def test_a_pod_of_that_name_that_is_no_gateway_is_an_error(answer: bytes) -> None:
    with pytest.raises(ClusterError, match=r"sparksweep-viewer-0 in namespace lab: .*no"):
        route(Pods(answer)).connect(7781, driver_pod)


def reader(connect: Callable[..., Any]) -> ClusterRunReader:
    pod = {
        "metadata": {"name": DRIVER},
        "status": {"containerStatuses": [{"name": "viewer", "state": {"running": {}}}]},
    }

    class Kubernetes:
        namespace = "lab"

        def list_objects(self, *_: object, **__: object) -> list[Any]:
            return [pod]

    kubernetes = Kubernetes()
    kubernetes.connect = connect  # type: ignore[attr-defined]
    return ClusterRunReader(cast(SyncClient, kubernetes), "digits")


def test_a_missing_right_is_said_at_once_by_logs_and_tensorboard() -> None:
    pods = Pods(NO_RIGHT, NO_RIGHT_THERE)
    run = reader(pods.connect)
    with pytest.raises(Forbidden, match="ClusterRole sparksweep-edit"):
        run.answers(6006)
    with pytest.raises(Forbidden, match="ClusterRole sparksweep-edit"):
        run.read("trials/0001/stdout.log", 0)


def test_a_tensorboard_that_does_not_listen_yet_does_not_answer() -> None:
    assert reader(Pods(b"HTTP/1.1 200 OK\r\n\r\n").connect).answers(6006) is False
    assert reader(Pods(OPEN[:19] + b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").connect).answers(6006)  # fmt: skip
