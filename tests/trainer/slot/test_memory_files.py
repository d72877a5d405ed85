"""Memory of files in memory counts as a trial's, mapped or not, once, and nobody else's does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest

from sparksweep_trainer.slot.memory_files import MemoryFiles, mapped_bytes
from sparksweep_trainer.slot.running_trials import RunningTrial
from support.trainer.stage import Stage, soon
from support.trainer.trial_rig import Rig

MIB = 2**20
SIZE = 80 * MIB


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


@pytest.fixture
def shm(tmp_path: Path) -> Iterator[Path]:
    """Yield a directory of this test's own in /dev/shm."""
    path = Path("/dev/shm", f"sparksweep-test-{os.getpid()}-{tmp_path.name}")
    path.mkdir()
    yield path
    subprocess.run(["rm", "-rf", str(path)], check=True)


FILL = """
import ctypes, mmap, os, socket, sys
MIB = 2**20
def fill(descriptor, size=80):
    for _ in range(size):
        os.write(descriptor, bytes(MIB))
def named(name):
    return os.open(os.path.join(SHM, name), os.O_CREAT | os.O_RDWR)
"""
HOLD = {
    "memfd": "fill(os.memfd_create('a'))",
    "memfd-sealed": "d = os.memfd_create('a', os.MFD_ALLOW_SEALING); fill(d)",
    "memfd-mapped-too": "d = os.memfd_create('a'); fill(d); m = mmap.mmap(d, 80 * MIB); m[::4096]",
    "memfd-with-holes": "d = os.memfd_create('a'); os.ftruncate(d, 9000 * MIB); fill(d)",
    "memfd-of-two-processes": "d = os.memfd_create('a'); fill(d); os.fork() or sleep_for_ever()",
    "many-memfds": "[fill(os.memfd_create('a'), 1) for _ in range(80)]",
    "shm-open": "fill(named('a'))",
    "shm-removed": "fill(named('a')); os.unlink(os.path.join(SHM, 'a'))",
    "shm-without-a-name": "fill(os.open(SHM, os.O_TMPFILE | os.O_RDWR))",
    "shm-below": "os.mkdir(os.path.join(SHM, 'd')); fill(named('d/a'))",
    "shm-mapped-and-closed": "d = named('a'); fill(d); m = mmap.mmap(d, 80 * MIB); m[::4096]; os.close(d)",
    "private-mapping": "d = os.memfd_create('a'); fill(d); m = mmap.mmap(d, 80 * MIB, flags=mmap.MAP_PRIVATE); m[::4096]",
    "shm-closed": "d = named('a'); fill(d); os.close(d)",
    "many-small-and-closed": "[(fill(d := named(f'f{i}'), 1), os.close(d)) for i in range(80)]",
}  # fmt: skip


@pytest.mark.parametrize("hold", HOLD.values(), ids=HOLD)
def test_a_file_in_memory_counts_once(stage: Stage, shm: Path, hold: str) -> None:
    files = MemoryFiles(str(shm), is_alone=lambda: True)
    scene = stage.begin(
        f"SHM = {str(shm)!r}\n{FILL}\n{hold}\nsay(ready=True)\nsleep_for_ever()\n"
    )  # fmt: skip
    scene.hear()
    children = Path(f"/proc/{scene.pid}/task/{scene.pid}/children").read_text().split()
    processes = [scene.pid, *map(int, children)]
    held = files.held(processes)
    assert SIZE <= sum(held.values()) < SIZE + MIB
    mapped = mapped_bytes(processes, held)
    assert mapped < MIB or ("map" in hold and SIZE <= mapped < SIZE + MIB)


def test_files_that_were_there_or_that_others_use_do_not_count(stage: Stage, shm: Path) -> None:
    (shm / "before").write_bytes(bytes(MIB))
    (shm / "before-and-opened").write_bytes(bytes(MIB))
    files = MemoryFiles(str(shm), is_alone=lambda: True)
    trial = stage.begin(
        f"SHM = {str(shm)!r}\n{FILL}\nd = named('before-and-opened')\nsay(ready=True)\nsleep_for_ever()\n"
    )
    trial.hear()
    other = stage.begin(
        f"SHM = {str(shm)!r}\n{FILL}\nfill(named('open'), 1)\nd = named('mapped'); fill(d, 1)\n"
        "m = mmap.mmap(d, MIB); os.close(d)\nsay(ready=True)\nsleep_for_ever()\n"
    )
    other.hear()
    assert files.held([trial.pid]) == {}
    (shm / "left").write_bytes(bytes(MIB))
    assert files.held([trial.pid], spare=MIB) == {}, "no matter whose it is"
    assert soon(lambda: sum(files.held([trial.pid]).values()) == MIB)


def test_beside_other_trials_a_file_counts_once_it_was_seen_with_this_one(
    stage: Stage, shm: Path
) -> None:
    files = MemoryFiles(str(shm))
    scene = stage.begin(
        f"SHM = {str(shm)!r}\n{FILL}\nd = named('a'); fill(d, 2)\nsay(ready=True)\nsys.stdin.readline()\n"
        "os.close(d); say(closed=True)\nsleep_for_ever()\n"
    )
    scene.hear()
    (shm / "whose").write_bytes(bytes(MIB))
    assert sum(files.held([scene.pid]).values()) == 2 * MIB
    scene.go_on()
    scene.hear()
    assert sum(files.held([scene.pid]).values()) == 2 * MIB
    (shm / "a").unlink()
    assert files.held([scene.pid]) == {}


def test_a_trial_knows_whether_another_one_runs(tmp_path: Path) -> None:
    with RunningTrial(tmp_path) as one:
        assert one.is_alone()
        with RunningTrial(tmp_path) as other:
            assert not one.is_alone()
            assert not other.is_alone()
        assert one.is_alone()


@pytest.mark.parametrize(
    "hold",
    ["fill(os.memfd_create('a'), 400)", "fill(named('a'), 400)",
     "[(fill(d := named(f'f{i}'), 1), os.close(d)) for i in range(400)]"],
)  # fmt: skip
def test_a_trial_is_ended_for_files_in_memory_as_in_a_container(
    tmp_path: Path, shm: Path, hold: str
) -> None:
    source = f"SHM = {str(shm)!r}\n{FILL}\ndef training():\n{indent(hold, '    ')}\n    __import__('time').sleep(30)\n"
    with Rig(tmp_path, source, memory="256Mi") as rig:
        outcome = rig.run()
    assert outcome.reason == "OOMKilled"
    assert "256Mi" in outcome.message


def test_files_in_memory_below_the_limit_are_no_reason(tmp_path: Path, shm: Path) -> None:
    """They are mapped, too, by two processes: counted more than once they would be above it."""
    source = (
        f"SHM = {str(shm)!r}\n{FILL}\ndef training():\n    d = os.memfd_create('a'); fill(d, 100)\n"
        "    m = mmap.mmap(d, 100 * MIB); m[::4096]\n"
        "    if os.fork() == 0:\n        m[::4096]; __import__('time').sleep(30)\n"
        "    __import__('time').sleep(0.5)\n    return 1\n"
    )
    with Rig(tmp_path, source, memory="256Mi") as rig:
        outcome = rig.run()
    assert outcome.reason == "Completed"
    assert (outcome.peak_memory_bytes or 0) >= 100 * MIB
