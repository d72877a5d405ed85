"""A slot's handle of its fork server: starts it, sends it requests, and ends it with all that it forked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.environment import RUNNER_ENV
from sparksweep_trainer.slot.environment import server_environment
from sparksweep_trainer.slot.observation import signal_name
from sparksweep_trainer.slot.process_table import kill_marked
from sparksweep_trainer.trial.fork_server import MAX_MESSAGE_BYTES
from sparksweep_trainer.trial.processes import kill_descendants

_PROGRAM = "import sys; from sparksweep_trainer.trial.fork_server import main; main(sys.argv[1:])"
_END_PATIENCE_S = 10.0
_EXIT_PATIENCE_S = 2.0


class ServerLost(Exception):
    """The fork server could not import a module to preload, or ended; the message says which."""


class DefaultPreloadFailed(ServerLost):
    """A module that nobody asked to preload could not be imported: a trial's own import has to tell."""


@dataclass(frozen=True)
class ForkServerSettings:
    """Settings of a fork server."""

    template: TrialTemplate
    """Template with the environment and the modules to preload."""
    imports: Sequence[str]
    """Modules to preload if they exist; see `slot.default_preloads`."""
    paths: Sequence[str]
    """Directories in which the user's modules are searched first."""
    scratch: Path
    """Directory that is removed when the slot ends, even by SIGKILL."""
    owns_process: bool = False
    """True if this process, a subreaper, has no children but the fork server: any other is an orphan of a trial."""


class ForkServerHandle:
    """One running fork server. Not thread-safe."""

    def __init__(self, settings: ForkServerSettings) -> None:
        marker = uuid.uuid4().hex
        self.environment = server_environment(settings.template, base=os.environ, marker=marker)
        self._owns_process = settings.owns_process
        self._marker = f"{RUNNER_ENV}={marker}"
        # SOCK_SEQPACKET keeps the bounds of messages.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            arguments = {
                "slot": os.getpid(),
                "preload": settings.template.preload or [],
                "imports": list(settings.imports),
                "paths": list(settings.paths),
                "scratch": str(settings.scratch),
                "resumesSlot": settings.owns_process,
            }
            self._process = subprocess.Popen(
                # -P: a module in the slot's working directory must not shadow one of the standard library.
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), json.dumps(arguments)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                # A PySpark worker's standard output is not for text.
                stdout=2,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.ready = False
        self._preloading = ""
        self._imports_by_default = bool(settings.imports)

    @property
    def pid(self) -> int:
        """Pid of the fork server."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """True if the fork server has ended."""
        return self._process.poll() is not None

    def fileno(self) -> int:
        """Return the descriptor of the socket: it is readable when there is a message to `receive`."""
        return self._control.fileno()

    def receive(self) -> dict[str, Any]:
        """Return the next message; see `trial.fork_server`.

        Raises:
            ServerLost: a module can't be preloaded, or the fork server has ended.
            DefaultPreloadFailed: it ended while it imported a module of `ForkServerSettings.imports`.
        """
        try:
            data = self._control.recv(MAX_MESSAGE_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            how = self._abandon()
            is_default = self._imports_by_default and self._preloading and not self.ready
            raise DefaultPreloadFailed(how) if is_default else ServerLost(how)
        message: dict[str, Any] = json.loads(data)
        if message["event"] == "preloading":
            self._preloading = message["module"]
        elif message["event"] == "refused":
            self._abandon()
            raise ServerLost(message["message"])
        elif message["event"] == "unusable":
            self._abandon()
            raise DefaultPreloadFailed(message["message"])
        self.ready = self.ready or message["event"] == "ready"
        return message

    def start(self, request: Mapping[str, Any], outputs: Sequence[int]) -> None:
        """Fork a trial.

        Args:
            request: what to run; see `trial.trial_process`.
            outputs: descriptors that the trial writes to: standard output, standard error, its result.

        Raises:
            ServerLost: the fork server has ended.
        """
        # A file in memory, because a command line may be longer than a message.
        descriptor = os.memfd_create("request", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(json.dumps(request).encode())
            self._send("start", [descriptor, *outputs])
        finally:
            os.close(descriptor)

    def terminate(self) -> None:
        """Send SIGTERM to the trial's process group, through the fork server."""
        self._send("terminate")

    def kill(self) -> None:
        """Kill the trial and all that it started, through the fork server."""
        self._send("kill")

    def kill_server(self) -> None:
        """Kill a fork server that does not answer; the next `receive` raises `ServerLost`."""
        self._process.kill()

    def close(self) -> None:
        """End the fork server and everything that it forked."""
        self._control.close()
        try:
            self._process.wait(_END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._abandon()

    def _send(self, operation: str, descriptors: Sequence[int] = ()) -> None:
        message = json.dumps({"op": operation}).encode()
        try:
            socket.send_fds(self._control, [message], list(descriptors))
        except ConnectionError:
            raise ServerLost(self._abandon()) from None

    def _abandon(self) -> str:
        """Clean up after a fork server that is lost, and return how it ended."""
        self._control.close()
        try:
            code = self._process.wait(_EXIT_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        kill_marked(self._marker, patience_s=_END_PATIENCE_S)
        if self._owns_process:
            # Those that have cleared their environment are children of this process by now.
            kill_descendants()
        how = f"exit code {code}" if code >= 0 else signal_name(-code)
        if self.ready or not self._preloading:
            return f"the fork server ended ({how})"
        return f"preload: importing {self._preloading} ended the interpreter ({how})"
