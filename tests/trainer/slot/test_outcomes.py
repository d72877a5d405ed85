"""Outcome of an attempt: one reason for each way to end, with a message that says what to do."""

import json
import signal
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Objective, ObjectiveType, TrialReason, TrialState, limits
from sparksweep_core.stored_size import text_bytes
from sparksweep_trainer.protocol import Outcome
from sparksweep_trainer.slot.observation import Cause, KernelFigures, Limits, Observation, Timing
from sparksweep_trainer.slot.outcomes import command_outcome, function_outcome, parse_result
from sparksweep_trainer.slot.printed_metrics import Printed

OBJECTIVE = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy")
LIMITS = Limits(memory_bytes=300 * 2**20, timeout_s=4, grace_s=1)
MIB = 2**20
START = datetime(2026, 1, 1, tzinfo=UTC)
TIMING = Timing(start_time=START, completion_time=START + timedelta(seconds=1), duration_s=1.0)


def observed(
    result: Mapping[str, Any] | bytes = b"",
    *,
    exit_code: int | None = 0,
    cause: Cause | None = None,
    late: Cause | None = None,
    peak_mib: int = 0,
    detail: str = "",
    other_mib: int = 0,
    kernel: KernelFigures | None = None,
) -> Observation:
    return Observation(
        limits=LIMITS,
        cause=cause,
        late_cause=late,
        exit_code=exit_code,
        result=result if isinstance(result, bytes) else json.dumps(result).encode(),
        peak_bytes=peak_mib * MIB,
        detail=detail,
        other_bytes=other_mib * MIB,
        kernel=kernel or KernelFigures(),
    )


def function(observation: Observation, stderr: str = "") -> Outcome:
    return function_outcome(observation, TIMING, objective=OBJECTIVE, stderr=stderr)


def command(observation: Observation, stderr: str = "", **printed: float) -> Outcome:
    return command_outcome(
        observation, TIMING, objective=OBJECTIVE, printed=Printed(printed), stderr=stderr
    )


def succeeded(metrics: dict[str, float]) -> Outcome:
    return Outcome(
        state=TrialState.SUCCEEDED,
        reason=TrialReason.COMPLETED,
        message="",
        metrics=metrics,
        start_time=START,
        completion_time=START + timedelta(seconds=1),
        duration_seconds=1.0,
    )


RETURNED = {"returned": {"number": 0.5}}
RAISED = {
    "exception": {"type": "ValueError", "text": "Traceback\nValueError: boom", "memory": False}
}
NO_MEMORY = {"exception": {"type": "MemoryError", "text": "MemoryError", "memory": True}}


def test_a_function_that_returned_its_metric_succeeded() -> None:
    assert function(observed(RETURNED)) == succeeded({"accuracy": 0.5})


def test_a_command_that_printed_its_metric_succeeded() -> None:
    assert command(observed(), accuracy=0.5) == succeeded({"accuracy": 0.5})


