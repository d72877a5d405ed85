"""Writes of batch statuses: their content, rate, resource version and writer."""

from __future__ import annotations

import pytest

from sparksweep_core.api import TrialState, TrialStatus, limits
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.api.trial_batch import TrialBatchStatus
from sparksweep_core.api_server.errors import Invalid, KubeError, Unavailable, error_of
from sparksweep_core.contract.names import driver_number
from sparksweep_trainer.kubernetes.fencing import Fence
from sparksweep_trainer.kubernetes.status_writer import StatusWriter, parse_batch
from sparksweep_trainer.kubernetes.write_pacing import INTERVAL_S
from support.pruned_fields import optional_fields
from support.trainer.status_rig import Rig, trial
from support.trainer.trial_batches import NAMESPACE, batch, name


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_status_tells_of_every_trial_and_counts_those_that_wait(rig: Rig) -> None:
    rig.add(batch(0, range(1, 6)))
    rig.writer.record(
        [
            trial(2, metrics={"accuracy": 0.5}),
            trial(3, TrialState.RUNNING, reason=None),
            trial(1, TrialState.FAILED, reason="Exception", message="boom"),
            trial(4, TrialState.PENDING, reason="Exception", retries=1),
        ]
    )
    assert rig.writer.write_due() is None
    status = rig.status()
    assert [item["number"] for item in status["trials"]] == [1, 2, 3, 4]
    assert status["progress"] == "2/5"
    assert status["counts"] == {
        "created": 5, "pending": 2, "running": 1, "succeeded": 1, "failed": 1, "stopped": 0,
    }  # fmt: skip
    assert status["driver"] == "digits-driver-3"
    assert status["observedGeneration"] == 1
    assert status["trials"][1]["metrics"] == {"accuracy": 0.5}


def test_a_change_after_a_quiet_second_is_written_at_once(rig: Rig) -> None:
    rig.add(batch(0, range(1, 6)))
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() is None
    rig.clock.now += INTERVAL_S
    rig.writer.record([trial(2)])
    assert rig.writer.write_due() is None
    assert len(rig.store.writes) == 2


def test_changes_within_a_second_are_written_together_at_its_end(rig: Rig) -> None:
    rig.add(batch(0, range(1, 6)))
    rig.writer.record([trial(1)])
    rig.writer.write_due()
    for number in range(2, 6):
        rig.clock.now += 0.1
        rig.writer.record([trial(number)])
        wait_s = rig.writer.write_due()
        assert wait_s == pytest.approx(1.1 - 0.1 * number)
    assert len(rig.store.writes) == 1
    rig.clock.now += 0.6
    assert rig.writer.write_due() is None
    assert len(rig.store.writes) == 2
    assert rig.status()["progress"] == "5/5"


