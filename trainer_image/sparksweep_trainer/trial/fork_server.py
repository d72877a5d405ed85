"""The fork server: an interpreter that has imported the modules of ``preload``, and forks itself for each trial.

Started by a slot (`slot.fork_server_handle`) with one end of a socket. Single-threaded, and it never runs the user's
functions itself. As a subreaper it is the parent of every orphan of a trial, and it kills them all before it reports
that the trial has ended. When the socket closes, because the slot ended in any way, it kills the trial and ends.

Requests, one message each::

    {"op": "start"}   with descriptors: request, stdout, stderr, pipe and memory of the result; see `trial.trial_process`
    {"op": "terminate"}   SIGTERM to the trial's process group
    {"op": "kill"}    end everything now

Events::

    {"event": "preloading", "module": "tensorflow"}
    {"event": "refused", "message": "..."}     and ends
    {"event": "unusable", "message": "..."}    a module of ``imports`` failed while it was imported; and ends
    {"event": "ready"}
    {"event": "failed", "message": "..."}      the fork itself failed
    {"event": "ended", "status": 0, "maxRss": 123456, "left": ["sleep"]}   wait status, bytes, processes left behind
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sparksweep_trainer.trial.exceptions import describe_exception
from sparksweep_trainer.trial.processes import (
    become_subreaper,
    descendants,
    die_with_parent,
    is_stopped,
    kill_descendants,
    living_names,
    parent_of,
    read_proc,
    reap_children,
    send_signal,
    wake_with_parent,
)
from sparksweep_trainer.trial.removal import remove_tree
from sparksweep_trainer.trial.trial_process import Channels, run

MAX_MESSAGE_BYTES = 32 * 1024
CHECK_S = 1.0
"""Seconds between two looks whether a trial has stopped its slot."""
LOOKS = 3
"""Looks after a trial's end, or after the slot was last seen to be stopped."""
MAX_LEFT = 8
"""Processes that a trial left behind whose names are reported."""
_DESCRIPTORS = 5
_MAX_TEXT = 1000