@pytest.mark.parametrize(
    ("observation", "reason", "texts"),
    [
        (observed(RAISED, exit_code=1), TrialReason.EXCEPTION, ["ValueError: boom"]),
        (observed(NO_MEMORY, exit_code=1, peak_mib=250), TrialReason.OUT_OF_MEMORY, ["used 250Mi, limit 300Mi", "resources.memory"]),
        (observed({"exit": 3}, exit_code=3), TrialReason.EXITED, ["sys.exit(3)", "return the metric"]),
        (observed(exit_code=4), TrialReason.EXITED, ["exit code 4", "os._exit"]),
        (observed(exit_code=0), TrialReason.EXITED, ["exit code 0"]),
        (observed({"exit_text": "no data"}, exit_code=1), TrialReason.EXITED, ["sys.exit('no data')"]),
        (observed({**RAISED, "left": ["thread 'a'"]}, exit_code=-15, late=Cause.OUTSTAYED), TrialReason.EXCEPTION, ["ValueError: boom"]),
        (observed(RAISED, exit_code=None, late=Cause.SERVER_LOST, detail="gone"), TrialReason.EXCEPTION, ["ValueError: boom"]),
        (observed({"returned": {"none": True}}, exit_code=3), TrialReason.METRIC_MISSING, ["accuracy", "exit code 3 after the function had returned"]),
        (observed(b"{", exit_code=-9, late=Cause.MEMORY, peak_mib=310), TrialReason.OOM_KILLED, ["used 310Mi, limit 300Mi"]),
        (observed(exit_code=-signal.SIGSEGV), TrialReason.SEGMENTATION_FAULT, ["SIGSEGV", "native code"]),
        (observed(exit_code=-signal.SIGBUS), TrialReason.SEGMENTATION_FAULT, ["SIGBUS"]),
        (observed(exit_code=-signal.SIGKILL), TrialReason.SIGNALLED, ["SIGKILL", "did not send"]),
        (observed(exit_code=-40), TrialReason.SIGNALLED, ["signal 40"]),
        (observed(exit_code=-9, cause=Cause.MEMORY, peak_mib=310), TrialReason.OOM_KILLED, ["used 310Mi, limit 300Mi", "raise spec"]),
        (observed(exit_code=-9, cause=Cause.KERNEL, peak_mib=290), TrialReason.OOM_KILLED, ["the kernel", "limit 300Mi"]),
        (observed(exit_code=-15, cause=Cause.TIMEOUT), TrialReason.TIMED_OUT, ["longer than 4 s", "timeoutSeconds"]),
        (observed({"refused": "no such function"}, exit_code=1), TrialReason.START_FAILED, ["no such function"]),
        (observed({"not_started": "/x: gone"}, exit_code=1), TrialReason.START_FAILED, ["/x: gone"]),
        (observed(exit_code=None, detail="fork: no memory"), TrialReason.START_FAILED, ["fork: no memory"]),
        (observed(exit_code=None, cause=Cause.SERVER_LOST, detail="the fork server ended (SIGKILL)"), TrialReason.START_FAILED, ["SIGKILL", "while the trial ran"]),
        (observed({"returned": {"none": True}}), TrialReason.METRIC_MISSING, ["accuracy"]),
        (observed({"returned": {"number": float("nan")}}), TrialReason.METRIC_NAN, ["accuracy"]),
    ],
)  # fmt: skip
def test_each_way_to_fail_has_its_reason(
    observation: Observation, reason: TrialReason, texts: list[str]
) -> None:
    outcome = function(observation)
    assert (outcome.state, outcome.reason) == (TrialState.FAILED, reason)
    for text in texts:
        assert text in outcome.message
    assert outcome.metrics == {}


@pytest.mark.parametrize(
    ("observation", "note"),
    [
        (observed(RETURNED, exit_code=3), "its process ended with exit code 3 after"),
        (observed(RETURNED, exit_code=-11), "its process ended by SIGSEGV after"),
        (observed(RETURNED, exit_code=-15, late=Cause.OUTSTAYED), "but its process went on: it was ended 1 s later"),
        (
            observed({**RETURNED, "left": ["thread 'saver'"]}, exit_code=-15, late=Cause.OUTSTAYED),
            "its process went on (thread 'saver'): it was ended 1 s later",
        ),
        (observed(RETURNED, exit_code=-15, late=Cause.TIMEOUT), "ended after spec.trialTemplate.timeoutSeconds"),
        (observed(RETURNED, exit_code=-15, late=Cause.STOP), "ended with the other trials"),
        (observed(RETURNED, exit_code=-9, late=Cause.MEMORY, peak_mib=310), "used 310Mi, limit 300Mi"),
        (observed(RETURNED, exit_code=-9, late=Cause.KERNEL), "was killed for its memory"),
        (observed(RETURNED, exit_code=None, late=Cause.SERVER_LOST, detail="the fork server ended"), "the fork server ended after"),
    ],
)  # fmt: skip
def test_a_returned_value_counts_however_the_process_ends_after_it(
    observation: Observation, note: str
) -> None:
    outcome = function(observation)
    assert (outcome.state, outcome.metrics) == (TrialState.SUCCEEDED, {"accuracy": 0.5})
    assert note in outcome.message


