"""A local run on a disk that is full or fails: it goes on when that ends, or ends with a sentence; no result is lost.

Every write of the journal fails once, and for good, in each way. Threads take the part of Spark's slots.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest

from sparksweep._local import run_directory, runner
from sparksweep._local.journal import read_journal
from sparksweep._local.record import RunRecord
from sparksweep._local.run_directory import RunDirectory
from sparksweep._local.runner import LocalRun
from sparksweep.errors import RunDirectoryError, RunInterrupted
from sparksweep_core.api import Experiment, Trial, TrialReason, TrialState
from sparksweep_core.validation.document import parse_experiment
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.protocol import Assignment, Outcome, Report, SlotHello
from support.small_disk import fill, free, small_disk
from support.trainer.service_rig import next_order

TRIALS = 4
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)


class Slots:
    """Takes the place of Spark: slots are threads, and a trial's result is its parameter."""

    runs: Counter[int] = Counter()
    others: Mapping[str, float] = {}
    """Further metrics of each trial."""

    def __init__(self, service: TrialService, *_: object, **__: object) -> None:
        self._service = service
        self._threads = [threading.Thread(target=self._serve, args=(slot,)) for slot in range(2)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._service.close()
        for thread in self._threads:
            thread.join()

    def _serve(self, slot: int) -> None:
        service = self._service
        service.hello(SlotHello(slot=slot, node="here", pid=1))
        while True:
            order = _repeated(lambda: next_order(service, slot, 0.05))
            if order is None or order.order == "leave":
                return
            if order.order == "check":
                service.code_check.accept(slot)
            elif order.assignment is not None:
                self.runs[order.assignment.number] += 1
                report = _report(slot, order.assignment)
                _repeated(partial(service.report, report))


def _repeated(request: Callable[[], Any]) -> Any:
    """Repeat a request as a slot does, for as long; None if it is given up."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        try:
            return request()
        except OSError:
            time.sleep(0.01)
    return None


def _report(slot: int, assignment: Assignment) -> Report:
    now = runner._now()
    outcome = Outcome(
        state=TrialState.SUCCEEDED,
        reason=TrialReason.COMPLETED,
        metrics={"loss": float(assignment.parameters["x"]), **Slots.others},
        start_time=now,
        completion_time=now,
        duration_seconds=0.0,
    )
    return Report(slot=slot, number=assignment.number, attempt=assignment.attempt, outcome=outcome)


class Observer:
    def __init__(self) -> None:
        self.phases: list[str] = []

    def phase(self, text: str) -> None:
        self.phases.append(text)

    def trial_changed(self, trial: Trial) -> None:
        """Do nothing."""

    def trial_reported(self, trial: Trial) -> None:
        """Do nothing."""

    def status_changed(self, experiment: Experiment) -> None:
        """Do nothing."""


class Disk:
    """The system calls of the journal, which fail from one call on."""

    def __init__(self, patch: pytest.MonkeyPatch, *, cuts: bool = True) -> None:
        self.calls = 0
        self.fails_at = -1
        self.fails_for = 0
        self.error = errno.ENOSPC
        self.short = False
        real_write, real_sync, real_cut = os.write, os.fdatasync, os.ftruncate

        def write(descriptor: int, data: memoryview) -> int:
            if self._fails():
                if self.short:
                    # The disk has room for a part of it.
                    real_write(descriptor, data[: len(data) // 2])
                raise OSError(self.error, os.strerror(self.error))
            return real_write(descriptor, data[: max(1, len(data) // 3)] if self.short else data)

        def sync(descriptor: int) -> None:
            if self._fails():
                raise OSError(self.error, os.strerror(self.error))
            real_sync(descriptor)

        def cut(descriptor: int, size: int) -> None:
            if not cuts and self._fails():
                raise OSError(self.error, os.strerror(self.error))
            real_cut(descriptor, size)

        patch.setattr(os, "write", write)
        patch.setattr(os, "fdatasync", sync)
        patch.setattr(os, "ftruncate", cut)

    @property
    def _is_failing(self) -> bool:
        return 0 <= self.fails_at < self.calls <= self.fails_at + self.fails_for

    def _fails(self) -> bool:
        self.calls += 1
        return self._is_failing


def document() -> Experiment:
    return parse_experiment(
        {
            "apiVersion": "sparksweep.dev/v1alpha1",
            "kind": "Experiment",
            "metadata": {"name": "disks"},
            "spec": {
                "objective": {"type": "minimize", "objectiveMetricName": "loss"},
                "algorithm": {"algorithmName": "grid"},
                "parallelTrialCount": 2,
                "parameters": [
                    {
                        "name": "x",
                        "parameterType": "int",
                        "feasibleSpace": {"min": "1", "max": str(TRIALS)},
                    }
                ],
                "trialTemplate": {"function": "train:training"},
            },
        }
    )


class Runs:
    """Runs and resumed runs in one directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.observer = Observer()

    def start(self) -> Experiment:
        directory = RunDirectory.create(self.path)
        try:
            directory.begin(document(), RunRecord())
        except RunDirectoryError:
            directory.unlock()
            raise
        return self._run(directory)

    def resume(self) -> Experiment:
        directory = RunDirectory.open(self.path)
        directory.lock()
        return self._run(directory)

    def _run(self, directory: RunDirectory) -> Experiment:
        try:
            java: Any = None
            return LocalRun(
                document(), directory, home=self.path, observer=self.observer, java=java
            ).run()
        finally:
            directory.unlock()

    def results(self) -> dict[int, tuple[str, float]]:
        recorded = read_journal(self.path / "journal.jsonl")
        return {
            number: (status.state, status.metrics["loss"])
            for number, status in recorded.trials.items()
            if status.state.is_finished
        }


EXPECTED = {number: ("Succeeded", float(number)) for number in range(1, TRIALS + 1)}


@pytest.fixture(autouse=True)
def slots(monkeypatch: pytest.MonkeyPatch) -> type[Slots]:
    monkeypatch.setattr(runner, "Driver", Slots)
    monkeypatch.setattr(runner, "EarlyCheck", lambda *_: nullcontext())
    monkeypatch.setattr(runner, "MIN_WAIT_S", 0.001)
    monkeypatch.setattr(runner, "JOURNAL_PAUSE_S", 0.01)
    monkeypatch.setattr(runner, "JOURNAL_PATIENCE_S", 0.3)
    monkeypatch.setattr(Slots, "runs", Counter())
    return Slots


def number_of_calls(path: Path) -> int:
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        Runs(path).start()
    Slots.runs.clear()
    return disk.calls


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("cuts", [True, False])
def test_a_disk_that_fails_for_a_moment_changes_nothing(
    tmp_path: Path, short: bool, cuts: bool
) -> None:
    for index in range(number_of_calls(tmp_path / "counted")):
        runs = Runs(tmp_path / f"run-{index}")
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, cuts=cuts)
            disk.fails_at, disk.fails_for, disk.short = index, 2, short
            disk.error = ERRORS[index % len(ERRORS)]
            ended = runs.start()
        assert ended.status is not None
        assert ended.status.state == "Complete", index
        assert runs.results() == EXPECTED, index
        assert Slots.runs == dict.fromkeys(EXPECTED, 1), "each trial runs once"
        Slots.runs.clear()


