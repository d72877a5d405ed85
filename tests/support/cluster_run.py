"""The cluster of one run of the tests: one process brings it up and takes it down, all workers use it.

With pytest-xdist that process is the controller, which has no tests: a worker tells it by a file what its tests ask for,
before the first test runs. Without workers pytest's own process is both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from cluster import state
from cluster.layout import Layout
from cluster.rig import Rig
from cluster.shell import ClusterError, Unavailable
from cluster.state import Owner

KEEP = "SPARKSWEEP_KEEP_CLUSTER"

PATIENCE_S = 1800
"""Seconds that one run of the tests waits for another on this machine."""


class Part(StrEnum):
    """A part of the cluster that tests ask for; each needs those before it."""

    PROGRAMS = "programs"
    CONTROL_PLANE = "control_plane"
    TWO_NODES = "two_nodes"


@dataclass
class Start:
    """The parts that did not start, with the reason."""

    errors: dict[Part, ClusterError] = field(default_factory=dict)

    def check(self, part: Part) -> None:
        """Skip or fail the test that needs this part.

        Raises:
            Unavailable: This machine cannot run it.
            ClusterError: It, or a part that it needs, did not start.
        """
        for needed in Part:
            if needed in self.errors:
                raise self.errors[needed]
            if needed is part:
                return

    def to_json(self) -> str:
        """Return the errors for another process."""
        return json.dumps(
            {
                part: {"unavailable": isinstance(error, Unavailable), "text": str(error)}
                for part, error in self.errors.items()
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Start:
        """Read what another process has written."""
        errors: dict[Part, ClusterError] = {}
        for part, error in json.loads(text).items():
            kind = Unavailable if error["unavailable"] else ClusterError
            errors[Part(part)] = kind(error["text"])
        return cls(errors)


class ClusterRun:
    """The cluster of this run, for the process that brings it up."""

    def __init__(self, layout: Layout) -> None:
        self._rig = Rig(layout)
        self._held = ExitStack()

    def start(self, most: Part) -> Start:
        """Bring up each part up to this one, and print those that take minutes."""
        start = Start()
        steps: dict[Part, Callable[[], None]] = {
            Part.PROGRAMS: self._prepare,
            Part.CONTROL_PLANE: self._bring_up,
            Part.TWO_NODES: lambda: self._rig.up(2),
        }
        for part, step in steps.items():
            try:
                step()
            except ClusterError as error:
                start.errors[part] = error
                break
            if part is most:
                break
        return start

    def _prepare(self) -> None:
        self._rig.prepare()
        self._held.enter_context(state.lock(self._rig.layout, PATIENCE_S))

    def _bring_up(self) -> None:
        stays = self._rig.is_up_for_good() or bool(os.environ.get(KEEP))
        if not stays:
            self._held.callback(self._rig.down)
        self._rig.up(0, None if stays else Owner.this_process())

    def close(self) -> None:
        """Take the cluster down, unless it was up before or stays, and let other runs have it."""
        self._held.close()


class Workers:
    """Files by which the workers of a run and its controller speak about the cluster."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def ask(self, part: Part) -> None:
        """Note in a worker what its tests ask for. All workers have the same tests."""
        new = self._directory / f"asked.{os.getpid()}"
        new.write_text(part)
        new.replace(self._directory / "asked")

    def asked(self) -> Part | None:
        """Return what the workers ask for, if anything."""
        path = self._directory / "asked"
        return Part(path.read_text()) if path.exists() else None

    def answer(self, start: Start) -> None:
        """Tell the workers what has come of it."""
        (self._directory / "start.json").write_text(start.to_json())

    def start(self) -> Start:
        """Return the controller's answer, which is there before the first test runs."""
        return Start.from_json((self._directory / "start.json").read_text())
