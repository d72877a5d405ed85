"""Errors of the core: their root, and the findings in a document. The SDK's errors are in `sparksweep.errors`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["FieldError", "InvalidExperiment", "SparkNotStarted", "SparksweepError", "Unreadable"]


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


class Unreadable(SparksweepError):
    """An object or a file that another version wrote has a value that this version does not understand."""

    def __init__(
        self, subject: str, errors: Sequence[FieldError], *, reader: str, writer: str = ""
    ) -> None:
        """Describe what can't be read.

        Args:
            subject: the object, file or message in words.
            errors: the fields that can't be read, at least one.
            reader: this version.
            writer: the version that wrote the object; empty if it is unknown.
        """
        self.subject = subject
        self.errors = tuple(errors)
        self.reader = reader
        self.writer = writer
        more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
        use = (
            f"it was written by sparksweep {writer}: use that version or a later one"
            if writer and writer != reader
            else "use the version that wrote it, or a later one"
        )
        super().__init__(
            f"{subject} can't be read by sparksweep {reader} ({errors[0]}{more}); {use}"
        )
