"""Supervision of one running trial: its output, time and memory, and signals to stop it.

One selector waits for all of them; only memory is polled. What comes of it is an `Observation`, from which `outcomes`
makes the outcome.

A trial that has sent its result has the grace period to end: its threads, exit functions and child processes may hang.
"""

from __future__ import annotations

import math
import os
import selectors
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from sparksweep_trainer.slot.cgroups import Figures, read_figures
from sparksweep_trainer.slot.fork_server_handle import ForkServerHandle, ServerLost
from sparksweep_trainer.slot.memory_files import MemoryFiles, mapped_bytes
from sparksweep_trainer.slot.observation import (
    Cause,
    KernelFigures,
    Limits,
    Observation,
    finish_seconds,
)
from sparksweep_trainer.slot.process_table import (
    exactly_held_bytes,
    held_bytes,
    other_processes,
)
from sparksweep_trainer.slot.stop_signal import StopSignal
from sparksweep_trainer.trial.processes import descendants, is_stopped
from sparksweep_trainer.trial.result import create_memory, read_result

READ_BYTES = 64 * 1024
"""Bytes read from one pipe at once: a flood must starve neither the other pipes nor the timers."""
SAMPLE_S = 0.05
"""Seconds between two samples of the trial's memory..."""
CONFIRM_S = 0.01
"""...and before the second sample of memory over the limit."""
SAMPLE_SHARE = 20
"""Sampling takes at most one part in this many of the slot's time, on machines with very many processes."""
SERVER_CHECK_S = 1.0
"""Seconds between two looks whether the fork server was stopped; one that is at two of them is killed."""
KILL_PATIENCE_S = 30.0
"""Seconds after which a fork server that can't kill its trial is killed itself."""

_STOPPED_CHECKS = 2
_SERVER_STOPPED = "the fork server was stopped (SIGSTOP) and ended"
_OUTSTAYED = (
    "\n[sparksweep: the function has ended, but its process has not {:g} s later: it is ended now, "
    "and with it its threads and child processes]\n"
)
_LEFT = "[sparksweep: processes that the trial had left running were ended with it: {}]\n"

_KILLED = (-9, 128 + 9)
"""Exit codes of a process that was killed, and of a shell whose program was."""

Sink = Callable[[bytes], None]


@dataclass
class _Timers:
    """Due times, by the monotonic clock."""

    timeout: float = math.inf
    finish: float = math.inf
    kill: float = math.inf
    give_up: float = math.inf
    sample: float = math.inf
    server: float = math.inf

    def next(self) -> float:
        return min(self.timeout, self.finish, self.kill, self.give_up, self.sample, self.server)


@dataclass
class _Pipe:
    """One pipe from the trial."""

    read: int
    write: int
    sink: Sink
    open: bool = True


def await_ready(server: ForkServerHandle, stop: StopSignal) -> bool:
    """Wait until the fork server has preloaded its modules; False if `stop` came first.

    Raises:
        ServerLost: a module could not be imported, or the fork server ended.
    """
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ, server)
        selector.register(stop, selectors.EVENT_READ, stop)
        while not server.ready:
            if any(key.data is stop for key, _ in selector.select()):
                return False
            server.receive()
    return not stop.is_set


def supervise(
    server: ForkServerHandle,
    request: Mapping[str, Any],
    *,
    limits: Limits,
    stop: StopSignal,
    stdout: Sink,
    stderr: Sink,
    files: MemoryFiles | None = None,
) -> Observation:
    """Start a trial through the fork server, and watch it until the last of its processes is gone.

    Args:
        server: a fork server that is ready.
        request: what to run; see `trial.trial_process`.
        limits: resources that the trial may use.
        stop: ends the trial when set.
        stdout: receives the trial's standard output, as it comes.
        stderr: receives its standard error.
        files: counts the trial's files in memory; None: the kernel does.
    """
    return _Supervision(server, limits=limits, stop=stop, files=files).run(request, stdout, stderr)


