"""The viewer in a driver's pod outlives the experiment: its driver is ended, and the pod stays."""

from __future__ import annotations

from support.control_plane.kube_api import Document
from support.control_plane.lab import RUNNING, Lab, experiment

COMPLETED: Document = {"terminated": {"exitCode": 0, "reason": "Completed"}}
CRASHED: Document = {"terminated": {"exitCode": 1, "reason": "Error"}}


def test_at_the_end_the_newest_batch_is_closed_and_the_pod_stays(lab: Lab) -> None:
    lab.create(trials=3)
    pod = lab.wait_for_driver()
    lab.set_containers(pod, driver=RUNNING, viewer=RUNNING)
    lab.take_over()
    lab.play_to_the_end()
    lab.wait(lambda: lab.batches()[-1]["spec"].get("closed"), "the newest batch is closed")
    assert lab.status()["results"].startswith(f"pod/{pod}:/var/lib/sparksweep/digits-")
    assert lab.driver_names() == [pod]
    lab.set_containers(pod, driver=COMPLETED, viewer=RUNNING)
    lab.change(ttlSecondsAfterFinished=3600)
    lab.wait_for_condition("Complete")
    assert lab.driver_names() == [pod]
    assert lab.condition("Complete")["status"] == "True"
    lab.set_containers(pod, driver=COMPLETED, viewer=CRASHED)
    lab.wait(lambda: not lab.drivers(), "a pod in which nothing runs is deleted")


def test_a_driver_that_crashed_is_replaced_though_its_viewer_runs(lab: Lab) -> None:
    lab.create(trials=3)
    first = lab.wait_for_driver()
    lab.set_containers(first, driver=RUNNING, viewer=RUNNING)
    lab.take_over()
    lab.set_containers(first, driver=CRASHED, viewer=RUNNING)
    second = lab.wait_for_driver(number=1)
    lab.wait(lambda: lab.driver_names() == [second], "the one before is deleted")
    messages = [message for reason, message in lab.events() if reason == "DriverRestarted"]
    assert len(messages) == 1
    assert "The logs and files of earlier trials are lost" in messages[0]


def test_suspended_it_has_no_viewer_either(lab: Lab) -> None:
    lab.api.create("experiments", experiment(trials=3))
    pod = lab.wait_for_driver()
    lab.set_containers(pod, driver=RUNNING, viewer=RUNNING)
    lab.take_over()
    lab.change(suspend=True)
    lab.wait(lambda: not lab.drivers(), "the driver's pod is deleted")
    assert not lab.batches()[-1]["spec"].get("closed")
