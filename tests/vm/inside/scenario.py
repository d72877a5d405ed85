"""Trials in one container, with a driver's trial service and server outside of it.

Reads `Scenario`'s fields as JSON, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sparksweep_core.api import Parameter, TrialReason, TrialSpec, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.api.status import TrialStatus
from sparksweep_core.api.trial_batch import Stop
from sparksweep_core.api.trials import Trial
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService
from vm.inside.container import Container, Limits, read_figures

FINAL = ("Succeeded", "Failed", "Stopped")
FIGURES = ("memory.events", "pids.events", "cpu.stat")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Trials to run, and the container that they run in."""

    name: str
    template: dict[str, Any]
    """Template of the trials, whose only parameter is x: their number."""
    trials: int = 2
    limits: dict[str, Any] = field(default_factory=dict)
    stop_after_s: float | None = None
    """Seconds after the first trial's start until the experiment is stopped."""
    timeout_s: float = 180.0


@dataclass(kw_only=True)
class Result:
    """Results of a scenario."""

    trials: list[dict[str, Any]]
    """Statuses of the trials."""
    exit_code: int
    """Exit code of the container: 0 if the slot left in peace, 137 if its first process was killed."""
    figures: dict[str, dict[str, int]]
    """Last figures of the container's cgroup: memory.events, pids.events, cpu.stat."""
    peak: int | None
    """Its memory.peak."""
    left: list[int]
    """Processes of the container, but its own, when all trials had ended."""
    seconds: float
    stopped_after_s: float | None
    """Seconds from the order to stop to the end of the last trial."""
    output: str


def run(scenario: Scenario) -> Result:
    """Run a scenario to the end of its trials, of its container, or of its time."""
    program = Program(
        experiment=scenario.name,
        parameters=[
            Parameter(
                name="x",
                parameter_type=ParameterType.INT,
                feasible_space=FeasibleSpace(min="1", max="99"),
            )
        ],
        trial_template=TrialTemplate.model_validate_json(json.dumps(scenario.template)),
        trials_directory="/tmp/trials",
        limit_is_container=True,
    )
    statuses = {number: TrialStatus(number=number) for number in range(1, scenario.trials + 1)}

    def record(changed: Sequence[Trial]) -> None:
        statuses.update((trial.number, trial.status) for trial in changed)

    service = TrialService(program, record=record)
    server = TrialServer(service)
    limits = Limits(**scenario.limits)
    command = ("sh", "-c", f"python3 -m vm.inside.slot {server.port} {server.token(0)}; exit $?")
    service.submit(TrialSpec(number=number, parameters={"x": str(number)}) for number in statuses)
    started = time.monotonic()
    container = Container(scenario.name, limits, command)
    watch = _Watch(container)
    stopped = ended = None
    version = 0
    while time.monotonic() - started < scenario.timeout_s and container.poll() is None:
        version = service.wait(version, 0.1)
        watch.look()
        running = [status for status in statuses.values() if status.start_time]
        if scenario.stop_after_s is not None and running and stopped is None:
            time.sleep(scenario.stop_after_s)
            stopped = time.monotonic()
            service.stop(Stop(reason=TrialReason.GOAL_REACHED))
        if all(status.state.value in FINAL for status in statuses.values()):
            ended = time.monotonic()
            break
        if service.code_check.refusal is not None:
            break
    watch.look()
    left = watch.strangers()
    service.close()
    exit_code = container.wait(60)
    server.close()
    return Result(
        trials=[status.to_dict() for status in statuses.values()],
        exit_code=exit_code,
        figures=watch.figures,
        peak=watch.peak,
        left=left,
        seconds=round(time.monotonic() - started, 1),
        stopped_after_s=None if stopped is None or ended is None else round(ended - stopped, 1),
        output=container.output[-20_000:],
    )


class _Watch:
    """Figures of a container's cgroup, which goes with the container; what was last read of it stays."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self.figures: dict[str, dict[str, int]] = {}
        self.peak: int | None = None

    def look(self) -> None:
        """Read them."""
        for name in FIGURES:
            # The pod's count what happened in a container that is gone, but for pids.events before Linux 6.11.
            for cgroup in (self._container.pod, self._container.cgroup):
                if figures := read_figures(cgroup / name):
                    self.figures[name] = figures
        try:
            self.peak = int((self._container.cgroup / "memory.peak").read_text())
        except OSError:
            return

    def strangers(self) -> list[int]:
        """Return processes in the container that are none of the slot's: neither it, its fork server nor its parent."""
        try:
            pids = [
                int(pid) for pid in (self._container.cgroup / "cgroup.procs").read_text().split()
            ]
        except OSError:
            return []
        own = (b"vm.inside.slot", b"fork_server")
        return [
            pid
            for pid in pids
            if not any(name in Path(f"/proc/{pid}/cmdline").read_bytes() for name in own)
        ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(run(Scenario(**json.load(sys.stdin))))) + "\n")
