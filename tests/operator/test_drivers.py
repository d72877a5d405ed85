"""Which driver an experiment has, and which one comes next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import TrialBatch
from sparksweep_core.planner import DriverState
from sparksweep_operator.driver_selection import PAUSE, DriverSituation, look_at_driver
from sparksweep_operator.manifests import driver_name, driver_number
from sparksweep_operator.pod_status import Pod
from support.operator.operator_objects import NOW, UID, batch, beside_a_viewer, ended, pod, waiting


def look(
    pods: Sequence[Pod] = (), batches: Sequence[TrialBatch] = (), at: float = 100
) -> DriverSituation:
    return look_at_driver(pods, batches, owner=UID, now=NOW + timedelta(seconds=at))


def driver(number: int, **arguments: Any) -> Pod:
    return pod(f"digits-driver-{number}", **arguments)


def executor(number: int, *, of: Pod, **arguments: Any) -> Pod:
    return pod(f"digits-0-exec-{number}", role="executor", owner=of.uid, **arguments)


def test_without_pods_the_first_driver_is_to_come_at_once() -> None:
    found = look()
    assert found.view.state is DriverState.ABSENT
    assert (found.live, found.next_number, found.pause) == (None, 0, timedelta(0))


def test_a_driver_that_has_written_nothing_is_starting() -> None:
    found = look([driver(0, phase="Running")], [batch()])
    assert found.view.state is DriverState.STARTING
    assert found.view.message == ""


def test_a_starting_driver_says_what_it_waits_for() -> None:
    found = look([driver(0, status=waiting("ErrImagePull", "not found"))])
    assert found.view.message == "The driver waits: ErrImagePull: not found"


def test_a_driver_that_has_written_its_name_is_running() -> None:
    found = look([driver(0, phase="Running")], [batch(driver="digits-driver-0"), batch(1)])
    assert found.view.state is DriverState.RUNNING


def test_what_an_earlier_driver_wrote_says_nothing_of_the_next() -> None:
    found = look([driver(1, phase="Running")], [batch(driver="digits-driver-0")])
    assert found.view.state is DriverState.STARTING


def test_a_pod_stuck_in_deletion_does_not_block_the_next_number() -> None:
    found = look([driver(3, phase="Running", deleting=True)], [batch(driver="digits-driver-3")])
    assert found.view.state is DriverState.ABSENT
    assert (found.next_number, found.pause) == (4, timedelta(0))
    assert found.superfluous == ()


def test_the_next_number_is_above_what_a_batch_names_though_no_pod_is_left() -> None:
    found = look([], [batch(driver="digits-driver-4"), batch(1, driver="digits-driver-7")])
    assert found.next_number == 8


def test_pods_of_an_earlier_experiment_of_that_name_are_none_of_ours() -> None:
    theirs = driver(5, owner="uid-of-an-earlier-one", phase="Running")
    found = look([theirs])
    assert found.view.state is DriverState.ABSENT
    assert found.superfluous == ()
    assert found.next_number == 6, "their names are taken until they are gone"


def test_older_drivers_that_live_are_superfluous() -> None:
    found = look([driver(2), driver(10), driver(9)])
    assert found.live is not None
    assert found.live.name == "digits-driver-10"
    assert [item.name for item in found.superfluous] == ["digits-driver-2", "digits-driver-9"]


def test_the_last_of_the_dead_stays_until_another_one_has_taken_its_place() -> None:
    dead = [driver(n, phase="Failed", status=ended("Error", 1, at=1)) for n in (0, 1, 2)]
    found = look(dead)
    assert [item.name for item in found.superfluous] == ["digits-driver-0", "digits-driver-1"]
    assert found.remains is not None
    assert found.remains.name == "digits-driver-2"
    found = look([*dead, driver(3)])
    assert [item.name for item in found.superfluous] == [item.name for item in dead]
    assert found.remains is None


def test_a_driver_that_crashed_is_followed_whatever_its_viewer_does() -> None:
    status = beside_a_viewer(ended("Error", 1, at=99))
    crashed = driver(0, phase="Running", status=status)
    found = look([crashed], [batch(driver="digits-driver-0")])
    assert found.view.state is DriverState.ABSENT
    assert (found.live, found.remains, found.next_number) == (None, crashed, 1)
    found = look([crashed, driver(1)], [batch(driver="digits-driver-0")])
    assert found.superfluous == (crashed,)


def test_only_the_living_drivers_executors_that_live_are_counted() -> None:
    old, new = driver(0, phase="Failed"), driver(1, phase="Running")
    pods = [
        executor(1, of=old),
        executor(2, of=new),
        executor(3, of=new, phase="Failed"),
        executor(4, of=new, deleting=True),
        executor(5, of=new, phase="Running"),
    ]
    found = look([old, new, *pods])
    assert [item.name for item in found.executors] == ["digits-0-exec-2", "digits-0-exec-5"]


def test_a_driver_that_ended_soon_is_followed_after_a_pause() -> None:
    dead = driver(0, phase="Failed", created=80, status=ended("Error", 1, at=95))
    found = look([dead], at=100)
    assert found.pause == timedelta(seconds=5)
    assert "digits-driver-0 ended (Error, exit code 1)" in found.view.message
    assert look([dead], at=105).pause == timedelta(0)


def test_a_driver_that_had_worked_is_followed_at_once() -> None:
    dead = driver(0, phase="Failed", created=0, status=ended("OOMKilled", 137, at=99))
    assert look([dead], at=100).pause == timedelta(0)


@pytest.mark.parametrize("reason", ["OutOfcpu", "Evicted", "UnexpectedAdmissionError"])
def test_a_driver_that_a_node_refuses_is_followed_after_a_pause(reason: str) -> None:
    """Its container never was: nothing says when it ended."""
    dead = driver(0, phase="Failed", created=98, status={"reason": reason})
    assert look([dead], at=100).pause == PAUSE - timedelta(seconds=2)
    assert look([dead], at=200).pause == timedelta(0)


names = st.integers(0, 10_000).map(lambda number: driver_name("digits", number))
pods = st.builds(
    pod,
    names,
    owner=st.sampled_from([UID, "uid-of-an-earlier-one"]),
    phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
    deleting=st.booleans(),
)
batches = st.builds(batch, st.integers(0, 99), driver=st.none() | names)


@given(st.lists(pods, max_size=8, unique_by=lambda item: item.name), st.lists(batches, max_size=4))
def test_the_next_number_is_above_every_name_in_sight(
    pods: list[Pod], batches: list[TrialBatch]
) -> None:
    found = look(pods, batches)
    seen = [item.name for item in pods]
    seen += [item.status.driver for item in batches if item.status and item.status.driver]
    assert all(found.next_number > (driver_number(name) or 0) for name in seen)
    assert found.live not in found.superfluous
    assert all(item.owner == UID for item in found.superfluous)