def test_the_last_report_of_a_running_trial_is_written_at_most_once_a_second(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.writer.record([trial(1, TrialState.RUNNING, reason=None)])
    assert rig.writer.write_due() is None
    for step in range(20):
        rig.clock.now += 0.1
        rig.writer.report(1, 1, ReportedMetrics(step=step, metrics={"loss": 1 / (step + 1)}))
        # Nor of an earlier attempt.
        rig.writer.report(1, 0, ReportedMetrics(step=step, metrics={"loss": 9.0}))
        # Of one that does not run nothing is kept.
        rig.writer.report(2, 1, ReportedMetrics(step=step, metrics={"loss": 0.5}))
        rig.writer.write_due()
    assert len(rig.store.writes) == 3
    (seen,) = rig.status()["trials"]
    assert seen["reported"] == {"step": 19, "metrics": {"loss": 0.05}}
    rig.clock.now += INTERVAL_S
    rig.writer.record([trial(1, metrics={"loss": 0.04})])
    rig.writer.report(1, 1, ReportedMetrics(step=20, metrics={"loss": 0.03}))
    assert rig.writer.write_due() is None
    (seen,) = rig.status()["trials"]
    assert "reported" not in seen
    assert seen["metrics"] == {"loss": 0.04}


def test_a_thousand_trials_of_ten_milliseconds_take_a_dozen_rounds_of_writes(rig: Rig) -> None:
    for index in range(10):
        rig.add(batch(index, range(100 * index + 1, 100 * index + 101)))
    rounds = 0
    due: float | None = None
    for number in range(1, 1001):
        for state in (TrialState.RUNNING, TrialState.SUCCEEDED):
            rig.clock.now += 0.005
            rig.writer.record([trial(number, state)])
            if due is None or rig.clock.now >= due:
                before = len(rig.store.writes)
                wait_s = rig.writer.write_due()
                rounds += len(rig.store.writes) > before
                due = None if wait_s is None else rig.clock.now + wait_s
    while (wait_s := rig.writer.write_due()) is not None:
        rig.clock.now += wait_s
        rounds += 1
    assert rounds <= 12
    # Each of ten rounds a second touches one batch, or two where one ends and the next begins.
    assert len(rig.store.writes) <= 24
    assert all(rig.status(index)["progress"] == "100/100" for index in range(10))


def test_batches_that_did_not_change_are_not_written(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))
    rig.writer.put(parse_batch(rig.store.get(name(0))))
    assert rig.writer.write_due() is None
    assert rig.store.writes == []
    rig.writer.record([trial(3)])
    rig.writer.write_due()
    assert [key for key, _ in rig.store.writes] == [name(1)]


def test_another_generation_is_acknowledged_with_one_write(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    grown = rig.store.get(name(0))
    grown["spec"]["trials"].append({"number": 3, "parameters": {"x": "3"}})
    grown["metadata"]["generation"] = 2
    rig.writer.put(parse_batch(rig.store.put(grown)))
    rig.writer.write_due()
    assert rig.status()["observedGeneration"] == 2
    assert rig.status()["counts"]["pending"] == 3
    rig.writer.put(parse_batch(rig.store.get(name(0))))
    rig.clock.now += 10
    assert rig.writer.write_due() is None
    assert len(rig.store.writes) == 1


def test_what_a_watch_tells_late_changes_nothing(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    old = parse_batch(rig.store.get(name(0)))
    rig.writer.record([trial(1)])
    rig.writer.write_due()
    rig.writer.put(old.model_copy(update={"status": None}))
    rig.clock.now += 10
    assert rig.writer.write_due() is None
    rig.writer.record([trial(2)])
    assert rig.writer.write_due() is None
    assert len(rig.store.writes) == 2


def test_a_collision_is_resolved_at_once_and_loses_nothing(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))

    def grow(key: str) -> None:
        item = rig.store.get(key)
        item["metadata"]["generation"] = 2
        rig.store.put(item)

    rig.store.before_write = [grow, grow]
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() is None
    assert rig.status()["progress"] == "1/2"
    # It does not claim to have observed a generation that it has not read.
    assert rig.status()["observedGeneration"] == 1


def test_a_change_during_a_write_is_written_in_the_next_round(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.store.before_write = [lambda _: rig.writer.record([trial(2)])]
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() == pytest.approx(INTERVAL_S)
    assert rig.status()["progress"] == "1/2"
    rig.clock.now += INTERVAL_S
    assert rig.writer.write_due() is None
    assert rig.status()["progress"] == "2/2"


def test_what_an_absent_server_missed_is_written_when_it_is_back(rig: Rig) -> None:
    rig.add(batch(0, range(1, 4)))
    rig.add(batch(1, range(4, 6)))
    rig.store.fault = Unavailable("away")
    rig.writer.record([trial(1), trial(4)])
    waited: list[float] = []
    for number in (2, 3, 5):
        wait_s = rig.writer.write_due()
        assert wait_s is not None
        waited.append(wait_s)
        rig.clock.now += wait_s
        rig.writer.record([trial(number)])
    assert min(waited) >= INTERVAL_S * 0.99
    rig.store.fault = None
    # Each batch has a backoff of its own, and these are jittered.
    while (wait_s := rig.writer.write_due()) is not None:
        rig.clock.now += wait_s
    assert rig.status(0)["progress"] == "3/3"
    assert rig.status(1)["progress"] == "2/2"


def test_a_server_that_asks_for_time_gets_it(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.store.fault = Unavailable("too many requests", retry_after_s=7)
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() == pytest.approx(7)


def test_trouble_is_told_in_the_newest_batch_until_it_is_over(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))
    rig.writer.write_due()
    rig.store.writes.clear()
    for problem in ("the disk is full", "the disk is full", None, None):
        rig.clock.now += INTERVAL_S
        rig.writer.set_problem(problem)
        rig.writer.write_due()
        assert rig.status(1).get("problem") == problem
        assert "problem" not in rig.status(0)
    assert [key for key, _ in rig.store.writes] == [name(1), name(1)], "one write each"
    rig.writer.set_problem("x" * 10_000)
    rig.clock.now += INTERVAL_S
    rig.writer.write_due()
    assert len(rig.status(1)["problem"]) == limits.MESSAGE
    rig.add(batch(2, range(5, 7)))
    rig.clock.now += INTERVAL_S
    rig.writer.write_due()
    assert rig.status(2)["problem"], "the newest batch tells it"


def test_the_next_driver_takes_its_predecessors_trouble_back(rig: Rig) -> None:
    item = batch(0, range(1, 3))
    item["status"] = {"driver": "digits-driver-1", "problem": "the disk is full"}
    rig.add(item)
    assert "problem" not in rig.status(0)


@pytest.mark.parametrize(
    "error",
    [
        error_of(403, b"exceeded quota: small"),
        error_of(422, b'TrialBatch "digits-00000" is invalid: status: not on my watch'),
        error_of(500, b'Internal error occurred: failed calling webhook "guard": refused'),
    ],
    ids=["quota", "policy", "webhook"],
)
def test_a_refused_status_is_named_until_it_is_taken(rig: Rig, error: KubeError) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))
    assert rig.writer.refusal is None
    rig.store.fault_of = lambda key: error if key == name(0) else None
    rig.writer.record([trial(1), trial(3)])
    rig.writer.write_due()
    words = rig.writer.refusal
    assert words is not None
    assert words.startswith("The status of a TrialBatch is refused: ")
    assert name(0) in words
    assert str(error).rpartition(": ")[2] in words
    assert rig.status(1)["progress"] == "1/2", "the others are written"
    rig.store.fault_of = None
    rig.clock.now += 600
    rig.writer.write_due()
    assert rig.writer.refusal is None
    assert rig.status(0)["progress"] == "1/2"


