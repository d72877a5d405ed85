"""The wheel: its packages, and no name that could collide with another distribution's."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.wheel import build_wheel

ROOT = Path(__file__).parents[2]
PACKAGES = {"sparksweep", "sparksweep_core", "sparksweep_operator", "sparksweep_trainer"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(build_wheel(tmp_path_factory.mktemp("wheel"))) as archive:
        yield archive


def test_the_wheel_holds_the_four_packages_and_no_other_top_level_name(
    wheel: zipfile.ZipFile,
) -> None:
    names = {name.split("/")[0] for name in wheel.namelist()}
    (metadata,) = (name for name in names if name.endswith(".dist-info"))
    assert names - {metadata} == PACKAGES


def test_the_wheel_holds_every_module_of_the_sources(wheel: zipfile.ZipFile) -> None:
    sources = {
        path.relative_to(root).as_posix()
        for root in (ROOT / "core", ROOT / "operator", ROOT / "sdk", ROOT / "trainer_image")
        for path in root.glob("sparksweep*/**/*.py")
    }
    assert len(sources) > 20
    assert sources == {name for name in wheel.namelist() if name.endswith(".py")}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_each_package_says_that_it_is_typed(wheel: zipfile.ZipFile, package: str) -> None:
    assert f"{package}/py.typed" in wheel.namelist()


def test_the_wheel_installs_the_sparksweep_command(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("/entry_points.txt"))
    assert "sparksweep = sparksweep.cli:main" in wheel.read(path).decode().splitlines()


def test_the_wheel_carries_the_license(wheel: zipfile.ZipFile) -> None:
    (path,) = (name for name in wheel.namelist() if name.endswith("/licenses/LICENSE"))
    assert wheel.read(path) == (ROOT / "LICENSE").read_bytes()


def test_the_operator_directory_is_no_package() -> None:
    assert (ROOT / "operator").is_dir()
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_import_operator_in_the_repository_root_is_the_standard_librarys() -> None:
    # Python imports `operator` itself while it starts, so it is dropped and searched for once more, here first.
    program = (
        "import sys, sysconfig; sys.path.insert(0, ''); del sys.modules['operator'];"
        "import operator; print(operator.__file__); print(operator.itemgetter(1)([0, 'found']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import operator;" + program],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    location, found = done.stdout.split()
    assert not Path(location).is_relative_to(ROOT / "operator")
    assert Path(location).name == "operator.py"
    assert found == "found"


@pytest.mark.parametrize("page", ["README.md", "docs/installation.md", "docs/python.md"])
def test_pages_install_the_wheel_that_make_builds(wheel: zipfile.ZipFile, page: str) -> None:
    named = re.findall(r"pip install '([^'\[]*)\[\w+\]'", (ROOT / page).read_text())
    assert f"dist/{Path(str(wheel.filename)).name}" in named
    assert "-t wheel -d dist\n" in (ROOT / "Makefile").read_text()