@pytest.mark.parametrize("cuts", [True, False])
def test_a_disk_that_stays_full_ends_the_run_with_a_sentence_and_it_can_be_resumed(
    tmp_path: Path, cuts: bool
) -> None:
    for index in range(0, number_of_calls(tmp_path / "counted"), 2):
        runs = Runs(tmp_path / f"run-{index}")
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, cuts=cuts)
            disk.fails_at, disk.fails_for, disk.short = index, 10**9, True
            with pytest.raises(RunInterrupted) as caught:
                runs.start()
        message = str(caught.value)
        assert "journal.jsonl can't be written: No space left on device" in message
        assert f"sparksweep run --resume {runs.path}" in message
        before = runs.results()
        assert before.items() <= EXPECTED.items()
        begun = Counter(Slots.runs)
        ended = runs.resume()
        assert ended.status is not None
        assert ended.status.state == "Complete"
        assert runs.results() == EXPECTED
        assert all(Slots.runs[number] == begun[number] for number in before), "none runs again"
        Slots.runs.clear()


def test_a_real_disk_that_is_full_interrupts_the_run_and_with_room_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        runs = Runs(disk / "run")

        class Filling(Slots):
            def __enter__(self) -> Self:
                fill(disk)
                return super().__enter__()

        # A tmpfs has room for what ends in a file's last page.
        monkeypatch.setattr(Slots, "others", {f"metric-{i:0100d}": 1.0 for i in range(30)})
        with monkeypatch.context() as patch:
            patch.setattr(runner, "Driver", Filling)
            with pytest.raises(RunInterrupted, match="No space left on device"):
                runs.start()
        assert runs.results().items() <= EXPECTED.items()
        free(disk)
        ended = runs.resume()
        assert ended.status is not None
        assert ended.status.state == "Complete"
        assert runs.results() == EXPECTED
        assert (runs.path / "results.parquet").stat().st_size > 0


@pytest.mark.parametrize("file", ["experiment.yaml", "results.parquet"])
def test_files_for_people_end_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    runs = Runs(tmp_path / "run")

    def failing(real: Callable[..., None]) -> Callable[..., None]:
        def call(source: str | Path, target: str | Path, **directories: int) -> None:
            if Path(target).name == file and Slots.runs:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(source, target, **directories)

        return call

    # Either call puts a new file in the place of an old one.
    for call in ("replace", "rename"):
        monkeypatch.setattr(os, call, failing(getattr(os, call)))
    ended = runs.start()
    assert ended.status is not None
    assert ended.status.state == "Complete"
    assert runs.results() == EXPECTED
    said = [text for text in runs.observer.phases if file in text]
    assert len(said) == 1, "once, however often it is tried"
    assert "No space left on device" in said[0]
    assert not list(runs.path.glob(".*.new"))


def test_a_run_that_can_not_begin_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_directory, "_replace", full)
    with pytest.raises(RunDirectoryError, match="run can't be written: No space left on device"):
        Runs(tmp_path / "run").start()
