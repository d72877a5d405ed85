"""results.parquet: one typed row a trial, whatever became of it."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from sparksweep_core.api import Experiment, Trial, TrialSpec, TrialState, TrialStatus
from sparksweep_core.validation.document import parse_experiment
from sparksweep_trainer.files.results import write_results


def experiment() -> Experiment:
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "e"},
            "spec": {
                "objective": {
                    "type": "minimize",
                    "objectiveMetricName": "loss",
                    "additionalMetricNames": ["accuracy"],
                },
                "algorithm": {"algorithmName": "grid"},
                "parameters": [
                    {
                        "name": "lr",
                        "parameterType": "discrete",
                        "feasibleSpace": {"list": ["0.1", "0.2"]},
                    },
                    {
                        "name": "depth",
                        "parameterType": "int",
                        "feasibleSpace": {"min": "1", "max": "3"},
                    },
                    {
                        "name": "kind",
                        "parameterType": "categorical",
                        "feasibleSpace": {"list": ["a", "b"]},
                    },
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )


def test_every_trial_is_a_row_with_typed_columns(tmp_path: Path) -> None:
    parameters = {"lr": "0.1", "depth": "2", "kind": "a"}
    moment = datetime(2026, 1, 1, 12, tzinfo=UTC)
    trials = [
        Trial(
            TrialSpec(number=1, parameters=parameters),
            TrialStatus(
                number=1,
                state=TrialState.SUCCEEDED,
                attempt=1,
                metrics={"loss": 0.25, "accuracy": 0.9},
                start_time=moment,
                duration_seconds=1.5,
                peak_memory_bytes=2**20,
            ),
        ),
        Trial(TrialSpec(number=2, parameters=parameters), TrialStatus(number=2)),
    ]
    path = tmp_path / "results.parquet"
    write_results(path, experiment().spec, trials)
    rows = pq.read_table(path).to_pylist()
    assert [row["number"] for row in rows] == [1, 2]
    assert rows[0]["parameters.lr"] == 0.1
    assert rows[0]["parameters.depth"] == 2
    assert rows[0]["parameters.kind"] == "a"
    assert rows[0]["metrics.loss"] == 0.25
    assert rows[0]["metrics.accuracy"] == 0.9
    assert rows[0]["start_time"] == moment
    assert rows[1]["state"] == "Pending"
    assert rows[1]["metrics.loss"] is None
    assert list(tmp_path.iterdir()) == [path]