@pytest.mark.parametrize("result", [b"", json.dumps(RETURNED).encode()])
def test_a_trial_ended_by_order_is_stopped_even_if_it_returned(result: bytes) -> None:
    outcome = function(observed(result, cause=Cause.STOP))
    assert (outcome.state, outcome.reason) == (TrialState.STOPPED, TrialReason.INTERRUPTED)


def test_who_ended_a_trial_matters_more_than_how_it_ended() -> None:
    assert (
        function(observed(RAISED, exit_code=1, cause=Cause.TIMEOUT)).reason == TrialReason.TIMED_OUT
    )
    assert command(observed(exit_code=1, cause=Cause.TIMEOUT)).reason == TrialReason.TIMED_OUT


@pytest.mark.parametrize(
    ("observation", "reason", "text"),
    [
        (observed(exit_code=2), TrialReason.EXITED, "exit code 2; standard error ends with:\nno such option"),
        (observed(exit_code=127), TrialReason.START_FAILED, "a program was not found"),
        (observed(exit_code=-11), TrialReason.SEGMENTATION_FAULT, "SIGSEGV"),
        (observed({"not_started": "/x: gone"}, exit_code=127), TrialReason.START_FAILED, "/x: gone"),
        (observed(exit_code=0), TrialReason.METRIC_MISSING, "accuracy=<number>"),
    ],
)  # fmt: skip
def test_a_command_fails_by_its_exit_code(
    observation: Observation, reason: TrialReason, text: str
) -> None:
    outcome = command(observation, "no such option")
    assert outcome.reason == reason
    assert text in outcome.message


_FRAMES = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    main()\n'


@pytest.mark.parametrize(
    ("stderr", "first"),
    [
        (_FRAMES + "ValueError: boom", "ValueError: boom"),
        (_FRAMES + "    ^^^^^^\nmy.errors.Fehler_ä: boom\nand more", "my.errors.Fehler_ä: boom"),
        (_FRAMES + "KeyboardInterrupt", "KeyboardInterrupt"),
        (f"{_FRAMES}KeyError: 1\n\nDuring ...\n\n{_FRAMES}OSError: disk\nbye", "OSError: disk"),
        ("  frame cut off\nValueError: boom", "ValueError: boom"),
        ("step 1\nValueError: no traceback", "the command ended with exit code 1; "),
        ("usage: train [-h]\n  --lr\ntrain.py: error: no", "train.py: error: no"),
        ("usage:\n  --lr\nplease give one", "the command ended with exit code 1; "),
        ("", "the command ended with exit code 1"),
    ],
)
def test_the_exception_or_usage_error_of_a_python_program_comes_first(
    stderr: str, first: str
) -> None:
    message = command(observed(exit_code=1), stderr).message
    assert message.startswith(first)
    assert message.endswith(stderr)
    assert "the command ended with exit code 1" in message


def test_a_crash_shows_the_end_of_standard_error() -> None:
    assert "Fatal Python error" in function(observed(exit_code=-11), "Fatal Python error").message


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    text = "Traceback, first line\n" + "frame\n" * 5000 + "ValueError: the end"
    outcome = function(observed({"exception": {"text": text}}, exit_code=1))
    assert len(outcome.message) <= limits.MESSAGE
    assert outcome.message.startswith("Traceback, first line\n...")
    assert outcome.message.endswith("ValueError: the end")


@pytest.mark.parametrize("character", ["<", "\x00", "\x1b", "文", "🙂", '"', "\u2028"])
def test_a_message_is_bounded_in_bytes_as_it_is_stored(character: str) -> None:
    text = "ValueError: no\n" + character * 8000 + "the end"
    message = function(observed({"exception": {"text": text}}, exit_code=1)).message
    assert limits.MESSAGE - 12 <= text_bytes(message) <= limits.MESSAGE
    assert message.startswith("ValueError: no\n...")
    assert message.endswith("the end")


