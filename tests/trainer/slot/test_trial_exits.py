"""The value, or the reason for its absence, outlives whatever the function left for the exit of its process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_core.api import TrialReason, TrialState
from support.trainer.trial_rig import Rig

SOURCE = r"""
    import atexit, concurrent.futures, faulthandler, gc, locale, logging, multiprocessing, os, resource, shutil
    import signal, subprocess, sys, threading, time, traceback, warnings, weakref
    from unittest import mock

    FOREVER = threading.Event().wait
    FORK = multiprocessing.get_context("fork")

    class Broken:
        def __init__(self, wrapped=None): self.wrapped = wrapped
        def write(self, text): raise OSError("the tee is full")
        def flush(self): raise OSError("the tee is full")

    class Died(BaseException): pass

    class Rude(Broken):
        def write(self, text): raise Died
        def flush(self): os._exit(5)

    def training(how):
        return globals()[how]()

    # -- what goes on after the return
    def thread_lives_on():
        threading.Thread(target=FOREVER, name="uploader").start()
        return 0.5
    def thread_lives_on_after_an_error():
        threading.Thread(target=FOREVER).start()
        raise ValueError("boom")
    def executor_lives_on():
        concurrent.futures.ThreadPoolExecutor().submit(FOREVER)
        return 0.5
    def process_executor_lives_on():
        concurrent.futures.ProcessPoolExecutor(1, mp_context=FORK).submit(time.sleep, 600)
        return 0.5
    def process_lives_on():
        FORK.Process(target=FOREVER, name="worker").start()
        return 0.5
    def process_ignores_terminate():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        FORK.Process(target=FOREVER).start()
        return 0.5
    def pool_is_never_closed():
        FORK.Pool(2).map(abs, range(3))
        globals()["pool"] = FORK.Pool(2)
        return 0.5
    def grandchild_holds_the_pipes():
        subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600"])
        return 0.5
    def daemon_thread_prints():
        def chatter():
            while True: print("still here")
        threading.Thread(target=chatter, daemon=True).start()
        return 0.5
    def exit_function_hangs():
        atexit.register(FOREVER)
        return 0.5
    def flush_hangs():
        class Slow(Broken):
            def flush(self): FOREVER()
        sys.stdout = Slow()
        return 0.5
    def terminate_handler_exits():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        threading.Thread(target=FOREVER, daemon=False).start()
        return 0.5
    def stops_itself():
        atexit.register(lambda: os.kill(os.getpid(), signal.SIGSTOP))
        return 0.5

    def timer_is_not_cancelled():
        threading.Timer(1000, print).start()
        return 0.5
    def pool_is_at_work():
        globals()["pool"] = FORK.Pool(2)
        pool.map_async(time.sleep, [600, 600])
        return 0.5
    def manager_lives_on():
        globals()["manager"] = FORK.Manager()
        return 0.5
    def queue_is_full():
        globals()["queue"] = FORK.Queue()
        queue.put("x" * 10_000_000)
        return 0.5
    def daemon_of_its_own_session():
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                FOREVER()
            os._exit(0)
        os.wait()
        return 0.5
    def child_returns_later():
        if os.fork() == 0:
            time.sleep(0.5)
            return 0.9
        return 0.5
    def process_stops_itself():
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGSTOP)).start()
        return 0.5

    # -- what ends the process after the return
    def exits_at_exit():
        atexit.register(lambda: os._exit(3))
        return 0.5
    def raises_at_exit():
        atexit.register(lambda: 1 / 0)
        return 0.5
    def sys_exits_at_exit():
        atexit.register(lambda: sys.exit(3))
        return 0.5
    def killed_at_exit():
        atexit.register(lambda: os.kill(os.getpid(), signal.SIGKILL))
        return 0.5
    def crashes_at_exit():
        import ctypes
        atexit.register(ctypes.string_at, 0)
        return 0.5
    def thread_exits_the_process():
        def end(): time.sleep(0.2); os._exit(7)
        threading.Thread(target=end).start()
        return 0.5
    def alarm_after_the_return():
        def alarm(*_): raise TimeoutError("too late")
        signal.signal(signal.SIGALRM, alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        threading.Thread(target=time.sleep, args=(0.5,)).start()
        return 0.5
    def alarm_by_default():
        signal.alarm(1)
        threading.Thread(target=FOREVER).start()
        return 0.5
    def watchdog_after_the_return():
        faulthandler.dump_traceback_later(0.2, exit=True)
        threading.Thread(target=time.sleep, args=(2,)).start()
        return 0.5
    def finalizer_exits():
        class Last:
            def __del__(self): os._exit(9)
        globals()["last"] = Last()
        atexit.register(lambda: (globals().pop("last"), gc.collect()))
        return 0.5
    def weakref_finalizer_exits():
        globals()["kept"] = Broken()
        weakref.finalize(kept, os._exit, 9)
        return 0.5
    def kills_the_fork_server_at_exit():
        atexit.register(lambda: os.kill(os.getppid(), signal.SIGKILL))
        return 0.5
    def needs_memory_at_exit():
        def grow():
            held = [bytearray(os.urandom(1) * 2**20) for _ in range(400)]
            FOREVER()
        atexit.register(grow)
        return 0.5

    # -- streams, descriptors and surroundings
    def no_streams():
        sys.stdout = sys.stderr = None
        return 0.5
    def streams_closed():
        sys.stdout.close(); sys.stderr.close()
        return 0.5
    def descriptors_closed():
        os.close(1); os.close(2)
        return 0.5
    def all_descriptors_closed():
        os.closerange(3, 65536)
        return 0.5
    def all_descriptors_closed_and_used_again():
        os.closerange(3, 65536)
        for n in range(30):
            globals()[f"file{n}"] = open(f"model{n}.bin", "wb")
        atexit.register(lambda: [print(os.path.getsize(f"model{n}.bin"), end=" ") for n in range(30)])
        return 0.5
    def all_descriptors_closed_and_a_thread():
        os.closerange(0, 65536)
        threading.Thread(target=FOREVER).start()
        return 0.5
    def streams_are_tees():
        sys.stdout, sys.stderr = Broken(sys.stdout), Broken(sys.stderr)
        return 0.5
    def streams_are_rude():
        sys.stdout, sys.stderr = Rude(), Rude()
        return 0.5
    def python_is_patched():
        os._exit = os.write = os.getpid = time.monotonic = lambda *_: 1 / 0
        sys.modules.clear()
        return 0.5
    def surroundings_are_gone():
        directory = os.getcwd()
        os.chdir("/")
        shutil.rmtree(directory)
        os.environ.clear()
        return 0.5
    def directory_is_gone():
        shutil.rmtree(os.getcwd())
        return 0.5
    def locale_is_set():
        locale.setlocale(locale.LC_ALL, "C")
        os.environ["LC_ALL"] = "tr_TR.ISO-8859-9"
        print("größe")
        return 0.5
    def hooks_are_replaced():
        sys.excepthook = sys.unraisablehook = threading.excepthook = lambda *_: os._exit(6)
        atexit.register(lambda: 1 / 0)
        return 0.5
    def warnings_are_errors():
        warnings.simplefilter("error")
        open("left-open", "w")
        return 0.5
    def thread_raises():
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start(); thread.join()
        return 0.5
    def logging_raises():
        logging.basicConfig(stream=Broken())
        logging.raiseExceptions = True
        logging.error("lost")
        return 0.5
    def few_frames():
        sys.setrecursionlimit(60)
        return 0.5
    def signals_are_blocked():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        threading.Thread(target=FOREVER).start()
        return 0.5
    def gc_is_off():
        gc.disable(); gc.set_threshold(0)
        return 0.5
    def interval_timer_ticks():
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        return 0.5
    def no_more_descriptors():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        return 0.5
    def no_more_memory():
        resource.setrlimit(resource.RLIMIT_AS, (10, 10))
        return 0.5
    def no_bytes_in_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        return 0.5
    def modules_are_broken():
        for name in [*sys.modules]:
            if name not in ("builtins", "sys"): sys.modules[name] = None
        return 0.5
    def mocks_are_left():
        for name in ("os._exit", "os.write", "json.dumps", "builtins.open"): mock.patch(name).start()
        return 0.5
    def another_user_of_the_pipe():
        child = FORK.Process(target=lambda: os._exit(0)); child.start(); child.join()
        return {"score": 0.5, "exit": child.exitcode}
"""

COUNTED = (
    ("thread_lives_on", "(thread 'uploader'): it was ended 1 s later"),
    ("executor_lives_on", "thread 'ThreadPoolExecutor"),
    ("process_executor_lives_on", "its process went on"),
    ("process_lives_on", "process 'worker'"),
    ("process_ignores_terminate", "it was ended 1 s later"),
    ("pool_is_never_closed", ""),
    ("grandchild_holds_the_pipes", ""),
    ("daemon_thread_prints", ""),
    ("exit_function_hangs", "its process went on: it was ended 1 s later"),
    ("flush_hangs", "it was ended 1 s later"),
    ("terminate_handler_exits", "it was ended 1 s later"),
    ("stops_itself", "it was ended 1 s later"),
    ("timer_is_not_cancelled", "(thread 'Thread-"),
    ("pool_is_at_work", ""),
    ("manager_lives_on", ""),
    ("queue_is_full", "it was ended 1 s later"),
    ("daemon_of_its_own_session", ""),
    ("child_returns_later", ""),
    ("process_stops_itself", "it was ended 1 s later"),
    ("exits_at_exit", "with exit code 3 after the function had returned"),
    ("raises_at_exit", ""),
    ("sys_exits_at_exit", ""),
    ("killed_at_exit", "by SIGKILL after the function had returned"),
    ("crashes_at_exit", "by SIGSEGV after the function had returned"),
    ("thread_exits_the_process", "with exit code 7 after"),
    ("alarm_after_the_return", ""),
    ("alarm_by_default", "SIGALRM after|it was ended 1 s later"),
    ("watchdog_after_the_return", "with exit code 1 after"),
    ("finalizer_exits", "with exit code 9 after"),
    ("weakref_finalizer_exits", "with exit code 9 after"),
    ("kills_the_fork_server_at_exit", "the fork server ended (SIGKILL) after"),
    ("needs_memory_at_exit", "was killed for its memory"),
    ("no_streams", ""),
    ("streams_closed", ""),
    ("descriptors_closed", ""),
    ("all_descriptors_closed", ""),
    ("all_descriptors_closed_and_used_again", ""),
    ("all_descriptors_closed_and_a_thread", "it was ended 1 s later"),
    ("streams_are_tees", ""),
    ("streams_are_rude", "with exit code 5 after"),
    ("python_is_patched", ""),
    ("surroundings_are_gone", ""),
    ("directory_is_gone", ""),
    ("locale_is_set", ""),
    ("hooks_are_replaced", "with exit code 6 after|"),
    ("warnings_are_errors", ""),
    ("thread_raises", ""),
    ("logging_raises", ""),
    ("few_frames", ""),
    ("signals_are_blocked", "it was ended 1 s later"),
    ("gc_is_off", ""),
    ("interval_timer_ticks", ""),
    ("no_more_descriptors", ""),
    ("no_more_memory", "with exit code 1 after|"),
    ("no_bytes_in_files", ""),
    ("modules_are_broken", ""),
    ("mocks_are_left", ""),
)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(
        tmp_path_factory.mktemp("exits"),
        SOURCE,
        parameters={"how": str},
        memory="300Mi",
        termination_grace_period_seconds=1,
    ) as rig:
        yield rig


@pytest.mark.parametrize(("how", "note"), COUNTED, ids=[how for how, _ in COUNTED])
def test_a_returned_value_counts(rig: Rig, how: str, note: str) -> None:
    outcome = rig.run(how=how)
    assert outcome.state is TrialState.SUCCEEDED, outcome.message
    assert outcome.metrics == {"score": 0.5}
    texts = note.split("|")
    assert any(text in outcome.message for text in texts), outcome.message
    if note == "":
        assert outcome.message == ""
    assert "before the function returned" not in outcome.message


def test_a_file_that_got_the_number_of_a_closed_descriptor_is_not_written_to(rig: Rig) -> None:
    rig.metrics(how="all_descriptors_closed_and_used_again")
    assert set(rig.log().split()) == {"0"}


def test_the_log_says_that_a_process_was_ended_after_its_function(rig: Rig) -> None:
    rig.run(how="thread_lives_on_after_an_error")
    assert "[sparksweep: the function has ended, but its process has not 1 s later" in rig.log(
        "stderr"
    )


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ("grandchild_holds_the_pipes", "were ended with it: "),
        ("daemon_of_its_own_session", "were ended with it: python"),
        ("pool_is_never_closed", ""),
        ("manager_lives_on", ""),
        ("no_streams", ""),
    ],
)
def test_the_log_names_processes_that_were_left_running(rig: Rig, how: str, text: str) -> None:
    rig.metrics(how=how)
    log = rig.log("stderr")
    assert text in log if text else "sparksweep" not in log


def test_no_time_limit_is_needed_and_none_is_waited_for(tmp_path: Path) -> None:
    source = """
        import threading

        def training():
            threading.Thread(target=threading.Event().wait).start()
            return 0.5
    """
    for timeout in (None, 2):
        directory = tmp_path / str(timeout)
        directory.mkdir()
        limits = {"timeout_seconds": timeout, "termination_grace_period_seconds": 3}
        with Rig(directory, source, **limits) as rig:
            outcome = rig.run()
            assert outcome.state is TrialState.SUCCEEDED
            assert ("timeoutSeconds" in outcome.message) == (timeout is not None)


def test_a_trial_that_has_returned_is_not_lost_when_trials_are_stopped(tmp_path: Path) -> None:
    source = """
        import atexit, threading

        def training():
            atexit.register(lambda: (print("returned"), threading.Event().wait()))
            return 0.5
    """
    with Rig(tmp_path, source, termination_grace_period_seconds=60) as rig:
        outcome = rig.run_and_meanwhile(lambda stop: stop.set(), once=lambda: rig.log() != "")
        assert (outcome.state, outcome.metrics) == (TrialState.SUCCEEDED, {"score": 0.5})
        assert "ended with the other trials" in outcome.message


# ---------------------------------------------------------------------- failures

FAILING = r"""
    import argparse, asyncio, atexit, faulthandler, os, signal, sys, threading, time

    class Unprintable(Exception):
        def __str__(self): raise RuntimeError("no text")
        __repr__ = __str__
    class Deadly(Exception):
        def __str__(self): os._exit(8)
    class Stubborn(Exception):
        def __str__(self): raise SystemExit(3)
        @property
        def __notes__(self): raise KeyboardInterrupt
    class Meta(type):
        @property
        def __name__(cls): raise RuntimeError("no name")
    class Nameless(Exception, metaclass=Meta): pass
    class Lost(RuntimeError):
        def __init__(self, text, place): super().__init__(f"{text} at {place}")
    class Broken:
        def write(self, text): raise OSError("the tee is full")
        flush = lambda self: 1 / 0
    class Number:
        def __float__(self): raise ValueError("half a number")
    class Ugly:
        def __repr__(self): raise ValueError("no repr")

    def training(how):
        return globals()[how]()

    def plain(): raise ValueError("boom")
    def empty(): raise ValueError
    def lines(): raise ValueError("first\nsecond")
    def unprintable(): raise Unprintable
    def stubborn(): raise Stubborn
    def nameless(): raise Nameless("x")
    def with_note():
        error = ValueError("boom"); error.add_note("look at the data"); raise error
    def chained():
        try: {}["rate"]
        except KeyError as error: raise Lost("no rate", "step 3") from error
    def while_handling():
        try: 1 / 0
        except ZeroDivisionError: raise OSError(28, "No space left on device", "/data/x")
    def group(): raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])
    def recursion(): return recursion()
    def few_frames():
        sys.setrecursionlimit(60); return recursion()
    def huge(): raise ValueError("x" * 20_000_000)
    def huge_unicode(): raise ValueError("\U0001f600\ud800" * 100_000)
    def interrupted(): raise KeyboardInterrupt
    def cancelled(): raise asyncio.CancelledError("stopped")
    def syntax(): compile("a = = 1", "model.py", "exec")
    def deep():
        def go(n): return go(n - 1) if n else 1 / 0
        go(300)
    def assertion(): assert 1 == 2
    def memory(): raise MemoryError
    def no_stderr():
        sys.stderr = None; raise ValueError("boom")
    def closed_stderr():
        sys.stderr.close(); raise ValueError("boom")
    def tee():
        sys.stderr = Broken(); raise ValueError("boom")
    def exits_at_exit():
        atexit.register(lambda: os._exit(0)); raise ValueError("boom")
    def closed_everything():
        os.closerange(0, 65536); raise ValueError("boom")
    def finalizer():
        class Last:
            def __del__(self): os._exit(0)
        last = Last(); raise ValueError("boom")
    def hook():
        sys.excepthook = lambda *_: os._exit(0); raise ValueError("boom")
    def alarm():
        def ring(*_): raise TimeoutError("step took too long")
        signal.signal(signal.SIGALRM, ring); signal.setitimer(signal.ITIMER_REAL, 0.1); time.sleep(9)
    def not_a_number_after_all(): return {"score": Number()}
    def ugly(): return Ugly()

    def full_pipe():
        os.dup2(os.pipe()[1], 2); raise ValueError("boom " + "x" * 1_000_000)
    def tracers():
        def trace(*_): raise RuntimeError("the tracer is broken")
        sys.settrace(trace); sys.setprofile(trace); return 0.5
    def cyclic():
        a, b = ValueError("a"), ValueError("b")
        a.__cause__, b.__cause__ = b, a
        raise a
    def long_chain():
        error = None
        for i in range(2000):
            later = ValueError(i); later.__context__ = error; error = later
        raise error
    def exit_zero(): sys.exit(0)
    def exit_none(): raise SystemExit
    def exit_negative(): sys.exit(-1)
    def exit_text(): sys.exit("no data in /data")
    def exit_object(): sys.exit(["a", 1])
    def exit_ugly(): sys.exit(Ugly())
    def exit_without_stderr():
        sys.stderr = None; sys.exit("no data")
    def exit_by_argparse(): argparse.ArgumentParser(prog="train").parse_args(["--epochz", "3"])
    def os_exit_in_a_thread():
        threading.Thread(target=os._exit, args=(4,)).start(); time.sleep(9)
    def exit_in_a_thread_only():
        thread = threading.Thread(target=sys.exit, args=(4,)); thread.start(); thread.join()
    def watchdog():
        faulthandler.dump_traceback_later(0.1, exit=True); time.sleep(9)
    def replaced(): os.execv("/bin/true", ["true"])
    def deadly(): raise Deadly
    def kills_its_group(): os.killpg(0, signal.SIGTERM); time.sleep(9)
    def aborts(): os.abort()
