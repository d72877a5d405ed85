"""Runs the command line in a process of its own, as a user does."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.marked_processes import ENVIRONMENT

EXPERIMENTS = Path(__file__).parents[2] / "sdk" / "local" / "experiments"


@dataclass(frozen=True)
class Finished:
    """The exit code and the output of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Standard output, parsed as JSON."""
        return json.loads(self.stdout)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "sparksweep", *map(str, arguments)]


def sparksweep(
    *arguments: object,
    cwd: Path | None = None,
    timeout_s: float = 240,
    environment: Mapping[str, str] | None = None,
) -> Finished:
    """Run a command to its end, with further environment variables."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **ENVIRONMENT, **(environment or {})},
        stdin=subprocess.DEVNULL,
        timeout=timeout_s,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def trials_of(directory: Path) -> dict[int, dict[str, Any]]:
    """Return every trial of a run directory by number, as ``sparksweep trials`` prints them."""
    rows = sparksweep("trials", directory, "--output", "json").document
    return {row["number"]: row for row in rows}
