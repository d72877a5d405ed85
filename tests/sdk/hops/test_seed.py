"""Promises of Hops' documentation, row by row, on this machine.

The rows are S1 to S20 of the checklist that this project began with. S17, and what only nodes have of S3 and S4, are in
tests/e2e, under the same numbers.
"""

from __future__ import annotations

import inspect
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from sparksweep import Experiment, experiment
from sparksweep._result import Result
from sparksweep.errors import InvalidExperiment
from sparksweep_operator.manifests import spark_conf
from support.sdk.seed import BOUNDS, GRID, TABLE, accuracy, training

EXAMPLES = Path(__file__).parents[3] / "examples"


def most_at_once(result: Result) -> int:
    """Return the largest number of trials that ran at the same time."""
    table = result.trials
    edges = [(moment, 1) for moment in table["start_time"]]
    edges += [(moment, -1) for moment in table["completion_time"]]
    running = most = 0
    for _, change in sorted(edges):
        running += change
        most = max(most, running)
    return most


def sleeping(x: int) -> int:

    time.sleep(0.3)
    return x


@pytest.mark.spark
def test_s01_each_combination_is_one_trial_and_takes_a_slot_of_its_own(seed_grid: Result) -> None:
    assert len(seed_grid.trials) == len(GRID["learning_rate"]) * len(GRID["dropout"])
    assert set(seed_grid.trials["state"]) == {"Succeeded"}
    assert set(seed_grid.trials["attempt"]) == {1}
    conf = inspect.getsource(spark_conf)
    assert '"spark.task.cpus": "1"' in conf
    assert '"spark.executor.cores": "1"' in conf


@pytest.mark.spark
def test_s02_one_parallel_execution_is_sequential_and_more_are_parallel_and_runs_go_side_by_side(
    project: Path,
) -> None:
    def search(parallel: int) -> Result:
        return experiment.grid_search(
            sleeping, {"x": [1, 2, 3, 4]}, parallel=parallel, progress=False
        )

    # Hops had one experiment at a time in a session.
    with ThreadPoolExecutor(2) as executor:
        one, two = executor.map(search, (1, 2))
    assert (most_at_once(one), most_at_once(two)) == (1, 2)


@pytest.mark.spark
def test_s03_a_trial_over_its_memory_fails_alone_and_says_how_much_it_took(project: Path) -> None:
    def greedy(megabytes: int) -> int:
        held = bytearray(megabytes * 2**20)
        return len(held)

    result = experiment.grid_search(
        greedy, {"megabytes": [10, 4000]}, memory="700Mi", progress=False
    )
    states = result.trials["state"].tolist()
    assert states == ["Succeeded", "Failed"]
    failed = result.trials.loc[2]
    assert failed["reason"] in ("OOMKilled", "OutOfMemory")
    assert "700Mi" in failed["message"]
    assert result.best_params == {"megabytes": 10}


def test_s04_the_gpus_of_a_trial_are_asked_for_and_without_any_none_is_seen() -> None:
    asked = Experiment(training, GRID, gpus=2, node_selector={"accelerator": "a100"})
    template = asked.to_dict()["spec"]["trialTemplate"]
    assert template["resources"]["gpu"] == {"count": 2, "resourceName": "nvidia.com/gpu"}
    assert template["nodeSelector"] == {"accelerator": "a100"}
    assert Experiment(training, GRID).spec.trial_template.resources.gpu.count == 0


@pytest.mark.spark
def test_s05_a_wrapper_function_gets_its_hyperparameters_by_name_and_its_defaults(
    project: Path,
) -> None:
    def wrapper(
        dropout: float, learning_rate: float, momentum: float = 0.9, *, units: int = 4
    ) -> Any:

        assert (momentum, units) == (0.9, 4)
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
        return {"metric": learning_rate, "dropout": dropout}

    result = experiment.grid_search(wrapper, GRID, progress=False)
    assert (result.best_value, result.best_metrics["dropout"]) == (0.001, 0.45)
    with pytest.raises(InvalidExperiment, match=r"takes no argument 'lr'; it takes dropout"):
        experiment.grid_search(wrapper, {"lr": [1], "dropout": [0.1]})


@pytest.mark.spark
def test_s06_data_is_found_under_the_project_path(seed_grid: Result) -> None:
    lines = (Path(seed_grid.best_dir or "") / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["metrics"] for line in lines] == [{"rows": 3.0}]


def test_s07_the_dictionary_of_the_documentation_is_taken_as_it_is() -> None:
    spec = Experiment(training, GRID).spec
    assert [p.name for p in spec.parameters] == ["learning_rate", "dropout"]
    assert [p.feasible_space.list for p in spec.parameters] == [
        ["0.001", "0.0005", "0.0001"],
        ["0.45", "0.7"],
    ]


@pytest.mark.spark
def test_s08_trials_are_numbered_as_in_the_table_of_the_documentation(seed_grid: Result) -> None:
    table = seed_grid.trials
    assert table.index.tolist() == [1, 2, 3, 4, 5, 6]
    columns = ["parameters.learning_rate", "parameters.dropout"]
    assert list(map(tuple, table[columns].to_numpy())) == TABLE


@pytest.mark.parametrize("direction", ["max", "MAX", "maximize", experiment.Direction.MAX])
def test_s09_max_is_written_as_ever_it_was(direction: str) -> None:
    objective = Experiment(training, GRID, direction=direction).spec.objective
    assert objective is not None
    assert objective.type == "maximize"


@pytest.mark.parametrize("direction", ["min", "MIN", "minimize", experiment.Direction.MIN])
def test_s09_min_is_written_as_ever_it_was(direction: str) -> None:
    objective = Experiment(training, GRID, direction=direction).spec.objective
    assert objective is not None
    assert objective.type == "minimize"


