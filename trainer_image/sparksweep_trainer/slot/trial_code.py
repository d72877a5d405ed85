"""Training code of ``source.inline``: written to disk for the slot's trials alone, or mounted by the executor's pod."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.directories import CODE_DIRECTORY, COMMAND_SOURCE
from sparksweep_core.contract.environment import CODE_SEAL_ENV
from sparksweep_core.contract.sealed_files import Seal


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


class MountedCode:
    """The inline source that an executor's pod mounts from a ConfigMap of the operator's."""

    def __init__(self, environment: Mapping[str, str], directory: Path | None = None) -> None:
        """Read the seal from the pod's environment; nothing is checked where there is none.

        Raises:
            ValueError: the seal is none.
        """
        text = environment.get(CODE_SEAL_ENV)
        self._seal = Seal.from_json(text) if text else None
        self._directory = directory or Path(CODE_DIRECTORY)

    def check(self) -> None:
        """Check that the source is what the operator wrote. A megabyte takes about 3 ms.

        Raises:
            ChangedFile: it is not.
            OSError: it can't be read.
        """
        if self._seal is not None:
            for path in self._seal.hashes:
                self._seal.check(path, (self._directory / path).read_bytes())
