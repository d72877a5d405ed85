"""The first file system of the virtual machine: loads the drivers of the disks, and goes on from the first one."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "overlay", "virtio_net", "veth")
"""Modules of every machine; each is loaded after those that it depends on."""

_INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
for module in $(/bin/busybox cat /modules); do /bin/busybox insmod $module; done
/bin/busybox mount -t ext4 -o ro /dev/vda /new || exec /bin/busybox poweroff -f
/bin/busybox umount /proc
/bin/busybox mount --move /dev /new/dev
exec /bin/busybox switch_root /new /sbin/vm-init
"""


def build(packages: Path, wanted: Sequence[str] = MODULES) -> bytes:
    """Return the archive, from the packages' busybox and the wanted modules of the kernel."""
    (modules,) = (packages / "lib/modules").iterdir()
    paths = {path.stem.replace("-", "_"): path for path in modules.rglob("*.ko")}
    order = in_order(wanted, {name: depends(path.read_bytes()) for name, path in paths.items()})
    folder = (stat.S_IFDIR | 0o755, b"")
    files: dict[str, tuple[int, bytes]] = dict.fromkeys(("bin", "dev", "proc", "new"), folder)
    files["bin/busybox"] = (stat.S_IFREG | 0o755, (packages / "bin/busybox").read_bytes())
    files["init"] = (stat.S_IFREG | 0o755, _INIT.encode())
    listed = "".join(f"/{name}.ko\n" for name in order).encode()
    files["modules"] = (stat.S_IFREG | 0o644, listed)
    for name in order:
        files[f"{name}.ko"] = (stat.S_IFREG | 0o644, paths[name].read_bytes())
    return archive(files)


def depends(module: bytes) -> list[str]:
    """Return the names of the modules that a module's own file names as needed before it."""
    _, _, rest = module.partition(b"\0depends=")
    names = rest.partition(b"\0")[0].decode()
    return [name.replace("-", "_") for name in names.split(",") if name]


def in_order(wanted: Sequence[str], needs: dict[str, list[str]]) -> list[str]:
    """Return the wanted modules and those they need, each after what it needs; unknown ones are built in."""
    order: list[str] = []

    def add(name: str) -> None:
        if name in needs and name not in order:
            for needed in needs[name]:
                add(needed)
            order.append(name)

    for name in wanted:
        add(name)
    return order


def archive(files: dict[str, tuple[int, bytes]]) -> bytes:
    """Return a cpio archive as the kernel unpacks it: files by name, each with its mode and content."""
    parts = []
    for number, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        parts += [_padded(head), _padded(content)]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
