"""The trial server over real HTTP on the loopback device: tokens, bounds, waiting and lost answers."""

import json
import threading
from collections.abc import Iterator

import pytest

from sparksweep_core.api import (
    Stop,
    TrialReason,
    TrialSpec,
    TrialState,
)
from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.protocol import (
    MAX_REQUEST_BYTES,
    Assignment,
    Heartbeat,
    Refusal,
    SlotHello,
)
from sparksweep_trainer.slot.trial_client import DriverGone, TrialClient
from support.trainer.server_rig import PROGRAM, Rig, report, run_next


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    rig = Rig(tls=request.param)
    yield rig
    rig.close()


def test_a_slot_gets_the_program_a_check_and_then_work(rig: Rig) -> None:
    client = TrialClient(rig.address())
    rig.clients.append(client)
    assert client.hello(SlotHello(slot=0, node="here", pid=1)) == PROGRAM
    rig.service.submit([TrialSpec(number=1, parameters={"x": "2"})])
    assert client.next(0).order == "check"
    client.passed(0)
    assignment = run_next(client)
    assert assignment == Assignment(number=1, attempt=1, parameters={"x": "2"}, is_last=True)
    assert client.report(report(assignment))
    assert rig.statuses[0].metrics == {"accuracy": 0.5}
    assert rig.statuses[0].node == "here"


def test_no_trial_starts_when_the_code_is_refused(rig: Rig) -> None:
    client = rig.client()
    rig.service.submit([TrialSpec(number=1, parameters={"x": "1"})])
    assert client.next(0).order == "check"
    client.refuse(Refusal(slot=0, message="training() takes no argument 'x'"))
    assert rig.service.code_check.refusal == "training() takes no argument 'x'"
    assert client.next(0).order == "leave"
    assert rig.statuses[0].attempt == 0


def test_a_lost_checker_is_replaced(rig: Rig) -> None:
    first, second = rig.client(0), rig.client(1)
    rig.service.submit([TrialSpec(number=1, parameters={"x": "1"})])
    assert first.next(0).order == "check"
    rig.service.lose(0, Loss("gone"))
    assert second.next(1).order == "check"


def test_an_outcome_is_recorded_before_its_slot_learns_that_it_was_taken(rig: Rig) -> None:
    client = rig.ready(1)
    client.report(report(run_next(client)))
    assert [status.state for status in rig.recorded][-1] is TrialState.SUCCEEDED


def test_a_repeated_report_is_taken_once(rig: Rig) -> None:
    client = rig.ready(1)
    assignment = run_next(client)
    assert client.report(report(assignment))
    assert not client.report(report(assignment, state=TrialState.FAILED))
    assert rig.statuses[0].state is TrialState.SUCCEEDED


def test_a_slot_that_asks_again_has_lost_its_trial(rig: Rig) -> None:
    client = rig.ready(1)
    assert run_next(client).attempt == 1
    assert run_next(client).attempt == 2


def test_a_heartbeat_is_answered_as_soon_as_the_trial_is_to_stop(rig: Rig) -> None:
    client = rig.ready(1)
    assignment = run_next(client)
    beats = TrialClient(rig.address(0))
    rig.clients.append(beats)
    orders: list[str] = []
    beat = Heartbeat(slot=0, number=assignment.number, attempt=assignment.attempt)
    asking = threading.Thread(target=lambda: orders.append(beats.heartbeat(beat).order))
    asking.start()
    rig.service.stop(Stop(reason=TrialReason.GOAL_REACHED))
    asking.join(timeout=5)
    assert orders == ["stop"]


def test_a_slot_that_waits_is_woken_by_new_trials(rig: Rig) -> None:
    client = rig.ready(1)
    client.report(report(run_next(client)))
    orders: list[str] = []
    asking = threading.Thread(target=lambda: orders.append(client.next(0).order))
    asking.start()
    rig.service.submit([TrialSpec(number=2, parameters={"x": "1"})])
    asking.join(timeout=5)
    assert orders == ["run"]


def test_close_lets_waiting_slots_leave(rig: Rig) -> None:
    client = rig.ready(1)
    client.report(report(run_next(client)))
    orders: list[str] = []
    asking = threading.Thread(target=lambda: orders.append(client.next(0).order))
    asking.start()
    rig.service.close()
    asking.join(timeout=5)
    assert orders == ["leave"]


def test_a_wrong_token_is_refused_and_its_body_never_parsed(rig: Rig) -> None:
    client = rig.client(token="wrong")
    with pytest.raises(DriverGone, match="401"):
        client.next(0)


def post(rig: Rig, path: str, body: bytes, **headers: str) -> tuple[int, str]:
    connection = rig.connection()
    try:
        connection.request(
            "POST", path, body, {"Authorization": f"Bearer {rig.server.token(0)}", **headers}
        )
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/nothing", b"{}", 404),
        ("/v1/next", b"not json", 400),
        ("/v1/next", json.dumps({"slot": "0"}).encode(), 400),
        ("/v1/next", json.dumps({"slot": "0", "extra": 1}).encode(), 400),
        ("/v1/report", b"\x80\x04\x95", 400),
    ],
)
def test_what_is_not_a_request_is_refused(rig: Rig, path: str, body: bytes, status: int) -> None:
    assert post(rig, path, body)[0] == status


def test_a_request_that_is_too_large_is_refused_unread(rig: Rig) -> None:
    headers = {"Content-Length": str(MAX_REQUEST_BYTES + 1)}
    assert post(rig, "/v1/next", b"", **headers)[0] == 413


def test_a_metric_that_is_not_finite_never_enters(rig: Rig) -> None:
    client = rig.ready(1)
    assignment = run_next(client)
    text = report(assignment).to_json().replace("0.5", "NaN", 1)
    assert post(rig, "/v1/report", text.encode())[0] == 400
    assert rig.statuses[0].state is TrialState.RUNNING


def test_a_slot_gives_up_on_a_driver_that_is_gone() -> None:
    rig = Rig()
    client = rig.ready(1)
    rig.close()
    with pytest.raises(DriverGone):
        client.next(0)
