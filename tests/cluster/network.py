"""Network: host, nodes and pods reach each other, and no packet leaves this machine.

A node has no default route. The host drops packets for addresses of the cluster that no node has, which it would otherwise
send to its own default gateway.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cluster.layout import Layout, Node
from cluster.shell import ClusterError, run, succeeds

NAMESPACES = Path("/run/netns")
CONFIGURATION = Path("/proc/sys/net/ipv4/conf")


def ip(*words: str) -> str:
    return run("ip", *words)


def create_host_side(layout: Layout) -> None:
    """Create the API server's address for nodes, and the routes that end here."""
    if layout.api_address not in ip("-o", "address", "show", "dev", "lo"):
        ip("address", "add", f"{layout.api_address}/32", "dev", "lo")
    for network in (layout.links, layout.pods, layout.services):
        ip("route", "replace", "blackhole", network)


def create_node(node: Node) -> None:
    """Create a network namespace and its link, unless they exist."""
    if (NAMESPACES / node.namespace).exists():
        return
    ip("netns", "add", node.namespace)
    ip("link", "add", node.link, "type", "veth", "peer", "name", "eth0", "netns", node.namespace)
    _address_link(node)
    inside = ("-n", node.namespace)
    ip(*inside, "address", "add", f"{node.address}/30", "dev", "eth0")
    ip(*inside, "link", "set", "lo", "up")
    ip(*inside, "link", "set", "eth0", "up")
    connect(node)
    for network in (node.layout.links, node.layout.pods):
        ip(*inside, "route", "add", network, "via", node.gateway)
    # A packet to a service is rewritten on its way to lo; what kube-proxy does not know ends there.
    ip(*inside, "route", "add", node.layout.services, "dev", "lo", "src", node.address)
    run(*enter(node), "sysctl", "-qw", "net.ipv4.ip_forward=1")


def create_tap(node: Node) -> None:
    """Create the link of a node that is a virtual machine, which does on its side as `create_node` does inside."""
    ip("tuntap", "add", "dev", node.link, "mode", "tap")
    _address_link(node)
    connect(node)


def connect(node: Node) -> None:
    """Connect the node's link."""
    ip("link", "set", node.link, "up")
    ip("route", "replace", node.pods, "via", node.address)


def disconnect(node: Node) -> None:
    """Disconnect the node's link: packets are lost silently, no connection is closed."""
    ip("link", "set", node.link, "down")


def enter(node: Node) -> tuple[str, ...]:
    """Return the beginning of a command that runs in a node's network.

    Not ``ip netns exec``, which hides /sys/fs/cgroup.
    """
    return ("nsenter", f"--net={NAMESPACES / node.namespace}")


def remove(layout: Layout) -> None:
    """Remove everything that this module creates, including the remains of a killed run."""
    for namespace in _names(NAMESPACES):
        if namespace.startswith(layout.node_prefix):
            succeeds("ip", "netns", "delete", namespace)
    for link in _names(Path("/sys/class/net")):
        if re.fullmatch(rf"{layout.link_prefix}\d+", link):
            succeeds("ip", "link", "delete", link)
    succeeds("ip", "address", "delete", f"{layout.api_address}/32", "dev", "lo")
    for route in routes(ip("route", "show"), layout):
        succeeds("ip", "route", "delete", *route.split())


def routes(shown: str, layout: Layout) -> list[str]:
    """Return the rig's routes in the output of ``ip route show``."""
    beginnings = tuple(
        network.removesuffix("0.0/16") for network in (layout.links, layout.pods, layout.services)
    )
    lines = (line.strip() for line in shown.splitlines())
    return [line for line in lines if line.removeprefix("blackhole ").startswith(beginnings)]


def is_possible() -> bool:
    """Return True if this user may make network namespaces here, and links between them."""
    name = f"sparksweep-try-{os.getpid()}"
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "sst0", "type", "veth", "peer", "name", "sst0p")
        finally:
            ip("netns", "delete", name)
    except ClusterError:
        return False
    return True


def _address_link(node: Node) -> None:
    ip("address", "add", f"{node.gateway}/30", "dev", node.link)
    # From nodes alone: the machine's other networks are not affected.
    (CONFIGURATION / node.link / "forwarding").write_text("1")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []
