"""Errors of the core: their root, and the findings in a document. The SDK's errors are in `sparksweep.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FieldError", "InvalidExperiment", "SparkNotStarted", "SparksweepError"]


class SparksweepError(Exception):
    """Root of the errors that are raised on purpose, with a message for the user."""


class SparkNotStarted(SparksweepError):
    """Spark or its Java does not start; the message has the end of its log. No trial was started."""


@dataclass(frozen=True, order=True)
class FieldError:
    """One finding in a document: its field and the correction."""

    path: str
    """Path of the field as Kubernetes writes it: ``spec.parameters[0].feasibleSpace.min``."""
    message: str
    """One sentence that names the value and what would be right."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class InvalidExperiment(SparksweepError, ValueError):
    """The document can't be run as it is. ``errors`` holds every finding, in the document's order."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
