"""The API server's audit log of the whole run, compared with the rules: what is used is granted, what is granted is used."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.e2e.e2e_cluster import RELEASE, Installed, Namespace
from support.e2e.e2e_experiments import experiment, pausing
from support.e2e.e2e_faults import kill_pod

pytestmark = [pytest.mark.nodes, pytest.mark.looks_back]

Right = tuple[str, str]
"""Verb and resource, with its subresource."""

ACCOUNTS = {"operator": f"{RELEASE}-operator", "driver": "sparksweep-driver"}

SELDOM: dict[str, set[Right]] = {
    # Asked for by an admission plug-in of some clusters.
    "operator": {("update", "experiments/finalizers")},
    # When somebody else has written a batch between two writes, and when an executor has to be removed by its driver.
    "driver": {("get", "trialbatches"), ("delete", "pods")},
}
"""What a run may well do without."""


def granted(installed: Installed, part: str) -> set[Right]:
    role = installed.cluster.get("clusterrole", f"{RELEASE}-{part}")
    return {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(installed: Installed, part: str) -> list[dict[str, Any]]:
    """What the part has asked the API server for, its description of itself left out."""
    return [
        item
        for item in installed.audit(installed.audit_from)
        if item["user"]["username"].startswith("system:serviceaccount:")
        and item["user"]["username"].endswith(f":{ACCOUNTS[part]}")
        and item.get("objectRef", {}).get("resource")
    ]


def asked(installed: Installed, part: str, *, refused: bool) -> set[Right]:
    """What it has asked for; `refused`: what it was refused, too."""
    return {
        (
            item["verb"],
            "/".join(filter(None, map(item["objectRef"].get, ("resource", "subresource")))),
        )
        for item in requests(installed, part)
        if refused or item["responseStatus"]["code"] != 403
    }


def unused(installed: Installed) -> dict[str, set[Right]]:
    return {
        part: granted(installed, part) - asked(installed, part, refused=False) for part in ACCOUNTS
    }


def use_every_right(namespace: Namespace) -> None:
    """An experiment that has everything happen to it: for a run of this test alone."""
    document = experiment("eventful", trials=60, source=pausing(1.5), parallel=2)
    namespace.apply(document)
    begun = time.monotonic()
    namespace.wait_for(lambda: namespace.ended("eventful") >= 2, "two trials have ended")
    kill_pod(namespace.pods("eventful", "executor")[0])
    patch = {"spec": {"parallelTrialCount": 1}}
    namespace.kubectl("patch", "swx", "eventful", "--type=merge", "-p", json.dumps(patch))
    ended = namespace.ended("eventful")
    namespace.wait_for(lambda: namespace.ended("eventful") > ended + 2, "it goes on")
    kill_pod(namespace.pods("eventful", "driver")[0])
    namespace.wait_for(
        lambda: namespace.running("eventful", "driver") == ["eventful-driver-1"], "another driver"
    )
    # What the watches tell is checked after 50 seconds.
    namespace.wait_for(lambda: time.monotonic() - begun > 65, "some time passes")
    patch = {"spec": {"activeDeadlineSeconds": 1}}
    namespace.kubectl("patch", "swx", "eventful", "--type=merge", "-p", json.dumps(patch))
    # A driver that has the time removes its executors.
    namespace.wait_until_finished("eventful")
    namespace.wait_for(
        lambda: (
            not namespace.pods("eventful", "executor")
            and not namespace.running("eventful", "driver")
        ),
        "the driver has ended, and its executors are gone",
    )
    patch = {"spec": {"ttlSecondsAfterFinished": 1}}
    namespace.kubectl("patch", "swx", "eventful", "--type=merge", "-p", json.dumps(patch))
    namespace.wait_for(lambda: not namespace.left(), "it is deleted")


def test_every_right_is_used_and_no_other_is_asked_for(
    installed: Installed, make_namespace: Callable[[], Namespace], figure: Callable[[str], None]
) -> None:
    if not all(unused(installed)[part] <= SELDOM[part] for part in ACCOUNTS):
        use_every_right(make_namespace())
    for part in ACCOUNTS:
        rules = granted(installed, part)
        # Refused is what a quota or Pod Security does not allow, too, or who outlives the binding of its account: when a
        # namespace or the chart goes. What matters is that the rules have it.
        assert asked(installed, part, refused=True) <= rules, part
        assert unused(installed)[part] <= SELDOM[part], part
        figure(f"rights of the {part}: {len(rules - unused(installed)[part])} of {len(rules)} used")
