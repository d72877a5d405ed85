"""A trial's process may end in any way: each has its own outcome, nothing is left of it, and the slot goes on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_core.api import TrialReason, TrialState
from sparksweep_trainer.slot import supervisor
from sparksweep_trainer.slot.cgroups import Figures
from support.trainer.trial_rig import Rig

SOURCE = """
    import ctypes, os, signal, subprocess, sys, threading, time

    def training(how):
        return globals()[how]()

    def good(): return 0.5
    def several(): return {"score": 1, "other": 2}
    def late_thread():
        threading.Thread(target=lambda: (time.sleep(0.2), print("thread ended"))).start()
        return 0.5
    def raises(): raise ValueError("the loss exploded")
    def raises_its_own():
        class Diverged(BaseException): pass
        raise Diverged("at step 7")
    def exits(): sys.exit(3)
    def exits_with_text(): sys.exit("no data")
    def exits_well(): sys.exit()
    def os_exits(): os._exit(4)
    def segfaults(): ctypes.string_at(0)
    def kills_itself(): os.kill(os.getpid(), signal.SIGKILL)
    def memory_error(): raise MemoryError("no room for the batch")
    def recurses(): return recurses()
    def child_returns():
        if os.fork() > 0:
            os.wait()
            return 0.5
        return 0.9
    def child_exits():
        if os.fork() > 0:
            os.wait()
            return 0.5
        sys.exit(1)
    def closes_everything():
        os.closerange(0, 1000)
        return 0.5
    def not_a_number(): return "0.93"
    def leaves_children():
        subprocess.Popen(["sleep", "60"])
        subprocess.Popen(["sleep", "60"], start_new_session=True)
        subprocess.Popen(["sh", "-c", "trap '' TERM; setsid sleep 60 & wait"], start_new_session=True)
        if os.fork() == 0:
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
            os._exit(0)
        return 0.5
    def floods():
        for _ in range(20 * 1024):
            sys.stdout.write("x" * 1023 + "\\n")
        return 0.5
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("endings"), SOURCE, parameters={"how": str}) as rig:
        yield rig


GOOD = ("good", "closes_everything", "child_returns", "child_exits", "leaves_children", "floods")


@pytest.mark.parametrize("how", GOOD)
def test_a_function_that_returns_succeeds_whatever_its_children_do(rig: Rig, how: str) -> None:
    # The rig finds out that nothing it left is waited for.
    assert rig.metrics(how=how) == {"score": 0.5}


def test_every_number_that_is_returned_is_kept(rig: Rig) -> None:
    assert rig.metrics(how="several") == {"score": 1.0, "other": 2.0}


def test_threads_are_waited_for_as_an_interpreter_does(rig: Rig) -> None:
    rig.metrics(how="late_thread")
    assert rig.log() == "thread ended\n"


@pytest.mark.parametrize(
    ("how", "reason", "text"),
    [
        ("raises", TrialReason.EXCEPTION, "ValueError: the loss exploded"),
        ("raises_its_own", TrialReason.EXCEPTION, "Diverged: at step 7"),
        ("recurses", TrialReason.EXCEPTION, "RecursionError"),
        ("exits", TrialReason.EXITED, "sys.exit(3)"),
        ("exits_with_text", TrialReason.EXITED, "sys.exit('no data')"),
        ("exits_well", TrialReason.EXITED, "sys.exit(0)"),
        ("os_exits", TrialReason.EXITED, "exit code 4"),
        ("segfaults", TrialReason.SEGMENTATION_FAULT, "Fatal Python error"),
        ("kills_itself", TrialReason.SIGNALLED, "SIGKILL"),
        ("memory_error", TrialReason.OUT_OF_MEMORY, "limit 2Gi"),
        ("not_a_number", TrialReason.METRIC_NOT_NUMERIC, "'0.93'"),
        ("absent", TrialReason.EXCEPTION, "KeyError: 'absent'"),
    ],
)
def test_each_bad_end_has_its_reason_and_the_next_trial_is_none_the_worse(
    rig: Rig, how: str, reason: TrialReason, text: str
) -> None:
    outcome = rig.run(how=how)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, reason)
    assert text in outcome.message
    assert outcome.metrics == {}
    assert rig.metrics(how="good") == {"score": 0.5}


