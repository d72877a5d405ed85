"""Files and commands of the rig: images, kubeconfigs, mounts, routes, command lines."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cluster import __main__ as command
from cluster import cgroups, control_plane, leftovers, machine, network, node, pki
from cluster.images import digests, program_image
from cluster.layout import Layout, Node
from cluster.shell import ClusterError, Unavailable, run

V1 = """\
tmpfs /sys/fs/cgroup tmpfs rw,relatime,mode=755 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0
"""
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime 0 0\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "run", tmp_path / "data", tmp_path / "cache")


def unpacked(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = {member.name: tar.extractfile(member) for member in tar}
        return {name: file.read() for name, file in members.items() if file is not None}


def test_an_image_is_an_oci_layout_whose_digests_and_sizes_are_right() -> None:
    files = unpacked(program_image(b"\x7fELF", "docker.io/test/one:1"))
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}

    def blob(descriptor: dict[str, Any]) -> bytes:
        algorithm, _, digest = descriptor["digest"].partition(":")
        content = files[f"blobs/{algorithm}/{digest}"]
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) == descriptor["size"]
        return content

    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/test/one:1"
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1"
    manifest = json.loads(blob(entry))
    config = json.loads(blob(manifest["config"]))
    layer = blob(manifest["layers"][0])
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/program"]
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        (program,) = tar
        assert (program.name, program.mode, program.uid) == ("program", 0o755, 0)


def test_the_same_program_gives_the_same_image() -> None:
    first, second, other = (program_image(text, "a/b:1") for text in (b"1", b"1", b"2"))
    assert first == second != other


def test_an_archive_says_which_images_a_node_need_not_load_again(tmp_path: Path) -> None:
    archive = tmp_path / "image.tar"
    archive.write_bytes(program_image(b"1", "docker.io/test/one:1"))
    (entry,) = json.loads(unpacked(archive.read_bytes())["index.json"])["manifests"]
    assert digests(archive) == {"docker.io/test/one:1": entry["digest"]}
    archive.write_bytes(program_image(b"2", "docker.io/test/one:1"))
    assert digests(archive) != {"docker.io/test/one:1": entry["digest"]}
    archive.write_text("no archive")
    assert digests(archive) == {}


def test_version_one_has_a_cgroup_for_each_controller_and_the_hybrids_second_has_none() -> None:
    controllers = [Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/memory")]
    assert cgroups.roots(V1) == controllers
    assert cgroups.hierarchies(V1) == [*controllers, Path("/sys/fs/cgroup/unified")]
    assert cgroups.version(V1) == 1


def test_version_two_has_one_cgroup() -> None:
    assert cgroups.roots(V2) == cgroups.hierarchies(V2) == [Path("/sys/fs/cgroup")]
    assert cgroups.version(V2) == 2


def test_mounts_below_our_folders_are_found_innermost_first_and_no_others() -> None:
    mounts = (
        "overlay /run/c/node1/rootfs overlay rw 0 0\n"
        "tmpfs /run/c/node1/rootfs/dev\\040shm tmpfs rw 0 0\n"
        "tmpfs /run/c tmpfs rw 0 0\n"
        "tmpfs /run/cluster/x tmpfs rw 0 0\n"
    )
    assert leftovers.mounted(mounts, [Path("/run/c")]) == [
        Path("/run/c/node1/rootfs/dev shm"),
        Path("/run/c/node1/rootfs"),
    ]


def test_what_cannot_be_unmounted_keeps_the_files_from_being_deleted(
    layout: Layout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file system of the user's, mounted into a pod, must not be emptied."""
    precious = layout.data / "node1" / "kubelet" / "volume"
    precious.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/vdb {precious} ext4 rw 0 0\n")
    monkeypatch.setattr(leftovers, "MOUNTS", mounts)
    monkeypatch.setattr(leftovers, "nodes_with_cgroups", lambda _: [])
    with pytest.raises(ClusterError, match="cannot unmount"):
        leftovers.remove(layout)
    assert precious.exists()


def test_only_our_routes_are_taken_away(layout: Layout) -> None:
    shown = (
        "default via 192.0.2.1 dev eth0 \n"
        "blackhole 10.150.0.0/16 \n"
        "10.150.1.0/24 via 10.160.1.2 dev sst0-1 \n"
        "10.15.0.0/16 dev docker0 \n"
        "blackhole 10.151.0.0/16 \n"
    )
    assert network.routes(shown, layout) == [
        "blackhole 10.150.0.0/16",
        "10.150.1.0/24 via 10.160.1.2 dev sst0-1",
    ]


def test_a_kubeconfig_holds_its_certificates_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = pki.write_kubeconfig(
        tmp_path / "me.kubeconfig", "https://127.0.0.1:1", "YQ==", {"token": "t"}
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = json.loads(path.read_text())
    assert config["contexts"][0]["context"] == {"cluster": "test", "user": "me"}
    assert config["users"] == [{"name": "me", "user": {"token": "t"}}]
    assert base64.b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]) == b"a"


