"""Processes for tests to observe: each plays a scene, and all that they leave behind ends with the test."""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparksweep_trainer.slot.process_table import kill_marked

PRELUDE = """
import json, os, signal, subprocess, sys, time
from sparksweep_trainer.trial.processes import *

def say(**values):
    # In one piece: several processes say something.
    os.write(1, (json.dumps(values) + os.linesep).encode())

def sleep_for_ever():
    while True:
        time.sleep(60)
"""


class Actor:
    """A process that plays a scene."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid

    def hear(self) -> Any:
        """Return the next message of the scene."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def go_on(self) -> None:
        """Let its `sys.stdin.readline()` return."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Wait for its end by itself."""
        self.process.wait(timeout=30)


class Stage:
    """Begins scenes. A context manager, at whose end no process of any scene is left."""

    def __init__(self) -> None:
        self.marker = f"SPARKSWEEP_TEST={uuid.uuid4().hex}"
        self._actors: list[Actor] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *exception: object) -> None:
        kill_marked(self.marker, patience_s=10)
        for actor in self._actors:
            actor.process.communicate()

    def begin(self, scene: str) -> Actor:
        name, _, value = self.marker.partition("=")
        process = subprocess.Popen(
            [sys.executable, "-c", PRELUDE + scene],
            env={**os.environ, name: value},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._actors.append(Actor(process))
        return self._actors[-1]

    @property
    def left(self) -> list[int]:
        """Processes of any scene."""
        return processes_with(self.marker)


def processes_with(text: str) -> list[int]:
    """Return the processes that were started with a text in their environment."""
    marked = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if text.encode() in (entry / "environ").read_bytes():
                    marked.append(int(entry.name))
            except OSError:
                continue
    return marked


def soon(condition: Callable[[], bool], timeout_s: float = 15) -> bool:
    """Return True as soon as the condition holds, False after a timeout."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
