"""A real Prometheus for the tests: Debian's program, unpacked into the cache; and the CRDs of the Prometheus operator."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cluster.go_toolchain import find_go
from cluster.layout import TOOLS, Layout
from cluster.shell import ClusterError, Unavailable, run

KINDS = ("servicemonitors", "podmonitors", "prometheusrules")

Sample = dict[str, Any]


def programs(layout: Layout) -> Path:
    """Return the folder with `prometheus` and `promtool`: the machine's, or Debian's package in the cache.

    Raises:
        Unavailable: There is none, and none can be had.
    """
    prometheus, promtool = shutil.which("prometheus"), shutil.which("promtool")
    if prometheus is not None and promtool is not None:
        return Path(promtool).parent
    folder = layout.cache / "prometheus"
    if not (folder / "usr" / "bin" / "promtool").exists():
        _unpack(folder)
    return folder / "usr" / "bin"


def _unpack(folder: Path) -> None:
    """Unpack Debian's package into a folder. Installing it would start a server."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        run("apt-get", "download", "-qq", "prometheus", cwd=new, timeout_s=300)
        (package,) = new.glob("*.deb")
        run("dpkg-deb", "--extract", package, new)
    except (ClusterError, ValueError) as error:
        reason = str(error).splitlines()[-1]
        raise Unavailable(
            f"there is no Prometheus here, and Debian's can't be had: {reason}"
        ) from None
    package.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    new.replace(folder)


def prometheus_crds(layout: Layout) -> list[Path]:
    """Return the Prometheus operator's CRDs that the chart uses, from its Go module.

    Raises:
        Unavailable: There is no Go.
        ClusterError: The module can't be had.
    """
    env = {"GOTOOLCHAIN": "local", "GOWORK": "off"}
    module = TOOLS / "prometheus-operator"
    name = "github.com/prometheus-operator/prometheus-operator"
    said = run(find_go(layout), "mod", "download", "-json", name, cwd=module, env=env)
    folder = Path(json.loads(said)["Dir"]) / "example" / "prometheus-operator-crd"
    return [folder / f"monitoring.coreos.com_{kind}.yaml" for kind in KINDS]


class Prometheus:
    """A running Prometheus, queried over HTTP."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def query(self, expression: str) -> list[Sample]:
        """Return the samples of an instant query: each with `metric`, its labels, and `value`."""
        found: list[Sample] = self._get("query", query=expression)["result"]
        return found

    def alerts(self) -> dict[str, str]:
        """Return the states of alerts by their names: pending or firing."""
        found = self._get("alerts")["alerts"]
        return {item["labels"]["alertname"]: item["state"] for item in found}

    def rules(self) -> list[Sample]:
        """Return the loaded alerting rules."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[Sample]:
        """Return its targets, with the `health` and `lastError` of each."""
        found: list[Sample] = self._get("targets")["activeTargets"]
        return found

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def _get(self, path: str, **query: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                said = error.read().decode()
            raise AssertionError(f"{query or path}: {said}") from None


@contextmanager
def running(
    folder: Path, home: Path, *, targets: dict[str, list[str]], rules: dict[str, Any]
) -> Iterator[Prometheus]:
    """Start a Prometheus that scrapes every second.

    Args:
        folder: where the program is.
        home: an empty folder for what it keeps.
        targets: addresses with ports, by the names of jobs.
        rules: a file of rules.
    """
    (home / "rules.yaml").write_text(yaml.safe_dump(rules))
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": addresses}]}
            for job, addresses in targets.items()
        ],
    }
    (home / "prometheus.yaml").write_text(yaml.safe_dump(configuration))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command: list[str | Path] = [
        folder / "prometheus", f"--config.file={home / 'prometheus.yaml'}",
        f"--storage.tsdb.path={home / 'data'}", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        prometheus = Prometheus(port)
        deadline = time.monotonic() + 30
        while not prometheus.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ClusterError(
                    f"Prometheus does not start: {(home / 'log').read_text()[-2000:]}"
                )
            time.sleep(0.2)
        yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=30)
