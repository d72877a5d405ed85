"""Programs: Kubernetes, etcd, containerd, CoreDNS and Helm compiled from Go modules, and Debian's packages.

Compiled once for each set of versions, into the cache. The versions are those of ``parts/*/go.mod``, with checksums in
``go.sum``. A compilation that was interrupted leaves no half a program.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster.go_toolchain import find_go
from cluster.layout import PARTS, PROGRAMS, TOOLS, Layout
from cluster.shell import ClusterError, Unavailable, run, say, system_path

PACKAGES = ("runc", "containernetworking-plugins", "iptables", "iproute2", "openssl", "conntrack")


@dataclass(frozen=True)
class Module:
    """Programs that are compiled from one Go module."""

    folder: str
    packages: tuple[str, ...]
    minutes: float
    """Duration of the compilation on two cores, downloads included."""

    version_package: str = ""
    """Package in which the linker sets the version; without it the kubelet reports v0.0.0 and tools refuse it."""


MODULES = (
    Module(
        "kubernetes",
        tuple(
            f"k8s.io/kubernetes/cmd/{name}"
            for name in (
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kubelet",
                "kube-proxy",
                "kubectl",
            )
        ),
        6,
        version_package="k8s.io/component-base/version",
    ),
    # etcd's main package is that of its server, and is named after it.
    Module("etcd", ("go.etcd.io/etcd/server/v3",), 0.5),
    Module(
        "containerd",
        tuple(
            f"github.com/containerd/containerd/v2/cmd/{name}"
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        1,
    ),
    Module("coredns", ("github.com/coredns/coredns",), 2),
)


def prepare(layout: Layout) -> None:
    """Compile or install every program that is missing.

    Raises:
        Unavailable: There is no way to get one of them here.
        ClusterError: A compilation failed.
    """
    install_packages()
    layout.bin.mkdir(parents=True, exist_ok=True)
    with _locked(layout.bin / ".lock"):
        _compile_modules(layout)
        for source in PROGRAMS.glob("*.go"):
            _compile_program(source, layout)
    prepare_helm(layout)


def prepare_helm(layout: Layout) -> None:
    """Compile Helm unless it is in the cache.

    Raises:
        Unavailable: There is no Go to compile it with.
        ClusterError: The compilation failed.
    """
    prepare_tool(layout, "helm", "helm.sh/helm/v4/cmd/helm", "3 minutes")


def prepare_tool(layout: Layout, name: str, package: str, duration: str) -> Path:
    """Compile a tool of the tests unless it is in the cache; `duration`, on two cores, is for messages.

    Raises:
        Unavailable: There is no Go to compile it with.
        ClusterError: The compilation failed.
    """
    program = layout.tool(name)
    layout.bin.mkdir(parents=True, exist_ok=True)
    with _locked(layout.bin / ".lock"):
        if not program.exists():
            say(f"compiling {name}: once, about {duration} on two cores; into {program.parent}")
            program.parent.mkdir(parents=True, exist_ok=True)
            _build(layout, TOOLS / name, "-s -w", (package,), output=program)
    return program


def missing_modules(layout: Layout) -> list[Module]:
    """Return the modules that are not compiled yet."""
    return [
        module
        for module in MODULES
        if not all((layout.bin / program_name(package)).exists() for package in module.packages)
    ]


def install_packages() -> None:
    """Install missing Debian packages, if this is Debian and the user may.

    Raises:
        Unavailable: They are missing and cannot be installed.
    """
    if not shutil.which("dpkg-query"):
        tools = ("runc", "iptables", "ip", "openssl", "conntrack")
        missing = [tool for tool in tools if not shutil.which(tool, path=system_path())]
        if missing or not Path("/usr/lib/cni/ptp").exists():
            wanted = " ".join(missing or ["CNI plugins in /usr/lib/cni"])
            raise Unavailable(f"please install {wanted}: there is no apt-get here to do it")
        return
    missing = [name for name in PACKAGES if not is_installed(name)]
    if not missing:
        return
    say(f"installing {' '.join(missing)} with apt-get")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    options = ("-y", "-qq", "--no-install-recommends")
    try:
        run("apt-get", "update", "-qq", env=env, timeout_s=300)
        run("apt-get", "install", *options, *missing, env=env, timeout_s=600)
    except ClusterError as error:
        reason = str(error).splitlines()[-1]
        raise Unavailable(f"apt-get could not install {' '.join(missing)}: {reason}") from None


def is_installed(package: str) -> bool:
    """Return True if Debian's package is installed, not only its configuration."""
    try:
        return run("dpkg-query", "-W", "-f", "${db:Status-Status}", package) == "installed"
    except ClusterError:
        return False


def program_name(package: str) -> str:
    """Return the name of the file that ``go build`` makes of a main package, without a version at the end."""
    return re.sub(r"/v\d+$", "", package).rpartition("/")[2]


def module_version(folder: str, package: str) -> str:
    """Return the version of a package's module that its go.mod requires."""
    module = package.partition("/cmd/")[0]
    text = (PARTS / folder / "go.mod").read_text()
    found = re.search(rf"^(?:require )?\s*{re.escape(module)} (v\S+)", text, re.MULTILINE)
    if found is None:
        raise ClusterError(f"parts/{folder}/go.mod does not require {module}")
    return found[1]


def stamp(module: Module) -> str:
    """Return the linker's arguments that set programs' versions."""
    if not module.version_package:
        return ""
    version = module_version(module.folder, module.packages[0])
    major, minor, _ = version.removeprefix("v").split(".")
    values = {
        "gitVersion": version,
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
    }
    return " ".join(f"-X {module.version_package}.{name}={it}" for name, it in values.items())


def own_program(name: str, layout: Layout) -> Path:
    """Return the path of the compiled ``programs/NAME.go``; its name depends on the source, so that a change is
    noticed.
    """
    text = (PROGRAMS / f"{name}.go").read_bytes()
    return layout.bin / f"{name}-{hashlib.sha256(text).hexdigest()[:12]}"


def _compile_modules(layout: Layout) -> None:
    missing = missing_modules(layout)
    if missing:
        names = ", ".join(module.folder for module in missing)
        minutes = sum(module.minutes for module in missing)
        say(f"compiling {names}: once, about {minutes:g} minutes on two cores; into {layout.bin}")
    for module in missing:
        began = time.monotonic()
        flags = f"-s -w {stamp(module)}".strip()
        _build(layout, PARTS / module.folder, flags, module.packages)
        say(f"compiled {module.folder} in {time.monotonic() - began:.0f} s")


def _compile_program(source: Path, layout: Layout) -> None:
    program = own_program(source.stem, layout)
    if not program.exists():
        _build(layout, source.parent, "-s -w", (source.name,), output=program)


def _build(
    layout: Layout, folder: Path, flags: str, packages: tuple[str, ...], output: Path | None = None
) -> None:
    """Compile into a temporary folder, and move the complete programs."""
    env = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    new = layout.bin / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    command = (find_go(layout), "build", "-trimpath", "-ldflags", flags, "-o", f"{new}/")
    run(*command, *packages, cwd=folder, env=env, timeout_s=3600)
    for program in new.iterdir():
        program.replace(output or layout.bin / program.name)
    new.rmdir()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Allow one compilation at a time: a second one finds the programs compiled."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
