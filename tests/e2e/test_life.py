"""A user's changes to a running experiment, and its end."""

from __future__ import annotations

import json
import time

import pytest

from support.e2e.e2e_cluster import Namespace
from support.e2e.e2e_experiments import experiment, pausing

pytestmark = pytest.mark.nodes


def patch(namespace: Namespace, name: str, **spec: object) -> None:
    namespace.kubectl("patch", "swx", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def test_more_and_fewer_at_once_then_suspended_and_resumed(namespace: Namespace) -> None:
    namespace.apply(experiment("edited", trials=60, source=pausing(1.5), parallel=1))
    with namespace.watched("edited"):
        namespace.wait_for(lambda: namespace.ended("edited") >= 2, "two trials have ended")
        patch(namespace, "edited", parallelTrialCount=3)
        namespace.wait_for(
            lambda: namespace.status("edited")["trials"]["running"] == 3, "three trials run at once"
        )
        assert len(namespace.running("edited", "driver")) == 1
        assert [p["metadata"]["name"] for p in namespace.pods("edited", "driver")] == [
            "edited-driver-0"
        ]
        patch(namespace, "edited", parallelTrialCount=2)
        namespace.wait_for(
            lambda: len(namespace.running("edited", "executor")) == 2, "an executor is given back"
        )
        patch(namespace, "edited", suspend=True)
        namespace.wait_for(
            lambda: (
                not namespace.running("edited", "executor")
                and not namespace.running("edited", "driver")
            ),
            "the executors are given back",
            timeout_s=40,
        )
        assert namespace.condition("edited", "Suspended")["status"] == "True"
        # A status is written at most once a second, so the executors may be gone before it says so.
        namespace.wait_for(
            lambda: namespace.status("edited")["trials"]["running"] == 0,
            "no trial runs",
            timeout_s=5,
        )
        ended = namespace.ended("edited")
        attempts = {
            n: t["attempt"]
            for n, t in namespace.trials("edited").items()
            if t["state"] == "Succeeded"
        }
        patch(namespace, "edited", suspend=False, parallelTrialCount=3)
        namespace.wait_for(lambda: namespace.ended("edited") > ended, "it goes on")
        assert namespace.running("edited", "driver") == ["edited-driver-1"]
        namespace.wait_until_finished("edited")
    namespace.assert_complete("edited", trials=60)
    trials = namespace.trials("edited")
    assert all(trials[n]["attempt"] == attempt for n, attempt in attempts.items())
    described = namespace.kubectl("describe", "swx", "edited")
    for reason in ("SuspendedByUser", "Resumed", "DriverRestarted"):
        assert reason in described


def test_the_goal_stops_the_rest_and_idle_slots_leave_before_the_last_trial_ends(
    namespace: Namespace,
) -> None:
    source = """
import time

def training(x):
    time.sleep(1 if x < 4 else 90)
    return x
"""
    objective = {"type": "maximize", "objectiveMetricName": "score", "goal": 5}
    namespace.apply(
        experiment("tail", trials=4, source=source, parallel=3, spec={"objective": objective})
    )
    namespace.wait_for(
        lambda: namespace.status("tail").get("trials", {}).get("succeeded") == 3,
        "three trials have ended",
    )
    # One trial is left, for a minute and a half: two of the three executors have nothing to do.
    namespace.wait_for(
        lambda: len(namespace.running("tail", "executor")) == 1,
        "idle executors are given back",
        timeout_s=60,
    )
    assert namespace.status("tail")["trials"]["running"] == 1
    namespace.kubectl("delete", "swx", "tail", "--wait=false")

    source = source.replace("1 if x < 4 else 90", "90 if x == 1 else 1")
    objective["goal"] = 3
    namespace.apply(
        experiment("goal", trials=50, source=source, parallel=2, spec={"objective": objective})
    )
    begun = time.monotonic()
    status = namespace.wait_until_finished("goal")
    assert namespace.condition("goal", "Complete")["reason"] == "GoalReached"
    # The next one may end before the order to stop comes: a second is as long as a status may wait to be written.
    assert status["bestTrial"]["objective"] in (3, 4)
    trials = namespace.trials("goal")
    assert (trials[1]["state"], trials[1]["reason"]) == ("Stopped", "GoalReached")
    assert {trials[n]["state"] for n in range(5, 51)} == {"Stopped"}
    assert time.monotonic() - begun < 90, "the running trial was waited for"
    assert "GoalReached" in namespace.kubectl("describe", "swx", "goal")


def test_a_deadline_fails_it_and_its_time_to_live_deletes_it(namespace: Namespace) -> None:
    namespace.apply(
        experiment(
            "late",
            trials=4,
            source=pausing(600),
            spec={"activeDeadlineSeconds": 20, "ttlSecondsAfterFinished": 8},
        )
    )
    namespace.wait_until_finished("late", timeout_s=60)
    assert namespace.condition("late", "Failed")["reason"] == "DeadlineExceeded"
    assert {t["state"] for t in namespace.trials("late").values()} == {"Stopped"}
    namespace.wait_for(lambda: not namespace.left(), "nothing is left", timeout_s=60)