class _Supervision:
    def __init__(
        self,
        server: ForkServerHandle,
        *,
        limits: Limits,
        stop: StopSignal,
        files: MemoryFiles | None,
    ) -> None:
        self._server = server
        self._files = files
        self._stop = stop
        self._observation = Observation(limits=limits)
        self._timers = _Timers()
        self._memory = -1
        self._stderr: Sink | None = None
        self._left = ""
        self._over_limit = 0
        self._stopped = 0
        self._ended = False

    def run(self, request: Mapping[str, Any], stdout: Sink, stderr: Sink) -> Observation:
        """Start the trial and watch it to its end; see `supervise`."""
        before = read_figures()
        self._stderr = stderr
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            self._memory = create_memory()
            stack.callback(os.close, self._memory)
            pipes = [self._open_pipe(stack, sink) for sink in (stdout, stderr, self._announced)]
            try:
                self._start(request, pipes, selector)
                while not self._ended:
                    self._process_events(selector)
            except ServerLost as lost:
                stopped = self._stopped >= _STOPPED_CHECKS
                self._observation.detail = _SERVER_STOPPED if stopped else str(lost)
                self._note(Cause.SERVER_LOST)
            for pipe in pipes:
                self._drain(pipe)
            self._look_for_result()
            if self._left:
                stderr(_LEFT.format(self._left).encode())
            self._take_kernel_figures(before, read_figures())
        return self._observation

    def _take_kernel_figures(self, before: Figures, after: Figures) -> None:
        """Record what the kernel has counted during the attempt, and an OOM kill that explains its end."""
        observation = self._observation
        killed = _difference(before.oom_kills, after.oom_kills)
        if observation.limits.of_container:
            earlier_file_bytes = before.file_bytes or 0
            observation.kernel = KernelFigures(
                oom_kills=killed if after.oom_kills_are_own else 0,
                refused_forks=_difference(before.refused_forks, after.refused_forks),
                process_limit=after.process_limit,
                earlier_file_bytes=earlier_file_bytes,
                file_bytes=max(0, (after.file_bytes or 0) - earlier_file_bytes),
            )
        if killed and observation.exit_code in _KILLED and not self._has_cause:
            self._note(Cause.KERNEL)
        if observation.kernel.oom_kills or Cause.KERNEL in (
            observation.cause,
            observation.late_cause,
        ):
            self._assume_limit_was_reached()

    def _open_pipe(self, stack: ExitStack, sink: Sink) -> _Pipe:
        read, write = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(read, False)
        pipe = _Pipe(read, write, sink)
        stack.callback(os.close, read)
        stack.callback(self._close_writer, pipe)
        return pipe

    @staticmethod
    def _close_writer(pipe: _Pipe) -> None:
        if pipe.write >= 0:
            os.close(pipe.write)
            pipe.write = -1

    def _start(
        self, request: Mapping[str, Any], pipes: list[_Pipe], selector: selectors.BaseSelector
    ) -> None:
        self._server.start(request, [*(pipe.write for pipe in pipes), self._memory])
        now = time.monotonic()
        for pipe in pipes:
            self._close_writer(pipe)
            selector.register(pipe.read, selectors.EVENT_READ, pipe)
        selector.register(self._server, selectors.EVENT_READ, self._server)
        selector.register(self._stop, selectors.EVENT_READ, self._stop)
        if self._observation.limits.timeout_s is not None:
            self._timers.timeout = now + self._observation.limits.timeout_s
        self._timers.sample = now + SAMPLE_S
        self._timers.server = now + SERVER_CHECK_S

    def _process_events(self, selector: selectors.BaseSelector) -> None:
        wait_s = self._timers.next() - time.monotonic()
        for key, _ in selector.select(None if wait_s == math.inf else max(0.0, wait_s)):
            if isinstance(key.data, _Pipe):
                self._read(key.data)
                if not key.data.open:
                    selector.unregister(key.fileobj)
            elif key.data is self._server:
                self._receive()
            else:
                selector.unregister(self._stop)
                self._terminate(Cause.STOP)
        self._run_due_timers()

    def _run_due_timers(self) -> None:
        now = time.monotonic()
        if self._ended or now < self._timers.next():
            return
        if now >= self._timers.timeout:
            self._timers.timeout = math.inf
            self._terminate(Cause.TIMEOUT)
        if now >= self._timers.finish:
            self._timers.finish = math.inf
            self._end_what_is_left()
        if now >= self._timers.kill:
            self._kill()
        if now >= self._timers.give_up:
            self._timers.give_up = math.inf
            self._server.kill_server()
        if now >= self._timers.server:
            self._timers.server = now + SERVER_CHECK_S
            self._check_server()
        if now >= self._timers.sample:
            self._sample()

    # ------------------------------------------------------------------ ends

    def _terminate(self, cause: Cause) -> None:
        if self._has_cause:
            return
        self._note(cause)
        self._server.terminate()
        self._timers.kill = time.monotonic() + self._observation.limits.grace_s

    def _end_what_is_left(self) -> None:
        if self._stderr is not None and not self._has_cause:
            after_s = finish_seconds(self._observation.limits)
            self._stderr(_OUTSTAYED.format(after_s).encode())
        self._terminate(Cause.OUTSTAYED)

    @property
    def _has_cause(self) -> bool:
        return (self._observation.cause or self._observation.late_cause) is not None

    def _note(self, cause: Cause) -> None:
        """Record the first cause of the end: one that follows the result is late."""
        self._look_for_result()
        if self._has_cause:
            return
        if self._observation.result:
            self._observation.late_cause = cause
        else:
            self._observation.cause = cause

    def _kill(self) -> None:
        self._server.kill()
        self._timers.kill = self._timers.sample = math.inf
        self._timers.give_up = time.monotonic() + KILL_PATIENCE_S

    def _check_server(self) -> None:
        """Kill a fork server that a trial has stopped: it would neither end a trial nor say that one has ended."""
        self._stopped = self._stopped + 1 if is_stopped(self._server.pid) else 0
        if self._stopped == _STOPPED_CHECKS:
            self._server.kill_server()

    def _receive(self) -> None:
        message = self._server.receive()
        if message["event"] == "ended":
            self._observation.exit_code = os.waitstatus_to_exitcode(message["status"])
            self._observation.peak_bytes = max(self._observation.peak_bytes, message["maxRss"])
            self._ended = True
            if message["left"] and not self._has_cause:
                self._left = ", ".join(message["left"])
        elif message["event"] == "failed":
            self._observation.detail = message["message"]
            self._ended = True

    # ------------------------------------------------------------------ memory

    def _sample(self) -> None:
        # A function that closed all its descriptors can't announce its result.
        self._look_for_result()
        started = time.monotonic()
        limit = self._observation.limits.memory_bytes
        of_container = self._observation.limits.of_container
        processes = descendants(self._server.pid)
        # Files in memory that a container's processes hold count in its cgroup.
        held = held_bytes(processes)
        files = {} if self._files is None else self._files.held(processes, spare=limit - held)
        held += sum(files.values())
        if held > limit:
            held = exactly_held_bytes(processes) + sum(files.values())
            held -= mapped_bytes(processes, files)
        if of_container and held >= self._observation.peak_bytes:
            self._observation.other_bytes = held_bytes(other_processes(processes))
        self._observation.peak_bytes = max(self._observation.peak_bytes, held)
        now = time.monotonic()
        # Who has made a file is looked for at a pace of its own: the memory of processes can't wait for it.
        took_s = now - started - (0.0 if self._files is None else self._files.judging_s)
        self._timers.sample = now + max(SAMPLE_S, took_s * SAMPLE_SHARE)
        self._over_limit = self._over_limit + 1 if held > limit else 0
        if self._over_limit == 1:
            # A sample may catch a process between vfork and exec, which shows its parent's memory as its own.
            self._timers.sample = now + CONFIRM_S
        elif self._over_limit == 2:
            self._note(Cause.MEMORY)
            self._kill()

    def _assume_limit_was_reached(self) -> None:
        """Set the peak to the container's limit: the kernel kills at the limit, even if the last sample was lower.

        A higher one stays: with swap a container holds more than its limit.
        """
        observation = self._observation
        limit = observation.limits.memory_bytes
        if observation.limits.of_container and observation.peak_bytes <= limit:
            others = observation.other_bytes + observation.kernel.earlier_file_bytes
            observation.peak_bytes = max(0, limit - others)

    # ------------------------------------------------------------------ pipes

    def _announced(self, _: bytes) -> None:
        self._look_for_result()

    def _look_for_result(self) -> None:
        """Take the result if it is there; from then on the trial's process has a limited time to end."""
        if self._observation.result:
            return
        self._observation.result = read_result(self._memory)
        if self._observation.result:
            self._timers.finish = time.monotonic() + finish_seconds(self._observation.limits)

    @staticmethod
    def _read(pipe: _Pipe) -> None:
        try:
            data = os.read(pipe.read, READ_BYTES)
        except BlockingIOError:
            return
        if data:
            pipe.sink(data)
        else:
            pipe.open = False

    def _drain(self, pipe: _Pipe) -> None:
        """Read the rest of a pipe whose writers should be gone; at most what a pipe can hold, in case one is not."""
        left = 1 << 20
        while pipe.open and left > 0:
            try:
                data = os.read(pipe.read, READ_BYTES)
            except BlockingIOError:
                return
            pipe.open = bool(data)
            left -= len(data)
            pipe.sink(data)


def _difference(before: int | None, after: int | None) -> int:
    return 0 if before is None or after is None else max(0, after - before)
