"""Every object that the operator writes is refused by a policy, or by a webhook that does not answer.

The user reads the object and the API server's words, other Experiments go on, and this one does once the refusal is over.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from support.control_plane.kube_api import Refused
from support.control_plane.lab import RUNNING, Lab, experiment

GROUP = "sparksweep.dev"
REFUSED = {
    "configmaps": ("WaitingForDriver", "The driver can't be created: "),
    "services": ("WaitingForDriver", "The driver can't be created: "),
    "secrets": ("WaitingForDriver", "The driver can't be created: "),
    "pods": ("WaitingForDriver", "The driver can't be created: "),
    "trialbatches": ("BatchRefused", "A TrialBatch is refused: "),
}
"""By the objects that are refused to the Experiment of that name the reason, and the message's beginning."""


def rules(operations: list[str], resources: list[str]) -> list[dict[str, Any]]:
    return [
        {"apiGroups": ["", GROUP], "apiVersions": ["*"], "operations": operations, "resources": resources}
    ]  # fmt: skip


def policy(lab: Lab, expression: str, *, operations: list[str], resources: list[str]) -> list[dict[str, Any]]:  # fmt: skip
    name = f"refuse-{lab.name}"
    kind = "ValidatingAdmissionPolicy"
    api = "admissionregistration.k8s.io/v1"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": lab.name}}
    return [
        {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {
                    "namespaceSelector": selector,
                    "resourceRules": rules(operations, resources),
                },
                "validations": [{"expression": f"!({expression})", "message": "not on my watch"}],
            },
        },
        {
            "apiVersion": api,
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    ]


def webhook(lab: Lab, expression: str, *, operations: list[str], resources: list[str]) -> list[dict[str, Any]]:  # fmt: skip
    """Return a webhook of which nobody answers."""
    return [
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": f"refuse-{lab.name}"},
            "webhooks": [
                {
                    "name": "guard.example.org",
                    "clientConfig": {"url": "https://127.0.0.1:1/"},
                    "rules": rules(operations, resources),
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": lab.name}},
                    "matchConditions": [{"name": "chosen", "expression": expression}],
                    "failurePolicy": "Fail",
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        }
    ]


@contextmanager
def refusing(lab: Lab, documents: list[dict[str, Any]], probe: dict[str, Any]) -> Iterator[None]:
    """Have objects refused for the duration of a block, from the moment when a probe is."""
    for document in documents:
        lab.cluster.apply(document)
    try:
        lab.wait(lambda: not _is_accepted(lab, probe), "the refusal holds")
        yield
    finally:
        for document in documents:
            lab.cluster.kubectl("delete", document["kind"], document["metadata"]["name"])


def _is_accepted(lab: Lab, probe: dict[str, Any]) -> bool:
    try:
        lab.api.create("configmaps", probe)
    except Refused:
        return False
    lab.api.delete("configmaps", probe["metadata"]["name"])
    return True


WORDS = {policy: "not on my watch", webhook: "failed calling webhook"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mechanism", [policy, webhook])
def test_a_refused_object_is_named_in_a_condition_and_others_go_on(
    lab: Lab, mechanism: Any
) -> None:
    chosen = "object.metadata.name.startsWith(request.resource.resource + '-')"
    documents = mechanism(lab, chosen, operations=["CREATE"], resources=list(REFUSED))
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "configmaps-x"}}
    with refusing(lab, documents, probe):
        for name in (*REFUSED, "digits"):
            lab.api.create("experiments", experiment(name))
        for name, (reason, begin) in REFUSED.items():
            words = WORDS[mechanism]
            found = lab.wait_for_condition("Running", "False", reason=reason, message=words, name=name)  # fmt: skip
            assert found["message"].startswith(begin)
            assert f"{name}-" in found["message"], found["message"]
            assert name == "trialbatches" or lab.driver_names(name) == []
        lab.wait_for_driver("digits")
        assert lab.play_to_the_end("digits")["state"] == "Complete"
        for name in REFUSED:
            assert not lab.status(name).get("completionTime")
    for name in REFUSED:
        lab.wait_for_driver(name)
        lab.wait(lambda name=name: lab.batches(name), f"{name} has its trials")  # type: ignore[misc]