def test_an_api_server_that_is_away_is_no_refusal(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.store.fault = Unavailable("away")
    rig.writer.record([trial(1)])
    rig.writer.write_due()
    assert rig.writer.refusal is None


def test_a_refused_write_is_tried_again_and_keeps_no_other_batch_waiting(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))

    def refuse(_: str) -> None:
        rig.store.fault = Invalid("no")

    def allow(_: str) -> None:
        rig.store.fault = None

    rig.store.before_write = [refuse, allow]
    rig.writer.record([trial(1), trial(3)])
    wait_s = rig.writer.write_due()
    assert wait_s is not None
    assert wait_s > 0
    assert rig.status(1)["progress"] == "1/2"
    rig.clock.now += wait_s
    assert rig.writer.write_due() is None
    assert rig.status(0)["progress"] == "1/2"


def test_a_batch_that_is_gone_is_forgotten(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    del rig.store.items[name(0)]
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() is None
    rig.writer.record([trial(2)])
    assert rig.writer.write_due() is None


def test_another_experiments_batch_of_the_same_name_is_left_alone(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    another = batch(0, range(1, 3))
    another["metadata"]["uid"] = "uid-2"
    rig.store.put(another)
    rig.writer.record([trial(1)])
    assert rig.writer.write_due() is None
    assert rig.store.writes == []
    assert rig.writer.missing_from({name(0): "uid-2"}) == []


def test_a_refusal_is_written_into_the_newest_batch(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))
    rig.writer.refuse("training() takes no argument 'x'")
    rig.writer.write_due()
    assert [key for key, _ in rig.store.writes] == [name(1)]
    assert rig.status(1)["refused"] == "training() takes no argument 'x'"


# ---------------------------------------------------------------------- more than one driver


def test_drivers_have_numbers() -> None:
    assert driver_number("digits-driver-12") == 12
    assert driver_number("my-driver-1-driver-2") == 2
    assert driver_number("digits") is None
    assert driver_number("digits-driver-x") is None


def test_a_driver_that_was_replaced_writes_nothing_any_more(rig: Rig) -> None:
    rig.add(batch(0, range(1, 3)))
    rig.add(batch(1, range(3, 5)))

    def take_over(key: str) -> None:
        item = rig.store.get(key)
        item["status"] = {"driver": "digits-driver-4"}
        rig.store.put(item)

    rig.store.before_write = [take_over]
    rig.writer.record([trial(1), trial(3)])
    assert rig.writer.write_due() is None
    assert rig.replaced_by == ["digits-driver-4"]
    assert rig.store.writes == []
    assert rig.status(0) == {"driver": "digits-driver-4"}


def test_an_earlier_driver_can_write_nothing_over_a_claim() -> None:
    earlier = Rig("digits-driver-2")
    earlier.add(batch(0, range(1, 3)))
    later = Rig("digits-driver-10")
    later.store = earlier.store
    later.writer = StatusWriter(
        earlier.store,  # type: ignore[arg-type]
        namespace=NAMESPACE,
        fence=Fence("digits-driver-10", replaced=later.replaced_by.append),
        monotonic=later.clock,
    )
    assert later.claim(earlier.store.get(name(0))) is not None
    earlier.writer.record([trial(1)])
    earlier.writer.write_due()
    assert earlier.replaced_by == ["digits-driver-10"]
    assert earlier.status()["progress"] == "0/2"


def test_what_an_earlier_driver_wrote_before_the_claim_is_in_it(rig: Rig) -> None:
    item = rig.store.put(batch(0, range(1, 3), status={"driver": "digits-driver-2"}))

    def finish(key: str) -> None:
        found = rig.store.get(key)
        found["status"] |= {"trials": [trial(1).to_dict()]}
        rig.store.put(found)

    rig.store.before_write = [finish]
    claimed = rig.claim(item)
    assert claimed is not None
    assert claimed.status is not None
    assert [(found.number, found.state) for found in claimed.status.trials] == [
        (1, TrialState.SUCCEEDED)
    ]
    assert claimed.status.driver == "digits-driver-3"
    assert claimed.status.progress == "1/2"


def test_a_claim_ends_when_a_later_driver_has_taken_over(rig: Rig) -> None:
    item = rig.store.put(batch(0, range(1, 3), status={"driver": "digits-driver-4"}))
    assert rig.claim(item) is None
    assert rig.replaced_by == ["digits-driver-4"]
    assert rig.store.writes == []


PRUNED = [
    *optional_fields(TrialBatchStatus, "status"),
    *optional_fields(TrialStatus, "status.trials"),
]
# Without the driver's name, which every version stores, no driver could claim a batch.
PRUNED.remove("status.driver")


@pytest.mark.parametrize("field", [None, *PRUNED])
def test_what_the_api_server_drops_is_not_written_again(rig: Rig, field: str | None) -> None:
    rig.store.pruned = field
    rig.add(batch(0, range(1, 3)))
    rig.writer.record([trial(1, TrialState.FAILED, reason="Exception", message="no", lost=1, retries=1)])  # fmt: skip
    rig.writer.write_due()
    assert len(rig.store.writes) == 1
    for version in range(3):
        rig.clock.now += 20
        touched = rig.store.get(name(0))
        touched["metadata"]["labels"] = {"touched": str(version)}
        rig.writer.put(parse_batch(rig.store.put(touched)))
        assert rig.writer.write_due() is None
    assert len(rig.store.writes) == 1
    rig.writer.record([trial(2)])
    rig.writer.write_due()
    assert len(rig.store.writes) == 2
