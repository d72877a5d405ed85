"""Sizes of objects in etcd, read through its JSON gateway."""

from __future__ import annotations

import base64
from typing import Any

import urllib3

from cluster.client import Cluster

PREFIX = "/registry/sparksweep.dev"


def stored_object(cluster: Cluster, plural: str, namespace: str, name: str) -> bytes:
    """Return an object of our API group as etcd has it."""
    port = cluster.rig.layout.etcd_ports[0]
    key = base64.b64encode(f"{PREFIX}/{plural}/{namespace}/{name}".encode()).decode()
    response = urllib3.request(
        "POST", f"http://127.0.0.1:{port}/v3/kv/range", json={"key": key}, retries=False
    )
    found: dict[str, Any] = response.json()
    assert response.status == 200, found
    (item,) = found.get("kvs") or [None]
    assert item is not None, f"etcd has no {plural} {name}"
    return base64.b64decode(item["value"])
