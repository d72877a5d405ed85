"""Disks of the virtual machine: one with its system, kept in the cache, and one with the code under test, made anew."""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import py_compile
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from cluster.layout import Layout
from cluster.shell import run

REQUIREMENTS = ("pydantic", "PyYAML")
"""Packages that a slot and a driver's trial service import, with what these need themselves."""

INSIDE = Path(__file__).parent / "inside"
REPOSITORY = Path(__file__).parents[2]
SOURCES = ("core/sparksweep_core", "trainer_image/sparksweep_trainer", "tests/vm")

_FOLDERS = ("proc", "sys", "dev", "run", "tmp", "root", "etc", "code", "sbin", "bin", "usr/sbin")
_PASSWD = "root:x:0:0::/root:/bin/sh\nsparksweep:x:10001:10001::/tmp:/bin/sh\n"
_APPLETS = (
    "sh", "cat", "chmod", "dd", "env", "ip", "ls", "mkdir", "mkswap", "mount", "poweroff", "ps", "rm", "sleep", "swapoff",
    "swapon", "true", "umount",
)  # fmt: skip
_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip",
    "config-*", "site-packages", "pydoc_data", "*.a",
)  # fmt: skip


def system_disk(layout: Layout, packages: Path) -> Path:
    """Return the image of the root file system: Python, its packages, runc and busybox."""
    image = layout.cache / f"vm-system-{fingerprint(packages)}.ext4"
    with (layout.cache / ".vm-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            with tempfile.TemporaryDirectory(dir=layout.cache) as scratch:
                root = Path(scratch) / "root"
                stage_system(root, packages)
                make_disk(root, image)
    return image


def code_disk(image: Path) -> None:
    """Write the image of the code under test, at `image`."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "code"
        root.mkdir()
        root.chmod(0o755)
        for source in SOURCES:
            path = REPOSITORY / source
            shutil.copytree(
                path, root / path.name, ignore=shutil.ignore_patterns("__pycache__", "test_*")
            )
        _compile(root)
        make_disk(root, image)


def empty_disk(image: Path, *, mebibytes: int, file_system: bool = False) -> None:
    """Write a disk with nothing on it, or with an empty file system; it takes no room until it is used."""
    with image.open("wb") as file:
        file.truncate(mebibytes * 2**20)
    if file_system:
        run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1", image)


def make_disk(root: Path, image: Path) -> None:
    """Write a file system with the content of a folder, complete or not at all."""
    size = sum(file.lstat().st_size + 4096 for file in root.rglob("*"))
    new = image.with_suffix(".new")
    new.unlink(missing_ok=True)
    mebibytes = size * 5 // 4 // 2**20 + 16
    run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", root, new, f"{mebibytes}M")
    new.rename(image)


def fingerprint(packages: Path) -> str:
    """Return twelve hexadecimal digits for everything that the root file system is made from."""
    versions = [f"{name} {metadata.version(name)}" for name in sorted(_requirements(REQUIREMENTS))]
    text = "\n".join([packages.name, sys.version, sys.base_prefix, *versions])
    own = Path(__file__).read_bytes() + (INSIDE / "init").read_bytes()
    return hashlib.sha256(text.encode() + own).hexdigest()[:12]


def stage_system(root: Path, packages: Path) -> None:
    """Fill a folder with the content of the root file system."""
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("lib", "lib64"):
        (root / "usr" / name).mkdir()
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    shutil.copy(INSIDE / "init", root / "sbin/vm-init")
    (root / "sbin/vm-init").chmod(0o755)
    shutil.copy(packages / "bin/busybox", root / "bin/busybox")
    for name in _APPLETS:
        (root / "bin" / name).symlink_to("busybox")
    # Python takes the folders of its library from where its program is.
    python = root / "usr/lib" / f"python{sysconfig.get_python_version()}"
    shutil.copytree(sysconfig.get_path("stdlib"), python, ignore=_LEFT_OUT)
    for name in _requirements(REQUIREMENTS):
        _copy_distribution(name, python / "site-packages")
    programs = (Path(sys.executable).resolve(), packages / "usr/sbin/runc")
    for program, target in zip(programs, ("bin/python3", "sbin/runc"), strict=True):
        copy = root / "usr" / target
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program, copy)
        copy.chmod(0o755)
    copy_libraries([*programs, *python.rglob("*.so")], root, packages)
    _compile(python)
    # A user of a container other than root reads all of it.
    for path in (root, *root.rglob("*")):
        if path.is_dir():
            path.chmod(0o755)
    (root / "tmp").chmod(0o1777)


def _compile(folder: Path) -> None:
    """Compile Python's modules here: the emulated machine would take seconds for each program that it starts."""
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(folder, quiet=2, invalidation_mode=unchecked)


def _requirements(names: Iterable[str]) -> set[str]:
    """Return the packages and all those that they require on this Python."""
    complete: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in complete:
            continue
        complete.add(name)
        waiting += [
            re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            for requirement in metadata.requires(name) or []
            if ";" not in requirement
        ]
    return complete


def _copy_distribution(name: str, site: Path) -> None:
    for file in metadata.files(name) or []:
        if file.suffix in (".py", ".so", ".typed") or file.parent.suffix == ".dist-info":
            target = site / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), target)


def copy_libraries(binaries: Iterable[Path], root: Path, packages: Path) -> None:
    """Copy the shared libraries, the loader included, that programs and libraries need."""
    own = packages / "usr/lib/x86_64-linux-gnu"
    for binary in binaries:
        # An extension of Python's that nobody asks for may need a library that is not on this machine either.
        said = run("ldd", binary, env={"LD_LIBRARY_PATH": str(own)})
        for name in re.findall(r"(/\S+) \(0x", said):
            library = Path(name)
            # In these folders the loader finds it, wherever it was here.
            folder = "lib64" if library.name.startswith("ld-linux") else "lib/x86_64-linux-gnu"
            target = root / "usr" / folder / library.name
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(library, target)
                target.chmod(0o755)
