"""An environment with one extra of sparksweep, and programs run in it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Environment:
    """A virtual environment that holds sparksweep with one extra, and a directory to work in."""

    directory: Path
    home: Path

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, with nothing of this process's but a few variables."""
        program, *arguments = command
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        return subprocess.run(
            [self.directory / "bin" / program, *arguments],
            cwd=self.home,
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(self.home),
                "COLUMNS": "200",
                **kept,
                **variables,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def add_pip(self) -> None:
        """Install the pip that Python brings along."""
        done = self.run("python", "-m", "ensurepip", "--default-pip")
        assert done.returncode == 0, done.stderr

    def python(self, program: str, **variables: str) -> str:
        """Run a program text, with warnings as errors; what it prints."""
        done = self.run("python", "-W", "error", "-c", program, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def import_all(self, package: str, *, but: tuple[str, ...] = ()) -> None:
        """Import every module of a package, those that `but` names aside."""
        self.python(
            f"import importlib, pkgutil, {package} as package\n"
            "for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
            f"    if not module.name.endswith(('__main__', {', '.join(map(repr, but))})):\n"
            "        importlib.import_module(module.name)\n"
        )
