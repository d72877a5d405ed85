"""Keys, certificates and kubeconfigs, made by openssl. One authority signs everything; all files end with the cluster."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from cluster.layout import Layout
from cluster.shell import run

DAYS = "30"

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
"""Arguments for elliptic keys: a dozen of RSA's take seconds."""


@dataclass(frozen=True)
class Identity:
    """Subject of a certificate, in Kubernetes' terms: the CN is the user, the O the group."""

    name: str
    """Base name of the files."""

    user: str
    group: str = ""
    alternative_names: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        return f"/O={self.group}/CN={self.user}" if self.group else f"/CN={self.user}"


HOST_IDENTITIES = (
    Identity("admin", "admin", "system:masters"),
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
)
"""Identities that reach the API server over the host's loopback device."""


def create_authority(layout: Layout) -> None:
    """Create the authority, the API server's certificate, the key of service accounts' tokens, and the host's
    kubeconfigs.
    """
    layout.pki.mkdir(parents=True, exist_ok=True)
    if (layout.pki / "complete").exists():
        return
    _openssl(layout, "req", "-x509", *NEW_KEY, "-keyout", "ca.key", "-out", "ca.crt", "-days", DAYS, "-subj", "/CN=sparksweep-test-ca")  # fmt: skip
    _openssl(layout, "genrsa", "-out", "sa.key", "2048")
    _openssl(layout, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    create_certificate(
        layout, Identity("apiserver", "kube-apiserver", alternative_names=api_names(layout))
    )
    for identity in HOST_IDENTITIES:
        create_kubeconfig(layout, identity, "127.0.0.1")
    (layout.pki / "complete").touch()


def api_names(layout: Layout) -> tuple[str, ...]:
    """Return the names by which the host, nodes and pods call the API server."""
    ends = ("", ".default", ".default.svc", ".default.svc.cluster.local")
    addresses = ("127.0.0.1", layout.api_service, layout.api_address)
    return (
        "DNS:localhost",
        *(f"DNS:kubernetes{end}" for end in ends),
        *(f"IP:{address}" for address in addresses),
    )


def create_certificate(layout: Layout, identity: Identity) -> None:
    """Create ``pki/NAME.key`` and ``pki/NAME.crt``, unless they exist."""
    key, request, certificate = (f"{identity.name}.{end}" for end in ("key", "csr", "crt"))
    if (layout.pki / certificate).exists():
        return
    names = ",".join(identity.alternative_names or (f"DNS:{identity.name}",))
    extensions = layout.pki / f"{identity.name}.ext"
    extensions.write_text(f"subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n")
    _openssl(layout, "req", *NEW_KEY, "-keyout", key, "-out", request, "-subj", identity.subject)  # fmt: skip
    authority = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial")
    _openssl(layout, "x509", "-req", "-in", request, *authority, "-days", DAYS, "-out", f"{certificate}.new", "-extfile", extensions.name)  # fmt: skip
    (layout.pki / f"{certificate}.new").replace(layout.pki / certificate)


def create_kubeconfig(layout: Layout, identity: Identity, address: str) -> Path:
    """Write ``NAME.kubeconfig`` for the API server at an address, with the identity's certificate inside."""
    create_certificate(layout, identity)
    credentials = {
        f"client-{what}-data": _base64(layout.pki / f"{identity.name}.{end}")
        for what, end in (("certificate", "crt"), ("key", "key"))
    }
    authority = _base64(layout.pki / "ca.crt")
    return write_kubeconfig(
        layout.kubeconfig(identity.name),
        f"https://{address}:{layout.api_port}",
        authority,
        credentials,
    )


def write_kubeconfig(path: Path, server: str, authority: str, credentials: dict[str, str]) -> Path:
    """Write a kubeconfig that only its owner can read. It is JSON, which is YAML."""
    name = path.name.removesuffix(".kubeconfig")
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "test",
                "cluster": {"server": server, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config, indent=1))
    return path


def _openssl(layout: Layout, *arguments: str) -> None:
    run("openssl", *arguments, cwd=layout.pki)


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
