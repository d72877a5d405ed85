"""Processes that outlive their starter: found again, distinguished from strangers and zombies; locks that end with a
process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import state
from cluster.layout import Layout
from cluster.processes import MARKER, Part, Processes, kill, marked, parse_stat, started
from cluster.shell import ClusterError, wait_until
from cluster.state import Owner


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "run", tmp_path / "data", tmp_path / "cache")


@pytest.fixture
def processes(layout: Layout) -> Iterator[Processes]:
    layout.run.mkdir()
    processes = Processes(layout)
    yield processes
    kill(marked(layout.run))


def test_a_started_process_is_alive_until_it_is_stopped(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    assert processes.alive("sleeper")
    processes.stop("sleeper")
    assert not processes.alive("sleeper")
    processes.stop("sleeper")


def test_a_process_is_no_child_of_ours_and_has_a_session_of_its_own(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    pid = processes.part("sleeper").pid
    wait_until(lambda: os.getsid(pid) == pid, "it has a session of its own", 5)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def test_its_output_is_in_its_log_and_nothing_of_our_environment_in_its_own(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    processes.start("speaker", ["sh", "-c", "env; echo done; exec sleep 60"])
    wait_until(lambda: "done" in processes.tail("speaker"), "it has spoken", 5)
    said = processes.tail("speaker")
    assert f"{MARKER}={processes.layout.run}" in said
    assert "PROXY" not in said


def test_starting_what_is_alive_changes_nothing(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    before = processes.part("sleeper")
    processes.start("sleeper", ["sleep", "61"])
    assert processes.part("sleeper") == before


def test_what_was_killed_is_started_again_as_it_was(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    processes.stop("sleeper", on_purpose=True)
    assert not processes.part("sleeper").wanted
    processes.start_again("sleeper")
    part = processes.part("sleeper")
    assert (part.alive, part.wanted, part.command) == (True, True, ("sleep", "60"))


def test_a_stopped_process_does_nothing_until_it_goes_on(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    pid = processes.part("sleeper").pid
    processes.signal("sleeper", signal.SIGSTOP)
    wait_until(lambda: kernel_state(pid) == "T", "it is stopped", 5)
    assert processes.alive("sleeper")
    processes.signal("sleeper", signal.SIGCONT)
    wait_until(lambda: kernel_state(pid) == "S", "it sleeps again", 5)


def test_a_part_that_never_was_is_named_with_those_that_are(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    with pytest.raises(ClusterError, match=r"^there is no part sleper; there are: sleeper$"):
        processes.stop("sleper")


def test_a_dead_process_takes_no_signal(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    processes.stop("sleeper")
    with pytest.raises(ClusterError, match="sleeper is not running"):
        processes.signal("sleeper", signal.SIGSTOP)


def test_a_strangers_process_with_a_reused_id_is_not_ours(processes: Processes) -> None:
    processes.layout.parts.mkdir()
    stranger = Part("etcd", ("etcd",), pid=os.getpid(), started=1)
    path = processes.layout.parts / "etcd.json"
    path.write_text(json.dumps(stranger.__dict__))
    assert not processes.alive("etcd")
    processes.stop("etcd")  # and it is not killed


def test_a_record_that_a_crash_cut_short_is_left_out(processes: Processes) -> None:
    processes.layout.parts.mkdir()
    (processes.layout.parts / "etcd.json").write_text('{"name": "etcd", "comm')
    assert processes.all() == []


def test_processes_without_a_record_are_found_by_their_mark(processes: Processes) -> None:
    processes.start("sleeper", ["sleep", "60"])
    pid = processes.part("sleeper").pid
    (processes.layout.parts / "sleeper.json").unlink()
    assert marked(processes.layout.run) == [pid]
    assert marked(processes.layout.run.with_name("other")) == []
    kill([pid])
    assert marked(processes.layout.run) == []


def test_a_zombie_does_not_count_as_alive() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert started(child.pid) is not None
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: started(child.pid) is None, "it is dead", 5)
        os.kill(child.pid, 0)  # for the kernel it still exists, as no process has reaped it
    finally:
        child.wait(timeout=10)


def test_a_programs_name_may_hold_brackets_and_spaces() -> None:
    fields = " ".join(str(number) for number in range(4, 40))
    assert parse_stat(f"12 (a) b (c)) S {fields}\n") == 22
    assert parse_stat(f"12 (a) S) Z {fields}\n") is None


def test_a_cluster_is_sound_only_when_it_was_complete(processes: Processes) -> None:
    layout = processes.layout
    assert not state.is_sound(layout)
    processes.start("sleeper", ["sleep", "60"])
    assert not state.is_sound(layout)
    state.write(layout, None)
    assert state.is_sound(layout)
    state.forget(layout)
    assert not state.is_sound(layout)


def test_a_part_that_died_makes_it_unsound_and_one_killed_on_purpose_does_not(
    processes: Processes,
) -> None:
    processes.start("sleeper", ["sleep", "60"])
    state.write(processes.layout, None)
    processes.stop("sleeper")
    assert not state.is_sound(processes.layout)
    processes.start_again("sleeper")
    processes.stop("sleeper", on_purpose=True)
    assert state.is_sound(processes.layout)


def test_a_cluster_whose_owner_was_killed_is_not_sound(layout: Layout) -> None:
    layout.run.mkdir()
    state.write(layout, Owner.this_process())
    assert state.is_sound(layout)
    state.write(layout, Owner(os.getpid(), started=1))
    assert not state.is_sound(layout)


def test_a_cluster_from_before_the_machines_start_is_not_sound(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout.run.mkdir()
    state.write(layout, None)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(state, "BOOT", boot)
    assert not state.is_sound(layout)


def test_a_cluster_of_other_versions_is_not_sound(layout: Layout) -> None:
    layout.run.mkdir()
    state.write(layout, None)
    other = Layout(layout.run, layout.data, layout.cache.with_name("other"))
    assert not state.is_sound(other)


def test_two_can_not_have_the_cluster_and_the_second_is_told_who_has_it(layout: Layout) -> None:
    with state.lock(layout, 0), pytest.raises(ClusterError) as raised, state.lock(layout, 0.1):
        pass
    assert str(raised.value).startswith(f"the cluster is in use by process {os.getpid()} (")
    with state.lock(layout, 0):
        pass


def test_a_killed_process_gives_the_lock_back(layout: Layout) -> None:
    source = (
        "import sys, time; from pathlib import Path\n"
        "from cluster import state; from cluster.layout import Layout\n"
        "layout = Layout(*map(Path, sys.argv[1:]))\n"
        "with state.lock(layout, 0): print('held', flush=True); time.sleep(60)\n"
    )
    folders = (layout.run, layout.data, layout.cache)
    holder = subprocess.Popen(
        [sys.executable, "-c", source, *folders],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert holder.stdout is not None
    with holder.stdout, holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ClusterError, match=f"in use by process {holder.pid}"), state.lock(layout, 0):  # fmt: skip
            pass
        holder.kill()
        began = time.monotonic()
        with state.lock(layout, 20):
            assert time.monotonic() - began < 20


def kernel_state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
