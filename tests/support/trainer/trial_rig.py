"""Runs single trials for tests, in real processes and without Spark: a slot without a driver."""

import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from textwrap import dedent
from typing import Any

from sparksweep_core.api import Objective, ObjectiveType, Parameter, TrialState, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.api.template import Gpu, Resources, Source
from sparksweep_core.contract.program import Program
from sparksweep_trainer.protocol import Assignment, Outcome
from sparksweep_trainer.slot.runner import StopSignal, TrialRunner
from support.trainer.stage import processes_with, soon

OBJECTIVE = Objective(type=ObjectiveType.MAXIMIZE, objective_metric_name="score")
SPACES: Mapping[type, FeasibleSpace] = {
    float: FeasibleSpace(min="0", max="1"),
    int: FeasibleSpace(min="0", max="9"),
    str: FeasibleSpace(list=["a", "b"]),
}
TYPES: Mapping[type, ParameterType] = {
    float: ParameterType.DOUBLE,
    int: ParameterType.INT,
    str: ParameterType.CATEGORICAL,
}


def program(
    directory: Path,
    source: str | None,
    *,
    parameters: Mapping[str, type] | None = None,
    objective: Objective | None = OBJECTIVE,
    memory: str = "2Gi",
    gpus: int = 0,
    **template: Any,
) -> Program:
    """Return a program; `function` is train:training unless there is a `command`."""
    if "command" not in template:
        template.setdefault("function", "train:training")
    if source is not None:
        template["source"] = Source(inline=dedent(source))
    (directory / "home").mkdir(exist_ok=True)
    return Program(
        experiment=f"rig-{uuid.uuid4().hex[:8]}",
        parameters=[
            Parameter(name=name, parameter_type=TYPES[kind], feasible_space=SPACES[kind])
            for name, kind in (parameters or {}).items()
        ],
        objective=objective,
        trial_template=TrialTemplate(
            resources=Resources(memory=memory, gpu=Gpu(count=gpus)), **template
        ),
        trials_directory=str(directory / "trials"),
        search_path=[str(directory / "home")],
        working_directory=str(directory / "home"),
    )


class Rig:
    """A runner and its remains. A context manager."""

    def __init__(self, directory: Path, source: str | None, **options: Any) -> None:
        self.home = directory / "home"
        self.trials = directory / "trials"
        self.program = program(directory, source, **options)
        self.runner = TrialRunner(self.program, slot=0)

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *exception: object) -> None:
        self.runner.close()
        assert self.left == []

    def run(
        self, *, number: int = 1, attempt: int = 1, stopped: bool = False, **parameters: object
    ) -> Outcome:
        """Run one attempt to its end, `stopped` before it begins if asked; assert that no process is left."""
        values = {name: str(value) for name, value in parameters.items()}
        with closing(StopSignal()) as stop:
            if stopped:
                stop.set()
            outcome = self.runner.run(
                Assignment(number=number, attempt=attempt, parameters=values), stop
            )
        assert self.left == []
        return outcome

    def metrics(self, **parameters: Any) -> Mapping[str, float]:
        """Return the metrics of an attempt that must succeed."""
        outcome = self.run(**parameters)
        assert outcome.state is TrialState.SUCCEEDED, outcome
        return outcome.metrics

    def run_and_meanwhile(
        self, act: Callable[[StopSignal], None], *, once: Callable[[], bool], **parameters: object
    ) -> Outcome:
        """Run one attempt; call `act` as soon as `once` holds."""
        values = {name: str(value) for name, value in parameters.items()}
        stop = StopSignal()
        outcomes: list[Outcome] = []

        def attempt() -> None:
            assignment = Assignment(number=1, attempt=1, parameters=values)
            outcomes.append(self.runner.run(assignment, stop))

        running = threading.Thread(target=attempt)
        running.start()
        try:
            assert soon(once)
            act(stop)
            running.join(timeout=30)
            assert not running.is_alive()
        finally:
            stop.set()
            running.join()
            stop.close()
        assert self.left == []
        return outcomes[0]

    def log(self, stream: str = "stdout", *, number: int = 1) -> str:
        """Return the output of a trial so far."""
        path = self.trials / f"{number:04d}" / f"{stream}.log"
        return path.read_text() if path.exists() else ""

    @property
    def server(self) -> int:
        """The fork server's pid."""
        server = self.runner._server
        assert server is not None
        return server.pid

    @property
    def left(self) -> list[int]:
        """Processes of any trial: descendants of the fork server, or orphans."""
        server = self.runner._server
        if server is None:
            return []
        marked = processes_with(server._marker)
        return [pid for pid in marked if pid != server.pid]
