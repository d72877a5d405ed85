"""The history of an experiment: its TrialBatches, the finished ones folded into a summary and compact columns.

`History` takes the newest version of each batch as it arrives; `HistoryView` is what one plan reads. Memory and the time
of a change do not depend on the number of finished trials, but for about a hundred bytes for each.

- ``history``: `History` and `HistoryView`; ``trial_sequence``: all trials, by number, made when they are read.
- ``records``: one batch, unfinished or folded; ``trial_columns`` and ``columns``: the trials of a folded one.
- ``summary`` and ``summary_tree``: counts, extremes, failures and marks of a batch, and of all.
- ``tried_points``: the index of the points that were tried, for the algorithms that ask for it.
"""

from sparksweep_core.history.failures import FailedTrial
from sparksweep_core.history.history import History, HistoryView
from sparksweep_core.history.records import BatchRecord
from sparksweep_core.history.summary import Summary
from sparksweep_core.history.trial_sequence import TrialSequence
from sparksweep_core.history.tried_points import TriedPoints

__all__ = [
    "BatchRecord", "FailedTrial", "History", "HistoryView", "Summary", "TrialSequence", "TriedPoints",
]  # fmt: skip
