"""Taking over from an earlier driver: in pages, and without writing what has ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from sparksweep_core.api import TrialState, TrialStatus, TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_core.errors import Unreadable
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.kubernetes.api_client import PAGE_SIZE, ApiClient
from sparksweep_trainer.kubernetes.batches import Batches
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.informer import Informer
from sparksweep_trainer.kubernetes.status_writer import StatusWriter
from support.trainer.fake_api_server import FakeApiServer, Handler, eventually
from support.trainer.trial_batches import BATCHES, EXPERIMENT, NAMESPACE, batch, name

SIZE = 3
"""Trials in a batch."""
MAX_CLAIM_BYTES = 400
EARLIER, MINE, LATER = (f"digits-driver-{number}" for number in (2, 3, 4))


def numbers(index: int) -> range:
    return range(index * SIZE + 1, (index + 1) * SIZE + 1)


def stored(
    index: int, *, states: list[str] | None = None, driver: str | None = EARLIER
) -> dict[str, Any]:
    """Return a batch as an earlier driver has left it, by default with trials that have all succeeded."""
    states = states or ["Succeeded"] * SIZE
    trials = [
        {"number": number, "state": state, "attempt": 1, "metrics": {"loss": float(number)}}
        for number, state in zip(numbers(index), states, strict=True)
        if state != "Pending"
    ]
    finished = sum(state in ("Succeeded", "Failed", "Stopped") for state in states)
    status = {
        "observedGeneration": 1,
        "driver": driver,
        "progress": f"{finished}/{SIZE}",
        "trials": trials,
    }
    return batch(index, numbers(index), status=status)


class Rig:
    """A driver in front of an API server."""

    def __init__(self) -> None:
        self.server = FakeApiServer()
        self.ends: list[str] = []
        self.added: list[int] = []
        fence = Fence(MINE, replaced=self.ends.append)
        program = Program(
            experiment=EXPERIMENT,
            parameters=[],
            trial_template=TrialTemplate(function="train:training"),
            trials_directory="trials",
        )
        self.writer = StatusWriter(
            ApiClient(self.server.endpoint), namespace=NAMESPACE, fence=fence
        )
        self.service = TrialService(
            program,
            record=lambda changed: self.writer.record([trial.status for trial in changed]),
            added=lambda trials: self.added.extend(trial.number for trial in trials),
        )
        self.batches = Batches(
            self.service,
            self.writer,
            fence,
            connect=lambda: ApiClient(self.server.endpoint),
            gone=self.ends.append,
            closed=lambda: None,
        )

    def close(self) -> None:
        self.writer._api.close()
        self.server.close()

    def put(self, *items: dict[str, Any]) -> None:
        for item in items:
            self.server.put(BATCHES, item)

    def take_over(self) -> str | None:
        return self.batches.take_over(BATCHES, experiment=EXPERIMENT, stop=threading.Event())

    def change(self, item: dict[str, Any]) -> None:
        """Take an event, and claim the batch if it is new."""
        self.batches.on_change(item)
        self.batches.claims.claim_due()

    def write(self) -> None:
        self.writer._pacing.hurry()
        self.writer.write_due()

    def patches(self) -> dict[str, list[dict[str, Any]]]:
        """Return the statuses that were written since the last call, by batch."""
        with self.server.lock:
            requests, self.server.requests[:] = [*self.server.requests], []
        found: dict[str, list[dict[str, Any]]] = {}
        for verb, path, body in requests:
            if verb == "PATCH":
                found.setdefault(path.split("/")[-2], []).append(body["status"])
        return found


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


@pytest.mark.parametrize("finished", [0, 1, 7, 2 * PAGE_SIZE, 3 * PAGE_SIZE + 1])
def test_finished_batches_are_read_once_and_never_written(rig: Rig, finished: int) -> None:
    rig.put(*(stored(index) for index in range(finished)))
    # An older batch may have a straggler, while the newest has ended.
    rig.put(stored(finished, states=["Succeeded", "Running", "Pending"]), stored(finished + 1))
    version = rig.take_over()
    lists = [path for verb, path, _ in rig.server.requests if verb == "GET"]
    assert lists == [BATCHES] * -(-(finished + 2) // PAGE_SIZE)
    claims = rig.patches()
    assert claims.keys() == {name(finished), name(finished + 1)}
    for written in claims.values():
        (status,) = written
        assert status["driver"] == MINE
        assert "trials" not in status
        assert len(json.dumps(status)) < MAX_CLAIM_BYTES
    assert version is not None
    assert int(version) == 100 + finished + 2
    assert sorted(rig.added) == list(range(1, (finished + 2) * SIZE + 1))
    counts = rig.service.tally.counts
    assert (counts.succeeded, counts.pending) == ((finished + 1) * SIZE + 1, 2)
    assert [status.number for status in rig.service.statuses] == [*numbers(finished)][1:]
    for _ in range(3):
        rig.write()
    assert rig.patches().keys() == {name(finished)}, "its lost trial waits again"


def test_a_batch_is_written_for_the_last_time_with_its_last_trial(rig: Rig) -> None:
    rig.put(batch(0, numbers(0)), batch(1, numbers(1)))
    rig.take_over()
    rig.write()
    rig.patches()
    for number in numbers(0):
        for state in (TrialState.RUNNING, TrialState.SUCCEEDED):
            rig.writer.record([TrialStatus(number=number, state=state, attempt=1)])
    rig.write()
    (last,) = rig.patches()[name(0)]
    assert last["progress"] == f"{SIZE}/{SIZE}"
    assert [trial["number"] for trial in last["trials"]] == [*numbers(0)]
    # Whatever is read of it from now on: own events, events of the planner, a list.
    item = rig.server.get(BATCHES, name(0))
    rig.batches.on_change(item)
    item["metadata"]["generation"] = 2
    rig.server.put(BATCHES, item)
    rig.batches.on_change(rig.server.get(BATCHES, name(0)))
    rig.batches.on_list(iter([rig.server.get(BATCHES, name(0)), rig.server.get(BATCHES, name(1))]))
    rig.write()
    assert rig.patches() == {}
    assert rig.ends == []


def test_a_finished_batch_to_which_trials_are_added_is_written_with_all_of_them(rig: Rig) -> None:
    rig.put(stored(0), stored(1))
    rig.take_over()
    rig.patches()
    for index in (0, 1):
        grown = rig.server.get(BATCHES, name(index))
        grown["spec"]["trials"].append({"number": 100 + index, "parameters": {}})
        grown["metadata"]["generation"] = 2
        rig.server.put(BATCHES, grown)
        rig.batches.on_change(rig.server.get(BATCHES, name(index)))
        rig.writer.record([TrialStatus(number=100 + index, state=TrialState.SUCCEEDED, attempt=1)])
        rig.write()
        (status,) = rig.patches()[name(index)]
        assert [trial["number"] for trial in status["trials"]] == [*numbers(index), 100 + index]
        assert status["counts"]["succeeded"] == SIZE + 1


def test_a_write_under_way_when_a_newer_batch_comes_is_repeated_whole(rig: Rig) -> None:
    rig.put(batch(0, numbers(0)))
    rig.take_over()
    rig.patches()
    rig.writer.record(
        [TrialStatus(number=n, state=TrialState.SUCCEEDED, attempt=1) for n in numbers(0)]
    )

    def refuse(request: Handler) -> bool:
        if request.command != "PATCH":
            return False
        # Meanwhile the planner adds a batch.
        rig.server.faults.clear()
        rig.change(rig.server.put(BATCHES, batch(1, numbers(1))))
        request.answer(503, {"message": "later"})
        return True

    rig.server.faults.append(refuse)
    rig.write()
    assert rig.added == [*numbers(0), *numbers(1)]
    rig.patches()
    rig.write()
    (status,) = rig.patches()[name(0)]
    assert status["progress"] == f"{SIZE}/{SIZE}"
    assert len(status["trials"]) == SIZE


def test_a_list_that_expires_is_begun_again(rig: Rig) -> None:
    rig.put(*(stored(index) for index in range(2 * PAGE_SIZE)))
    expired: list[int] = []

    def compact(request: Handler) -> bool:
        if "continue" in request.query and not expired:
            expired.append(1)
            rig.server.compact()
            rig.server.put(BATCHES, stored(2 * PAGE_SIZE))
        return False

    rig.server.faults.append(compact)
    assert rig.take_over() == str(100 + 2 * PAGE_SIZE + 1)
    assert expired
    assert sorted(rig.added) == list(range(1, (2 * PAGE_SIZE + 1) * SIZE + 1))


@pytest.mark.parametrize("index", [0, PAGE_SIZE + 1, PAGE_SIZE + 2])
def test_a_driver_that_was_replaced_claims_nothing(rig: Rig, index: int) -> None:
    """Whichever batch has the name of the later one: that one's claims may have been cut short."""
    for each in range(PAGE_SIZE + 3):
        running = ["Running"] * SIZE
        rig.put(stored(each, states=running, driver=LATER if each == index else EARLIER))
    assert rig.take_over() is None
    assert rig.ends == [LATER]
    assert rig.patches() == {}


