"""The growing table of results: the same file as from all trials at once, whatever order they come in."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep_core.api import Objective, Parameter, Trial, TrialSpec, TrialState, TrialStatus
from sparksweep_core.api.search_spec import FeasibleSpace, ObjectiveType, ParameterType
from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.program import Program
from sparksweep_trainer.files.results import results_table
from sparksweep_trainer.files.results_table import ResultsTable
from support.hypothesis_profiles import examples

LARGE = ["1", "18446744073709551616", "1" * 60, "2" * 90]
PROGRAM = Program(
    experiment="e",
    parameters=[
        Parameter(
            name="large",
            parameter_type=ParameterType.DISCRETE,
            feasible_space=FeasibleSpace(list=LARGE),
        ),
        Parameter(
            name="lr",
            parameter_type=ParameterType.DOUBLE,
            feasible_space=FeasibleSpace(min="0", max="1"),
        ),
    ],
    objective=Objective(
        type=ObjectiveType.MINIMIZE, objective_metric_name="loss", additional_metric_names=["auc"]
    ),
    trial_template=TrialTemplate(function="train:training"),
    trials_directory="trials",
)
METRICS = st.dictionaries(
    st.sampled_from(["loss", "auc", "node", "a metric", "zeta"]), st.floats(0, 1)
)


def trial(number: int, state: TrialState, large: str = "1", **fields: Any) -> Trial:
    spec = TrialSpec(number=number, parameters={"large": large, "lr": str(number / 100)})
    return Trial(spec, TrialStatus(number=number, state=state, attempt=1, **fields))


@st.composite
def histories(draw: st.DrawFn) -> list[Trial]:
    """Draw trials in any order, each first unfinished, later finished perhaps."""
    numbers = draw(st.permutations(range(1, draw(st.integers(0, 14)) + 1)))
    changes = [trial(number, TrialState.PENDING) for number in numbers]
    for number in draw(st.permutations(numbers)):
        state = draw(st.sampled_from(TrialState))
        metrics, large = draw(METRICS), draw(st.sampled_from(LARGE))
        message = draw(st.sampled_from([None, "x" * 4096]))
        changes.append(trial(number, state, large, metrics=metrics, message=message))
    return changes


@given(histories(), st.integers(1, 5))
@examples(100)
def test_the_file_is_the_table_of_all_trials(changes: list[Trial], block: int) -> None:
    table = ResultsTable(PROGRAM, block=block)
    newest: dict[int, Trial] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "results.parquet")
        for change in changes:
            table.put(change)
            newest[change.number] = change
        table.write(path)
        expected = results_table(PROGRAM, [newest[number] for number in sorted(newest)])
        written = pq.read_table(path)
        assert written.schema.equals(expected.schema)
        assert written.to_pylist() == expected.to_pylist()


def test_finished_trials_are_held_compressed() -> None:
    table = ResultsTable(PROGRAM, block=100)
    for number in range(1, 1001):
        table.put(
            trial(number, TrialState.FAILED, message=f"ValueError: {number}\n" + "at x\n" * 800)
        )
    assert not table._open
    assert table.held_bytes < 1000 * 100
    # What a later driver reads again changes nothing.
    table.put(trial(5, TrialState.FAILED))
    assert not table._open


def test_a_table_that_can_not_be_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "results.parquet"
    table = ResultsTable(PROGRAM)
    table.put(trial(1, TrialState.SUCCEEDED))
    table.write(path)
    before = path.read_bytes()
    table.put(trial(2, TrialState.SUCCEEDED))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        table.write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
