"""A trial that has read its slot's token: what it may do with it, which docs/security.md says, and nothing more.

Slot 0 runs somebody else's trial. Slot 1 is the attacker: it holds a real token, and sends what no slot sends.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import TrialState, TrialStatus
from sparksweep_trainer.driver.retry_policy import MAX_LOST_ATTEMPTS
from sparksweep_trainer.driver.trial_server import CONNECTIONS_A_SLOT, SlotTokens, TrialServer
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import Chunk, Outcome, SlotHello
from sparksweep_trainer.slot.trial_client import DriverGone, TrialClient
from support.hypothesis_profiles import examples
from support.trainer.server_rig import Rig, report, run_next
from support.trainer.stage import soon

VICTIM, ATTACKER = 0, 1
OUTCOME: dict[str, object] = {
    "state": "Succeeded",
    "reason": "Completed",
    "metrics": {"accuracy": 1e9},
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T00:00:01Z",
    "durationSeconds": 1.0,
}


class Stage(Rig):
    """A victim that runs trial 1, an attacker that runs trial 2, and trials that wait."""

    def __init__(self, directory: Path, *, tls: bool = False, trials: int = 5) -> None:
        super().__init__(tls=tls)
        self.server.close()
        self.directory = directory / "run"
        store = FileStore(self.directory)
        self.server = TrialServer(self.service, files=store, certificate=self.certificate)
        self.victim = self.ready(trials)
        self.assignment = run_next(self.victim)
        self.attacker = self.client(ATTACKER)
        self.own = run_next(self.attacker, ATTACKER)
        self.line = self.connection()

    def status(self, number: int) -> TrialStatus:
        (status,) = [item for item in self.statuses if item.number == number]
        return status

    def post(self, path: str, body: object, *, token: str | None = None) -> tuple[int, object]:
        """Send a request with the attacker's token; return the status and the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        token = token or self.server.token(ATTACKER)
        self.line.request("POST", path, data, {"Authorization": f"Bearer {token}"})
        response = self.line.getresponse()
        text = response.read()
        return response.status, json.loads(text) if response.status == 200 else text.decode()

    def close(self) -> None:
        self.line.close()
        super().close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path, tls=True)
    yield stage
    stage.close()


def messages(slot: int, number: int, attempt: int = 1) -> dict[str, object]:
    """Return one request of each kind."""
    trial = {"slot": slot, "number": number, "attempt": attempt}
    chunk = json.dumps({**trial, "path": "stdout.log", "offset": 0}).encode() + b"\nforged"
    return {
        "/v1/hello": {"slot": slot, "node": "elsewhere", "pid": 1},
        "/v1/next": {"slot": slot},
        "/v1/passed": {"slot": slot},
        "/v1/refuse": {"slot": slot, "message": "forged"},
        "/v1/report": {**trial, "outcome": OUTCOME},
        "/v1/heartbeat": trial,
        "/v1/files": chunk,
    }


@pytest.mark.parametrize("path", messages(0, 1))
def test_a_token_is_good_for_its_own_slot_only(stage: Stage, path: str) -> None:
    before = stage.statuses
    status, text = stage.post(path, messages(VICTIM, stage.assignment.number)[path])
    assert (status, text) == (403, "slot 0: the token is that of slot 1")
    assert stage.statuses == before
    # The victim goes on as if nothing had been said.
    assert stage.victim.report(report(stage.assignment))
    assert stage.status(1).metrics == {"accuracy": 0.5}


OTHERS = {
    "/v1/report": {"taken": False},
    "/v1/heartbeat": {"order": "stop"},
    "/v1/files": {"taken": False, "size": 0, "full": False, "later": False},
}


@pytest.mark.parametrize(
    ("number", "attempt"), [(1, 1), (1, 2), (2, 2), (3, 1), (3, 2), (99, 1)], ids=str
)
@pytest.mark.parametrize("path", OTHERS)
def test_nothing_of_a_trial_that_it_does_not_run_is_taken(
    stage: Stage, path: str, number: int, attempt: int
) -> None:
    """Another slot's trial, another attempt at its own, one that waits, one that does not exist."""
    before = stage.statuses
    assert stage.post(path, messages(ATTACKER, number, attempt)[path]) == (200, OTHERS[path])
    assert stage.statuses == before
    assert list((stage.directory / "trials").iterdir()) == []


def test_a_finished_trial_never_changes(stage: Stage) -> None:
    """Its own, and another slot's: reported again, with other values, and asked for again."""
    assert stage.attacker.report(report(stage.own, slot=ATTACKER))
    assert stage.victim.report(report(stage.assignment))
    before = [stage.status(1), stage.status(2)]
    for number in (1, 2):
        for attempt in (1, 2):
            for path, body in messages(ATTACKER, number, attempt).items():
                assert stage.post(path, body)[0] == 200
    assert [stage.status(1), stage.status(2)] == before