def test_the_watch_goes_on_from_the_version_of_the_list(rig: Rig) -> None:
    rig.put(*(stored(index) for index in range(PAGE_SIZE)))
    version = rig.take_over()
    rig.patches()
    informer = Informer(rig.server.endpoint, BATCHES, rig.batches, selector={}, version=version)
    informer.start()
    rig.batches.claims.start()
    rig.put(batch(PAGE_SIZE, numbers(PAGE_SIZE)))
    eventually(lambda: rig.service.tally.counts.created == (PAGE_SIZE + 1) * SIZE)
    with rig.server.lock:
        reads = [request for request in rig.server.requests if request[0] == "GET"]
    assert len(reads) == 1, "the watch; no second list"
    informer.close()
    rig.batches.claims.close()


def test_an_event_of_an_own_write_is_not_parsed_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.put(batch(0, numbers(0)))
    rig.take_over()
    rig.writer.record([TrialStatus(number=1, state=TrialState.RUNNING, attempt=1)])
    rig.write()
    own = rig.server.get(BATCHES, name(0))
    with monkeypatch.context() as patched:
        patched.setattr("sparksweep_trainer.kubernetes.batches.parse_batch", lambda _: 1 / 0)
        rig.batches.on_change(own)
    # After a conflict the version is known before the spec is: the generation tells.
    grown = rig.server.get(BATCHES, name(0))
    grown["spec"]["trials"].append({"number": 50, "parameters": {}})
    grown["metadata"]["generation"] = 2
    rig.server.put(BATCHES, grown)
    rig.writer.record([TrialStatus(number=1, state=TrialState.SUCCEEDED, attempt=1)])
    rig.write()
    rig.batches.on_change(rig.server.get(BATCHES, name(0)))
    assert 50 in rig.added