def test_a_message_with_half_a_character_can_be_sent() -> None:
    # Python prints a file name that is no UTF-8 so, and JSON carries it.
    message = function(observed({"exception": {"text": "no file \udcff"}}, exit_code=1)).message
    assert message.encode() == b"no file ?"


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[1]", b"null", b"\xff", b'{"returned": 1}', b'{"exit": "3"}', b'{"unknown": 1}',
     b'{"returned": {}, "exit": 1}', b"[" * 100_000],
)  # fmt: skip
def test_a_result_that_makes_no_sense_is_none(data: bytes) -> None:
    assert parse_result(data) == {}
    assert function(observed(data, exit_code=1)).reason == TrialReason.EXITED


_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_RESULTS = st.dictionaries(
    st.sampled_from(
        ["returned", "exception", "exit", "exit_text", "left", "refused", "not_started", "checked"]
    ),
    _JSON | st.dictionaries(st.sampled_from(["number", "metrics", "text", "memory"]), _JSON),
    max_size=2,
)


@given(
    result=_RESULTS,
    exit_code=st.none() | st.integers(-64, 255),
    cause=st.none() | st.sampled_from(list(Cause)),
    late=st.none() | st.sampled_from(list(Cause)),
    stderr=st.text(),
)
def test_any_claim_of_a_trials_process_becomes_an_outcome_that_can_be_sent(
    result: dict[str, Any],
    exit_code: int | None,
    cause: Cause | None,
    late: Cause | None,
    stderr: str,
) -> None:
    outcome = function(observed(result, exit_code=exit_code, cause=cause, late=late), stderr)
    sent = Outcome.model_validate_json(json.dumps(outcome.to_dict(), allow_nan=False))
    assert sent == outcome
    if outcome.state is TrialState.SUCCEEDED:
        assert "returned" in result
        assert "accuracy" in outcome.metrics


KILLED = KernelFigures(oom_kills=1)
REFUSED = KernelFigures(refused_forks=9, process_limit=60)
REFUSED_BY_POD = KernelFigures(refused_forks=9)
BROKEN_POOL = {
    "exception": {"type": "BrokenProcessPool", "text": "BrokenProcessPool: x", "memory": False}
}
NO_FORK = {
    "exception": {
        "type": "BlockingIOError",
        "text": "BlockingIOError: [Errno 11] Resource temporarily unavailable\nTraceback\n  os.fork()",
        "memory": False,
    }
}
NO_THREAD = {
    "exception": {
        "type": "RuntimeError",
        "text": "RuntimeError: can't start new thread",
        "memory": False,
    }
}
BUSY_SOCKET = {
    "exception": {
        "type": "BlockingIOError",
        "text": "BlockingIOError: [Errno 11] Resource temporarily unavailable\nTraceback\n  s.recv(1)",
        "memory": False,
    }
}


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (command(observed(exit_code=137, cause=Cause.KERNEL)), "the kernel killed one of its"),
        (command(observed(exit_code=1, kernel=KILLED)), "the command ended with exit code 1"),
        (command(observed(exit_code=0, kernel=KILLED)), ""),
        (function(observed(BROKEN_POOL, kernel=KILLED)), "BrokenProcessPool: x"),
        (function(observed(exit_code=4, kernel=KILLED)), "exit code 4"),
        (
            function(observed(exit_code=-9, cause=Cause.TIMEOUT, kernel=KILLED)),
            "ran longer than 4 s",
        ),
        (
            function(
                observed(exit_code=None, detail="gone", cause=Cause.SERVER_LOST, kernel=KILLED)
            ),
            "gone while the trial ran",
        ),
    ],
    ids=["shell", "command", "no metric", "pool", "exit", "hung", "fork server"],
)
def test_a_failure_after_the_kernel_killed_a_child_is_one_of_memory(
    outcome: Outcome, text: str
) -> None:
    assert outcome.reason == TrialReason.OOM_KILLED
    assert "because memory ran out" in outcome.message.splitlines()[0]
    assert "raise spec.trialTemplate.resources.memory" in outcome.message
    assert text in outcome.message