TOKENS = ["", "1", "1.", "0.", ".", "1.AAAA", "-1.", "99999999999.x", "\u0661.x", "Bearer", "1.x" * 2000]  # fmt: skip


@pytest.mark.parametrize("token", TOKENS, ids=lambda text: repr(text)[:20])
def test_a_made_up_token_is_refused(stage: Stage, token: str) -> None:
    connection = stage.connection()
    connection.putrequest("POST", "/v1/next")
    connection.putheader("Authorization", f"Bearer {token}".encode())
    connection.putheader("Content-Length", "0")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_a_token_of_another_slot_cannot_be_made_of_ones_own(stage: Stage) -> None:
    number, mac = stage.server.token(ATTACKER).split(".")
    for forged in (f"0.{mac}", f"0{number}.{mac}", f"{number}.{mac}=", f"{number}.{mac[:-1]}", SlotTokens().of(0)):  # fmt: skip
        assert stage.post("/v1/next", {"slot": 0}, token=forged)[0] == 401
        stage.line.close()


OUTCOMES: list[tuple[str, str]] = [
    ("durationSeconds", "1e999"),
    ("durationSeconds", "1e300"),
    ("durationSeconds", "-1"),
    ("durationSeconds", "NaN"),
    ("peakMemoryBytes", "1" + "0" * 30),
    ("peakMemoryBytes", "-1"),
    ("startTime", '"9999-12-31T23:59:59-12:00"'),
    ("startTime", '"0001-01-01T00:00:00+12:00"'),
    ("completionTime", '"2026-01-01T00:00:00"'),
    ("completionTime", "1e11"),
    ("reason", '"no reason"'),
    ("reason", '"' + "A" * 65 + '"'),
    ("message", '"' + "x" * 20_000 + '"'),
    ("metrics", '{"accuracy": 1e999}'),
    ("metrics", '{"accuracy": "1"}'),
    ("metrics", json.dumps({f"m{n}": 1.0 for n in range(1000)})),
    ("state", '"Running"'),
    ("state", '"Pending"'),
]


@pytest.mark.parametrize(("name", "value"), OUTCOMES, ids=lambda text: text[:24])
def test_an_outcome_that_could_not_be_written_never_enters(
    stage: Stage, name: str, value: str
) -> None:
    """Values that the API server, a calendar or a sum would refuse later: one of them would hold up all others' statuses."""
    outcome = json.dumps(OUTCOME)[:-1] + f', "{name}": {value}' + "}"
    trial = json.dumps({"slot": ATTACKER, "number": 2, "attempt": 1})
    status, text = stage.post("/v1/report", f'{trial[:-1]}, "outcome": {outcome}}}'.encode())
    assert status == 400
    assert "outcome" in str(text)
    assert stage.status(2).state is TrialState.RUNNING


MOMENTS = st.datetimes().map(lambda moment: moment.isoformat() + "Z")


@given(MOMENTS, MOMENTS, st.floats(0, allow_nan=False), st.integers(0))
@examples(100)
def test_an_outcome_that_enters_can_be_written(
    start: str, end: str, duration: float, memory: int
) -> None:
    fields = {"startTime": start, "completionTime": end, "durationSeconds": duration, "peakMemoryBytes": memory}  # fmt: skip
    try:
        outcome = Outcome.from_json(json.dumps({**OUTCOME, **fields}).encode())
    except ValueError:
        return
    text = outcome.to_json()
    assert Outcome.from_json(text.encode()).to_json() == text
    assert (outcome.peak_memory_bytes or 0) < 2**63


PATHS = [
    "../../x", "..", ".", "", "/etc/passwd", "a/../../b", "a//b", "a/./b", "a/", "/", "\0", "a\0b", "../0001/stdout.log",
    "../../results.parquet", "a" * 1025, "a/" * 100 + "b", "\udcff",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=lambda text: repr(text)[:20])
def test_files_stay_below_the_directory_of_their_trial(stage: Stage, path: str) -> None:
    head = {"slot": ATTACKER, "number": 2, "attempt": 1, "path": path, "offset": 0, "total": 1}
    before = sorted(item for item in stage.directory.parent.rglob("*"))
    assert stage.post("/v1/files", json.dumps(head).encode() + b"\nx")[0] == 400
    own = stage.directory / "trials" / "0002"
    after = [item for item in stage.directory.parent.rglob("*") if own not in (item, *item.parents)]
    assert sorted(after) == before


def test_a_trials_files_and_directories_are_bounded(tmp_path: Path) -> None:
    """A directory for each of very many files, and names of those that were refused, cost neither disk nor memory."""
    store = FileStore(tmp_path)
    for n in range(3000):
        chunk = Chunk(slot=1, number=2, attempt=1, path=f"d{n}/file", offset=0, total=1)
        store.take(chunk, b"x")
    below = list((tmp_path / "trials" / "0002").iterdir())
    assert len([item for item in below if item.is_dir()]) == 1000
    (trial,) = store._trials.values()
    assert len(trial.refused) <= 2000
    for n in range(3000, 6000):
        store.take(Chunk(slot=1, number=2, attempt=1, path=f"d{n}/file", offset=0, total=1), b"x")
    assert len(trial.refused) == 2000


