"""A run directory as a local run leaves it, with trials whose states and reports a test chooses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sparksweep import Experiment
from sparksweep._local.run_directory import RunDirectory
from sparksweep_core.api import (
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialSpec,
    TrialState,
    TrialStatus,
)
from sparksweep_core.contract.line_formats import report_line

Reports = list[tuple[int, Mapping[str, float]]]


def training(x: float) -> dict[str, float]:
    return {"loss": x}


class MadeRun:
    """A run of a function of ``x`` with the objective ``loss``."""

    def __init__(self, path: Path, *, name: str = "made", trials: int = 3) -> None:
        experiment = Experiment(
            training,
            {"x": [n / 10 for n in range(1, trials + 1)]},
            name=name,
            objective="loss",
            direction="min",
        )
        self.document = Experiment.from_yaml(experiment.to_yaml())._built.experiment
        self.directory = RunDirectory.create(path)
        self.directory.write_experiment(self.document)
        self.path = path
        self._journal = self.directory.open_journal()
        specs = [TrialSpec(number=n, parameters={"x": str(n / 10)}) for n in range(1, trials + 1)]
        self._journal.append_batch(
            TrialBatch(
                metadata=ObjectMeta(name=f"{name}-00000"),
                spec=TrialBatchSpec(experiment=name, index=0, trials=specs),
            )
        )

    def put(
        self, number: int, state: TrialState, *, attempt: int = 1, **fields: Any
    ) -> TrialStatus:
        """Record a trial's status."""
        status = TrialStatus.model_validate(
            {"number": number, "state": state, "attempt": attempt, **fields}
        )
        self._journal.append_trials([status])
        return status

    def report(self, number: int, reports: Reports, *, name: str = "metrics.jsonl") -> None:
        """Append to the file in which a trial reports."""
        file = self.file(number, name)
        with file.open("a", encoding="utf-8") as output:
            for step, metrics in reports:
                output.write(report_line(step, 1764078000.0 + step, metrics))

    def file(self, number: int, name: str) -> Path:
        """Return the path of a trial's file, whose directory exists."""
        self.directory.trial(number).mkdir(exist_ok=True)
        return self.directory.trial(number) / name

    def __enter__(self) -> MadeRun:
        return self

    def __exit__(self, *exception: object) -> None:
        self.end()

    def end(self) -> None:
        """Release the directory, as the end of the run's process does."""
        self._journal.close()
        self.directory.unlock()