class ForkServer:
    """Serves one slot, one trial at a time."""

    def __init__(self, control: socket.socket, *, resumes_slot: bool = False) -> None:
        """
        Args:
            control: the socket to the slot.
            resumes_slot: True: resume a slot that was stopped while its trial runs. False: a person may stop it, with
                Ctrl-Z for instance.
        """
        self._control = control
        self._resumes_slot = resumes_slot
        self._pid = os.getpid()
        self._trial: int | None = None
        self._ended: tuple[int, int] | None = None
        self._stopped: set[int] = set()
        self._next_check = 0.0
        self._looks = 0
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def preload(self, modules: Sequence[str]) -> bool:
        """Import the modules; False, after a "refused" event, if one can't be imported."""
        for module in modules:
            self._send({"event": "preloading", "module": module})
            try:
                __import__(module)
            except BaseException as error:
                text = describe_exception(error).message
                message = f"preload: {module} can't be imported: {text}"
                self._send({"event": "refused", "message": message})
                return False
        return True

    def import_existing(self, names: Sequence[str]) -> bool:
        """Import those of the modules that exist; False, after an "unusable" event, if the import of one fails.

        Args:
            names: dotted names; the last parts may be attributes of modules.
        """
        for name in names:
            self._send({"event": "preloading", "module": name})
            try:
                for module in _existing(name):
                    __import__(module)
            except BaseException as error:
                # What it left half-imported would fail in a trial in another way than the first time.
                message = f"{name}: {describe_exception(error).message}"[:_MAX_TEXT]
                self._send({"event": "unusable", "message": message})
                return False
        return True

    def freeze(self) -> None:
        """Keep the garbage collector away from what has been imported."""
        # Imported modules stay: a collection in a trial would only copy their pages.
        gc.collect()
        gc.freeze()

    def serve(self) -> None:
        """Fork trials until the socket closes."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # poll, unlike epoll, has no descriptor that a trial would inherit.
        with selectors.PollSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            self._send({"event": "ready"})
            while True:
                for key, _ in selector.select(CHECK_S if self._looks else None):
                    if key.fd == self._wake_read:
                        os.read(self._wake_read, 4096)
                        self._reap()
                    elif not self._receive():
                        return
                self._resume_slot()

    def _resume_slot(self) -> None:
        """Resume the slot, and PySpark's daemon above it, if the trial has stopped them: they could never end it."""
        now = time.monotonic()
        if not self._looks or now < self._next_check:
            return
        self._next_check = now + CHECK_S
        if self._trial is None:
            self._looks -= 1
        slot = os.getppid()
        daemon = parent_of(slot)
        processes = [slot]
        if b"pyspark" in read_proc(f"/proc/{daemon}/cmdline"):
            processes.append(daemon)
        stopped = {pid for pid in processes if is_stopped(pid)}
        # At two looks: the kernel shows a process as stopped for a moment, too, that a debugger attaches to.
        send_signal(stopped & self._stopped, signal.SIGCONT)
        self._stopped = stopped - self._stopped
        if stopped:
            self._looks = LOOKS

    def _send(self, message: Mapping[str, Any]) -> None:
        self._control.send(json.dumps(message).encode())

    def _receive(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, MAX_MESSAGE_BYTES, _DESCRIPTORS)
        if not message:
            return False
        operation = json.loads(message)["op"]
        if operation == "start":
            self._start(descriptors)
        elif operation == "terminate":
            self._terminate()
        elif operation == "kill" and self._trial is not None:
            self._end()
        return True

    def _start(self, descriptors: list[int]) -> None:
        # The child has this process's handlers until it sets its own: signals are blocked until then.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
        except OSError as error:
            self._send({"event": "failed", "message": f"fork: {error.strerror}"})
            pid = None
        if pid == 0:
            own = (self._control.fileno(), self._wake_read, self._wake_write)
            request, stdout, stderr, pipe, memory = descriptors
            channels = Channels(
                request=request,
                stdout=stdout,
                stderr=stderr,
                pipe=pipe,
                memory=memory,
                server=self._pid,
                server_descriptors=own,
            )
            run(channels)
        self._trial = pid
        self._looks = LOOKS if self._resumes_slot else 0
        for descriptor in descriptors:
            os.close(descriptor)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _terminate(self) -> None:
        if self._trial is None:
            return
        try:
            os.killpg(self._trial, signal.SIGTERM)
        except ProcessLookupError:
            # The trial has not made its session yet. It can't be gone: only this process reaps it.
            os.kill(self._trial, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid == self._trial:
                self._ended = (status, usage.ru_maxrss * 1024)
        if self._ended is not None:
            self._end()

    def _end(self) -> None:
        """Kill all that is left of the trial, then report that it has ended."""
        if self._ended is None and self._trial is not None:
            os.kill(self._trial, signal.SIGKILL)
            _, status, usage = os.wait4(self._trial, 0)
            self._ended = (status, usage.ru_maxrss * 1024)
        # Listing all processes takes milliseconds, and most trials leave none.
        left = living_names(descendants(self._pid)) if reap_children() else []
        kill_descendants()
        status, max_rss = self._ended or (0, 0)
        self._trial = self._ended = None
        ended = {"event": "ended", "status": status, "maxRss": max_rss, "left": left[:MAX_LEFT]}
        self._send(ended)


def _existing(name: str) -> Iterator[str]:
    """Yield the module and the packages it is in, the outermost first, as far as they exist.

    The caller imports each before it asks for the next: only an imported package can find its modules.
    """
    module = ""
    for part in name.split("."):
        module = f"{module}.{part}" if module else part
        if module not in sys.modules:
            parent = sys.modules.get(module.rpartition(".")[0])
            if "." in module and not hasattr(parent, "__path__"):
                return
            if find_spec(module) is None:
                return
        yield module


def main(arguments: Sequence[str]) -> None:
    """Serve the socket ``arguments[0]``; the JSON ``arguments[1]`` holds slot (a pid), preload, imports, paths,
    scratch and resumesSlot.

    ``preload`` are modules that must be importable, ``imports`` those of which missing ones are passed over.
    """
    settings = json.loads(arguments[1])
    become_subreaper()
    control = socket.socket(fileno=int(arguments[0]))
    control.set_inheritable(False)
    sys.path[:0] = settings["paths"]
    server = ForkServer(control, resumes_slot=settings["resumesSlot"])
    slot_is_gone = True
    try:
        # An import that hangs would not notice that the socket closes.
        die_with_parent(settings["slot"])
        if server.preload(settings["preload"]) and server.import_existing(settings["imports"]):
            server.freeze()
            wake_with_parent()
            server.serve()
        else:
            slot_is_gone = False
    except (BrokenPipeError, ConnectionResetError):
        pass  # As if the socket had been closed.
    except BaseException:
        traceback.print_exc()
    finally:
        kill_descendants()
        if slot_is_gone:
            remove_tree(Path(settings["scratch"]))
        # No teardown: it would take as long as the imports did, and has no use.
        os._exit(0)
