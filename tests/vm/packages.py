"""Debian's packages for the virtual machine, unpacked into the cache: nothing is installed on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import platform
import re
import shutil
from pathlib import Path

from cluster.layout import Layout
from cluster.shell import ClusterError, Unavailable, run, say

EMULATOR = "qemu-system-x86"
GUEST = ("busybox-static", "runc", "libseccomp2")
"""Packages whose programs run inside the machine."""
KERNEL = "linux-image-cloud-amd64"
"""Package that depends on the newest kernel."""


def fetch(layout: Layout) -> Path:
    """Return the folder into which the packages are unpacked, as if it were the root of a file system.

    Raises:
        Unavailable: They can't be had on this machine.
    """
    if platform.machine() != "x86_64":
        raise Unavailable(f"the virtual machine is for x86_64, this is {platform.machine()}")
    tools = ("apt-get", "dpkg-deb", "mke2fs", "ldd")
    if missing := [tool for tool in tools if not shutil.which(tool, path=_PATH)]:
        raise Unavailable(f"the virtual machine needs {', '.join(missing)}, of a Debian system")
    folder = layout.cache / f"vm-packages-{_fingerprint()}"
    layout.cache.mkdir(parents=True, exist_ok=True)
    with (layout.cache / ".vm-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _download(folder)
    return folder


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def _fingerprint() -> str:
    release = (
        Path("/etc/debian_version").read_bytes() if Path("/etc/debian_version").exists() else b""
    )
    names = " ".join((EMULATOR, *GUEST, KERNEL)).encode()
    return hashlib.sha256(release + names).hexdigest()[:12]


def _download(folder: Path) -> None:
    say("downloading the emulator and the kernel of the virtual machine: once, about 80 MB")
    new = folder.with_suffix(".new")
    shutil.rmtree(new, ignore_errors=True)
    archives = new / "archives"
    archives.mkdir(parents=True)
    # The sandbox's user may not write into a folder of root's.
    options = ("-qq", "-o", "APT::Sandbox::User=root")
    try:
        run("apt-get", "update", *options, timeout_s=300)
        names = (*_missing_for(EMULATOR), *GUEST, _kernel())
        run("apt-get", "download", *options, *names, cwd=archives, timeout_s=600)
    except ClusterError as error:
        reason = str(error).splitlines()[-1]
        raise Unavailable(f"apt-get can't get the virtual machine's packages: {reason}") from None
    for archive in archives.iterdir():
        run("dpkg-deb", "-x", archive, new)
    shutil.rmtree(archives)
    new.rename(folder)


def _missing_for(package: str) -> list[str]:
    """Return the names of the packages that the installation of one would bring, its own included."""
    plan = run("apt-get", "--simulate", "--no-install-recommends", "install", package)
    return sorted({package, *re.findall(r"^Inst (\S+)", plan, re.MULTILINE)})


def _kernel() -> str:
    found = re.search(r"Depends: (linux-image-\S+)", run("apt-cache", "depends", KERNEL))
    if found is None:
        raise Unavailable(f"apt-get knows no kernel for {KERNEL}")
    return found[1]
