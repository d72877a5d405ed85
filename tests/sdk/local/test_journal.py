"""The journal after a crash: complete records are read, an incomplete last one is ignored."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparksweep._local.journal import Journal, mend_journal, read_journal
from sparksweep.errors import RunDirectoryError
from sparksweep_core.api import (
    ExperimentStatus,
    ObjectMeta,
    TrialBatch,
    TrialBatchSpec,
    TrialSpec,
    TrialState,
    TrialStatus,
)


def batch(index: int, *numbers: int) -> TrialBatch:
    trials = [TrialSpec(number=number, parameters={"x": f"{number}"}) for number in numbers]
    return TrialBatch(
        metadata=ObjectMeta(name=f"e-{index:05d}"),
        spec=TrialBatchSpec(experiment="e", index=index, trials=trials),
    )


def written(path: Path) -> Path:
    journal = Journal(path)
    journal.append_batch(batch(0, 1, 2))
    journal.append_trials([TrialStatus(number=1, state=TrialState.RUNNING, attempt=1)])
    journal.append_trials(
        [
            TrialStatus(number=1, state=TrialState.SUCCEEDED, attempt=1, metrics={"loss": 0.1}),
            TrialStatus(number=2, state=TrialState.RUNNING, attempt=1),
        ]
    )
    journal.append_status(ExperimentStatus(state="Running"))
    journal.append_batch(batch(0, 1, 2, 3))
    journal.close()
    return path


def test_the_last_record_of_each_kind_holds(tmp_path: Path) -> None:
    recorded = read_journal(written(tmp_path / "journal"))
    assert [trial.number for trial in recorded.batches[0].spec.trials] == [1, 2, 3]
    assert recorded.trials[1].state is TrialState.SUCCEEDED
    assert recorded.trials[1].metrics == {"loss": 0.1}
    assert recorded.trials[2].state is TrialState.RUNNING
    assert recorded.status == ExperimentStatus(state="Running")


def test_a_crash_at_any_byte_leaves_a_journal_that_can_be_read_and_gone_on_with(
    tmp_path: Path,
) -> None:
    whole = written(tmp_path / "journal").read_bytes()
    lines = [0, *(at + 1 for at, byte in enumerate(whole) if byte == ord("\n"))]
    torn = tmp_path / "torn"
    for end in range(0, len(whole), 7):
        torn.write_bytes(whole[:end])
        mend_journal(torn)
        assert len(torn.read_bytes()) == max(line for line in lines if line <= end)
        journal = Journal(torn)
        journal.append_trials([TrialStatus(number=9, state=TrialState.FAILED, attempt=1)])
        journal.close()
        assert read_journal(torn).trials[9].state is TrialState.FAILED


def test_a_damaged_line_in_the_middle_is_reported_with_its_number(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], "garbage\n", *lines[1:]]))
    with pytest.raises(RunDirectoryError, match="line 2 is damaged"):
        read_journal(path)


@given(message=st.text(max_size=200))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, message: str) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal"
    journal = Journal(path)
    status = TrialStatus(number=1, state=TrialState.FAILED, attempt=1, message=message)
    journal.append_trials([status])
    journal.close()
    assert read_journal(path).trials[1] == status