def test_trials_that_it_takes_and_gives_back_end_as_lost(tmp_path: Path) -> None:
    """Its slot may ask for work as often as it likes: each time costs one of the attempts that a trial may lose."""
    stage = Stage(tmp_path, trials=3)
    attempts = 0
    while (order := stage.post("/v1/next", {"slot": ATTACKER}))[1] != {"order": "wait"}:
        attempts += 1
        assert isinstance(order[1], dict)
        if attempts > 2 * (MAX_LOST_ATTEMPTS + 1) - 2:
            break
    assert attempts <= 2 * (MAX_LOST_ATTEMPTS + 1)
    assert stage.status(2).state is TrialState.FAILED
    assert stage.status(1).state is TrialState.RUNNING
    stage.close()


def test_a_trial_that_says_it_was_stopped_does_not_run_for_ever(stage: Stage) -> None:
    own = stage.own
    for _ in range(MAX_LOST_ATTEMPTS + 1):
        assert stage.attacker.report(report(own, slot=ATTACKER, state=TrialState.STOPPED))
        if stage.status(2).state is TrialState.FAILED:
            break
        own = run_next(stage.attacker, ATTACKER)
        assert own.number == 2
    assert stage.status(2).state is TrialState.FAILED
    assert stage.status(2).attempt == MAX_LOST_ATTEMPTS + 1


def test_a_slot_names_its_executor_once(stage: Stage) -> None:
    """Else it could pass for another executor's, and each name would stay in the driver's memory."""
    for n in range(20):
        stage.attacker.hello(SlotHello(slot=ATTACKER, node=f"made-up-{n}", pid=1))
    stage.attacker.hello(SlotHello(slot=ATTACKER, node="node-0", pid=1))
    assert stage.service.node(ATTACKER) == "node-1"
    assert stage.service.slots_on("node-0") == [VICTIM]
    assert not stage.service.has_registered("made-up-0")
    assert stage.status(1).state is TrialState.RUNNING


def test_the_check_of_the_code_cannot_be_taken_back(stage: Stage) -> None:
    for path in ("/v1/refuse", "/v1/passed"):
        status, answer = stage.post(path, messages(ATTACKER, 2)[path])
        assert (status, answer) == (200, {"taken": False})
    assert stage.service.code_check.refusal is None


def test_a_flood_of_connections_with_a_token_costs_its_own_slot(stage: Stage) -> None:
    connections = [stage.connection() for _ in range(30)]
    for connection in connections:
        token = stage.server.token(ATTACKER)
        body = json.dumps({"slot": ATTACKER, "number": 2, "attempt": 1})
        connection.request("POST", "/v1/heartbeat", body, {"Authorization": f"Bearer {token}"})
    assert soon(lambda: stage.server.connections == (CONNECTIONS_A_SLOT + 1, 0))
    assert stage.victim.report(report(stage.assignment))
    for connection in connections:
        connection.close()


def test_neither_logs_nor_errors_nor_statuses_have_a_token(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        stage.attacker.report(report(stage.own, slot=ATTACKER))
        client = TrialClient(stage.address(ATTACKER, token="1.wrong-token"))
        with pytest.raises(DriverGone) as error:
            client.next(ATTACKER)
        client.close()
        stage.post("/v1/files", b"no message")
    told = caplog.text + str(error.value) + "".join(status.to_json() for status in stage.statuses)
    for token in (stage.server.token(VICTIM), stage.server.token(ATTACKER), "wrong-token"):
        assert token.split(".")[-1] not in told


REQUESTS = st.tuples(
    st.sampled_from([path for path in messages(0, 1) if path not in ("/v1/next", "/v1/heartbeat")]),
    st.integers(0, 2),
    st.integers(1, 6),
    st.integers(1, 3),
)


@given(st.lists(REQUESTS, max_size=30))
@examples(25)
def test_whatever_it_sends_the_trials_of_others_stay_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, requests: list[tuple[str, int, int, int]]
) -> None:
    stage = Stage(tmp_path_factory.mktemp("stage"))
    before = stage.status(1)
    finished: dict[int, TrialStatus] = {}
    for path, slot, number, attempt in requests:
        stage.post(path, messages(slot, number, attempt)[path])
        for status in stage.statuses:
            if status.state.is_finished:
                assert finished.setdefault(status.number, status) == status
    assert stage.status(1) == before
    assert set(finished) <= {stage.own.number}
    assert stage.victim.report(report(stage.assignment))
    stage.close()