# ---------------------------------------------------------------------- batches that appear later


@pytest.mark.parametrize("events", [1, 2])
def test_what_an_earlier_driver_wrote_into_a_batch_that_is_new_here_stays(
    rig: Rig, events: int
) -> None:
    """That driver did not know yet that it was replaced, and this one's watch lags behind."""
    rig.put(stored(0))
    rig.take_over()
    rig.patches()
    ends = ["Succeeded", "Failed", "Running"]
    seen = [
        rig.server.put(BATCHES, batch(1, numbers(1))),
        rig.server.put(BATCHES, stored(1, states=["Succeeded", "Running", "Pending"])),
    ]
    newest = rig.server.put(BATCHES, stored(1, states=ends))
    for event in seen[:events]:
        rig.change(event)
    rig.write()
    status = rig.server.get(BATCHES, name(1))["status"]
    assert status["driver"] == MINE
    assert [trial["state"] for trial in status["trials"]] == ["Succeeded", "Failed", "Pending"]
    for earlier, now in zip(newest["status"]["trials"][:2], status["trials"], strict=False):
        assert now == now | earlier
    waiting = [status.number for status in rig.service.statuses]
    assert waiting == [numbers(1)[2]], "the trial that ran; the others do not run again"


def test_a_new_batch_runs_no_trial_before_it_is_claimed(rig: Rig) -> None:
    rig.put(stored(0))
    rig.take_over()
    rig.patches()
    rig.batches.on_change(rig.server.put(BATCHES, batch(1, numbers(1))))
    assert rig.service.statuses == []
    rig.batches.claims.claim_due()
    (claim,) = rig.patches()[name(1)]
    assert claim["driver"] == MINE
    assert [status.number for status in rig.service.statuses] == [*numbers(1)]
    rig.write()
    assert rig.patches() == {}, "the claim is the only write until a trial starts"


