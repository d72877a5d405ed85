"""Running programs, printing progress, and waiting."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class ClusterError(Exception):
    """An unexpected failure; the text is for a person."""


class Unavailable(ClusterError):
    """This machine cannot run the cluster; one line says why. Tests count as skipped."""


def say(text: str) -> None:
    """Print a line to standard error."""
    sys.stderr.write(f"cluster: {text}\n")
    sys.stderr.flush()


def run(
    *command: str | Path,
    stdin: str | bytes | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 120,
) -> str:
    """Run a command; return its standard output.

    Args:
        env: Variables in addition to those of this process, whose PATH gets the folders of the system's own tools.

    Raises:
        ClusterError: It failed or did not end; with the end of what it said.
    """
    try:
        done = subprocess.run(
            [str(word) for word in command],
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            check=False,
            cwd=cwd,
            env={**os.environ, "PATH": system_path(), **(env or {})},
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{_shown(command)} did not end within {timeout_s:g} s") from None
    except OSError as error:
        raise ClusterError(f"{_shown(command)} cannot be run: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise ClusterError(f"{_shown(command)} failed ({done.returncode}): {said[-4000:]}")
    return done.stdout.decode(errors="replace")


def succeeds(*command: str | Path) -> bool:
    """Return True if a command succeeds; its output is dropped."""
    try:
        run(*command)
    except ClusterError:
        return False
    return True


def wait_until(
    condition: Callable[[], bool], what: str, timeout_s: float, interval_s: float = 0.1
) -> None:
    """Return as soon as the condition holds.

    Raises:
        ClusterError: It does not hold in time; ``what`` says what was expected.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise ClusterError(f"{what}: not so after {timeout_s:g} s")
        time.sleep(interval_s)


def system_path() -> str:
    """PATH with the folders of the system's own tools, which a user's may lack."""
    folders = os.environ.get("PATH", "").split(":")
    system = ("/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin")
    return ":".join([*filter(None, folders), *(name for name in system if name not in folders)])


def _shown(command: tuple[str | Path, ...]) -> str:
    words = [str(word) for word in command]
    return " ".join([Path(words[0]).name, *words[1:]])[:400]
