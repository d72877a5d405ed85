"""A slot's end of the fork server: starts it, talks to it, and makes sure that it and all it forked are gone."""

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

_PROGRAM = "import sys; from sparksweep_trainer.trial.fork_server import main; main(sys.argv[1:])"
_END_PATIENCE_S = 10.0
_EXIT_PATIENCE_S = 2.0


class ServerLost(Exception):
    """The fork server could not import what it is to preload, or ended; the message says which."""


@dataclass(frozen=True)
class Setting:
    """How to start a fork server."""

    template: TrialTemplate
    """For its environment and what to preload."""
    paths: Sequence[str]
    """Where the user's modules are looked for first."""
    scratch: Path
    """Removed when the slot ends, even by SIGKILL."""


class ForkServerHandle:
    """One running fork server. Not thread-safe."""

    def __init__(self, setting: Setting) -> None:
        marker = uuid.uuid4().hex
        self.environment = server_environment(setting.template, base=os.environ, marker=marker)
        self._marker = f"{RUNNER_ENV}={marker}"
        # Message by message: what is sent at once is received at once.
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            settings = {
                "slot": os.getpid(),
                "preload": setting.template.preload,
                "paths": list(setting.paths),
                "scratch": str(setting.scratch),
            }
            self._process = subprocess.Popen(
                # -P: a module beside the slot's working directory must not pass for one of the standard library.
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno()), json.dumps(settings)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                # A PySpark worker's standard output is not for text.
                stdout=2,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self.ready = False
        self._preloading = ""

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    def fileno(self) -> int:
        """Readable when there is something to `receive`."""
        return self._control.fileno()

    def receive(self) -> dict[str, Any]:
        """Its next message; see `forkserver`.

        Raises:
            ServerLost: it has refused what it is to preload, or ended.
        """
        try:
            data = self._control.recv(MAX_MESSAGE_BYTES)
        except ConnectionError:
            data = b""
        if not data:
            raise ServerLost(self._abandon())
        message: dict[str, Any] = json.loads(data)
        if message["event"] == "preloading":
            self._preloading = message["module"]
        elif message["event"] == "refused":
            self._abandon()
            raise ServerLost(message["message"])
        self.ready = self.ready or message["event"] == "ready"
        return message

    def start(self, request: Mapping[str, Any], outputs: Sequence[int]) -> None:
        """Have it fork a trial.

        Args:
            request: see `trial_process`.
            outputs: where the trial writes: standard output, standard error, its result.

        Raises:
            ServerLost: it has ended.
        """
        # A file in memory: a command line may be larger than a message.
        descriptor = os.memfd_create("request", os.MFD_CLOEXEC)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(json.dumps(request).encode())
            self._send("start", [descriptor, *outputs])
        finally:
            os.close(descriptor)

    def terminate(self) -> None:
        """Have it send SIGTERM to the trial."""
        self._send("terminate")

    def kill(self) -> None:
        """Have it kill the trial and all it started."""
        self._send("kill")

    def kill_server(self) -> None:
        """Kill a fork server that does not answer; `receive` will find it lost."""
        self._process.kill()

    def close(self) -> None:
        """End it and everything it forked."""
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
        """Clean up after a fork server that is lost; how it ended."""
        self._control.close()
        try:
            code = self._process.wait(_EXIT_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        kill_marked(self._marker, patience_s=_END_PATIENCE_S)
        how = f"exit code {code}" if code >= 0 else signal_name(-code)
        if self.ready or not self._preloading:
            return f"the fork server ended ({how})"
        return f"preload: importing {self._preloading} ended the interpreter ({how})"
