"""Facts about a run that its Experiment lacks and a resumed run needs: ``run.json`` of the run directory.

A run directory that an earlier version made has none; the defaults are for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from sparksweep.errors import RunDirectoryError, Unreadable
from sparksweep_core.api.base import Model
from sparksweep_core.contract.environment import PROJECT_PATH_ENV
from sparksweep_core.validation.reading import own_version, read_json


class RunRecord(Model):
    """The record of a run."""

    home: str | None = None
    """Directory in which commands start, and that Python searches for modules."""
    project_path: str | None = None
    """Root of the project's data: ``hdfs.project_path`` of trials."""
    version: str = ""
    """Version that made the run; empty: an earlier one than 0.2."""
    python_path: list[str] = []
    """Further places that Python searches for modules: those of the program that started the run, or of PYTHONPATH."""

    code: dict[str, str] | None = None
    """SHA-256 of each file of the run directory's code, by its name; None: an earlier version made the run."""

    @classmethod
    def of_start(
        cls,
        home: Path,
        paths: Sequence[str] | None = None,
    ) -> RunRecord:
        """Return the record of a run that starts now, in this environment.

        Args:
            home: Directory in which commands start.
            paths: Further places that Python searches for modules; by default those of PYTHONPATH.
        """
        python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep) if paths is None else paths
        return cls(
            version=own_version(),
            home=str(home),
            project_path=os.environ.get(PROJECT_PATH_ENV) or str(home),
            python_path=[os.path.abspath(path) for path in python_path if path],
        )

    def export_project_path(self, home: Path) -> None:
        """Set the default of `hdfs.project_path` for Java and the trials, which inherit it. The shell's value counts first.

        Args:
            home: The project's data, if the record names no other place.
        """
        os.environ.setdefault(PROJECT_PATH_ENV, self.project_path or str(home))

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read a record; an empty one if there is no such file.

        Raises:
            RunDirectoryError: It is damaged, or of a version that this one does not understand.
        """
        if not path.exists():
            return cls()
        content = path.read_bytes()
        try:
            json.loads(content)
        except (ValueError, RecursionError) as error:
            raise RunDirectoryError(f"{path} is damaged: {error}") from error
        try:
            return read_json(cls, content, str(path), writer=recorded_version(path))
        except Unreadable as error:
            raise RunDirectoryError(str(error)) from error


def recorded_version(path: Path) -> str:
    """Return the version that made a run, for the error of a file of it; empty if its record does not tell."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    version = record.get("version") if isinstance(record, dict) else None
    return version if isinstance(version, str) else ""
