"""Every error a caller may catch.

SparksweepError
├── InvalidExperiment      the document says something that can't run; lists every finding with its field's path
├── ExperimentRefused      the document is sound, but what it names (function, preload) can't run it
├── ExperimentFailed       the experiment ended without success; holds its result
├── RunDirectoryError      a run directory is missing, in use, damaged, or of another experiment
├── TrialNotFound          the run has no such trial, or the trial no such attempt
├── MissingDependency      something this machine lacks (Java, an extra), and how to get it
└── ClusterError           the API server said no, in its own words
    ├── ExperimentNotFound   there is no Experiment of that name
    ├── ExperimentExists     there is one already
    ├── Forbidden            a right is missing
    └── ClusterUnavailable   no answer, or one that asks to come back later; and no way to reach a cluster
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparksweep_core.errors import FieldError, InvalidExperiment, SparksweepError

if TYPE_CHECKING:
    from sparksweep._result import Result

__all__ = [
    "ClusterError",
    "ClusterUnavailable",
    "ExperimentExists",
    "ExperimentFailed",
    "ExperimentNotFound",
    "ExperimentRefused",
    "FieldError",
    "Forbidden",
    "InvalidExperiment",
    "MissingDependency",
    "RunDirectoryError",
    "SparksweepError",
    "TrialNotFound",
]


class ExperimentRefused(SparksweepError):
    """The document is sound, but the trial code can't take it: nothing was started, correct it and run again."""


class ExperimentFailed(SparksweepError):
    """The experiment ended without success. ``result`` holds what there is: every trial, with its reason."""

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


class RunDirectoryError(SparksweepError):
    """A run directory is missing, in use, damaged or of another experiment: name another one."""


class TrialNotFound(SparksweepError, LookupError):
    """There is no such trial, or it was not started that often: name another one."""


class MissingDependency(SparksweepError):
    """This machine lacks something; the message says how to install it."""


class ClusterError(SparksweepError):
    """A request to the API server failed; the message is its own."""


class ExperimentNotFound(ClusterError, LookupError):
    """There is no Experiment of that name in the namespace."""


class ExperimentExists(ClusterError):
    """There is an Experiment of that name in the namespace: delete it, or take another name."""


class Forbidden(ClusterError, PermissionError):
    """The user may not do this; the message names the right."""


class ClusterUnavailable(ClusterError, ConnectionError):
    """The API server does not answer, or there is nothing that says where one is."""
