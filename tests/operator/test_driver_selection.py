"""Selection of an experiment's driver, and of the number of the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.ages import age_at
from sparksweep_core.api import TrialBatch
from sparksweep_core.contract.names import driver_name, driver_number
from sparksweep_core.history import History
from sparksweep_core.planner import DriverState
from sparksweep_operator.driver_selection import RESTART_DELAY, DriverSelection, select_driver
from sparksweep_operator.pod_status import Pod
from support.operator.operator_objects import NOW, UID, batch, beside_a_viewer, ended, pod, waiting


def select(
    pods: Sequence[Pod] = (), batches: Sequence[TrialBatch] = (), at: float = 100
) -> DriverSelection:
    age = age_at(NOW + timedelta(seconds=at))
    return select_driver(pods, History(batches).summary, owner=UID, age=age)


def driver(number: int, **arguments: Any) -> Pod:
    return pod(f"digits-driver-{number}", **arguments)


def executor(number: int, *, of: Pod, **arguments: Any) -> Pod:
    return pod(f"digits-0-exec-{number}", role="executor", owner=of.uid, **arguments)


def test_without_pods_the_first_driver_is_to_come_at_once() -> None:
    selection = select()
    assert selection.status.state is DriverState.ABSENT
    assert (selection.live, selection.next_number, selection.start_delay) == (None, 0, timedelta(0))


def test_a_driver_that_has_written_nothing_is_starting() -> None:
    selection = select([driver(0, phase="Running")], [batch()])
    assert selection.status.state is DriverState.STARTING
    assert selection.status.message == ""


def test_a_starting_driver_says_what_it_waits_for() -> None:
    selection = select([driver(0, status=waiting("ErrImagePull", "not found"))])
    assert selection.status.message == "The driver is waiting: ErrImagePull: not found"


def test_a_driver_that_has_written_its_name_is_running() -> None:
    selection = select([driver(0, phase="Running")], [batch(driver="digits-driver-0"), batch(1)])
    assert selection.status.state is DriverState.RUNNING


def test_a_drivers_trouble_is_told_from_the_newest_batch() -> None:
    def told(*problems: str | None) -> str:
        batches = [
            batch(index, driver="digits-driver-0", problem=problem)
            for index, problem in enumerate(problems)
        ]
        return select([driver(0, phase="Running")], batches).status.message

    assert told(None, "the disk is full") == "the disk is full"
    assert told("the disk is full", None) == "The executors are being started."


def test_what_an_earlier_driver_wrote_says_nothing_of_the_next() -> None:
    selection = select([driver(1, phase="Running")], [batch(driver="digits-driver-0")])
    assert selection.status.state is DriverState.STARTING


def test_a_pod_stuck_in_deletion_does_not_block_the_next_number() -> None:
    selection = select(
        [driver(3, phase="Running", deleting=True)], [batch(driver="digits-driver-3")]
    )
    assert selection.status.state is DriverState.ABSENT
    assert (selection.next_number, selection.start_delay) == (4, timedelta(0))
    assert selection.obsolete == ()


def test_the_next_number_is_above_what_a_batch_names_though_no_pod_is_left() -> None:
    selection = select([], [batch(driver="digits-driver-4"), batch(1, driver="digits-driver-7")])
    assert selection.next_number == 8


def test_pods_of_an_earlier_experiment_of_that_name_are_none_of_ours() -> None:
    theirs = driver(5, owner="uid-of-an-earlier-one", phase="Running")
    selection = select([theirs])
    assert selection.status.state is DriverState.ABSENT
    assert selection.obsolete == ()
    assert selection.next_number == 6, "their names are in use until they are deleted"


def test_older_drivers_that_live_are_superfluous() -> None:
    selection = select([driver(2), driver(10), driver(9)])
    assert selection.live is not None
    assert selection.live.name == "digits-driver-10"
    assert [item.name for item in selection.obsolete] == ["digits-driver-2", "digits-driver-9"]


def test_the_last_of_the_dead_stays_until_another_one_has_taken_its_place() -> None:
    dead = [driver(n, phase="Failed", status=ended("Error", 1, at=1)) for n in (0, 1, 2)]
    selection = select(dead)
    assert [item.name for item in selection.obsolete] == ["digits-driver-0", "digits-driver-1"]
    assert selection.last_ended is not None
    assert selection.last_ended.name == "digits-driver-2"
    selection = select([*dead, driver(3)])
    assert [item.name for item in selection.obsolete] == [item.name for item in dead]
    assert selection.last_ended is None


def test_a_driver_that_crashed_is_followed_whatever_its_viewer_does() -> None:
    status = beside_a_viewer(ended("Error", 1, at=99))
    crashed = driver(0, phase="Running", status=status)
    selection = select([crashed], [batch(driver="digits-driver-0")])
    assert selection.status.state is DriverState.ABSENT
    assert (selection.live, selection.last_ended, selection.next_number) == (None, crashed, 1)
    selection = select([crashed, driver(1)], [batch(driver="digits-driver-0")])
    assert selection.obsolete == (crashed,)


def test_only_the_living_drivers_executors_that_live_are_counted() -> None:
    old, new = driver(0, phase="Failed"), driver(1, phase="Running")
    pods = [
        executor(1, of=old),
        executor(2, of=new),
        executor(3, of=new, phase="Failed"),
        executor(4, of=new, deleting=True),
        executor(5, of=new, phase="Running"),
    ]
    selection = select([old, new, *pods])
    assert [item.name for item in selection.executors] == ["digits-0-exec-2", "digits-0-exec-5"]


def test_a_driver_that_ended_soon_is_followed_after_a_pause() -> None:
    dead = driver(0, phase="Failed", created=80, status=ended("Error", 1, at=95))
    selection = select([dead], at=100)
    assert selection.start_delay == timedelta(seconds=5)
    assert "digits-driver-0 ended (Error, exit code 1)" in selection.status.message
    assert select([dead], at=105).start_delay == timedelta(0)


LAST_WORDS = "the driver can't start: driver.json of ConfigMap digits-config-0 was replaced"


@pytest.mark.parametrize("after_s", [1, 30, 3600])
def test_a_driver_that_cannot_start_says_why_and_is_followed_after_minutes(after_s: int) -> None:
    """With what the next one would be given, too: it is no loop."""
    status = ended("Error", 78, at=after_s)
    status["containerStatuses"][0]["state"]["terminated"]["message"] = LAST_WORDS
    dead = driver(0, phase="Running", created=0, status=beside_a_viewer(status))
    selection = select([dead], at=after_s + 60)
    assert selection.start_delay == timedelta(minutes=4)
    message = selection.status.message
    assert message == (
        f"The driver digits-driver-0 can't start (Error, exit code 78: {LAST_WORDS}); "
        "another one is tried after 5 minutes."
    )
    assert select([dead], at=after_s + 301).start_delay == timedelta(0)


def test_a_driver_that_had_worked_is_followed_at_once() -> None:
    dead = driver(0, phase="Failed", created=0, status=ended("OOMKilled", 137, at=99))
    assert select([dead], at=100).start_delay == timedelta(0)


@pytest.mark.parametrize("reason", ["OutOfcpu", "Evicted", "UnexpectedAdmissionError"])
def test_a_driver_that_a_node_refuses_is_followed_after_a_pause(reason: str) -> None:
    """Its container never was: nothing says when it ended."""
    dead = driver(0, phase="Failed", created=98, status={"reason": reason})
    assert select([dead], at=100).start_delay == RESTART_DELAY - timedelta(seconds=2)
    assert select([dead], at=200).start_delay == timedelta(0)


names = st.integers(0, 10_000).map(lambda number: driver_name("digits", number))
pods = st.builds(
    pod,
    names,
    owner=st.sampled_from([UID, "uid-of-an-earlier-one"]),
    phase=st.sampled_from(["Pending", "Running", "Failed", "Succeeded", "Unknown"]),
    deleting=st.booleans(),
)
batches = st.builds(batch, st.integers(0, 99), driver=st.none() | names)


@given(
    st.lists(pods, max_size=8, unique_by=lambda item: item.name),
    st.lists(batches, max_size=4, unique_by=lambda item: item.metadata.name),
)
def test_the_next_number_is_above_every_name_in_sight(
    pods: list[Pod], batches: list[TrialBatch]
) -> None:
    selection = select(pods, batches)
    names_in_use = [item.name for item in pods]
    names_in_use += [item.status.driver for item in batches if item.status and item.status.driver]
    assert all(selection.next_number > (driver_number(name) or 0) for name in names_in_use)
    assert selection.live not in selection.obsolete
    assert all(item.owner == UID for item in selection.obsolete)
