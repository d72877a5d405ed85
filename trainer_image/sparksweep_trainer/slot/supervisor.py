"""Watches one running trial: its output, its time, its memory, orders to end it. One selector, no polling but memory.

What it returns are facts; what they mean is `outcomes`' business.
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

from sparksweep_trainer.slot.cgroups import oom_kills
from sparksweep_trainer.slot.fork_server_handle import ForkServerHandle, ServerLost
from sparksweep_trainer.slot.observation import Cause, Facts, Limits
from sparksweep_trainer.slot.process_table import exactly_held_bytes, held_bytes, other_processes
from sparksweep_trainer.slot.stop_signal import StopSignal
from sparksweep_trainer.trial.processes import descendants
from sparksweep_trainer.trial.trial_process import MAX_RESULT_BYTES

READ_BYTES = 64 * 1024
"""Bytes read from one pipe in one turn: a flood must starve neither the other pipes nor the timers."""
SAMPLE_S = 0.05
"""Seconds between two looks at the trial's memory..."""
CONFIRM_S = 0.01
"""...and before the second look at memory over the limit."""
SAMPLE_SHARE = 20
"""Looking takes at most one part in this many of the slot's time, on machines with very many processes."""
KILL_PATIENCE_S = 30.0
"""Seconds after which a fork server that can't kill its trial is killed itself."""

Sink = Callable[[bytes], None]


@dataclass
class _Timers:
    """Moments, by the monotonic clock, when something is to be done."""

    timeout: float = math.inf
    kill: float = math.inf
    give_up: float = math.inf
    sample: float = math.inf

    def next(self) -> float:
        return min(self.timeout, self.kill, self.give_up, self.sample)


@dataclass
class _Pipe:
    """One pipe from the trial."""

    read: int
    write: int
    sink: Sink
    open: bool = True


def await_ready(server: ForkServerHandle, stop: StopSignal) -> bool:
    """Wait until the fork server has imported what it is to preload; False when `stop` came first.

    Raises:
        ServerLost: it could not import it, or ended.
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
) -> Facts:
    """Have the fork server start a trial, and watch it until the last of its processes is gone.

    Args:
        server: a fork server that is ready.
        request: what to run; see `trial_process`.
        limits: what it may use.
        stop: ends it when set.
        stdout: gets what it prints, as it comes.
        stderr: the same for standard error.
    """
    return _Supervision(server, limits=limits, stop=stop).run(request, stdout, stderr)


class _Supervision:
    def __init__(self, server: ForkServerHandle, *, limits: Limits, stop: StopSignal) -> None:
        self._server = server
        self._stop = stop
        self._facts = Facts(limits=limits)
        self._timers = _Timers()
        self._over_limit = 0
        self._ended = False

    def run(self, request: Mapping[str, Any], stdout: Sink, stderr: Sink) -> Facts:
        """See `supervise`."""
        killed_before = oom_kills()
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            pipes = [self._open_pipe(stack, sink) for sink in (stdout, stderr, self._take_result)]
            try:
                self._start(request, pipes, selector)
                while not self._ended:
                    self._turn(selector)
            except ServerLost as lost:
                self._facts.detail = str(lost)
                self._facts.cause = self._facts.cause or Cause.SERVER_LOST
            for pipe in pipes:
                self._drain(pipe)
        if self._facts.exit_code == -9 and self._facts.cause is None:
            killed = oom_kills()
            if killed is not None and killed_before is not None and killed > killed_before:
                self._facts.cause = Cause.KERNEL
                self._allow_for_the_kernels_view()
        return self._facts

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
        self._server.start(request, [pipe.write for pipe in pipes])
        now = time.monotonic()
        for pipe in pipes:
            self._close_writer(pipe)
            selector.register(pipe.read, selectors.EVENT_READ, pipe)
        selector.register(self._server, selectors.EVENT_READ, self._server)
        selector.register(self._stop, selectors.EVENT_READ, self._stop)
        if self._facts.limits.timeout_s is not None:
            self._timers.timeout = now + self._facts.limits.timeout_s
        self._timers.sample = now + SAMPLE_S

    def _turn(self, selector: selectors.BaseSelector) -> None:
        wait_s = self._timers.next() - time.monotonic()
        for key, _ in selector.select(None if wait_s == math.inf else max(0.0, wait_s)):
            if isinstance(key.data, _Pipe):
                self._read(key.data)
                if not key.data.open:
                    selector.unregister(key.fileobj)
            elif key.data is self._server:
                self._hear()
            else:
                selector.unregister(self._stop)
                self._terminate(Cause.STOP)
        self._heed_timers()

    def _heed_timers(self) -> None:
        now = time.monotonic()
        if self._ended or now < self._timers.next():
            return
        if now >= self._timers.timeout:
            self._timers.timeout = math.inf
            self._terminate(Cause.TIMEOUT)
        if now >= self._timers.kill:
            self._kill()
        if now >= self._timers.give_up:
            self._timers.give_up = math.inf
            self._server.kill_server()
        if now >= self._timers.sample:
            self._sample()

    # ------------------------------------------------------------------ ends

    def _terminate(self, cause: Cause) -> None:
        if self._facts.cause is not None:
            return
        self._facts.cause = cause
        self._server.terminate()
        self._timers.kill = time.monotonic() + self._facts.limits.grace_s

    def _kill(self) -> None:
        self._server.kill()
        self._timers.kill = self._timers.sample = math.inf
        self._timers.give_up = time.monotonic() + KILL_PATIENCE_S

    def _hear(self) -> None:
        message = self._server.receive()
        if message["event"] == "ended":
            self._facts.exit_code = os.waitstatus_to_exitcode(message["status"])
            self._facts.peak_bytes = max(self._facts.peak_bytes, message["maxRss"])
            self._ended = True
        elif message["event"] == "failed":
            self._facts.detail = message["message"]
            self._ended = True

    # ------------------------------------------------------------------ memory

    def _sample(self) -> None:
        started = time.monotonic()
        limit = self._facts.limits.memory_bytes
        of_container = self._facts.limits.of_container
        processes = descendants(self._server.pid)
        held = held_bytes(processes)
        if held > limit:
            held = exactly_held_bytes(processes)
        if of_container and held >= self._facts.peak_bytes:
            self._facts.beside_bytes = held_bytes(other_processes(processes))
        self._facts.peak_bytes = max(self._facts.peak_bytes, held)
        now = time.monotonic()
        self._timers.sample = now + max(SAMPLE_S, (now - started) * SAMPLE_SHARE)
        self._over_limit = self._over_limit + 1 if held > limit else 0
        if self._over_limit == 1:
            # One look may catch a process between vfork and exec, which shows its parent's memory as its own.
            self._timers.sample = now + CONFIRM_S
        elif self._over_limit == 2:
            self._facts.cause = self._facts.cause or Cause.MEMORY
            self._kill()

    def _allow_for_the_kernels_view(self) -> None:
        """The kernel kills at the limit, however much the last look has found."""
        limits = self._facts.limits
        if limits.of_container:
            self._facts.peak_bytes = limits.memory_bytes - self._facts.beside_bytes

    # ------------------------------------------------------------------ pipes

    def _take_result(self, data: bytes) -> None:
        self._facts.result = (self._facts.result + data)[: MAX_RESULT_BYTES + 1]

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
        """Take what is left in a pipe whose writers are gone; no more than a pipe can hold, should one not be."""
        left = 1 << 20
        while pipe.open and left > 0:
            try:
                data = os.read(pipe.read, READ_BYTES)
            except BlockingIOError:
                return
            pipe.open = bool(data)
            left -= len(data)
            pipe.sink(data)
