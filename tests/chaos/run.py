"""One seed: experiments one after another under faults until the time is up, then calm, the end, and the deletion."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos import invariants
from chaos.faults import make, next_fault
from chaos.scene import Scene, until
from support.control_plane.stage import Stage

CALM_S = 100
"""Seconds without faults in which at least one more trial must end, or the experiment."""


@dataclass
class Record:
    """Results of a seed."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    experiments: int = 0
    trials: int = 0
    looks: int = 0
    versions: int = 0

    def __str__(self) -> str:
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.seed}: {self.experiments} experiments with {self.trials} trials ended as they must; "
            f"{self.looks} looks, {self.versions} versions of batches; {faults}"
        )


def run_seed(
    stage: Stage, seed: int, minutes: float, *, is_alone: bool, say: Callable[[str], None]
) -> Record:
    """Run one seed; return its record.

    Args:
        stage: what all seeds share.
        seed: chooses the experiments and the faults.
        minutes: time of the faults.
        is_alone: True if no other seed runs on this API server.
        say: is told of each fault.

    Raises:
        BrokenInvariant: something that must always hold does not.
        AssertionError: a part failed in a way that none should.
    """
    draw, record = random.Random(seed), Record(seed)
    scene = Scene(
        stage.cluster,
        stage.helm,
        operators=stage.operators,
        drivers=stage.drivers,
        seed=seed,
        is_alone=is_alone,
    )
    watcher = invariants.Watcher(scene)
    with scene:
        end = time.monotonic() + 60 * minutes
        while time.monotonic() < end:
            scene.create_experiment()
            while time.monotonic() < end and not until(scene.lab.status).get("completionTime"):
                fault = next_fault(draw)
                say(f"seed {seed}: {fault.__name__}")
                record.faults[fault.__name__] += 1
                make(fault, scene, draw)
                _look_for(draw.uniform(0, 1.5), watcher)
            _finish(scene, watcher, record)
    record.looks, record.versions = watcher.looks, watcher.versions
    return record


def _finish(scene: Scene, watcher: invariants.Watcher, record: Record) -> None:
    """Let the experiment end in calm, check it, and delete it."""
    deadline, ended = time.monotonic() + CALM_S, watcher.ended
    while not scene.lab.status().get("completionTime"):
        assert time.monotonic() < deadline, f"nothing in {CALM_S} s\n{scene.lab.state()}"
        assert scene.kubelet.errors == []
        watcher.look()
        if watcher.ended > ended:
            deadline, ended = time.monotonic() + CALM_S, watcher.ended
        time.sleep(0.3)
    expected = scene.lab.api.get("experiments", scene.name)
    record.experiments += 1
    record.trials += invariants.check_end(scene, expected)
    scene.lab.wait(lambda: not scene.lab.drivers(), "the driver's pod goes", timeout_s=60)
    # Before the deletion: without current objects the history has no end to be read to.
    watcher.read_history()
    scene.lab.api.delete("experiments", scene.name)
    scene.lab.wait(lambda: not scene.lab.left(), "nothing is left", timeout_s=60)


def _look_for(seconds: float, watcher: invariants.Watcher) -> None:
    end = time.monotonic() + seconds
    while True:
        watcher.look()
        if time.monotonic() > end:
            return
        time.sleep(0.2)