def test_a_new_batch_whose_claim_is_refused_keeps_no_other_waiting(rig: Rig) -> None:
    rig.put(stored(0))
    rig.take_over()

    def refuse(request: Handler) -> bool:
        refused = request.command == "PATCH" and name(1) in request.path
        if refused:
            request.answer(500, {"message": "failed calling webhook"})
        return refused

    rig.server.faults.append(refuse)
    for index in (1, 2, 3):
        rig.change(rig.server.put(BATCHES, batch(index, numbers(index))))
    assert [status.number for status in rig.service.statuses] == [*numbers(2), *numbers(3)]
    rig.server.faults.clear()
    eventually(lambda: rig.batches.claims.claim_due() is None)
    assert len(rig.service.statuses) == 3 * SIZE


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_change_of_a_batch_during_its_claim_is_taken_in(rig: Rig, when: str) -> None:
    rig.put(stored(0))
    rig.take_over()

    def grow(request: Handler) -> bool:
        if request.command != "PATCH":
            return False
        rig.server.faults.clear()
        if when == "after":
            request.answer_as_usual()
        grown = rig.server.get(BATCHES, name(1))
        grown["spec"]["trials"].append({"number": 100, "parameters": {}})
        grown["spec"]["parallelTrialCount"] = 7
        grown["metadata"]["generation"] = 2
        rig.batches.on_change(rig.server.put(BATCHES, grown))
        return when == "after"

    rig.server.faults.append(grow)
    rig.change(rig.server.put(BATCHES, batch(1, numbers(1), parallel=2)))
    wanted = [*numbers(1), 100]
    eventually(lambda: [status.number for status in rig.service.statuses] == wanted)
    eventually(lambda: rig.service.slots_wanted == len(wanted))
    assert rig.batches.claims.claim_due() is None


def test_a_later_driver_s_new_batch_ends_this_one(rig: Rig) -> None:
    rig.put(stored(0))
    rig.take_over()
    event = rig.server.put(BATCHES, batch(1, numbers(1)))
    rig.server.put(BATCHES, stored(1, states=["Running"] * SIZE, driver=LATER))
    rig.change(event)
    assert rig.ends == [LATER]
    assert rig.service.statuses == []
    assert rig.batches.claims.claim_due() is None


@pytest.mark.parametrize("deletion", ["event", "list", "change"])
def test_batches_of_another_experiment_of_the_same_name_are_left_alone(
    rig: Rig, deletion: str
) -> None:
    rig.put(stored(0))
    rig.take_over()
    rig.patches()
    gone = rig.server.get(BATCHES, name(0))
    rig.server.remove(BATCHES, name(0))
    made = [batch(index, numbers(index)) for index in (0, 1)]
    for item in made:
        item["metadata"]["uid"] = f"other-{item['metadata']['name']}"
    others = [rig.server.put(BATCHES, item) for item in made]
    match deletion:
        case "event":
            rig.batches.on_delete(gone)
            for item in others:
                rig.change(item)
        case "list":
            rig.batches.on_list(iter(others))
        case _:
            for item in others:
                rig.change(item)
    rig.batches.claims.claim_due()
    rig.write()
    assert rig.ends == [name(0)]
    assert rig.patches() == {}
    assert rig.service.statuses == []


OF_A_LATER_VERSION = {"trials": [{"number": 1, "state": "EarlyStopped", "attempt": 1}]}


def test_a_driver_does_not_start_without_a_batch_that_it_can_not_read(rig: Rig) -> None:
    rig.put(batch(0, numbers(0)), batch(1, numbers(1)) | {"status": OF_A_LATER_VERSION})
    with pytest.raises(Unreadable, match=f'{name(1)} can.t be read .*state: "EarlyStopped"'):
        rig.take_over()


def test_a_batch_that_can_not_be_read_any_more_is_not_left_out(rig: Rig) -> None:
    rig.put(batch(0, numbers(0)))
    rig.take_over()
    with pytest.raises(Unreadable, match="EarlyStopped"):
        rig.batches.on_change(batch(1, numbers(1)) | {"status": OF_A_LATER_VERSION})


def test_fields_of_a_later_version_in_batches_are_ignored(rig: Rig) -> None:
    later = batch(0, numbers(0))
    later["spec"] |= {"priority": 3}
    later["spec"]["trials"][0] |= {"deadline": {"seconds": 1}}
    rig.put(later)
    rig.take_over()
    assert rig.added == list(numbers(0))
