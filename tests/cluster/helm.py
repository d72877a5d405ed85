"""Helm for tests: the real program, on a cluster, without a user's settings."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from cluster.shell import ClusterError

Document = dict[str, Any]

CHART = Path(__file__).parents[2] / "charts" / "sparksweep"


class HelmError(ClusterError, AssertionError):
    """A Helm command failed; the text contains its output. In a test it is a failed assertion."""


class Helm:
    """Helm with the rights of a kubeconfig."""

    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        """Use `program`, with its caches and configuration in `home`."""
        self._program = program
        self._environment = {
            **{name: it for name, it in os.environ.items() if not name.startswith("HELM_")},
            "KUBECONFIG": str(kubeconfig),
            **{f"HELM_{kind}_HOME": str(home / kind) for kind in ("CONFIG", "CACHE", "DATA")},
        }

    def run(self, *arguments: str, timeout_s: float = 240) -> str:
        """Run a command; return its standard output.

        Raises:
            HelmError: It failed, or did not end in time; with all that it said.
        """
        shown = f"helm {' '.join(arguments)}"
        try:
            done = subprocess.run(
                [self._program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                env=self._environment,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired:
            raise HelmError(f"{shown}: not within {timeout_s:g} s") from None
        if done.returncode != 0:
            raise HelmError(f"{shown}: {done.stderr.strip()}\n{done.stdout.strip()}".strip())
        return done.stdout

    def template(
        self,
        *,
        namespace: str = "sparksweep-system",
        release: str = "sparksweep",
        only: str = "",
        values: Document | None = None,
    ) -> list[Document]:
        """Return the objects that the chart renders, its tests included.

        Args:
            namespace: the release's namespace.
            release: its name.
            only: a template's name: ``driver-rbac.yaml``.
            values: what differs from the chart's values.
        """
        chosen = ("--show-only", f"templates/{only}") if only else ()
        text = self.run(
            "template", release, str(CHART), "--namespace", namespace, *chosen, *value_flags(values)
        )
        return [document for document in yaml.safe_load_all(text) if document]


def value_flags(values: Document | None) -> list[str]:
    """Return the arguments that pass values to Helm."""
    return [
        word
        for name, value in (values or {}).items()
        for word in ("--set-json", f"{name}={json.dumps(value)}")
    ]
