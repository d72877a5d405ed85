"""A cluster as tests see it: kubectl, objects as dictionaries, the audit log, and faults where the cluster is ours."""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from cluster import images
from cluster.control_plane import kubectl_env
from cluster.faults import Faults
from cluster.layout import Layout
from cluster.pki import write_kubeconfig
from cluster.rig import Rig
from cluster.shell import ClusterError, Unavailable, system_path, wait_until

Document = dict[str, Any]


class KubectlError(ClusterError, AssertionError):
    """A kubectl command failed; the text contains its output. In a test it is a failed assertion."""


class Cluster:
    """A running cluster: the rig's, or one that the user named.

    Attributes:
        kubeconfig: The file that gives every right in it.
        layout: Our own's folders; None for another's, which has no audit log, no faults and no loading.
    """

    def __init__(self, kubeconfig: Path, layout: Layout | None) -> None:
        self.kubeconfig = kubeconfig
        self.layout = layout
        self._namespaces: list[str] = []
        self._files: list[Path] = []
        self._numbers = itertools.count()

    @classmethod
    def own(cls, layout: Layout) -> Cluster:
        """Return the cluster of the rig."""
        return cls(layout.kubeconfig(), layout)

    @classmethod
    def named(cls, kubeconfig: Path, layout: Layout) -> Cluster:
        """Return the cluster of a kubeconfig; the rig's own if it is its kubeconfig."""
        return cls(kubeconfig, layout if kubeconfig == layout.kubeconfig() else None)

    # ------------------------------------------------------------------ kubectl and objects

    def kubectl(self, *arguments: str, input: str | None = None, timeout_s: float = 60) -> str:
        """Run kubectl with every right; return its standard output.

        Raises:
            KubectlError: It failed, or did not end in time; with all that it said.
        """
        command = [self._kubectl, "--kubeconfig", str(self.kubeconfig), *arguments]
        cache = kubectl_env(self.layout) if self.layout else {}
        shown = f"kubectl {' '.join(arguments)}"
        try:
            done = subprocess.run(
                command,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **cache},
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise KubectlError(f"{shown}: not within {timeout_s:g} s") from None
        if done.returncode != 0:
            raise KubectlError(f"{shown}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def apply(
        self, manifest: Document | list[Document] | str | Path, namespace: str | None = None
    ) -> str:
        """Apply an object, a list of them, YAML text, or a file or folder of it; return kubectl's output.

        Another process may do the same at the same time: what it has created meanwhile is applied again.
        """
        try:
            return self._apply(manifest, namespace)
        except KubectlError as error:
            if "(AlreadyExists)" not in str(error):
                raise
            return self._apply(manifest, namespace)

    def _apply(
        self, manifest: Document | list[Document] | str | Path, namespace: str | None
    ) -> str:
        where = () if namespace is None else ("--namespace", namespace)
        if isinstance(manifest, Path):
            return self.kubectl("apply", *where, "--filename", str(manifest))
        if isinstance(manifest, list):
            manifest = {"apiVersion": "v1", "kind": "List", "items": manifest}
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self.kubectl("apply", *where, "--filename", "-", input=text)

    def wait_for_kinds(self, manifests: Path) -> None:
        """Wait until the CRDs of a file or a directory are established.

        Raises:
            KubectlError: they are not within half a minute.
        """
        deadline = time.monotonic() + 30
        while True:
            try:
                self.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(manifests))  # fmt: skip
            except KubectlError as error:
                # kubectl takes a CRD that has no conditions yet for a fault.
                if "accessor error" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def get(self, kind: str, name: str, namespace: str | None = None) -> Document:
        """Return an object.

        Raises:
            KubectlError: There is none of this name, or no such kind.
        """
        where = () if namespace is None else ("--namespace", namespace)
        found: Document = json.loads(self.kubectl("get", kind, name, *where, "--output", "json"))
        return found

    def items(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Document]:
        """Return the objects of a kind in a namespace, or in all of them, with the selector's labels."""
        where = ("--all-namespaces",) if namespace is None else ("--namespace", namespace)
        text = self.kubectl("get", kind, *where, "--selector", selector, "--output", "json")
        items: list[Document] = json.loads(text)["items"]
        return items

    def namespace(self, prefix: str = "test") -> str:
        """Create a namespace that is ready for pods. ``close`` deletes it, unless the test has."""
        name = f"{prefix}-{secrets.token_hex(3)}"
        self.kubectl("create", "namespace", name)
        self._namespaces.append(name)
        wait_until(
            lambda: any(
                account["metadata"]["name"] == "default"
                for account in self.items("serviceaccount", name)
            ),
            f"{name} has its default service account",
            30,
        )
        return name

    def delete_namespace(self, name: str) -> None:
        """Request a namespace's deletion, which continues in the background."""
        if name in self._namespaces:
            self._namespaces.remove(name)
        self.kubectl("delete", "namespace", name, "--wait=false", "--ignore-not-found")

    def close(self) -> None:
        """Delete the namespaces and kubeconfigs that were created here."""
        for path in self._files:
            path.unlink(missing_ok=True)
        for name in list(self._namespaces):
            self.delete_namespace(name)

    def kubeconfig_as(self, account: str, namespace: str, *, pod: str | None = None) -> Path:
        """Write a kubeconfig with the rights of a service account, valid for an hour or until ``close``.

        Args:
            account: the service account.
            namespace: its namespace.
            pod: the pod that the token is bound to, as one that the kubelet mounts; None: no pod.
        """
        bound = () if pod is None else ("--bound-object-kind", "Pod", "--bound-object-name", pod)
        token = self.kubectl("create", "token", account, "--namespace", namespace, *bound).strip()
        view = ("config", "view", "--raw", "--flatten", "--minify", "--output", "json")
        cluster = json.loads(self.kubectl(*view))["clusters"][0]["cluster"]
        number = next(self._numbers)
        path = self.kubeconfig.with_name(f"{namespace}-{account}-{os.getpid()}-{number}.kubeconfig")
        self._files.append(path)
        authority = cluster["certificate-authority-data"]
        return write_kubeconfig(path, cluster["server"], authority, {"token": token})

    @contextmanager
    def forwarded(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """Forward a local port to ``pod/name`` or ``service/name``; yield its address."""
        where = ("--kubeconfig", str(self.kubeconfig), "--namespace", namespace)
        command = [self._kubectl, *where, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                # Forwarding from 127.0.0.1:41234 -> 8081
                line = process.stdout.readline()
                found = re.match(r"Forwarding from (\S+) ->", line)
                if found is None:
                    raise KubectlError(f"{target} in {namespace} can't be reached: {line}")
                yield found[1]
            finally:
                process.terminate()

    # ------------------------------------------------------------------ what only our own has

    @property
    def rig(self) -> Rig:
        """The rig that runs the cluster.

        Raises:
            Unavailable: The cluster is not ours.
        """
        return Rig(self._ours("it is not run from here"))

    @property
    def faults(self) -> Faults:
        """Faults of the cluster's parts.

        Raises:
            Unavailable: The cluster is not ours.
        """
        return Faults(self._ours("its parts are not ours to break"))

    def audit_size(self) -> int:
        """Return the position in the audit log of the next request."""
        path = self._ours("its audit log cannot be read").audit_log
        return path.stat().st_size if path.exists() else 0

    def audit(self, since: int = 0) -> Iterator[Document]:
        """Iterate over the requests answered since a position in the audit log, as audit events of level Metadata.

        Without those whose token was refused: their events have no user name.
        """
        path = self._ours("its audit log cannot be read").audit_log
        with path.open("rb") as log:
            log.seek(since)
            events = (json.loads(line) for line in log if line.endswith(b"\n"))
            yield from (event for event in events if "username" in event["user"])

    def load(self, *archives: Path) -> None:
        """Load the images of OCI or Docker archives on every node.

        Raises:
            Unavailable: The cluster is not ours.
            ClusterError: A file is no archive, or there is no node.
        """
        Rig(self._ours("images must be loaded on its nodes by their owner")).load(archives)

    def images(self) -> set[str]:
        """Return the names of the images that every node has."""
        nodes = Rig(self._ours("its nodes' images cannot be listed")).nodes()
        return set.intersection(*(set(images.present(node)) for node in nodes)) if nodes else set()

    # ------------------------------------------------------------------

    def nodes(self) -> list[str]:
        """Return the names of the nodes that are Ready."""
        return [
            node["metadata"]["name"]
            for node in self.items("node")
            for condition in node["status"].get("conditions", [])
            if condition["type"] == "Ready" and condition["status"] == "True"
        ]

    def _ours(self, why: str) -> Layout:
        if self.layout is None:
            raise Unavailable(f"SPARKSWEEP_TEST_KUBECONFIG names another cluster: {why}")
        return self.layout

    @cached_property
    def _kubectl(self) -> str:
        folders = f"{self.layout.bin}:" if self.layout else ""
        found = shutil.which("kubectl", path=folders + system_path())
        if found is None:
            compiled = Layout.from_environment().bin / "kubectl"
            if not compiled.exists():
                raise Unavailable("kubectl is not installed")
            found = str(compiled)
        return found
