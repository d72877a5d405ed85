"""The fork server: preloads once, forks a fresh process for each trial, and costs no trial but its own when it dies."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from sparksweep_core.api import TrialReason, TrialState
from support.trainer.stage import Stage, soon
from support.trainer.trial_rig import Rig

GOOD = "def training(): return 0.5"


def module(rig: Rig, name: str, text: str) -> None:
    (rig.home / f"{name}.py").write_text(text)


def test_what_is_preloaded_is_imported_once_and_there_in_every_trial(tmp_path: Path) -> None:
    source = """
        import sys

        def training():
            assert "heavy" in sys.modules
            import heavy
            heavy.used += 1
            return heavy.used
    """
    with Rig(tmp_path, source, preload=["heavy"]) as rig:
        module(rig, "heavy", "from pathlib import Path\nused = 0\n"
               "with (Path(__file__).parent / 'imports').open('a') as f: f.write('x')\n")  # fmt: skip
        # What a trial changes in it, no other trial sees.
        assert [rig.metrics()["score"] for _ in range(3)] == [1.0, 1.0, 1.0]
        assert (rig.home / "imports").read_text() == "x"


def test_random_numbers_differ_between_trials_although_their_state_is_forked(
    tmp_path: Path,
) -> None:
    source = """
        import random, numpy

        def training():
            return {"score": random.random(), "numpy": numpy.random.random()}
    """
    with Rig(tmp_path, source, objective=None, preload=["random", "numpy"]) as rig:
        first, second = rig.metrics(), rig.metrics()
        assert first["score"] != second["score"]
        assert first["numpy"] != second["numpy"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import absent_library", "No module named 'absent_library'"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import os; os._exit(3)", "importing heavy ended the interpreter (exit code 3)"),
        ("import ctypes; ctypes.string_at(0)", "importing heavy ended the interpreter (SIGSEGV)"),
    ],
)
def test_a_module_that_can_not_be_preloaded_is_named_before_any_trial(
    tmp_path: Path, text: str, message: str
) -> None:
    with Rig(tmp_path, GOOD, preload=["heavy"]) as rig:
        module(rig, "heavy", text)
        refusal = rig.runner.check()
        assert refusal is not None
        assert refusal.startswith("preload: ")
        assert "heavy" in refusal
        assert message in refusal
        outcome = rig.run()
        assert (outcome.state, outcome.reason) == (TrialState.FAILED, TrialReason.START_FAILED)
        assert message in outcome.message


def test_a_trial_whose_fork_server_is_killed_fails_and_the_next_one_runs(tmp_path: Path) -> None:
    source = """
        import os, signal, subprocess, time

        def training(how):
            if how == "waits":
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                subprocess.Popen(["sleep", "60"], start_new_session=True)
                print("begun", flush=True)
                time.sleep(60)
            return 0.5
    """
    with Rig(tmp_path, source, parameters={"how": str}) as rig:
        outcome = rig.run_and_meanwhile(
            lambda _: os.kill(rig.server, signal.SIGKILL),
            once=lambda: "begun" in rig.log(),
            how="waits",
        )
        assert (outcome.state, outcome.reason) == (TrialState.FAILED, TrialReason.START_FAILED)
        assert "fork server ended (SIGKILL)" in outcome.message
        assert rig.metrics(how="returns") == {"score": 0.5}


def test_a_fork_server_that_dies_between_trials_costs_none(tmp_path: Path) -> None:
    with Rig(tmp_path, GOOD) as rig:
        rig.metrics()
        before = rig.server
        os.kill(before, signal.SIGKILL)
        assert soon(lambda: b") Z " in Path(f"/proc/{before}/stat").read_bytes())
        rig.metrics()
        assert rig.server != before


def test_a_trial_may_kill_its_fork_server_and_costs_itself_alone(tmp_path: Path) -> None:
    source = """
        import os, signal, time

        def training(how):
            if how == "spiteful":
                os.kill(os.getppid(), signal.SIGKILL)
                time.sleep(60)
            return 0.5
    """
    with Rig(tmp_path, source, parameters={"how": str}) as rig:
        assert rig.run(how="spiteful").state is TrialState.FAILED
        assert rig.metrics(how="good") == {"score": 0.5}


SLOT = """
from contextlib import closing
from pathlib import Path
from sparksweep_trainer.protocol import Assignment
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner
sys.path.insert(0, {tests!r})
from support.trainer.trial_rig import program

source = '''
import os, signal, subprocess, time
def training():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen(["sleep", "60"], start_new_session=True)
    open({begun!r}, "w").close()
    time.sleep(60)
'''
runner = TrialRunner(program(Path({directory!r}), source{options}), slot=0)
say(scratch=str(runner._scratch))
with closing(StopSignal()) as stop:
    runner._current_server()
    say(server=runner._server.pid)
    runner.run(Assignment(number=1, attempt=1, parameters={{}}), stop)
"""


@pytest.mark.parametrize("preloading", [False, True])
def test_nothing_is_left_of_a_slot_that_is_killed(tmp_path: Path, preloading: bool) -> None:
    begun = tmp_path / "begun"
    if preloading:
        (tmp_path / "home").mkdir()
        text = f"import time; open({str(begun)!r}, 'w').close(); time.sleep(60)"
        (tmp_path / "home" / "slow.py").write_text(text)
    scene = SLOT.format(
        tests=str(Path(__file__).parents[2]), begun=str(begun), directory=str(tmp_path),
        options=", preload=['slow']" if preloading else "",
    )  # fmt: skip
    with Stage() as stage:
        slot = stage.begin(scene)
        scratch = Path(slot.hear()["scratch"])
        slot.hear()
        assert soon(begun.exists)
        slot.process.kill()
        slot.end()
        assert soon(lambda: stage.left == [])
        if preloading:
            # Killed by the kernel, in the middle of an import: it can't clean up.
            shutil.rmtree(scratch)
        else:
            assert soon(lambda: not scratch.exists())


def test_a_closed_runner_leaves_no_files_and_no_processes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, GOOD)
    rig.metrics()
    server, scratch = rig.server, rig.runner._scratch
    assert scratch.exists()
    rig.runner.close()
    assert not scratch.exists()
    assert not Path(f"/proc/{server}").exists()
