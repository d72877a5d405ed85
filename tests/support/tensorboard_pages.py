"""Data of TensorBoard's pages, as a browser would ask for it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


def ask(url: str, path: str, body: object = None) -> Any:
    """Return an answer's JSON; None if there is none."""
    request = urllib.request.Request(
        f"{url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())
    except (OSError, urllib.error.URLError, ValueError):
        return None


def hparams_table(url: str) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Return the sorted columns of the HParams page, and its rows by the names of their trials."""
    experiment = ask(url, "data/plugin/hparams/experiment", {"experimentName": ""})
    hparams = [info["name"] for info in experiment["hparamInfos"]]
    metrics = [info["name"] for info in experiment["metricInfos"]]
    question = {
        "allowedStatuses": [
            "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING", "STATUS_UNKNOWN",
        ],
        "colParams": [
            *({"hparam": name} for name in hparams), *({"metric": name} for name in metrics),
        ],
        "startIndex": 0,
        "sliceSize": 100,
    }  # fmt: skip
    groups = ask(url, "data/plugin/hparams/session_groups", question)["sessionGroups"]
    rows = {
        group["name"]: {
            **{name: group["hparams"][name] for name in hparams if name in group["hparams"]},
            **{item["name"]["tag"]: item["value"] for item in group.get("metricValues", [])},
        }
        for group in groups
    }
    return sorted([*hparams, *(metric["tag"] for metric in metrics)]), rows
