"""The client for the API server: responses, refusals, silence and broken connections."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sparksweep_core.api_server.errors import (
    Conflict,
    Expired,
    Forbidden,
    KubeError,
    NotFound,
    Unavailable,
)
from sparksweep_trainer.kubernetes.api_client import ApiClient, Endpoint, batches_path
from support.trainer.fake_api_server import FakeApiServer, Handler
from support.trainer.trial_batches import BATCHES, batch, name


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    server = FakeApiServer()
    yield server
    server.close()


@pytest.fixture
def api(server: FakeApiServer) -> Iterator[ApiClient]:
    with ApiClient(server.endpoint, timeout_s=5) as api:
        yield api


def test_a_status_is_merged_into_the_version_that_was_read(
    server: FakeApiServer, api: ApiClient
) -> None:
    server.put(BATCHES, batch(0, range(1, 3), status={"progress": "0/2", "refused": "no"}))
    item = api.request("GET", f"{BATCHES}/{name(0)}")
    version = item["metadata"]["resourceVersion"]
    written = api.patch_status(
        f"{BATCHES}/{name(0)}", {"progress": "1/2"}, resource_version=version
    )
    assert written["status"] == {"progress": "1/2", "refused": "no"}
    with pytest.raises(Conflict):
        api.patch_status(f"{BATCHES}/{name(0)}", {"progress": "2/2"}, resource_version=version)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, NotFound), (409, Conflict), (410, Expired), (403, Forbidden)]
)
def test_a_refusal_says_what_the_server_said(
    server: FakeApiServer, api: ApiClient, status: int, kind: type[KubeError]
) -> None:
    server.faults.append(answering(status, "no, because"))
    with pytest.raises(kind, match=r"^no, because$") as caught:
        api.request("GET", BATCHES)
    assert caught.value.code == status


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_what_may_go_better_later_is_unavailable(
    server: FakeApiServer, api: ApiClient, status: int
) -> None:
    server.faults.append(answering(status, "busy", Retry_After="7"))
    with pytest.raises(Unavailable, match="busy") as caught:
        api.request("GET", BATCHES)
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("after", ["", "soon", "-3", "100000000"])
def test_a_senseless_retry_after_does_no_harm(
    server: FakeApiServer, api: ApiClient, after: str
) -> None:
    server.faults.append(answering(429, "busy", Retry_After=after))
    with pytest.raises(Unavailable) as caught:
        api.request("GET", BATCHES)
    assert 0 <= caught.value.retry_after_s <= 30


def test_an_answer_that_is_not_json_is_unavailable(server: FakeApiServer, api: ApiClient) -> None:
    def nonsense(handler: Handler) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Length", "4")
        handler.end_headers()
        handler.wfile.write(b"<ht>")
        return True

    server.faults.append(nonsense)
    with pytest.raises(Unavailable, match="not JSON"):
        api.request("GET", BATCHES)


def test_a_server_that_is_not_there_is_unavailable(server: FakeApiServer) -> None:
    endpoint = server.endpoint
    lonely = FakeApiServer()
    lonely.close()
    with ApiClient(lonely.endpoint) as api, pytest.raises(Unavailable):
        api.request("GET", BATCHES)
    assert endpoint != lonely.endpoint


def test_a_connection_that_went_stale_is_opened_again(
    server: FakeApiServer, api: ApiClient
) -> None:
    def answer_and_hang_up(handler: Handler) -> bool:
        server.faults.clear()
        handler.answer_as_usual()
        # Without saying so in the answer: the client finds out with its next request.
        handler.close_connection = True
        return True

    server.faults.append(answer_and_hang_up)
    api.request("GET", BATCHES)
    assert api.request("GET", BATCHES)["items"] == []


def test_a_token_is_read_for_each_request_and_sent(server: FakeApiServer, tmp_path: Path) -> None:
    seen: list[str | None] = []

    def look(handler: Handler) -> bool:
        seen.append(handler.headers.get("Authorization"))
        return False

    server.faults.append(look)
    token = tmp_path / "token"
    token.write_text("first\n")
    with ApiClient(Endpoint(server=server.endpoint.server, token_file=token)) as api:
        api.request("GET", BATCHES)
        token.write_text("second\n")
        api.request("GET", BATCHES)
    assert seen == ["Bearer first", "Bearer second"]


def test_a_server_that_the_authority_does_not_vouch_for_is_not_talked_to(tmp_path: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("no certificate")
    with (
        ApiClient(Endpoint(server="https://127.0.0.1:1", ca_file=authority)) as api,
        pytest.raises((ssl.SSLError, Unavailable)),
    ):
        api.request("GET", BATCHES)


def watch(api: ApiClient, version: str = "0", *, read_timeout_s: float = 5) -> Iterator[Any]:
    query = {"resourceVersion": version, "labelSelector": "sparksweep.dev/experiment=digits"}
    return api.watch(BATCHES, query=query, read_timeout_s=read_timeout_s)


def test_a_watch_tells_what_happens_and_breaks_off_whole(
    server: FakeApiServer, api: ApiClient
) -> None:
    server.put(BATCHES, batch(0, range(1, 2)))
    stranger = batch(1, range(1, 2))
    stranger["metadata"]["labels"] = {"sparksweep.dev/experiment": "another"}
    server.put(BATCHES, stranger)
    events = watch(api)
    kind, item = next(events)
    assert (kind, item["metadata"]["name"]) == ("ADDED", name(0))
    server.remove(BATCHES, name(0))
    assert next(events)[0] == "DELETED"
    server.break_watches()
    with pytest.raises(Unavailable):
        next(events)


def test_a_watch_from_too_long_ago_has_expired(server: FakeApiServer, api: ApiClient) -> None:
    server.put(BATCHES, batch(0, range(1, 2)))
    server.compact()
    with pytest.raises(Expired):
        next(watch(api))


def test_a_watch_that_expires_on_the_way_says_so(server: FakeApiServer, api: ApiClient) -> None:
    gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
    with server.lock:
        server.note("ERROR", gone | {"metadata": {"labels": LABELS}}, BATCHES)
    with pytest.raises(Expired):
        next(watch(api))


def test_a_silent_watch_is_taken_for_broken(server: FakeApiServer, api: ApiClient) -> None:
    with pytest.raises(Unavailable, match="timed out"):
        next(watch(api, read_timeout_s=0.05))


def test_names_are_quoted() -> None:
    assert batches_path("lab", "a/b") == f"{BATCHES}/a%2Fb"


LABELS = {"sparksweep.dev/experiment": "digits"}


def answering(status: int, message: str, **headers: str) -> Any:
    def fault(handler: Handler) -> bool:
        handler.answer(status, {"message": message}, **headers)
        return True

    return fault
