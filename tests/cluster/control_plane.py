"""etcd, the API server, the controller manager and the scheduler, on the host."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from cluster.layout import Layout
from cluster.processes import Processes
from cluster.shell import ClusterError, run, succeeds, wait_until

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    # One line for each request, when it is answered.
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

DNS_RULES = [
    {
        "apiGroups": [""],
        "resources": ["services", "pods", "namespaces", "endpoints"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
]

RBAC = "rbac.authorization.k8s.io"


def start(layout: Layout, processes: Processes) -> None:
    """Start the parts that are not running, and return when they answer.

    Raises:
        ClusterError: A port is taken by another program, or a part does not come up; with the end of its log.
    """
    for part, taken in ports(layout).items():
        if not processes.alive(part):
            _check_free(part, taken)
    (layout.run / "audit.yaml").write_text(json.dumps(AUDIT_POLICY))
    processes.start("etcd", etcd(layout))
    processes.start("apiserver", apiserver(layout))
    wait_for_api(layout, processes)
    processes.start("controller-manager", controller_manager(layout))
    processes.start("scheduler", scheduler(layout))
    run(*kubectl(layout), "apply", "-f", "-", stdin=json.dumps(node_permissions()), env=kubectl_env(layout))  # fmt: skip
    wait_until(
        lambda: succeeds(*kubectl(layout), "-n", "default", "get", "serviceaccount", "default"),
        "the controller manager makes service accounts",
        30,
    )


def ports(layout: Layout) -> dict[str, tuple[int, ...]]:
    """Return the ports of each part."""
    return {
        "etcd": layout.etcd_ports,
        "apiserver": (layout.api_port,),
        "controller-manager": (layout.controller_manager_port,),
        "scheduler": (layout.scheduler_port,),
    }


def wait_for_api(layout: Layout, processes: Processes, timeout_s: float = 60) -> None:
    """Return when the API server reports that it is ready.

    Raises:
        ClusterError: It ends, or is not ready in time.
    """

    def is_ready() -> bool:
        for part in ("etcd", "apiserver"):
            if not processes.alive(part):
                raise ClusterError(f"{part} ended: {processes.tail(part)}")
        return succeeds(*kubectl(layout), "get", "--raw", "/readyz")

    wait_until(is_ready, f"the API server is ready (log: {processes.log('apiserver')})", timeout_s)


def kubectl(layout: Layout) -> tuple[str, ...]:
    """Return the beginning of a kubectl command."""
    return (str(layout.bin / "kubectl"), "--kubeconfig", str(layout.kubeconfig()))


def kubectl_env(layout: Layout) -> dict[str, str]:
    """Return kubectl's environment with a cache of its own: the user's may describe another cluster at this address."""
    return {"KUBECACHEDIR": str(layout.run / "kubectl-cache")}


def etcd(layout: Layout) -> list[str | Path]:
    """Return etcd's command line. Nothing survives the machine, so nothing is flushed to disk."""
    clients, members = (f"http://127.0.0.1:{port}" for port in layout.etcd_ports)
    return [
        layout.bin / "server",
        f"--data-dir={layout.run / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={members}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(layout: Layout) -> list[str | Path]:
    """Return the API server's command line. ServiceAccount, ResourceQuota, Priority and PodSecurity are on by default."""
    pki = layout.pki
    return [
        layout.bin / "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{layout.etcd_ports[0]}",
        f"--secure-port={layout.api_port}",
        f"--advertise-address={layout.api_address}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-cluster-ip-range={layout.services}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--audit-log-path={layout.audit_log}",
        f"--audit-policy-file={layout.run / 'audit.yaml'}",
        # Tests remember positions in the log: it must not be rotated under them.
        "--audit-log-maxsize=4000",
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
        f"--kubelet-certificate-authority={pki / 'ca.crt'}",
        # The host does not know the nodes' names.
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager(layout: Layout) -> list[str | Path]:
    """Return the controller manager's command line."""
    pki = layout.pki
    return [
        layout.bin / "kube-controller-manager",
        f"--kubeconfig={layout.kubeconfig('controller-manager')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.controller_manager_port}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--allocate-node-cidrs=false",
        # Half of the default: a test of a lost node waits for it.
        "--node-monitor-grace-period=20s",
    ]


def scheduler(layout: Layout) -> list[str | Path]:
    """Return the scheduler's command line."""
    return [
        layout.bin / "kube-scheduler",
        f"--kubeconfig={layout.kubeconfig('scheduler')}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.scheduler_port}",
        "--leader-elect=false",
    ]


def node_permissions() -> dict[str, object]:
    """Return roles for kube-proxy and the DNS server of the nodes; the Node authorizer covers the kubelet."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {
                "apiVersion": f"{RBAC}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "test-dns"},
                "rules": DNS_RULES,
            },
            _binding("test-dns", "test-dns", "test-dns"),
            _binding("test-proxy", "system:node-proxier", "system:kube-proxy"),
        ],
    }


def _binding(name: str, role: str, user: str) -> dict[str, object]:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": RBAC, "kind": "User", "name": user}],
    }


def _check_free(part: str, ports: tuple[int, ...]) -> None:
    for port in ports:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                raise ClusterError(f"port {port} is taken by another program, and {part} needs it")