def test_a_success_after_the_kernel_killed_a_child_mentions_it() -> None:
    outcome = function(observed(RETURNED, kernel=KILLED))
    assert (outcome.state, outcome.reason) == (TrialState.SUCCEEDED, TrialReason.COMPLETED)
    assert outcome.metrics == {"accuracy": 0.5}
    assert "the kernel killed one of its processes" in outcome.message


def test_an_order_to_stop_stays_one_whatever_the_kernel_has_killed() -> None:
    outcome = function(observed(exit_code=-9, cause=Cause.STOP, kernel=KILLED))
    assert (outcome.state, outcome.message) == (TrialState.STOPPED, "stopped by order")


@pytest.mark.parametrize(
    ("outcome", "reason", "first"),
    [
        (
            function(observed(NO_FORK, kernel=REFUSED)),
            TrialReason.EXCEPTION,
            "BlockingIOError: [Errno 11] Resource temporarily unavailable; the limit of 60 processes and threads",
        ),
        (
            command(observed(exit_code=2, kernel=REFUSED_BY_POD)),
            TrialReason.EXITED,
            "exit code 2; the limit of processes and threads of its container or pod was reached",
        ),
        (
            function(observed(exit_code=-9, cause=Cause.TIMEOUT, kernel=REFUSED)),
            TrialReason.TIMED_OUT,
            "train for less; the limit of 60 processes",
        ),
        (
            function(observed(exit_code=None, detail="fork: Resource temporarily unavailable")),
            TrialReason.START_FAILED,
            "a limit of processes and threads (pids.max",
        ),
        (function(observed(NO_FORK)), TrialReason.EXCEPTION, "a limit of processes and threads"),
        (function(observed(NO_THREAD)), TrialReason.EXCEPTION, "a limit of processes and threads"),
    ],
    ids=["counted", "of the pod", "hung", "not started", "not counted", "thread not counted"],
)
def test_a_failure_that_met_the_limit_of_processes_names_it(
    outcome: Outcome, reason: TrialReason, first: str
) -> None:
    assert outcome.reason == reason
    assert first in outcome.message.splitlines()[0]
    assert "start fewer of them" in outcome.message.splitlines()[0]


@pytest.mark.parametrize(
    ("stderr", "is_named"),
    [
        ("sh: 1: Cannot fork", True),
        ("bash: fork: retry: Resource temporarily unavailable", True),
        ("can't fork: no", True),
        ("recv: Resource temporarily unavailable", False),
        ("forked 3 workers", False),
    ],
)
def test_a_shell_that_cannot_fork_is_recognised_by_its_words(stderr: str, is_named: bool) -> None:
    outcome = command(observed(exit_code=2), stderr=stderr)
    assert ("a limit of processes and threads" in outcome.message) is is_named


def test_neither_a_busy_socket_nor_a_success_is_said_to_meet_the_limit_of_processes() -> None:
    assert "limit of processes" not in function(observed(BUSY_SOCKET)).message
    assert function(observed(RETURNED, kernel=REFUSED)) == succeeded({"accuracy": 0.5})


def test_files_in_memory_are_named_beside_what_processes_held() -> None:
    kernel = KernelFigures(oom_kills=1, earlier_file_bytes=40 * MIB, file_bytes=30 * MIB)
    observation = observed(
        exit_code=-9, cause=Cause.KERNEL, peak_mib=240, other_mib=20, kernel=kernel
    )
    assert (
        "used 240Mi (30Mi of it as files in memory, such as in /dev/shm) plus the executor's own 20Mi "
        "plus 40Mi of files in memory from before it, limit 300Mi"
    ) in function(observation).message
