"""Training code of ``source.inline``, written to disk for the slot's trials alone."""

from __future__ import annotations

from pathlib import Path

from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.directories import COMMAND_SOURCE


def write_source(template: TrialTemplate, directory: Path) -> Path | None:
    """Write the inline source into an empty directory, and return the file; None if there is no inline source.

    The file is named after the function's module, and lies in packages if that name is dotted.
    """
    if template.source is None or template.source.inline is None:
        return None
    if template.function is None:
        file = directory / COMMAND_SOURCE
    else:
        *packages, module = template.function.partition(":")[0].split(".")
        parent = directory
        for package in packages:
            parent = parent / package
            parent.mkdir()
            (parent / "__init__.py").touch()
        file = parent / f"{module}.py"
    file.write_text(template.source.inline, encoding="utf-8")
    return file