def test_a_refused_status_is_told_by_an_event_and_holds_nothing_else_up(lab: Lab) -> None:
    documents = policy(
        lab,
        "request.resource.resource == 'configmaps' || object.metadata.name == 'digits'",
        operations=["CREATE", "UPDATE"],
        resources=["experiments/status", "configmaps"],
    )
    # The policy's operations are those of the status and of the probe.
    documents[0]["spec"]["matchConstraints"]["resourceRules"] = [
        *rules(["UPDATE"], ["experiments/status"]),
        *rules(["CREATE"], ["configmaps"]),
    ]
    documents[0]["spec"]["validations"][0]["expression"] = (
        "!(object.metadata.name in ['digits', 'probe'])"
    )
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
    with refusing(lab, documents, probe):
        lab.create()
        lab.api.create("experiments", experiment("others"))
        lab.wait_for_driver()
        lab.wait_for_driver("others")
        lab.wait(lambda: "StatusRefused" in dict(lab.events()), "an event tells it")
        words = dict(lab.events())["StatusRefused"]
        assert words.startswith("The API server refuses the status, which stays as it is: ")
        assert "digits" in words
        assert "not on my watch" in words
        lab.play(most=1)
        began = time.monotonic()
        lab.wait(lambda: time.monotonic() - began > 3, "some time passes")
        assert [reason for reason, _ in lab.events()].count("StatusRefused") == 1
        assert lab.status() == {}
    lab.wait(lambda: lab.status().get("progress") == "1/3", "the status catches up")


def test_a_name_that_is_taken_is_a_condition_until_it_is_free(lab: Lab) -> None:
    batch = {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {"name": "digits-00000"},
        "spec": {"experiment": "others", "index": 0, "trials": []},
    }
    lab.api.create("trialbatches", batch)
    lab.create()
    found = lab.wait_for_condition("Running", "False", reason="BatchRefused")
    assert '"digits-00000" already exists' in found["message"]
    lab.api.delete("trialbatches", "digits-00000")
    lab.wait_for_driver()


def test_a_pod_that_may_not_be_deleted_is_told_by_an_event_and_holds_no_successor_up(
    lab: Lab,
) -> None:
    documents = policy(
        lab, "oldObject.metadata.name == 'digits-driver-0'", operations=["DELETE"], resources=["pods"]
    )  # fmt: skip
    documents[0]["spec"]["matchConstraints"]["resourceRules"] += rules(["CREATE"], ["configmaps"])
    documents[0]["spec"]["validations"][0]["expression"] = (
        "request.operation == 'CREATE' ? object.metadata.name != 'probe' : oldObject.metadata.name != 'digits-driver-0'"
    )
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
    lab.create()
    lab.wait_for_driver()
    lab.take_over()
    with refusing(lab, documents, probe):
        lab.change(suspend=True)
        lab.wait(lambda: "PodNotDeleted" in dict(lab.events()), "an event tells it")
        words = dict(lab.events())["PodNotDeleted"]
        assert words.startswith("Pod digits-driver-0 is not needed, and can't be deleted: ")
        assert "not on my watch" in words
        lab.wait_for_condition("Suspended")
    lab.wait(lambda: not lab.drivers(), "it is deleted")


def test_an_end_that_may_not_be_told_and_a_deletion_that_may_not_be_made_are_events(
    lab: Lab,
) -> None:
    documents = policy(lab, "true", operations=[], resources=[])
    documents[0]["spec"]["matchConstraints"]["resourceRules"] = [
        *rules(["UPDATE"], ["trialbatches"]),
        *rules(["DELETE"], ["experiments"]),
        *rules(["CREATE"], ["configmaps"]),
    ]
    documents[0]["spec"]["validations"][0]["expression"] = (
        "request.operation == 'CREATE' ? object.metadata.name != 'probe' : "
        "request.operation == 'UPDATE' && !(has(object.spec.closed) && object.spec.closed)"
    )
    probe = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "probe"}}
    with refusing(lab, documents, probe):
        lab.create(ttlSecondsAfterFinished=1)
        # Beside a viewer a driver is told the end; another's pod is deleted.
        lab.set_containers(lab.wait_for_driver(), driver=RUNNING, viewer=RUNNING)
        lab.take_over()
        assert lab.play_to_the_end()["state"] == "Complete"
        for reason, begin in (
            ("BatchNotClosed", "The driver can't be told the end: "),
            ("NotDeleted", "Its TTL is over, and it can't be deleted: "),
        ):
            lab.wait(lambda reason=reason: reason in dict(lab.events()), reason)  # type: ignore[misc]
            words = dict(lab.events())[reason]
            assert words.startswith(begin)
            assert "not on my watch" in words
            assert [other for other, _ in lab.events()].count(reason) == 1
        assert not lab.batches()[-1]["spec"].get("closed")