def test_a_trial_that_the_kernel_kills_for_its_memory_says_so(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The kernel counts its kills: here one between the start of the trial and its end.
    counts = iter((4, 5))
    monkeypatch.setattr(supervisor, "read_figures", lambda: Figures(oom_kills=next(counts)))
    outcome = rig.run(how="kills_itself")
    assert outcome.reason == TrialReason.OOM_KILLED
    assert "the kernel killed it" in outcome.message
    monkeypatch.undo()
    assert rig.metrics(how="good") == {"score": 0.5}


def test_a_message_begins_with_the_exception_and_its_traceback_with_the_users_code(
    rig: Rig,
) -> None:
    message = rig.run(how="raises").message
    assert message.splitlines()[:2] == [
        "ValueError: the loss exploded",
        "Traceback (most recent call last):",
    ]
    assert "train.py" in message.splitlines()[2]
    assert "sparksweep_trainer" not in message
    assert message.count("the loss exploded") == 2, "once as text, once in the line of code"
    # The log has it as Python prints it.
    log = rig.log("stderr").strip()
    assert log.startswith("Traceback (most recent call last):")
    assert log.endswith("ValueError: the loss exploded")


def test_what_sys_exit_says_is_in_the_log(rig: Rig) -> None:
    rig.run(how="exits_with_text")
    assert rig.log("stderr") == "no data\n"


# ---------------------------------------------------------------------- ended by us

ENDLESS = """
    import os, signal, subprocess, sys, time
    from pathlib import Path

    def training(how):
        if how == "ignores":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        elif how == "saves":
            signal.signal(signal.SIGTERM, lambda *_: (Path("saved").touch(), sys.exit(0)))
        elif how == "child ignores":
            subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 60; sleep 60"])
        print("begun", flush=True)
        time.sleep(60)
"""


@pytest.mark.parametrize("how", ["hangs", "ignores", "child ignores", "saves"])
def test_a_trial_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path, how: str) -> None:
    limits = {"timeout_seconds": 1, "termination_grace_period_seconds": 1}
    with Rig(tmp_path, ENDLESS, parameters={"how": str}, **limits) as rig:
        outcome = rig.run(how=how)
        assert (outcome.state, outcome.reason) == (TrialState.FAILED, TrialReason.TIMED_OUT)
        assert "longer than 1 s" in outcome.message
        # SIGTERM came first.
        assert (rig.trials / "0001" / "saved").exists() == (how == "saves")


@pytest.mark.parametrize("how", ["hangs", "ignores"])
def test_a_trial_is_stopped_by_order(tmp_path: Path, how: str) -> None:
    with Rig(tmp_path, ENDLESS, parameters={"how": str}, termination_grace_period_seconds=0) as rig:
        outcome = rig.run_and_meanwhile(
            lambda stop: stop.set(), once=lambda: "begun" in rig.log(), how=how
        )
        assert (outcome.state, outcome.reason) == (TrialState.STOPPED, TrialReason.INTERRUPTED)


def test_a_trial_that_is_stopped_before_it_starts_never_does(tmp_path: Path) -> None:
    with Rig(tmp_path, ENDLESS, parameters={"how": str}) as rig:
        assert rig.run(stopped=True, how="hangs").state is TrialState.STOPPED
        assert not rig.trials.exists()


def test_a_trial_that_needs_more_memory_than_it_may_is_ended(tmp_path: Path) -> None:
    source = """
        import os

        def training(mib, processes):
            for _ in range(processes - 1):
                if os.fork() == 0:
                    break
            held = [bytearray(os.urandom(1) * 2**20) for _ in range(mib)]
            os.read(os.pipe()[0], 1)
    """
    with Rig(tmp_path, source, parameters={"mib": int, "processes": int}, memory="200Mi") as rig:
        for mib, processes in ((300, 1), (100, 3)):
            outcome = rig.run(mib=mib, processes=processes)
            assert (outcome.state, outcome.reason) == (TrialState.FAILED, TrialReason.OOM_KILLED)
            assert "limit 200Mi" in outcome.message
            assert "resources.memory" in outcome.message
            assert outcome.peak_memory_bytes is not None
            assert outcome.peak_memory_bytes > 200 * 2**20


def test_memory_that_forked_processes_share_counts_once(tmp_path: Path) -> None:
    source = """
        import os, time

        def training():
            held = bytearray(os.urandom(1) * 120 * 2**20)
            for _ in range(3):
                if os.fork() == 0:
                    time.sleep(60)
            time.sleep(0.4)
            return 0.5
    """
    with Rig(tmp_path, source, memory="250Mi") as rig:
        assert rig.metrics() == {"score": 0.5}


@pytest.mark.parametrize("signal_sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_of_somebody_else_is_not_taken_for_ours(
    tmp_path: Path, signal_sent: signal.Signals
) -> None:
    source = """
        import os, time

        def training():
            print(os.getpid(), flush=True)
            time.sleep(60)
    """
    with Rig(tmp_path, source) as rig:
        outcome = rig.run_and_meanwhile(
            lambda _: os.kill(int(rig.log()), signal_sent), once=lambda: rig.log().endswith("\n")
        )
        assert outcome.state is TrialState.FAILED
        # Python makes an exception of this one.
        name = "KeyboardInterrupt" if signal_sent is signal.SIGINT else signal_sent.name
        assert name in outcome.message
