"""The run directory as the driver keeps it: the table of trials, and notes about their ends."""

import json
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sparksweep_core.api import Parameter, Trial, TrialSpec, TrialState, TrialStatus, TrialTemplate
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.api.status import ReportedMetrics
from sparksweep_core.contract.program import Program
from sparksweep_trainer.kubernetes.run_files import RunFiles
from support.trainer.fake_api_server import eventually

PROGRAM = Program(
    experiment="digits",
    parameters=[
        Parameter(
            name="x",
            parameter_type=ParameterType.INT,
            feasible_space=FeasibleSpace(min="1", max="9"),
        )
    ],
    trial_template=TrialTemplate(function="train:training"),
    trials_directory="trials",
)


def trial(number: int, state: TrialState, **fields: object) -> Trial:
    status = {"number": number, "state": state, "attempt": 1, **fields}
    return Trial(
        TrialSpec(number=number, parameters={"x": str(number)}), TrialStatus.model_validate(status)
    )


def rows(directory: Path) -> list[tuple[int, str]]:
    file = directory / "results.parquet"
    if not file.exists():
        return []
    # Read at once: given the path, pyarrow opens it twice, and it is replaced in between now and then.
    table = pq.read_table(pa.BufferReader(file.read_bytes())).to_pylist()
    return [(row["parameters.x"], row["state"]) for row in table]


def test_the_table_is_written_while_trials_run_and_at_the_end(tmp_path: Path) -> None:
    trials = [trial(1, TrialState.RUNNING)]
    run = RunFiles(tmp_path, PROGRAM, results_s=0.02)
    run.add(trials)
    run.start()
    eventually(lambda: rows(tmp_path) == [(1, "Running")])
    trials[0] = trial(1, TrialState.SUCCEEDED)
    run.record([trials[0]])
    eventually(lambda: rows(tmp_path) == [(1, "Succeeded")])
    run.close(flush_s=5, copy_s=5)
    slow = RunFiles(tmp_path, PROGRAM, results_s=600)
    trials.append(trial(2, TrialState.FAILED))
    slow.add(trials[:1])
    slow.start()
    slow.add(trials[1:])
    slow.close(flush_s=5, copy_s=5)
    assert rows(tmp_path) == [(1, "Succeeded"), (2, "Failed")]


def test_nothing_is_written_when_nothing_has_changed(tmp_path: Path) -> None:
    run = RunFiles(tmp_path, PROGRAM, results_s=0.01)
    run.start()
    eventually(lambda: (tmp_path / "results.parquet").exists())
    before = (tmp_path / "results.parquet").stat().st_mtime_ns
    run.close(flush_s=5, copy_s=5)
    assert (tmp_path / "results.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize("reason", ["ExecutorLost", "OOMKilled"])
def test_an_end_that_no_slot_could_tell_of_is_in_the_trials_log(
    tmp_path: Path, reason: str
) -> None:
    run = RunFiles(tmp_path, PROGRAM)
    lost = trial(7, TrialState.PENDING, reason=reason, message="Its executor\nwas lost.")
    run.record([lost])
    assert (
        (tmp_path / "trials/0007/sparksweep.log")
        .read_text()
        .endswith(f" attempt 1: {reason}: Its executor was lost.\n")
    )


def report(step: int, **metrics: float) -> bytes:
    return json.dumps({"step": step, "time": 1.0, "metrics": metrics}).encode() + b"\n"


def test_the_newest_report_is_passed_on_with_and_without_tensorboard(tmp_path: Path) -> None:
    for tensorboard in (True, False):
        reports: list[tuple[int, int, ReportedMetrics]] = []
        directory = tmp_path / str(tensorboard)
        directory.mkdir()
        run = RunFiles(
            directory,
            PROGRAM,
            tensorboard=tensorboard,
            on_report=partial(lambda to, *report: to.append(report), reports),
        )
        running = trial(1, TrialState.RUNNING)
        run.add([running])
        run.start()
        run.record([running])
        run._receive(1, report(1, loss=0.5) + report(2, loss=0.25)[:10])
        run._receive(1, report(2, loss=0.25)[10:] + b"no report\n")
        # Another attempt's lines don't begin where the last one's broke off.
        run._receive(1, b'{"step": 3')
        run.record([trial(1, TrialState.RUNNING, attempt=2)])
        run._receive(1, report(1, loss=0.75))
        run.close(flush_s=5, copy_s=5)
        assert [
            (number, attempt, item.step, item.metrics) for number, attempt, item in reports
        ] == [
            (1, 1, 1, {"loss": 0.5}),
            (1, 1, 2, {"loss": 0.25}),
            (1, 2, 1, {"loss": 0.75}),
        ]
