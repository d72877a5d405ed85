"""The API server's errors by their responses, and the versions of a restored one."""

from __future__ import annotations

import json

import pytest

from sparksweep_core.api_server.errors import (
    REFUSALS,
    AdmissionFailed,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Restored,
    TooLarge,
    Unavailable,
    error_of,
)

WEBHOOK = (
    'Internal error occurred: failed calling webhook "guard.example.org": failed to call webhook: '
)
RESPONSES: list[tuple[int, str, type[KubeError]]] = [
    (400, 'admission webhook "guard.example.org" denied the request', Invalid),
    (403, 'pods "digits-driver-0" is forbidden: exceeded quota: small', Forbidden),
    (404, 'serviceaccounts "sparksweep-driver" not found', NotFound),
    (409, 'pods "digits-driver-0" already exists', Conflict),
    (410, "too old resource version: 1 (2)", Expired),
    (413, "Request entity too large: limit is 3145728", TooLarge),
    (422, 'Pod "digits-driver-0" is invalid: spec.containers[0].image: Required value', Invalid),
    (422, "metadata.annotations: Too long: may not be more than 262144 bytes", TooLarge),
    (429, "too many requests", Unavailable),
    (500, "etcdserver: request is too large", TooLarge),
    (500, "etcdserver: leader changed", Unavailable),
    (500, WEBHOOK + "Post https://guard: connect: connection refused", AdmissionFailed),
    (500, WEBHOOK + "context deadline exceeded", AdmissionFailed),
    (500, "Internal error occurred: resource quota evaluation timed out", Unavailable),
    (503, "the server is currently unable to handle the request", Unavailable),
    (504, "Timeout: Too large resource version: 120, current: 50", Unavailable),
]


@pytest.mark.parametrize(("code", "message", "kind"), RESPONSES)
def test_an_error_is_known_by_its_response(code: int, message: str, kind: type[KubeError]) -> None:
    error = error_of(code, json.dumps({"kind": "Status", "message": message}).encode())
    assert type(error) is kind
    assert str(error) == message
    assert error.code == code
    assert isinstance(error, REFUSALS) == issubclass(kind, (Forbidden, Invalid, AdmissionFailed))


@pytest.mark.parametrize(("code", "message", "kind"), RESPONSES)
def test_an_error_names_its_object_once(code: int, message: str, kind: type[KubeError]) -> None:
    error = error_of(code, message.encode(), "7")
    error.name_object("Pod", "digits-driver-0")
    error.name_object("Pod", "digits-driver-0")
    assert str(error).count("digits-driver-0") == 1
    assert str(error).endswith(message)
    assert not isinstance(error, Unavailable) or error.retry_after_s == 7


@pytest.mark.parametrize("listed", [0, 99])
def test_a_list_that_is_older_than_what_was_seen_is_of_a_restored_server(listed: int) -> None:
    with pytest.raises(Restored, match=f"its resourceVersion is {listed}, and was 100"):
        Restored.check(listed, seen=100)


@pytest.mark.parametrize("listed", [100, 101])
def test_a_list_of_the_same_version_or_a_later_one_is_not(listed: int) -> None:
    Restored.check(listed, seen=100)
