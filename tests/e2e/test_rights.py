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
    # After a conflicting write to a batch, and when a driver has to remove an executor.
    "driver": {("get", "trialbatches"), ("delete", "pods")},
}
"""Rights that a run may not use."""


def granted(installed: Installed, part: str) -> set[Right]:
    role = installed.cluster.get("clusterrole", f"{RELEASE}-{part}")
    return {
        (verb, resource)
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def requests(installed: Installed, part: str) -> list[dict[str, Any]]:
    """Return the part's requests to the API server, without those that describe itself."""
    return [
        item
        for item in installed.audit(installed.audit_from)
        if item["user"]["username"].startswith("system:serviceaccount:")
        and item["user"]["username"].endswith(f":{ACCOUNTS[part]}")
        and item.get("objectRef", {}).get("resource")
    ]


def asked(installed: Installed, part: str, *, refused: bool) -> set[Right]:
    """Return the rights that it used; with `refused` also those that it was refused."""
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
    """Run an experiment that uses every right, if this test runs alone."""
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
    # The cache is compared with the API server after 50 seconds.
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
        # Requests are also refused by a quota or Pod Security, or because a part outlives its account's binding: when a
        # namespace or the chart is deleted. The rules must contain them.
        assert asked(installed, part, refused=True) <= rules, part
        assert unused(installed)[part] <= SELDOM[part], part
        figure(f"rights of the {part}: {len(rules - unused(installed)[part])} of {len(rules)} used")
