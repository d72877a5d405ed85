"""A user who may edit Experiments in one namespace: everything that a user needs there, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from cluster.client import Cluster, KubectlError
from cluster.helm import Helm
from sparksweep_core.api import limits
from sparksweep_core.stored_size import text_bytes
from support.control_plane.lab import Lab, experiment

USER = "alice@example.org"


class User:
    """kubectl with a user's rights."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self.name = name

    def kubectl(self, namespace: str, *arguments: str, input: str | None = None) -> str:
        who = ("--as", self.name, "--namespace", namespace)
        return self._cluster.kubectl(*who, *arguments, input=input)

    def may(self, namespace: str, verb: str, resource: str) -> bool:
        # kubectl takes what follows a slash for a name.
        kind, _, subresource = resource.partition("/")
        about = (verb, kind, *([f"--subresource={subresource}"] if subresource else []))
        try:
            return self.kubectl(namespace, "auth", "can-i", *about).strip() == "yes"
        except KubectlError:
            return False


@pytest.fixture(scope="module")
def roles(control_plane: Cluster, helm: Helm) -> Iterator[None]:
    """Install the roles for users."""
    objects = helm.template(release="sparksweep", only="user-roles.yaml")
    control_plane.apply(objects)
    yield
    for item in objects:
        control_plane.kubectl("delete", "clusterrole", item["metadata"]["name"], "--wait=false")


def bound(control_plane: Cluster, lab: Lab, role: str) -> User:
    user = User(control_plane, f"{role}-{USER}")
    lab.kubectl("create", "rolebinding", "user", f"--clusterrole={role}", f"--user={user.name}")
    lab.wait(
        lambda: user.may(lab.name, "get", "experiments.sparksweep.dev"),
        "the role is bound, and whole",
    )
    return user


@pytest.mark.parametrize("role", ["sparksweep-edit", "edit"])
def test_an_editor_runs_changes_follows_and_deletes_experiments(
    role: str, control_plane: Cluster, roles: None, lab: Lab
) -> None:
    user = bound(control_plane, lab, role)
    text = yaml.safe_dump(experiment(trials=4))
    assert "created" in user.kubectl(lab.name, "apply", "-f", "-", input=text)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=2)
    lab.wait(lambda: lab.status()["progress"] == "2/4", "two are counted")
    user.kubectl(lab.name, "patch", "swx", "digits", "--type=merge", "-p", '{"spec": {"suspend": true}}')  # fmt: skip
    lab.wait_for_condition("Suspended")
    changed = yaml.safe_dump(experiment(trials=4, parallelTrialCount=1, suspend=False))
    assert "configured" in user.kubectl(lab.name, "apply", "-f", "-", input=changed)
    lab.wait_for_driver(number=1)
    lab.take_over()
    lab.play_to_the_end()
    assert "Complete" in user.kubectl(lab.name, "get", "swx,swb")
    described = user.kubectl(lab.name, "describe", "swx", "digits")
    assert "SearchSpaceExhausted" in described
    assert "Suspended" in described
    assert user.may(lab.name, "get", "pods/log")
    assert user.may(lab.name, "watch", "trialbatches.sparksweep.dev")
    user.kubectl(lab.name, "delete", "swx", "digits")
    lab.wait(lambda: not lab.left(), "nothing is left")


def test_an_editor_may_do_nothing_else_there_and_nothing_at_all_elsewhere(
    control_plane: Cluster, roles: None, bare_lab: Lab
) -> None:
    lab = bare_lab
    user = bound(control_plane, lab, "sparksweep-edit")
    with pytest.raises(KubectlError, match="forbidden"):
        user.kubectl("default", "apply", "-f", "-", input=yaml.safe_dump(experiment()))
    with pytest.raises(KubectlError, match="forbidden"):
        user.kubectl("default", "get", "experiments.sparksweep.dev")
    for resource in ("experiments.sparksweep.dev", "trialbatches.sparksweep.dev", "pods"):
        for verb in ("get", "list", "watch", "create", "delete"):
            assert not user.may("default", verb, resource), (verb, resource)
    for verb, resource in (
        ("create", "pods"), ("delete", "pods"), ("create", "pods/exec"), ("get", "secrets"),
        ("get", "configmaps"), ("patch", "trialbatches.sparksweep.dev"),
        ("patch", "experiments.sparksweep.dev/status"), ("patch", "trialbatches.sparksweep.dev/status"),
        ("create", "rolebindings"), ("create", "serviceaccounts/token"),
    ):  # fmt: skip
        assert not user.may(lab.name, verb, resource), (verb, resource)


@pytest.mark.parametrize("character", ["x", "é", "\U0001f600", "\n", "<"])
def test_inline_source_at_its_limit_fits_into_an_experiment_and_its_config_map(
    character: str, lab: Lab
) -> None:
    """Each character at the largest number that the checks accept, by the bytes that etcd stores."""
    room = min(limits.INLINE_SOURCE, limits.INLINE_SOURCE_BYTES // text_bytes(character))
    start = "def training(x):\n    return x\n#"
    source = start + character * (room - 2 * text_bytes(start))
    lab.create(template={"source": {"inline": source}})
    lab.wait_for_driver()
    (code,) = [it for it in lab.api.items("configmaps") if "-code-" in it["metadata"]["name"]]
    assert list(code["data"].values()) == [source]
    lab.take_over()
    lab.play_to_the_end()


def test_a_viewer_looks_and_changes_nothing(
    control_plane: Cluster, roles: None, bare_lab: Lab
) -> None:
    lab = bare_lab
    user = bound(control_plane, lab, "sparksweep-view")
    lab.create()
    assert "digits" in user.kubectl(lab.name, "get", "swx")
    for verb in ("create", "update", "patch", "delete", "deletecollection"):
        assert not user.may(lab.name, verb, "experiments.sparksweep.dev")
    assert user.may(lab.name, "get", "pods/log")