def test_certificates_are_signed_by_the_authority_and_made_once(layout: Layout) -> None:
    pki.create_authority(layout)
    identity = pki.Identity("node1", "system:node:node1", "system:nodes", ("IP:10.160.1.2",))
    pki.create_certificate(layout, identity)
    certificate = layout.pki / "node1.crt"
    made = certificate.read_bytes()
    run("openssl", "verify", "-CAfile", layout.pki / "ca.crt", certificate)
    text = run("openssl", "x509", "-in", certificate, "-noout", "-subject", "-ext", "subjectAltName")  # fmt: skip
    assert "O = system:nodes, CN = system:node:node1" in text
    assert "IP Address:10.160.1.2" in text
    pki.create_authority(layout)
    pki.create_certificate(layout, identity)
    assert certificate.read_bytes() == made
    admin = json.loads(layout.kubeconfig().read_text())
    assert admin["clusters"][0]["cluster"]["server"] == f"https://127.0.0.1:{layout.api_port}"


def test_each_node_has_names_addresses_and_a_cgroup_root_of_its_own(layout: Layout) -> None:
    first, second = Node(1, layout), Node(2, layout)
    for name in ("name", "namespace", "link", "address", "gateway", "pods", "socket"):
        assert getattr(first, name) != getattr(second, name)
    assert len(Node(9, layout).link) <= 15
    roots = {node.kubelet_configuration(it)["cgroupRoot"] for it in (first, second)}
    assert roots == {f"/{first.namespace}", f"/{second.namespace}"}


@pytest.mark.parametrize("name", ["node", "node-1", "nodes1", "node1 ", "etcd"])
def test_other_names_are_no_nodes(name: str, layout: Layout) -> None:
    with pytest.raises(ValueError, match="is no node's name"):
        Node.named(name, layout)


def test_containerds_configuration_is_toml(layout: Layout) -> None:
    places = {"data": "/d", "run": "/r", "socket": "/r/s", "pause": "docker.io/a/b:1"}
    config = tomllib.loads(node.CONTAINERD.format(**places))
    runtime = config["plugins"]["io.containerd.cri.v1.runtime"]
    assert runtime["restrict_oom_score_adj"] is True
    assert runtime["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False}


def test_a_lost_node_is_noticed_after_twenty_seconds(layout: Layout) -> None:
    assert "--node-monitor-grace-period=20s" in control_plane.controller_manager(layout)


def test_without_root_there_is_one_line_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match=r"^the test cluster needs root, .*$"):
        machine.check_user()


def test_without_network_namespaces_there_is_one_line_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "is_possible", lambda: False)
    with pytest.raises(Unavailable, match=r"^the test cluster needs network namespaces, .*$"):
        machine.check_network()


def test_the_command_says_why_it_cannot_run_and_exits_with_three(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("SPARKSWEEP_CLUSTER_RUN", str(layout.run))
    monkeypatch.delenv(command.EXTERNAL, raising=False)
    assert command.main(["up"]) == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cluster: the test cluster needs root")


def test_a_cluster_that_the_user_names_is_used_and_none_started(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    monkeypatch.setenv("SPARKSWEEP_CLUSTER_RUN", str(layout.run))
    monkeypatch.setenv(command.EXTERNAL, "/elsewhere/kubeconfig")
    assert command.main(["up"]) == 0
    assert not layout.run.exists()
    assert "names a cluster: none is started" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["-1", "two", "10"])
def test_a_senseless_number_of_nodes_is_refused(
    count: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["up", f"--nodes={count}"])
    assert f"{count} is no number of nodes" in capsys.readouterr().err


def test_the_status_of_no_cluster_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    monkeypatch.setenv("SPARKSWEEP_CLUSTER_RUN", str(layout.run))
    assert command.main(["status"]) == 0
    assert capsys.readouterr().out == "no cluster\n"


def test_loading_on_no_node_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], layout: Layout
) -> None:
    monkeypatch.setenv("SPARKSWEEP_CLUSTER_RUN", str(layout.run))
    assert command.main(["load", "x.tar"]) == 1
    assert "there is no node to load images on" in capsys.readouterr().err


def test_a_failing_command_is_told_with_the_end_of_what_it_said() -> None:
    with pytest.raises(ClusterError, match=r"^sh -c echo no >&2; exit 3 failed \(3\): no$"):
        run("sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(ClusterError, match=r"^sleep 9 did not end within 0.1 s$"):
        run("sleep", "9", timeout_s=0.1)
    with pytest.raises(ClusterError, match="cannot be run"):
        run("/nonexistent/program")


def test_the_module_runs_as_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cluster", "-h"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "lose-node" in done.stdout
