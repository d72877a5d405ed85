"""Checks that this machine can run the cluster, made before anything is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cluster import cgroups, network
from cluster.shell import Unavailable


def check_user() -> None:
    """Check the requirements that no package can provide.

    Raises:
        Unavailable: This is no Linux, or the user is not root.
    """
    if sys.platform != "linux":
        raise Unavailable(f"the test cluster needs Linux; this is {sys.platform}")
    if os.geteuid() != 0:
        raise Unavailable("the test cluster needs root, for network namespaces and cgroups")


def check_network() -> None:
    """Check that network namespaces can be made.

    Raises:
        Unavailable: No network namespaces can be made, as in most containers.
    """
    if not network.is_possible():
        raise Unavailable("the test cluster needs network namespaces, which cannot be made here")


def check_containers() -> None:
    """Check the requirements of nodes in addition to those of the control plane.

    Raises:
        Unavailable: No cgroups or no overlay file system for containers.
    """
    roots = cgroups.roots(cgroups.MOUNTS.read_text())
    if not roots or not all(os.access(root, os.W_OK) for root in roots):
        raise Unavailable("the test cluster's nodes need writable cgroups, which are not here")
    filesystems = Path("/proc/filesystems").read_text().split()
    if "overlay" not in filesystems:
        raise Unavailable("the test cluster's nodes need overlayfs, which this kernel lacks")
