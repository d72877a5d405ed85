"""``sparksweep`` as a user calls it who may edit Experiments and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

from support.e2e.e2e_cluster import Namespace


class CommandLine:
    """Command line for a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        """Run commands with the rights of ``sparksweep-edit`` alone, where the chart's gateway is."""
        self.namespace = namespace
        namespace.add_gateway()
        self.environment = {**os.environ, "KUBECONFIG": str(namespace.kubeconfig_of_an_editor())}

    def arguments(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "sparksweep", *words, "-n", self.namespace.name]

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def bytes(self, *words: str) -> bytes:
        """Return the binary standard output of a command that succeeds."""
        return subprocess.check_output(self.arguments(*words), env=self.environment, timeout=120)


class Followed:
    """A command whose output is read while it runs."""

    def __init__(self, command: CommandLine, *words: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            command.arguments(*words),
            env=command.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            for line in output:
                self.lines.append(line)

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait(timeout=60)
        self._thread.join()
        return code

    def stop(self) -> None:
        """Kill it."""
        self.process.terminate()
        self.end()
