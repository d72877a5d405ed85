"""Facts about a run that its Experiment lacks and a resumed run needs: ``run.json`` of the run directory.

A run directory that an earlier version made has none; the defaults are for it.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from sparksweep.errors import RunDirectoryError
from sparksweep_core.api.base import Model
from sparksweep_core.contract.environment import PROJECT_PATH_ENV


class RunRecord(Model):
    """The record of a run."""

    # A later version may add fields.
    model_config = ConfigDict(extra="ignore")

    home: str | None = None
    """Directory in which commands start, and that Python searches for modules."""
    project_path: str | None = None
    """Root of the project's data: ``hdfs.project_path`` of trials."""
    python_path: list[str] = []
    """Further places that Python searches for modules: those of the program that started the run, or of PYTHONPATH."""
    values: dict[str, dict[str, str]] = {}
    """By parameter, the Python literal of each text that stands for an object: True, None, a tuple."""

    @classmethod
    def of_start(
        cls,
        home: Path,
        *,
        values: Mapping[str, Mapping[str, object]] | None = None,
        paths: Sequence[str] | None = None,
    ) -> RunRecord:
        """Return the record of a run that starts now, in this environment.

        Args:
            home: Directory in which commands start.
            values: By parameter, the value of each text. Values that are no literals are left out.
            paths: Further places that Python searches for modules; by default those of PYTHONPATH.
        """
        python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep) if paths is None else paths
        return cls(
            home=str(home),
            project_path=os.environ.get(PROJECT_PATH_ENV) or str(home),
            python_path=[os.path.abspath(path) for path in python_path if path],
            values={
                name: {
                    text: literal
                    for text, value in by_text.items()
                    if (literal := _literal(value)) is not None
                }
                for name, by_text in (values or {}).items()
            },
        )

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read a record; an empty one if there is no such file.

        Raises:
            RunDirectoryError: It is damaged.
        """
        if not path.exists():
            return cls()
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise RunDirectoryError(f"{path} is damaged: {error}") from error

    def objects(self) -> dict[str, dict[str, object]]:
        """Return the recorded values. They are read as literals: nothing in a run directory is executed."""
        return {
            name: {text: ast.literal_eval(literal) for text, literal in by_text.items()}
            for name, by_text in self.values.items()
        }


def _literal(value: object) -> str | None:
    """Return a value as a Python literal; None if it has none that gives it back."""
    text = repr(value)
    try:
        again = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None
    return text if type(again) is type(value) and repr(again) == text else None
