"""A node: containerd, kubelet, kube-proxy and a DNS server in a network namespace."""

from __future__ import annotations

import json
from pathlib import Path

from cluster import cgroups, images, network
from cluster.control_plane import kubectl
from cluster.layout import Node
from cluster.pki import Identity, create_certificate, create_kubeconfig
from cluster.processes import Processes
from cluster.shell import ClusterError, run, succeeds, wait_until

PROGRAMS = ("containerd", "dns", "proxy", "kubelet")
"""Programs of each node, in the order in which they start."""

CONTAINERD = """\
version = 3
root = "{data}/containerd"
state = "{run}/containerd"
[grpc]
  address = "{socket}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE, runc may not lower a process's score, and fails.
  restrict_oom_score_adj = true
  # Below our own folder, where a later run finds them.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{run}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""

COREFILE = """\
.:53 {{
  bind {address}
  errors
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {kubeconfig}
    pods insecure
  }}
  cache 5
}}
"""


def start(node: Node, processes: Processes) -> None:
    """Start the missing processes of a node; the API server gets to know it, but it is not ready yet.

    Raises:
        ClusterError: containerd does not come up.
    """
    node.data.mkdir(parents=True, exist_ok=True)
    network.create_node(node)
    cgroups.create(node)
    write_configuration(node)
    inside = network.enter(node)
    processes.start(node.part("containerd"), [*inside, *containerd(node)])
    wait_for_containerd(node, processes)
    images.load_own(node)
    for program, command in (
        ("dns", dns(node)),
        ("proxy", proxy(node)),
        ("kubelet", kubelet(node)),
    ):
        processes.start(node.part(program), [*inside, *command])


def wait_for_containerd(node: Node, processes: Processes) -> None:
    """Return when containerd answers."""

    def answers() -> bool:
        name = node.part("containerd")
        if not processes.alive(name):
            raise ClusterError(f"{name} ended: {processes.tail(name)}")
        return succeeds(node.layout.bin / "ctr", "--address", node.socket, "version")

    wait_until(answers, f"containerd of {node.name} answers", 30)


def wait_until_ready(node: Node, processes: Processes, timeout_s: float = 90) -> None:
    """Return when the node is Ready.

    Raises:
        ClusterError: It is not in time, or its kubelet ends; with the end of the kubelet's log.
    """
    name = node.part("kubelet")
    path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'

    def is_ready() -> bool:
        if not processes.alive(name):
            raise ClusterError(f"{name} ended: {processes.tail(name)}")
        try:
            return run(*kubectl(node.layout), "get", "node", node.name, "-o", path) == "True"
        except ClusterError:
            return False

    wait_until(is_ready, f"{node.name} is Ready (log: {processes.log(name)})", timeout_s)


def containerd(node: Node) -> list[str | Path]:
    """Return containerd's command line."""
    return [
        node.layout.bin / "containerd",
        "--config",
        node.run / "containerd.toml",
        "--log-level",
        "warn",
    ]


def dns(node: Node) -> list[str | Path]:
    """Return CoreDNS's command line. It runs next to the kubelet, not in a pod, and needs no image."""
    return [node.layout.bin / "coredns", "-conf", node.run / "Corefile"]


def proxy(node: Node) -> list[str | Path]:
    """Return kube-proxy's command line. Inside a namespace it cannot set the limits of connection tracking."""
    return [
        node.layout.bin / "kube-proxy",
        f"--kubeconfig={node.layout.kubeconfig('proxy')}",
        "--proxy-mode=iptables",
        f"--hostname-override={node.name}",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
    ]


def kubelet(node: Node) -> list[str | Path]:
    """Return the kubelet's command line."""
    return [
        node.layout.bin / "kubelet",
        f"--kubeconfig={node.layout.kubeconfig(node.name)}",
        f"--config={node.run / 'kubelet.yaml'}",
        f"--hostname-override={node.name}",
        f"--root-dir={node.data / 'kubelet'}",
        f"--node-ip={node.address}",
        "--v=1",
    ]


def kubelet_configuration(node: Node) -> dict[str, object]:
    """Return the kubelet's settings that have no flag."""
    pki = node.layout.pki
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki / f"{node.name}.crt"),
        "tlsPrivateKeyFile": str(pki / f"{node.name}.key"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.namespace}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "containerRuntimeEndpoint": f"unix://{node.socket}",
        "clusterDNS": [node.address],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "podLogsDir": str(node.data / "pod-logs"),
        "volumePluginDir": str(node.data / "volume-plugins"),
        # The machine's disk is not ours: no image is removed to make room on it, and no pod evicted.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
        },
        "protectKernelDefaults": False,
    }


def pod_network(node: Node) -> dict[str, object]:
    """Return the CNI configuration.

    ptp and not bridge: over a bridge, a service's pod on the same node answers past the rewriting of addresses.
    """
    addresses = {
        "type": "host-local",
        "dataDir": str(node.run / "ipam"),
        "ranges": [[{"subnet": node.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {"type": "ptp", "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def write_configuration(node: Node) -> None:
    """Write the files that the node's programs read: certificates, kubeconfigs, settings."""
    (node.run / "cni").mkdir(parents=True, exist_ok=True)
    layout = node.layout
    names = (f"DNS:{node.name}", f"IP:{node.address}")
    kubelet_identity = Identity(node.name, f"system:node:{node.name}", "system:nodes", names)
    create_certificate(layout, kubelet_identity)
    create_kubeconfig(layout, kubelet_identity, layout.api_address)
    create_kubeconfig(layout, Identity("proxy", "system:kube-proxy"), layout.api_address)
    dns_kubeconfig = create_kubeconfig(layout, Identity("dns", "test-dns"), layout.api_address)
    places = {"data": node.data, "run": node.run, "socket": node.socket, "pause": images.PAUSE}
    (node.run / "containerd.toml").write_text(CONTAINERD.format(**places))
    (node.run / "Corefile").write_text(
        COREFILE.format(address=node.address, kubeconfig=dns_kubeconfig)
    )
    (node.run / "cni" / "10-ptp.conflist").write_text(json.dumps(pod_network(node)))
    (node.run / "kubelet.yaml").write_text(json.dumps(kubelet_configuration(node)))
