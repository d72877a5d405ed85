"""Proposals after long pasts are the recorded ones, whatever the past is read from, a list or a history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sparksweep_core.api import ObjectMeta, Trial, TrialBatch, TrialBatchSpec, TrialBatchStatus
from sparksweep_core.history import History, TrialSequence
from support.algorithms.recorded_searches import SEARCHES, Search, proposals

RECORDED: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "recorded_searches.json").read_text()
)
BATCH = 30


def test_the_record_has_every_search() -> None:
    assert list(RECORDED) == [search.name for search in SEARCHES]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_proposals_from_a_list_are_the_recorded_ones(search: Search) -> None:
    assert proposals(search, lambda trials: trials) == RECORDED[search.name]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.name)
def test_proposals_from_a_history_are_the_recorded_ones(search: Search) -> None:
    assert proposals(search, Reader().read) == RECORDED[search.name]


class Reader:
    """Puts trials into one history, batch by batch, as they change."""

    def __init__(self) -> None:
        self.history = History()
        self.written: dict[int, list[Trial]] = {}

    def read(self, trials: list[Trial]) -> TrialSequence:
        for index in range(-(-len(trials) // BATCH)):
            part = trials[index * BATCH : (index + 1) * BATCH]
            if self.written.get(index) != part:
                self.written[index] = part
                self.history.put(batch_of(index, part))
        return self.history.view().trials


def batch_of(index: int, trials: list[Trial]) -> TrialBatch:
    return TrialBatch(
        metadata=ObjectMeta(name=f"digits-{index:05d}"),
        spec=TrialBatchSpec(
            experiment="digits", index=index, trials=[trial.spec for trial in trials]
        ),
        status=TrialBatchStatus(trials=[trial.status for trial in trials]),
    )