def test_s09_any_other_direction_is_refused_before_anything_runs() -> None:
    with pytest.raises(InvalidExperiment, match="'up' is neither 'max' nor 'min'"):
        experiment.grid_search(training, GRID, direction="up")


@pytest.mark.spark
def test_s10_the_call_with_a_session_and_the_one_without_are_the_same(
    project: Path, seed_grid: Result
) -> None:
    without = experiment.grid_search(training, GRID, "max", "my grid", progress=False)
    assert without.best_params == seed_grid.best_params
    assert without.experiment.metadata.name.startswith("my-grid-")
    best_dir, best_params, outputs = without
    assert best_params == {"learning_rate": 0.0005, "dropout": 0.45}
    assert outputs == {"metric": pytest.approx(accuracy(0.0005, 0.45))}
    assert Path(best_dir).is_dir()


@pytest.mark.spark
def test_s11_a_grid_needs_no_metric(project: Path) -> None:
    def silent(x: int) -> None:
        print("trained", x)

    result = experiment.grid_search(silent, {"x": [1, 2]}, progress=False)
    assert result.trials["state"].tolist() == ["Succeeded", "Succeeded"]
    assert (result.best_trial, result.best_value, result.best_params) == (None, None, {})
    assert list(result) == [result.logdir, {}, {}]


def test_s11_differential_evolution_does() -> None:
    def silent(learning_rate: float, dropout: float) -> None:
        print("trained")

    with pytest.raises(InvalidExperiment, match="silent returns nothing"):
        experiment.differential_evolution(silent, BOUNDS)


@pytest.mark.spark
def test_s12_reversed_bounds_are_put_in_order_with_a_warning(
    seed_evolution: tuple[Result, list[str]],
) -> None:
    result, warned = seed_evolution
    rates = result.trials["parameters.learning_rate"]
    assert rates.nunique() >= 10
    assert rates.between(0.0001, 0.001).all()
    assert result.trials["parameters.dropout"].between(0.45, 0.7).all()
    assert 0.0001 < result.best_params["learning_rate"] < 0.001
    assert any("learning_rate" in text and "swapped" in text for text in warned)


@pytest.mark.spark
def test_s13_evolution_goes_by_both_of_its_names(
    project: Path, seed_evolution: tuple[Result, list[str]]
) -> None:
    with pytest.warns(UserWarning, match="swapped"):
        renamed = experiment.differential_evolution(
            training, BOUNDS, direction="max", generations=5, population=6, seed=3, progress=False
        )
    points = ["parameters.learning_rate", "parameters.dropout"]
    assert renamed.trials[points].equals(seed_evolution[0].trials[points])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"generations": 0}, "generations|0"),
        ({"population": 3}, "population|3"),
        ({"mutation": 3}, "mutation|3"),
        ({"crossover": 1.5}, "crossover|1.5"),
        ({"strategy": "best"}, "strategy|best"),
    ],
)
def test_s14_what_tunes_evolution_is_checked(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidExperiment, match=message.split("|")[1]):
        experiment.differential_evolution(training, BOUNDS, **setting)


def test_s14_an_argument_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(TypeError, match="takes no argument 'popsise'"):
        experiment.evolutionary_search(training, BOUNDS, popsise=3)


@pytest.mark.spark
def test_s15_a_metric_that_is_no_finite_number_fails_its_trial(project: Path) -> None:
    def odd(kind: str) -> Any:
        return {"nan": float("nan"), "inf": float("inf"), "text": "0.9", "int": 3, "nothing": None}[
            kind
        ]

    kinds = ["nan", "inf", "text", "nothing", "int"]
    result = experiment.grid_search(odd, {"kind": kinds}, progress=False)
    assert result.trials["reason"].tolist() == [
        "MetricNaN", "MetricInfinite", "MetricNotNumeric", "MetricMissing", "Completed",
    ]  # fmt: skip
    assert result.best_params == {"kind": "int"}


@pytest.mark.spark
def test_s16_each_trial_has_a_log_directory_for_tensorboard(seed_grid: Result) -> None:
    written = [
        (
            Path(str(seed_grid.logdir)) / "trials" / f"{n:04d}" / "tensorboard" / "events.txt"
        ).read_text()
        for n in seed_grid.trials.index
    ]
    assert written == [str(dropout) for _, dropout in TABLE]


@pytest.mark.spark
def test_s18_the_log_of_a_trial_has_everything_it_wrote(seed_grid: Result) -> None:
    directory = Path(str(seed_grid.logdir)) / "trials" / "0001"
    assert (directory / "stdout.log").read_text() == "printed 0.001\nwritten by C\n"
    assert (directory / "stderr.log").read_text() == "to standard error\nWARNING:root:logged\n"


@pytest.mark.spark
@pytest.mark.timeout(600)
def test_s19_the_notebook_runs_from_its_first_cell_to_its_last(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.loads((EXAMPLES / "digits.ipynb").read_text())
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            exec(compile(source, "digits.ipynb", "exec"), namespace)
    assert namespace["result"].best_value > 0.9
    assert namespace["evolved"].best_value > 0.9


@pytest.mark.spark
def test_s20_evolution_gets_better_from_generation_to_generation(
    seed_evolution: tuple[Result, list[str]],
) -> None:
    result, _ = seed_evolution
    metrics = result.trials["metrics.metric"]
    assert len(metrics) == 5 * 6
    assert metrics[-6:].mean() > metrics[:6].mean()
    assert result.best_value == metrics.max() > metrics[:6].max()
