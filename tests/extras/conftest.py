"""One environment for each extra: the wheel, and what that extra names, in the versions of requirements.lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from support.environments import ROOT, Environment
from support.wheel import build_wheel

UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def install(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Environment]:
    """Install the wheel with one extra, or with none when its name is empty."""
    locks = tmp_path_factory.mktemp("locks")
    pins = locked_packages(locks / "pins.txt", "--pins")

    def install(extra: str) -> Environment:
        directory = tmp_path_factory.mktemp(extra or "none")
        venv = directory / "venv"
        uv("venv", "--quiet", "--python", sys.executable, str(venv))
        python = ["--quiet", "--python", str(venv / "bin" / "python")]
        if extra:
            # With hashes, as `make setup` does: else uv builds PySpark, 1.4 GB of its cache, for each environment.
            part = str(locked_packages(locks / f"{extra}.txt", "--extra", extra))
            builds = ["--require-hashes", "--build-constraints", str(ROOT / "requirements.lock")]
            uv("pip", "sync", *python, *builds, part)
        # The wheel's own word on what the extra needs: what the lock's part lacks is installed here.
        wanted = f"sparksweep{f'[{extra}]' if extra else ''} @ {wheel.as_uri()}"
        uv("pip", "install", *python, "--constraint", str(pins), wanted)
        home = directory / "home"
        home.mkdir()
        return Environment(venv, home)

    return install


def locked_packages(path: Path, *arguments: str) -> Path:
    """Write a part of requirements.lock to a file."""
    with path.open("w") as output:
        command = [sys.executable, str(ROOT / "scripts" / "locked-packages"), *arguments]
        subprocess.run(command, stdout=output, check=True, timeout=60)
    return path


def uv(*arguments: str) -> None:
    environment = dict(os.environ)
    index = environment.get("PIP_INDEX_URL") or configured_index()
    if index and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & set(environment):
        environment["UV_DEFAULT_INDEX"] = index
    done = subprocess.run(
        [UV, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stderr


@cache
def configured_index() -> str:
    """Return the index that pip is configured to use, which uv does not read."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout.strip()