"""

_BOOM = "ValueError: boom\nTraceback (most recent call last):"
FAILED = (
    ("plain", TrialReason.EXCEPTION, _BOOM),
    ("empty", TrialReason.EXCEPTION, "ValueError\nTraceback"),
    ("lines", TrialReason.EXCEPTION, "ValueError: first\nsecond\nTraceback"),
    ("unprintable", TrialReason.EXCEPTION, "train.Unprintable: <exception str() failed>"),
    ("stubborn", TrialReason.EXCEPTION, "Stubborn: <"),
    ("nameless", TrialReason.EXCEPTION, "train.Nameless: x\nTraceback"),
    ("with_note", TrialReason.EXCEPTION, "ValueError: boom\nlook at the data\nTraceback"),
    ("chained", TrialReason.EXCEPTION, "train.Lost: no rate at step 3\nTraceback"),
    (
        "while_handling",
        TrialReason.EXCEPTION,
        "OSError: [Errno 28] No space left on device: '/data/x'\nTraceback",
    ),
    ("group", TrialReason.EXCEPTION, "ExceptionGroup: several (2 sub-exceptions)\n"),
    ("recursion", TrialReason.EXCEPTION, "RecursionError: maximum recursion depth exceeded"),
    ("few_frames", TrialReason.EXCEPTION, "RecursionError: maximum recursion depth exceeded"),
    ("huge", TrialReason.EXCEPTION, "ValueError: xxx"),
    ("huge_unicode", TrialReason.EXCEPTION, "ValueError: \U0001f600?"),
    ("interrupted", TrialReason.EXCEPTION, "KeyboardInterrupt\nTraceback"),
    ("cancelled", TrialReason.EXCEPTION, "asyncio.exceptions.CancelledError: stopped\nTraceback"),
    ("syntax", TrialReason.EXCEPTION, "SyntaxError: invalid syntax (model.py, line 1)\nTraceback"),
    ("deep", TrialReason.EXCEPTION, "ZeroDivisionError: division by zero\nTraceback"),
    ("assertion", TrialReason.EXCEPTION, "AssertionError\nTraceback"),
    ("memory", TrialReason.OUT_OF_MEMORY, "used "),
    ("no_stderr", TrialReason.EXCEPTION, _BOOM),
    ("closed_stderr", TrialReason.EXCEPTION, _BOOM),
    ("tee", TrialReason.EXCEPTION, _BOOM),
    ("exits_at_exit", TrialReason.EXCEPTION, _BOOM),
    ("closed_everything", TrialReason.EXCEPTION, _BOOM),
    ("finalizer", TrialReason.EXCEPTION, _BOOM),
    ("hook", TrialReason.EXCEPTION, _BOOM),
    ("alarm", TrialReason.EXCEPTION, "TimeoutError: step took too long\nTraceback"),
    ("not_a_number_after_all", TrialReason.METRIC_NOT_NUMERIC, "score"),
    ("ugly", TrialReason.METRIC_NOT_NUMERIC, "the function returned"),
    ("full_pipe", TrialReason.EXCEPTION, "ValueError: boom xxx"),
    ("tracers", TrialReason.EXCEPTION, "RuntimeError: the tracer is broken"),
    ("cyclic", TrialReason.EXCEPTION, "ValueError: a\n"),
    ("long_chain", TrialReason.EXCEPTION, "ValueError: 1999\n"),
    ("exit_zero", TrialReason.EXITED, "the function called sys.exit(0): return"),
    ("exit_none", TrialReason.EXITED, "the function called sys.exit(0): return"),
    ("exit_negative", TrialReason.EXITED, "the function called sys.exit(255): return"),
    ("exit_text", TrialReason.EXITED, "the function called sys.exit('no data in /data'): return"),
    ("exit_object", TrialReason.EXITED, "the function called sys.exit(\"['a', 1]\"): return"),
    ("exit_ugly", TrialReason.EXITED, 'the function called sys.exit("<Ugly'),
    ("exit_without_stderr", TrialReason.EXITED, "the function called sys.exit('no data'): return"),
    ("exit_by_argparse", TrialReason.EXITED, "the function called sys.exit(2): return"),
    ("os_exit_in_a_thread", TrialReason.EXITED, "its process ended with exit code 4 before the"),
    ("exit_in_a_thread_only", TrialReason.METRIC_MISSING, ""),
    ("watchdog", TrialReason.EXITED, "its process ended with exit code 1 before the"),
    ("replaced", TrialReason.EXITED, "its process ended with exit code 0 before the"),
    ("deadly", TrialReason.EXITED, "its process ended with exit code 8 before the"),
    ("kills_its_group", TrialReason.SIGNALLED, "ended by SIGTERM, which sparksweep did not send"),
    ("aborts", TrialReason.SIGNALLED, "ended by SIGABRT"),
)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    directory = tmp_path_factory.mktemp("failing")
    with Rig(
        directory, FAILING, parameters={"how": str}, termination_grace_period_seconds=1
    ) as rig:
        yield rig


@pytest.mark.parametrize(("how", "reason", "beginning"), FAILED, ids=[how for how, _, _ in FAILED])
def test_a_failure_is_told_as_it_was(
    failing: Rig, how: str, reason: TrialReason, beginning: str
) -> None:
    outcome = failing.run(how=how)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, reason), outcome.message
    assert outcome.message.startswith(beginning), outcome.message
    assert len(outcome.message) <= 4096
    # Python's own report of a crash has every frame.
    assert "sparksweep_trainer" not in outcome.message or how in ("watchdog", "aborts", "tracers")
    assert "not defined" not in outcome.message


def test_the_words_of_argparse_are_in_the_message(failing: Rig) -> None:
    assert "unrecognized arguments: --epochz 3" in failing.run(how="exit_by_argparse").message


def test_a_long_traceback_keeps_the_frames_that_raised(failing: Rig) -> None:
    lines = failing.run(how="deep").message.splitlines()
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert "1 / 0" in "\n".join(lines[-3:])


def test_a_reason_is_printed_although_the_function_has_no_standard_error(failing: Rig) -> None:
    for how in ("no_stderr", "closed_stderr", "tee"):
        failing.run(how=how)
        assert "\nValueError: boom\n" in failing.log("stderr")
