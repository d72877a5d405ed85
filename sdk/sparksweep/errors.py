"""Every error a caller may catch.

SparksweepError
├── InvalidExperiment      the document says something that can't run; lists every finding with its field's path
├── ExperimentRefused      the document is sound, but what it names (function, preload) can't run it
├── RunDirectoryError      a run directory is missing, in use, damaged, or of another experiment
└── MissingDependency      something this machine lacks (Java, an extra), and how to get it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ExperimentRefused",
    "FieldError",
    "InvalidExperiment",
    "MissingDependency",
    "RunDirectoryError",
    "SparksweepError",
]


class SparksweepError(Exception):
    """The root: what is raised on purpose, with a message for the user."""


@dataclass(frozen=True, order=True)
class FieldError:
    """One finding in a document: where, and what would be right."""

    path: str
    """The field as Kubernetes writes it: ``spec.parameters[0].feasibleSpace.min``."""
    message: str
    """One sentence that names the value found and what would be right."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidExperiment(SparksweepError, ValueError):
    """The document can't be run as it is. ``errors`` holds every finding, in the document's order."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))


class ExperimentRefused(SparksweepError):
    """The document is sound, but the trial code can't take it: nothing was started, correct it and run again."""


class RunDirectoryError(SparksweepError):
    """A run directory is missing, in use, damaged or of another experiment: name another one."""


class MissingDependency(SparksweepError):
    """This machine lacks something; the message says how to install it."""
