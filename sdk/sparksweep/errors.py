"""The errors that the SDK raises.

::

    SparksweepError
    ├── InvalidExperiment      the document or an argument is invalid; lists every finding with its field's path
    │   ├── InvalidCall          the arguments do not fit the function: one is missing, or given twice
    │   │   └── UnknownArgument    a keyword that the function does not have
    │   └── UnreadableFile       the document's file can't be read
    │       └── MissingFile        there is no such file
    ├── ExperimentRefused      the document is valid, but the function or a module to preload can't run it
    ├── ExperimentFailed       the experiment ended without success; holds its result
    ├── RunDirectoryError      a run directory is missing, in use, damaged, or of another experiment
    ├── Unreadable             an object or a file of another version can't be understood: install that version
    ├── RunInterrupted         the state of a run can't be written, on a full disk for instance; it can be resumed
    ├── TrialNotFound          the run has no such trial, or the trial no such attempt
    ├── SparkNotStarted        Spark or its Java does not start on this machine
    ├── MissingDependency      a program or library (Java, an extra) is not installed
    └── ClusterError           the API server refuses a request, with its own message
        ├── ExperimentNotFound   there is no Experiment of that name
        ├── ExperimentExists     there is one already
        ├── Forbidden            a right is missing
        └── ClusterUnavailable   the API server does not answer or is overloaded, or no cluster is configured
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparksweep_core.errors import (
    FieldError,
    InvalidExperiment,
    SparkNotStarted,
    SparksweepError,
    Unreadable,
)

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
    "InvalidCall",
    "InvalidExperiment",
    "MissingDependency",
    "MissingFile",
    "RunDirectoryError",
    "RunInterrupted",
    "SparkNotStarted",
    "SparksweepError",
    "TrialNotFound",
    "UnknownArgument",
    "Unreadable",
    "UnreadableFile",
]


# Tracebacks name the module that users import them from, not the one that defines them.
for _error in (FieldError, InvalidExperiment, SparkNotStarted, SparksweepError, Unreadable):
    _error.__module__ = __name__


class InvalidCall(InvalidExperiment, TypeError):
    """The arguments do not fit the function. Each finding's path is an argument's name."""


class UnknownArgument(InvalidCall):
    """A keyword is no argument of the function; the message has the nearest name."""


class UnreadableFile(InvalidExperiment, OSError):
    """The file of an Experiment can't be read. The finding's path is that of the file."""

    # OSError's own text has no place for the findings.
    __str__ = Exception.__str__


class MissingFile(UnreadableFile, FileNotFoundError):
    """There is no file of that name. The finding's path is that of the file."""


class ExperimentRefused(SparksweepError):
    """The document is valid, but the function can't run it, or the API server rejects it. No trial was started."""


class ExperimentFailed(SparksweepError):
    """The experiment ended without success.

    Attributes:
        result: The result so far: every trial, with its reason.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result


class RunDirectoryError(SparksweepError):
    """A run directory is missing, in use, damaged, or of another experiment."""


class RunInterrupted(SparksweepError):
    """The state of a local run can't be written: the message says where, why, and how to go on. Nothing recorded is lost."""


class TrialNotFound(SparksweepError, LookupError):
    """The run has no such trial, or the trial no such attempt."""


class MissingDependency(SparksweepError):
    """A program or library is not installed; the message says how to install it."""


class ClusterError(SparksweepError):
    """The API server refused a request; the message is the API server's."""


class ExperimentNotFound(ClusterError, LookupError):
    """There is no Experiment of that name in the namespace."""


class ExperimentExists(ClusterError):
    """There is an Experiment of that name in the namespace: delete it, or choose another name."""


class Forbidden(ClusterError, PermissionError):
    """The user lacks a right, which the message names."""


class ClusterUnavailable(ClusterError, ConnectionError):
    """The API server does not answer or is overloaded, or no cluster is configured."""
