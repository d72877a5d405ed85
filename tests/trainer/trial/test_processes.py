"""Descendants as /proc shows them, and their certain end. Each scene is played by a process of its own."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_trainer.trial.processes import descendants
from support.trainer.stage import Stage, soon


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage() as stage:
        yield stage


# ---------------------------------------------------------------------- who descends from whom


def test_descendants_are_found_with_their_parents(stage: Stage) -> None:
    scene = stage.begin(
        "child = os.fork()\n"
        "if child == 0:\n"
        "    grandchild = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
        "    say(child=os.getpid(), grandchild=grandchild.pid)\n"
        "sleep_for_ever()\n",
    )
    pids = scene.hear()
    parent_of = descendants(scene.pid)
    assert parent_of == {pids["child"]: scene.pid, pids["grandchild"]: pids["child"]}
    assert descendants(pids["grandchild"]) == {}


def test_a_program_with_any_name_is_found(tmp_path: Path, stage: Stage) -> None:
    # /proc shows the name in brackets, before the parent's pid.
    program = tmp_path / ") S 1 (x"
    sleep = shutil.which("sleep")
    assert sleep is not None
    shutil.copy(sleep, program)
    scene = stage.begin(
        f"say(pid=subprocess.Popen([{str(program)!r}, '60']).pid)\nsleep_for_ever()"
    )
    pid = scene.hear()["pid"]
    assert soon(lambda: b"(x" in Path(f"/proc/{pid}/stat").read_bytes())
    assert descendants(scene.pid) == {pid: scene.pid}


def test_a_zombie_is_a_descendant_still(stage: Stage) -> None:
    scene = stage.begin(
        "child = os.fork()\nif child == 0: os._exit(0)\nsay(child=child)\nsleep_for_ever()"
    )
    child = scene.hear()["child"]
    assert soon(lambda: b") Z " in Path(f"/proc/{child}/stat").read_bytes())
    assert descendants(scene.pid) == {child: scene.pid}


# ---------------------------------------------------------------------- their end


def test_orphans_in_sessions_of_their_own_are_killed_and_reaped(stage: Stage) -> None:
    scene = stage.begin(
        "become_subreaper()\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        say(orphan=os.getpid())\n"
        "        sleep_for_ever()\n"
        "    os._exit(0)\n"
        "sys.stdin.readline()\n"
        "kill_descendants()\n"
        "say(children=reap_children(), left=list(descendants(os.getpid())))\n",
    )
    scene.hear()
    scene.go_on()
    assert scene.hear() == {"children": False, "left": []}
    scene.end()
    assert stage.left == []


BOMBS = {
    # Each process forks three more, five deep: 364 of them, as fast as they can.
    "tree": (
        "def bomb(depth):\n"
        "    for _ in range(3 if depth < 5 else 0):\n"
        "        if os.fork() == 0:\n"
        "            bomb(depth + 1)\n"
        "            sleep_for_ever()\n"
        "bomb(0)\n"
        "sleep_for_ever()\n"
    ),
    # A process that is another one each time it is read; for 20 seconds at most.
    "runaway": (
        "end = time.monotonic() + 20\n"
        "while time.monotonic() < end:\n"
        "    if os.fork() > 0:\n"
        "        os._exit(0)\n"
        "    os.setsid()\n"
        "os._exit(0)\n"
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_fork_bomb_is_killed_to_its_last_process(bomb: str, stage: Stage) -> None:
    scene = stage.begin(
        "become_subreaper()\n"
        "if os.fork() == 0:\n"
        + "".join(f"    {line}\n" for line in BOMBS[bomb].splitlines())
        + "time.sleep(0.1)\n"
        "begun = time.monotonic()\n"
        "kill_descendants()\n"
        "say(took=time.monotonic() - begun, left=list(descendants(os.getpid())))\n",
    )
    outcome = scene.hear()
    assert outcome["left"] == []
    # It did not just run out by itself.
    assert outcome["took"] < 15
    scene.end()
    assert stage.left == []


def test_a_child_dies_with_its_parent_unless_it_has_taken_that_back(stage: Stage) -> None:
    scene = stage.begin(
        "parent = os.getpid()\n"
        "for stays in (False, True):\n"
        "    if os.fork() == 0:\n"
        "        die_with_parent(parent)\n"
        "        if stays:\n"
        "            wake_with_parent()\n"
        "        say(pid=os.getpid())\n"
        "        sleep_for_ever()\n"
        "    time.sleep(0.1)\n"
        "sleep_for_ever()\n",
    )
    dies, stays = scene.hear()["pid"], scene.hear()["pid"]
    scene.process.kill()
    scene.end()
    assert soon(lambda: stage.left == [stays])
    assert dies != stays


def test_a_child_whose_parent_is_gone_already_dies_at_once(stage: Stage) -> None:
    scene = stage.begin("die_with_parent(1 if os.getppid() != 1 else 2)\nsleep_for_ever()")
    assert scene.process.wait(timeout=10) == -signal.SIGKILL
