"""An Experiment's life with the operator on a real API server; the driver's part is played."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from cluster.client import KubectlError
from support.control_plane.kube_api import Refused
from support.control_plane.lab import Lab, experiment, failed, now, running, succeeded
from support.documents.experiments_for_checks import FUNCTION
from support.documents.invalid_documents import INVALID, Row


def test_an_applied_experiment_gets_its_batch_its_config_maps_and_its_driver(lab: Lab) -> None:
    lab.apply(experiment())
    lab.wait_for_driver()
    (batch,) = lab.batches()
    assert batch["metadata"]["name"] == "digits-00000"
    assert [item["parameters"] for item in batch["spec"]["trials"]] == [
        {"x": "1"},
        {"x": "2"},
        {"x": "3"},
    ]
    maps = {item["metadata"]["name"]: item for item in lab.api.items("configmaps")}
    del maps["kube-root-ca.crt"]
    assert [re.sub(r"[0-9a-f]{12}$", "", name) for name in sorted(maps)] == [
        "digits-code-", "digits-config-",
    ]  # fmt: skip
    assert [item["immutable"] for item in maps.values()] == [True, True]
    (owner,) = batch["metadata"]["ownerReferences"]
    assert owner["uid"] == lab.api.get("experiments", "digits")["metadata"]["uid"]
    # The scheduler's own words: whatever it says where there are no nodes, or too small ones.
    waits = lab.wait_for_condition("Running", "False", reason="WaitingForDriver", message="available")  # fmt: skip
    assert waits["message"].startswith("The driver is waiting: ")
    status = lab.status()
    assert (status["state"], status["progress"]) == ("Pending", "0/3")
    assert status["trials"]["created"] == status["trials"]["pending"] == 3
    assert lab.condition("Accepted")["status"] == "True"
    assert status["observedGeneration"] == 1


def test_tables_and_descriptions_say_how_far_it_is(lab: Lab) -> None:
    lab.apply(experiment())
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=2)
    lab.report(lab.batches()[0], [running(3)])
    lab.wait_for_condition("Running", reason="TrialsRunning")
    head, row = lab.kubectl("get", "experiments").splitlines()
    assert head.split() == ["NAME", "STATE", "TRIALS", "BEST", "ALGORITHM", "AGE"]
    assert row.split()[:5] == ["digits", "Running", "2/3", "2", "grid"]
    head, row = lab.kubectl("get", "trialbatches").splitlines()
    assert row.split()[0] == "digits-00000"
    assert "2/3" in row.split()
    text = lab.kubectl("describe", "experiment", "digits")
    for reason in ("Started", "BatchCreated", "DriverCreated"):
        assert len(re.findall(rf"Normal +{reason} ", text)) == 1, text


def test_when_all_trials_have_ended_it_is_complete_and_the_driver_is_gone(lab: Lab) -> None:
    lab.create(trials=5)
    lab.wait_for_driver()
    driver = lab.take_over()
    (batch,) = lab.batches()
    assert driver == "digits-driver-0"
    lab.report(batch, [running(1), running(2)])
    lab.wait_for_condition("Running", "True", reason="TrialsRunning")
    lab.wait(lambda: lab.status()["trials"]["running"] == 2, "two trials run")
    lab.report(batch, [succeeded(item) for item in batch["spec"]["trials"][:4]])
    lab.report(batch, [failed(5)])
    complete = lab.wait_for_condition("Complete")
    assert complete["reason"] == "SearchSpaceExhausted"
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")
    status = lab.status()
    assert status["state"] == "Complete"
    assert status["bestTrial"] == {
        "number": 4,
        "attempt": 1,
        "objective": 4,
        "parameters": {"x": "4"},
        "metrics": {"score": 4},
    }
    counts = status["trials"]
    assert (counts["succeeded"], counts["failed"], counts["created"]) == (4, 1, 5)
    assert status["startTime"] <= status["completionTime"] <= now()
    assert lab.condition("Running")["status"] == "False"
    reasons = [reason for reason, _ in lab.events()]
    assert sorted(reasons) == ["BatchCreated", "DriverCreated", "SearchSpaceExhausted", "Started", "TrialFailed"]  # fmt: skip
    assert lab.check_history()


def test_a_goal_that_is_reached_stops_the_rest(lab: Lab) -> None:
    lab.create(trials=50, goal=2)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=2)
    (batch,) = lab.wait(
        lambda: [item for item in lab.batches() if item["spec"].get("stop")], "the batch says stop"
    )
    assert batch["spec"]["stop"]["reason"] == "GoalReached"
    lab.wait_for_condition("Running", reason="Stopping", message="Trial 2 reached the goal")
    assert lab.drivers(), "the driver is to stop the trials"
    status = lab.play_to_the_end()
    assert lab.condition("Complete")["reason"] == "GoalReached"
    assert (status["trials"]["succeeded"], status["trials"]["stopped"]) == (2, 48)
    assert status["bestTrial"]["number"] == 2
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")


def test_too_many_failures_end_it(lab: Lab) -> None:
    lab.create(trials=10, maxFailedTrialCount=2)
    lab.wait_for_driver()
    lab.take_over()
    lab.report(lab.batches()[0], [failed(1), failed(2, "KeyError: 'lr'")])
    lab.wait(lambda: lab.batches()[0]["spec"].get("stop"), "the batch says stop")
    lab.play_to_the_end()
    end = lab.condition("Failed")
    assert end["reason"] == "MaxFailedTrialsReached"
    assert "KeyError: 'lr'" in end["message"]
    assert lab.status()["trials"]["stopped"] == 8
    assert ("TrialFailed", "Trial 2 failed: Exception. KeyError: 'lr'") in lab.events()


def test_a_deadline_ends_it(lab: Lab) -> None:
    lab.create(activeDeadlineSeconds=2)
    lab.wait_for_driver()
    end = lab.wait_for_condition("Failed", reason="DeadlineExceeded")
    assert "activeDeadlineSeconds: 2" in end["message"]
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")
    assert lab.status()["trials"]["stopped"] == 3


def test_after_its_time_to_live_nothing_is_left(lab: Lab) -> None:
    lab.create(ttlSecondsAfterFinished=1)
    lab.wait_for_driver()
    lab.play_to_the_end()
    lab.wait(lambda: not lab.left(), "nothing is left")


def test_suspended_it_has_no_driver_and_resumed_it_has_the_next(lab: Lab) -> None:
    lab.create(trials=4)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=1)
    lab.report(lab.batches()[0], [running(2)])
    lab.wait(lambda: lab.status()["trials"]["running"] == 1, "a trial runs")
    lab.change(suspend=True)
    lab.wait_for_condition("Suspended")
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")
    lab.wait(lambda: lab.status()["trials"]["running"] == 0, "nothing runs")
    assert (lab.status()["state"], lab.status()["progress"]) == ("Suspended", "1/4")
    lab.change(suspend=False)
    lab.wait_for_driver(number=1)
    lab.wait_for_condition("Suspended", "False", reason="Resumed")
    lab.play_to_the_end()
    assert lab.status()["trials"]["succeeded"] == 4
    reasons = [reason for reason, _ in lab.events()]
    assert [reasons.count(item) for item in ("SuspendedByUser", "Resumed", "DriverRestarted")] == [1, 1, 1]  # fmt: skip


def test_suspended_from_the_start_nothing_is_made_until_it_is_resumed(lab: Lab) -> None:
    lab.create(suspend=True)
    lab.wait_for_condition("Suspended")
    assert lab.left() == ["experiments/digits"]
    lab.change(suspend=False)
    lab.wait_for_driver()
    assert lab.play_to_the_end()["trials"]["succeeded"] == 3


def test_another_parallelism_is_written_into_the_newest_batch_alone(lab: Lab) -> None:
    lab.create(trials=250)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=50)
    lab.wait(lambda: len(lab.batches()) >= 2, "there is a second batch")
    before = [batch["metadata"]["generation"] for batch in lab.batches()]
    lab.change(parallelTrialCount=7)
    lab.wait(lambda: lab.batches()[-1]["spec"]["parallelTrialCount"] == 7, "the batch says 7")
    after = lab.batches()
    assert [item["metadata"]["generation"] for item in after[:-1]] == before[:-1]
    assert {item["spec"]["parallelTrialCount"] for item in after[:-1]} == {2}
    assert lab.driver_names() == ["digits-driver-0"]
    lab.wait(lambda: lab.status().get("observedGeneration") == 2, "the status answers the new spec")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"algorithm": {"algorithmName": "random"}}, "algorithm"),
        ({"objective": {"goal": 7}}, "objective"),
        ({"trialTemplate": {"maxRetries": 3}}, "trialTemplate"),
    ],
)
def test_what_can_not_change_is_refused_with_a_clear_text(
    bare_lab: Lab, change: dict[str, Any], words: str
) -> None:
    bare_lab.create()
    with pytest.raises(Refused, match=rf"spec\.?{words}.*must not change|{words}.*can.*change"):
        bare_lab.change(**change)


def chosen(rows: list[Row]) -> list[Row]:
    """Return one row for each base and path: those that the operator has to report itself."""
    by_path: dict[str, Row] = {}
    for row in rows:
        document = row.document
        if row.caught_by == "check" and row.path.startswith("spec") and "status" not in document:
            by_path.setdefault(row.path, row)
    return list(by_path.values())


def test_what_only_the_checks_notice_fails_with_the_fields_path_and_nothing_is_made(
    lab: Lab,
) -> None:
    rows = chosen(INVALID)
    assert len(rows) >= 5
    for number, row in enumerate(rows):
        document = row.document
        document["metadata"] = {"name": f"row-{number}"}
        lab.api.create("experiments", document)
    for number, row in enumerate(rows):
        name = f"row-{number}"
        failure = lab.wait_for_condition("Failed", reason="InvalidSpec", name=name)
        assert row.path in failure["message"], row.id
        assert lab.condition("Accepted", name)["status"] == "False"
        assert lab.status(name)["completionTime"]
    assert {item.partition("/")[0] for item in lab.left()} == {"experiments"}
    reasons = [reason for reason, _ in lab.events("row-0")]
    assert reasons == ["InvalidSpec"]


def test_too_little_memory_for_spark_is_refused_by_the_operator(lab: Lab) -> None:
    lab.create(template={"resources": {"memory": "512Mi"}})
    failure = lab.wait_for_condition("Failed", reason="InvalidSpec")
    assert "spec.trialTemplate.resources.memory: 512Mi: must be at least" in failure["message"]


def test_a_driver_deleted_by_hand_is_followed_by_the_next(lab: Lab) -> None:
    lab.create()
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=1)
    lab.wait(lambda: lab.status()["progress"] == "1/3", "a trial is counted")
    lab.api.delete("pods", "digits-driver-0", gracePeriodSeconds=0)
    lab.wait_for_driver(number=1)
    lab.wait(lambda: "DriverRestarted" in [reason for reason, _ in lab.events()], "an event says so")  # fmt: skip
    lab.play_to_the_end()
    assert lab.status()["trials"]["succeeded"] == 3
    assert [item["attempt"] for item in lab.batches()[0]["status"]["trials"]] == [1, 1, 1]


def fail_pod(lab: Lab, name: str, *, at: str, reason: str = "Error", code: int = 1) -> None:
    state = {"terminated": {"exitCode": code, "reason": reason, "startedAt": at, "finishedAt": at}}
    container = {
        "name": "driver",
        "state": state,
        "ready": False,
        "restartCount": 0,
        "image": "trainer",
        "imageID": "",
    }
    status = {"phase": "Failed", "containerStatuses": [container]}
    lab.api.patch("pods", name, {"status": status}, "status")


def test_a_driver_that_ended_soon_is_followed_after_a_pause(lab: Lab) -> None:
    lab.create()
    lab.wait_for_driver()
    ended = time.time()
    fail_pod(lab, "digits-driver-0", at=now()[:19] + "Z", reason="OOMKilled", code=137)
    lab.wait_for_condition("Running", "False", message="digits-driver-0 ended (OOMKilled, exit code 137)")  # fmt: skip
    lab.wait_for_driver(number=1)
    # The end has whole seconds.
    assert time.time() - ended > 8
    lab.wait(lambda: lab.driver_names() == ["digits-driver-1"], "the dead one is deleted")
    restarted = [message for reason, message in lab.events() if reason == "DriverRestarted"]
    assert len(restarted) == 1
    assert "OOMKilled, exit code 137" in restarted[0]


def test_an_experiment_recreated_under_its_name_starts_from_the_beginning(lab: Lab) -> None:
    lab.create(trials=4)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=3)
    lab.wait(lambda: lab.status()["progress"] == "3/4", "three trials are counted")
    old = lab.api.get("experiments", "digits")["metadata"]["uid"]
    lab.api.delete("experiments", "digits", propagationPolicy="Background")
    new = lab.create(trials=4)["metadata"]["uid"]
    assert new != old

    def is_new() -> bool:
        owners = [item["metadata"]["ownerReferences"][0]["uid"] for item in [*lab.batches(), *lab.drivers()]]  # fmt: skip
        return len(owners) == 2 and set(owners) == {new}

    lab.wait(is_new, "the new one has a batch and a driver of its own", timeout_s=60)
    assert lab.status()["progress"] == "0/4"
    assert lab.play_to_the_end()["trials"]["succeeded"] == 4


def test_everything_a_document_may_have_is_taken_by_the_api_server(lab: Lab) -> None:
    """The pods that come of it, too: the driver's is created, an executor's tried."""
    lab.api.create("experiments", FUNCTION)
    lab.wait_for_driver()


def test_an_experiment_can_be_explained(lab: Lab) -> None:
    text = lab.kubectl("explain", "experiment.spec.trialTemplate")
    assert "resources" in text
    with pytest.raises(KubectlError):
        lab.kubectl("explain", "experiment.spec.nothing")
