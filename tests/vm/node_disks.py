"""Disks of a virtual machine that is a node: a system with the node's programs, and containerd's images."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cluster import images, node
from cluster.layout import Layout, Node
from cluster.shell import ClusterError, Unavailable, run, succeeds, wait_until
from vm import disks

PROGRAMS = ("kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "coredns")
"""Compiled programs, which lie in the machine where they lie here."""
PLUGINS = tuple(
    Path("/usr/lib/cni") / name for name in ("ptp", "host-local", "portmap", "loopback")
)
MOUNT = ("mount", "umount")
"""Programs of which busybox has only a part."""
IPTABLES = Path("/usr/sbin/xtables-legacy-multi")
EXTENSIONS = Path("/usr/lib/x86_64-linux-gnu/xtables")
CAPACITY_MIB = 16 * 1024
"""Size of the disk with images and containers, of which only what is written takes room."""


def system_disk(layout: Layout, packages: Path) -> Path:
    """Return the image of the root file system of a node.

    Raises:
        Unavailable: One of this machine's programs is missing.
    """
    digest = hashlib.sha256(
        f"{disks.fingerprint(packages)} {layout.bin}".encode() + Path(__file__).read_bytes()
    )
    image = layout.cache / f"vm-node-{digest.hexdigest()[:12]}.ext4"
    with (layout.cache / ".vm-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            with tempfile.TemporaryDirectory(dir=layout.cache) as scratch:
                root = Path(scratch) / "root"
                disks.stage_system(root, packages)
                _stage_node(root, layout, packages)
                disks.make_disk(root, image)
    return image


def images_disk(it: Node, archives: Sequence[Path]) -> Path:
    """Return the image of a disk with the node's data, in which containerd has the images of these archives.

    A containerd on this machine unpacks them, since the emulated one would take minutes.

    Raises:
        ClusterError: One is no archive of images, or the disk can't be mounted.
    """
    node.write_configuration(it)
    image = it.data.with_suffix(".ext4")
    it.data.mkdir(parents=True, exist_ok=True)
    if not image.exists():
        disks.empty_disk(image, mebibytes=CAPACITY_MIB, file_system=True)
    run("mount", "-o", "loop", image, it.data)
    try:
        with _containerd(it):
            images.load_own(it)
            for archive in archives:
                images.load(it, archive)
    finally:
        run("umount", it.data)
    return image


@contextmanager
def _containerd(it: Node) -> Iterator[None]:
    """Run the node's containerd on this machine, where it makes no container."""
    with (it.run / "unpacking.log").open("wb") as log:
        process = subprocess.Popen(
            node.containerd(it), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:

        def answers() -> bool:
            if process.poll() is not None:
                raise ClusterError(f"containerd ended: {(it.run / 'unpacking.log').read_text()}")
            return succeeds(it.layout.bin / "ctr", "--address", it.socket, "version")

        wait_until(answers, f"containerd of {it.name} answers", 30)
        yield
    finally:
        process.terminate()
        process.wait()


def _stage_node(root: Path, layout: Layout, packages: Path) -> None:
    programs = [layout.bin / name for name in PROGRAMS]
    system = [Path("/usr/bin") / name for name in MOUNT]
    extensions = sorted(EXTENSIONS.glob("*.so"))
    copied = [*programs, *PLUGINS, *system, IPTABLES, *extensions]
    for path in copied:
        if not path.exists():
            raise Unavailable(f"a node in the virtual machine needs {path}, which is not here")
        target = root / path.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        target.chmod(0o755)
    disks.copy_libraries(
        [path for path in copied if path not in programs and path not in PLUGINS], root, packages
    )
    for name in ("iptables", "iptables-save", "iptables-restore"):
        (root / "usr/sbin" / name).symlink_to(IPTABLES.name)
    (root / "var").mkdir()
