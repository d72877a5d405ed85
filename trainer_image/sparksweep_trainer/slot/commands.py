"""Command line of a trial that is a command, and the program that its first word names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from sparksweep_core.api.placeholders import placeholder_values, substitute
from sparksweep_core.api.template import TrialTemplate


class ProgramNotFound(Exception):
    """There is no such program, or it can't be executed; the message names the path that was searched."""


def command_line(
    template: TrialTemplate, parameters: Mapping[str, str], *, trial: str, source: Path | None
) -> list[str]:
    """Return the command with the trial's values substituted for its placeholders; each word stays one word.

    Args:
        template: a template with a command.
        parameters: the trial's value of each parameter.
        trial: the trial's name.
        source: the file that holds ``source.inline``, if there is one.
    """
    values = placeholder_values(
        template, parameters, trial=trial, source=None if source is None else str(source)
    )
    return substitute(template.command or [], values)


def find_program(word: str, *, directory: str, path: str) -> str:
    """Return the file that a command's first word names: relative to `directory` if it has a slash, else on the `path`.

    Raises:
        ProgramNotFound: there is none, or it is not executable.
    """
    if "/" in word:
        file = os.path.join(directory, word)
        if not os.path.isfile(file):
            raise ProgramNotFound(f"command: there is no file {file}")
        if not os.access(file, os.X_OK):
            raise ProgramNotFound(
                f"command: {file} is not executable: run chmod +x on it, or name its interpreter first"
            )
        return file
    program = shutil.which(word, path=path)
    if program is None:
        raise ProgramNotFound(f"command: no program {word!r} on the PATH ({path})")
    return os.path.join(directory, program)
