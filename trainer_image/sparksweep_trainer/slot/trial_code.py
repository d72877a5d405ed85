"""Training code of ``source.inline``: written to disk for the slot's trials alone, or mounted by the executor's pod."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sparksweep_core.api.template import TrialTemplate
from sparksweep_core.contract.directories import CODE_DIRECTORY, COMMAND_SOURCE
from sparksweep_core.contract.environment import CODE_SEAL_ENV
from sparksweep_core.contract.sealed_files import ChangedFile, Seal, sha256
from sparksweep_trainer.trial.removal import remove_tree

FILE_MODE = 0o444
DIRECTORY_MODE = 0o555


class InlineCode:
    """The inline source as files in a directory of the slot's, which each trial finds as the experiment has it.

    The files are read-only, as those that an executor's pod mounts. A trial runs as the user that owns them, though, and
    can change them all the same, so they are compared before each trial.
    """

    def __init__(self, template: TrialTemplate, directory: Path) -> None:
        """Write the source into an empty directory, which stays empty if there is none.

        A function's file is named after its module, and lies in packages if that name is dotted.
        """
        self._directory = directory
        self._files = _source_files(template)
        self.file = directory / [*self._files][-1] if self._files else None
        """The file of the source; None if there is no inline source."""
        if self._files:
            self._write()

    def without_directory(self, text: str) -> str:
        """Return a text without the directory of the code, which users do not know: ``train.py`` for its file."""
        for directory in (str(self._directory), CODE_DIRECTORY):
            text = text.replace(f"{directory}{os.sep}", "")
        return text

    def restore(self) -> list[str]:
        """Write the files again if they are not as they were; return the paths of those that were not.

        Bytecode that Python has stored there is removed, too: nobody can tell of which source it is.
        """
        if not self._files:
            return []
        there = _files_below(self._directory)
        changed = sorted(
            path
            for path in {*there, *self._files}
            if there.get(path) != self._files.get(path) and not _is_bytecode(path)
        )
        if there != self._files or not self._directory.is_dir() or self._directory.is_symlink():
            remove_tree(self._directory)
            self._directory.mkdir()
            self._write()
        return [str(self._directory / path) for path in changed]

    def _write(self) -> None:
        for path, content in self._files.items():
            file = self._directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            file.chmod(FILE_MODE)
        for directory, _, _ in os.walk(self._directory, topdown=False):
            os.chmod(directory, DIRECTORY_MODE)


def _source_files(template: TrialTemplate) -> dict[str, bytes]:
    """Return the files of the inline source by their paths, the source itself last; empty if there is none."""
    if template.source is None or template.source.inline is None:
        return {}
    content = template.source.inline.encode()
    if template.function is None:
        return {COMMAND_SOURCE: content}
    *packages, module = template.function.partition(":")[0].split(".")
    inner = ["/".join(packages[: depth + 1]) for depth in range(len(packages))]
    files = {f"{package}/__init__.py": b"" for package in inner}
    return files | {"/".join([*packages, f"{module}.py"]): content}


def _files_below(directory: Path) -> dict[str, bytes | None]:
    """Return the contents of the files below a directory by their paths; None for one that is no readable, regular file."""
    contents: dict[str, bytes | None] = {}
    for parent, directories, files in os.walk(directory):
        for name in files + [item for item in directories if os.path.islink(f"{parent}/{item}")]:
            path = Path(parent, name)
            readable = path.is_file() and not path.is_symlink()
            try:
                content = path.read_bytes() if readable else None
            except OSError:
                content = None
            contents[str(path.relative_to(directory))] = content
    return contents


def _is_bytecode(path: str) -> bool:
    return "__pycache__" in path.split("/")


class SealedCode:
    """Files of code outside the slot's own directory, which no trial may change either: a local run's ``code``."""

    def __init__(self, seals: Mapping[str, Mapping[str, str]]) -> None:
        """Take the hashes of `Program.code_seals`."""
        self._seals = seals

    def check(self) -> None:
        """Check that each directory has the files that it had when the run began, and no others.

        Raises:
            ChangedFile: it has not.
        """
        for directory, hashes in self._seals.items():
            remove_tree(Path(directory, "__pycache__"))
            there = _files_below(Path(directory))
            for path in sorted({*there, *hashes}):
                content = there.get(path)
                if content is None or sha256(content) != hashes.get(path):
                    raise ChangedFile(
                        f"{Path(directory, path)} is not what it was when the run began: a trial, or somebody else, has "
                        "changed it. Restore it, or start the experiment again in another directory"
                    )


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
