"""A trial that kills or stops its fork server costs itself alone, and leaves no process behind.

Each slot here is a process of its own, as under Spark.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from sparksweep_trainer.trial.processes import is_stopped
from support.trainer.stage import soon

SLOT = """
import json, sys
from pathlib import Path
from sparksweep_core.contract.program import Program
from sparksweep_trainer.protocol import Assignment
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner

program = Program.model_validate_json(sys.argv[1])
with TrialRunner(program, slot=0, owns_process=True) as runner:
    for number in (1, 2):
        stop = StopSignal()
        outcome = runner.run(Assignment(number=number, attempt=1, parameters={"x": str(number)}), stop)
        print(json.dumps([outcome.state, outcome.reason, outcome.message]), flush=True)
"""
TRAIN = """
import os, signal, sys, time

def child(name, *, session, forks):
    # Neither the environment nor the parent tells where it comes from; the name is for the test alone.
    if os.fork():
        return
    if session:
        os.setsid()
    for _ in range(forks):
        if os.fork():
            os._exit(0)
    for descriptor in range(64):
        try:
            os.close(descriptor)
        except OSError:
            pass
    os.execve("/bin/sh", [name, "-c", PROGRAM, name], {})

PROGRAM = "while :; do sleep 0.05; done"

def training(x):
    if x == 1:
        attack()
        time.sleep(60)
    return {"loss": x}
"""


def begin_slot(directory: Path, attack: str) -> subprocess.Popen[bytes]:
    """Begin to run two trials, of which the first attacks."""
    (directory / "train.py").write_text(f"{TRAIN}\ndef attack():\n    {attack}\n")
    program: dict[str, Any] = {
        "experiment": "attacks",
        "parameters": [
            {"name": "x", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}}
        ],
        "trialTemplate": {"function": "train:training"},
        "trialsDirectory": str(directory / "trials"),
        "searchPath": [str(directory)],
    }
    return subprocess.Popen(
        [sys.executable, "-c", SLOT, json.dumps(program)], stdout=subprocess.PIPE
    )


def slot(directory: Path, attack: str) -> list[list[str]]:
    """Run two trials, of which the first attacks; return the states, reasons and messages."""
    with begin_slot(directory, attack) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


def running(name: str) -> list[int]:
    """Return the processes whose command line begins with a name."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            line = Path("/proc", entry, "cmdline").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if line.startswith(name.encode()):
            found.append(int(entry))
    return found


@pytest.mark.parametrize(
    ("session", "forks"), [(False, 0), (True, 0), (False, 1), (True, 1), (True, 3)]
)
def test_what_a_trial_leaves_when_it_kills_its_fork_server_is_killed(
    tmp_path: Path, session: bool, forks: int
) -> None:
    name = f"left-{uuid.uuid4().hex}"
    attack = (
        f"child({name!r}, session={session}, forks={forks}); "
        "time.sleep(0.3); os.kill(os.getppid(), signal.SIGKILL)"
    )
    first, second = slot(tmp_path, attack)
    assert first[:2] == ["Failed", "StartFailed"]
    assert "the fork server ended (SIGKILL)" in first[2]
    assert second[0] == "Succeeded"
    assert soon(lambda: not running(name))


def test_a_fork_bomb_beside_a_killed_fork_server_is_killed(tmp_path: Path) -> None:
    name = f"bomb-{uuid.uuid4().hex}"
    bomb = "PROGRAM.__class__('for i in 1 2 3; do (while :; do (:) ; done) & done; wait')"
    attack = (
        f"globals().update(PROGRAM={bomb}); child({name!r}, session=True, forks=1); "
        "time.sleep(0.3); os.kill(os.getppid(), signal.SIGKILL)"
    )
    first, second = slot(tmp_path, attack)
    assert (first[0], second[0]) == ("Failed", "Succeeded")
    assert soon(lambda: not running(name))


def test_a_trial_that_stops_its_fork_server_ends_and_the_slot_goes_on(tmp_path: Path) -> None:
    name = f"left-{uuid.uuid4().hex}"
    attack = f"child({name!r}, session=True, forks=1); os.kill(os.getppid(), signal.SIGSTOP)"
    first, second = slot(tmp_path, attack)
    assert first[:2] == ["Failed", "StartFailed"]
    assert "the fork server was stopped (SIGSTOP)" in first[2]
    assert second[0] == "Succeeded"
    assert soon(lambda: not running(name))


# ---------------------------------------------------------------------- a stopped slot

GRANDPARENT = "int(open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1])"


def test_a_slot_that_its_trial_has_stopped_goes_on(tmp_path: Path) -> None:
    attack = f"os.kill({GRANDPARENT}, signal.SIGSTOP); time.sleep(0.5); os._exit(3)"
    first, second = slot(tmp_path, attack)
    assert first[:2] == ["Failed", "Exited"]
    assert second[0] == "Succeeded"


def test_a_stopped_slot_that_is_killed_leaves_nothing_although_its_fork_server_was_stopped_too(
    tmp_path: Path,
) -> None:
    name = f"left-{uuid.uuid4().hex}"
    attack = (
        f"child({name!r}, session=True, forks=1); slot = {GRANDPARENT}; time.sleep(0.3); "
        "os.kill(slot, signal.SIGSTOP); os.kill(os.getppid(), signal.SIGSTOP)"
    )
    process = begin_slot(tmp_path, attack)
    try:
        assert soon(lambda: is_stopped(process.pid))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
        assert soon(lambda: all(is_stopped(int(pid)) for pid in children))
        assert running(name)
    finally:
        # As Spark does with the process of a task that it cancels.
        process.kill()
        process.communicate()
    assert soon(lambda: not running(name))
    assert soon(lambda: not any(Path("/proc", pid).exists() for pid in children))
