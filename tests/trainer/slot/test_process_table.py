"""Memory of a trial's processes, and processes found by a marker. Each scene is played by a process of its own."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_trainer.slot import process_table
from sparksweep_trainer.slot.observation import signal_name
from sparksweep_trainer.slot.process_table import exactly_held_bytes, held_bytes, kill_marked
from sparksweep_trainer.trial.processes import descendants, send_signal
from support.trainer.stage import Stage, soon

MIB = 2**20


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


def test_memory_that_is_held_counts_and_files_do_not(tmp_path: Path, stage: Stage) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(64 * MIB))
    scene = stage.begin(
        "import mmap\n"
        f"mapped = mmap.mmap(os.open({str(file)!r}, os.O_RDONLY), 0, prot=mmap.PROT_READ)\n"
        "read = sum(mapped[i] for i in range(0, len(mapped), 4096))\n"
        "say(before=True)\n"
        "sys.stdin.readline()\n"
        "held = bytearray(os.urandom(1) * 96 * 2**20)\n"
        "say(after=True)\n"
        "sleep_for_ever()\n",
    )
    scene.hear()
    me = {scene.pid: os.getpid()}
    assert held_bytes(me) < 48 * MIB
    scene.go_on()
    scene.hear()
    assert 96 * MIB <= held_bytes(me) < 144 * MIB
    assert 96 * MIB <= exactly_held_bytes(me) < 144 * MIB


def test_pages_shared_since_a_fork_count_once_when_looked_at_exactly(stage: Stage) -> None:
    scene = stage.begin(
        "held = bytearray(os.urandom(1) * 64 * 2**20)\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        changed = bytearray(2**20)\n"
        "        sleep_for_ever()\n"
        "say(ready=True)\n"
        "sleep_for_ever()\n",
    )
    scene.hear()
    family = {scene.pid: os.getpid(), **descendants(scene.pid)}
    assert len(family) == 4
    assert held_bytes(family) >= 4 * 64 * MIB
    assert 64 * MIB <= exactly_held_bytes(family) < 128 * MIB


def test_a_child_with_as_much_memory_as_its_parent_counts_too(stage: Stage) -> None:
    scene = stage.begin(
        "if os.fork() == 0:\n"
        "    pass\n"
        "held = bytearray(os.urandom(1) * 64 * 2**20)\n"
        "say(ready=True)\n"
        "sleep_for_ever()\n",
    )
    scene.hear()
    scene.hear()
    family = {scene.pid: os.getpid(), **descendants(scene.pid)}
    assert held_bytes(family) >= 2 * 64 * MIB
    assert exactly_held_bytes(family) >= 2 * 64 * MIB


def test_a_child_that_has_its_parents_memory_until_it_executes_a_program_does_not(
    tmp_path: Path, stage: Stage
) -> None:
    # Opening the pipe blocks the child between vfork and exec.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    scene = stage.begin(
        "held = bytearray(os.urandom(1) * 64 * 2**20)\n"
        "say(ready=True)\n"
        f"wait = [(os.POSIX_SPAWN_OPEN, 0, {str(pipe)!r}, os.O_RDONLY, 0)]\n"
        "os.posix_spawn('/bin/sleep', ['sleep', '60'], os.environ, file_actions=wait)\n"
        "say(executed=True)\n"
        "sleep_for_ever()\n",
    )
    scene.hear()
    assert soon(lambda: len(descendants(scene.pid)) == 1)
    family = {scene.pid: os.getpid(), **descendants(scene.pid)}
    # Until it blocks its figures may move between two looks.
    assert soon(lambda: held_bytes(family) < 2 * 64 * MIB)
    assert soon(lambda: exactly_held_bytes(family) < 2 * 64 * MIB)
    pipe.write_bytes(b"")
    assert scene.hear() == {"executed": True}


@pytest.mark.parametrize(
    ("status", "rollup", "held", "exactly"),
    [
        # As much in swap as in memory.
        (
            "VmSize: 900 kB\nRssAnon: 100 kB\nRssShmem: 20 kB\nRssFile: 70 kB\nVmSwap: 100 kB\n",
            "7f00-7fff ---p 00000000 00:00 0 [rollup]\nPss_Anon: 90 kB\nPss_Shmem: 20 kB\nSwapPss: 80 kB\n",
            220,
            190,
        ),
        # All of it.
        (
            "VmSize: 900 kB\nRssAnon: 0 kB\nRssShmem: 0 kB\nRssFile: 0 kB\nVmSwap: 300 kB\n",
            "Pss_Anon: 0 kB\nPss_Shmem: 0 kB\nSwapPss: 300 kB\n",
            300,
            300,
        ),
        # A kernel that does not count what is in swap.
        (
            "VmSize: 900 kB\nRssAnon: 100 kB\nRssShmem: 20 kB\nRssFile: 70 kB\n",
            "Pss_Anon: 90 kB\nPss_Shmem: 20 kB\n",
            120,
            110,
        ),
        # A map that can't be read.
        (
            "VmSize: 900 kB\nRssAnon: 100 kB\nRssShmem: 20 kB\nRssFile: 70 kB\nVmSwap: 100 kB\n",
            "",
            220,
            220,
        ),
    ],
    ids=["half", "all", "uncounted", "unreadable"],
)
def test_memory_in_swap_counts(
    monkeypatch: pytest.MonkeyPatch, status: str, rollup: str, held: int, exactly: int
) -> None:
    files = {"/proc/7/status": status, "/proc/7/smaps_rollup": rollup}
    monkeypatch.setattr(process_table, "read_proc", lambda path: files.get(path, "").encode())
    assert held_bytes({7: 1}) == held * 1024
    assert exactly_held_bytes({7: 1}) == exactly * 1024


def test_processes_that_are_gone_hold_nothing() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert held_bytes({gone.pid: os.getpid()}) == 0
    assert exactly_held_bytes({gone.pid: os.getpid()}) == 0
    send_signal([gone.pid], signal.SIGTERM)


def test_only_marked_processes_are_killed(stage: Stage) -> None:
    name = stage.marker.partition("=")[0]
    other = subprocess.Popen(["sleep", "60"], env={**os.environ, name: "another's"})
    scene = stage.begin(
        "orphans = []\n"
        "for _ in range(3):\n"
        "    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        os.setsid()\n"
        "        sleep_for_ever()\n"
        "say(ready=True)\n",
    )
    scene.hear()
    scene.end()
    assert len(stage.left) == 3
    kill_marked(stage.marker, patience_s=10)
    assert soon(lambda: stage.left == [])
    assert other.poll() is None
    other.kill()
    other.wait()


def test_signals_have_names() -> None:
    assert signal_name(11) == "SIGSEGV"
    assert signal_name(40) == "signal 40"
