"""scripts/setup on machines that lack something: it prints one line about it, and leaves nothing that looks finished."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = [
    "awk",
    "basename",
    "cat",
    "cut",
    "dirname",
    "env",
    "flock",
    "grep",
    "rm",
    "sed",
    "sha256sum",
]


class Machine:
    """A checkout and a PATH on which nothing is found but what a test puts there."""

    def __init__(self, directory: Path) -> None:
        self.checkout = directory / "checkout"
        self.bin = directory / "bin"
        (self.checkout / "scripts").mkdir(parents=True)
        self.bin.mkdir()
        for name in ("requirements.lock", "pyproject.toml", "scripts/setup"):
            shutil.copy(ROOT / name, self.checkout / name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None
            (self.bin / tool).symlink_to(found)

    def add_program(self, name: str, script: str) -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def add_python(self, *, with_ensurepip: bool) -> None:
        """Add a python3 of the running version, whose `-m venv` makes nothing and fails."""
        missing = "" if with_ensurepip else 'case "$*" in *ensurepip*) exit 1;; esac\n'
        refuse = 'case "$*" in *"-m venv"*) echo "no venv today" >&2; exit 3;; esac\n'
        self.add_program("python3", f'{missing}{refuse}exec {sys.executable} "$@"')

    def set_up(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", self.checkout / "scripts" / "setup"],
            env={"PATH": str(self.bin), "HOME": str(self.checkout)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def finish_set_up(self) -> None:
        """Leave what a set-up leaves that went through."""
        described = [self.checkout / name for name in ("requirements.lock", "pyproject.toml")]
        fingerprint = hashlib.sha256(b"".join(path.read_bytes() for path in described)).hexdigest()
        venv = self.checkout / ".venv"
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").symlink_to(sys.executable)
        (venv / f".sparksweep-{fingerprint}").write_text(f"{self.checkout}\n")

    def stamps(self) -> list[Path]:
        return list(self.checkout.glob(".venv/.sparksweep-*"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.add_program("sudo", 'exec "$@"')
    return machine


def test_without_a_python_and_without_apt_the_user_is_told_what_to_install(
    machine: Machine,
) -> None:
    done = machine.set_up()
    assert done.returncode == 1
    assert (
        done.stderr
        == "setup: please install python3 python3-venv: there is no apt-get here to do it\n"
    )


def test_debians_missing_venv_package_is_installed_with_apt_after_saying_so(
    machine: Machine, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    machine.add_python(with_ensurepip=False)
    machine.add_program("apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {asked}')
    done = machine.set_up()
    assert "setup: installing python3-venv with apt-get\n" in done.stderr
    assert asked.read_text().splitlines() == [
        " update -qq",
        "noninteractive install -y -qq --no-install-recommends python3-venv",
    ]


def test_a_failing_apt_ends_the_set_up_with_one_line(machine: Machine) -> None:
    machine.add_python(with_ensurepip=False)
    machine.add_program("apt-get", "exit 100")
    done = machine.set_up()
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "setup: apt-get update failed"


def test_a_set_up_that_fails_leaves_no_stamp(machine: Machine) -> None:
    machine.add_python(with_ensurepip=True)
    done = machine.set_up()
    assert done.returncode == 3
    assert "no venv today" in done.stderr
    assert machine.stamps() == []


def test_a_finished_set_up_is_recognised_without_a_word(machine: Machine) -> None:
    machine.finish_set_up()
    done = machine.set_up()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_checkout_that_was_moved_is_set_up_again(machine: Machine) -> None:
    machine.finish_set_up()
    machine.checkout = machine.checkout.rename(machine.checkout.with_name("moved"))
    machine.add_python(with_ensurepip=True)

    done = machine.set_up()

    assert "setup: .venv is incomplete or was moved: making it again\n" in done.stderr
    assert machine.stamps() == []


def test_an_environment_whose_python_is_gone_is_set_up_again(machine: Machine) -> None:
    machine.finish_set_up()
    python = machine.checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nonexistent/python3")
    machine.add_python(with_ensurepip=True)

    done = machine.set_up()

    assert "setup: .venv is incomplete or was moved: making it again\n" in done.stderr
