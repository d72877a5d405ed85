"""The driver's question why it has no executor: when it is asked, and what becomes of each answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from sparksweep_core.api_server.errors import (
    AdmissionFailed,
    Forbidden,
    Invalid,
    KubeError,
    NotFound,
    Unavailable,
)
from sparksweep_core.contract.problems import EXECUTORS_REFUSED
from sparksweep_trainer.kubernetes.api_client import ApiClient, Endpoint
from sparksweep_trainer.kubernetes.executor_probe import AFTER_S, AGAIN_S, ExecutorProbe
from sparksweep_trainer.kubernetes.settings import ClusterSettings

Json = dict[str, Any]
TEMPLATE: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"labels": {"sparksweep.dev/role": "executor"}},
    "spec": {
        "containers": [{"name": "executor", "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        "volumes": [{"name": "sparksweep-spark-secret", "secret": {"secretName": "to-be-set"}}],
    },
}
CONF = {
    "spark.kubernetes.executor.podNamePrefix": "digits-3",
    "spark.kubernetes.container.image": "registry.example/trainer:1",
    "spark.kubernetes.container.image.pullPolicy": "Always",
    "spark.kubernetes.executor.request.cores": "500m",
    "spark.executor.memory": "480m",
    "spark.executor.memoryOverhead": "544m",
}


class Api(ApiClient):
    """Answers the creation of a pod with an error while it has one."""

    def __init__(self) -> None:
        super().__init__(Endpoint(server="http://nowhere"))
        self.error: KubeError | None = None
        self.asked: list[Json] = []
        self.reads = 0

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json | None = None,
        content_type: str = "application/json",
    ) -> Json:
        if method == "GET":
            assert path == "/api/v1/namespaces/lab/pods/digits-driver-3"
            self.reads += 1
            return {"metadata": {"uid": "uid-of-the-driver"}}
        assert (method, path, query) == ("POST", "/api/v1/namespaces/lab/pods", {"dryRun": "All"})
        assert body is not None
        self.asked.append(json.loads(json.dumps(body)))
        if self.error is not None:
            raise self.error
        return body


class Rig:
    def __init__(self, directory: Path, *, template: str = json.dumps(TEMPLATE)) -> None:
        source = directory / "executor-pod.json"
        source.write_text(template)
        settings = ClusterSettings(
            experiment="digits",
            namespace="lab",
            driver="digits-driver-3",
            host="10.0.0.1",
            master="k8s://https://nowhere",
            conf={**CONF, "spark.kubernetes.executor.podTemplateFile": str(source)},
            program=cast(Any, None),
            endpoint=Endpoint(server="http://nowhere"),
            spark_secret="digits-driver-3-0123abcd",
        )
        self.now = 100.0
        self.is_without = True
        self.api = Api()
        self.probe = ExecutorProbe(
            settings, is_without=lambda: self.is_without, monotonic=lambda: self.now
        )

    def at(self, seconds: float) -> str | None:
        """Return the problem some seconds after the start."""
        self.now = 100.0 + seconds
        self.probe.step(self.api)
        return self.probe.problem


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


REFUSED = [
    Forbidden('pods "digits-3-exec-0" is forbidden: exceeded quota: small'),
    Forbidden('pods is forbidden: User "system:serviceaccount:lab:sparksweep-driver" cannot create'),
    Invalid('admission webhook "guard.example.org" denied the request: no'),
    AdmissionFailed("Internal error occurred: failed calling webhook"),
]  # fmt: skip


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_a_refusal_is_told_in_the_servers_words_until_it_is_over(rig: Rig, error: KubeError) -> None:  # fmt: skip
    rig.api.error = error
    assert rig.at(0) is None
    assert rig.at(AFTER_S - 1) is None
    assert rig.api.asked == []
    assert rig.at(AFTER_S) == f"{EXECUTORS_REFUSED} by the driver's account: {error}"
    assert rig.at(AFTER_S + AGAIN_S - 1) is not None
    assert len(rig.api.asked) == 1
    rig.api.error = None
    assert rig.at(AFTER_S + AGAIN_S) is None
    assert (len(rig.api.asked), rig.api.reads) == (2, 1)


@pytest.mark.parametrize("error", [Unavailable("503"), NotFound("404")], ids=repr)
def test_no_answer_changes_nothing(rig: Rig, error: KubeError) -> None:
    rig.at(0)
    rig.api.error = REFUSED[0]
    told = rig.at(AFTER_S)
    rig.api.error = error
    with pytest.raises(type(error)):
        rig.at(AFTER_S + AGAIN_S)
    assert rig.probe.problem == told is not None


def test_an_executor_ends_the_question_and_the_wait_begins_anew(rig: Rig) -> None:
    rig.api.error = REFUSED[0]
    rig.at(0)
    assert rig.at(AFTER_S) is not None
    rig.is_without = False
    assert rig.at(AFTER_S + 1) is None
    rig.is_without = True
    for seconds in (2.0, AFTER_S, AFTER_S + 1):
        assert rig.at(AFTER_S + seconds) is None
    assert rig.at(2 * AFTER_S + 2) is not None
    assert len(rig.api.asked) == 2


@pytest.mark.parametrize("template", ["{", "[]", "{}", '{"spec": {"volumes": []}}'])
def test_a_template_that_is_not_understood_is_no_refusal(tmp_path: Path, template: str) -> None:
    rig = Rig(tmp_path, template=template)
    rig.at(0)
    assert rig.at(AFTER_S) is None
    assert rig.api.asked == []


def test_the_pod_is_an_executor_of_this_driver(rig: Rig) -> None:
    for seconds in (0.0, AFTER_S, AFTER_S + AGAIN_S):
        rig.at(seconds)
    first, second = rig.api.asked
    assert first == second
    metadata, spec = first["metadata"], first["spec"]
    assert metadata["name"] == "digits-3-exec-0"
    assert metadata["labels"]["sparksweep.dev/role"] == "executor"
    [owner] = metadata["ownerReferences"]
    assert (owner["name"], owner["uid"]) == ("digits-driver-3", "uid-of-the-driver")
    assert spec["volumes"][0]["secret"]["secretName"] == "digits-driver-3-0123abcd"
    [container] = spec["containers"]
    assert container["image"] == "registry.example/trainer:1"
    assert container["resources"] == {
        "requests": {"cpu": "500m", "memory": "1024Mi"},
        "limits": {"memory": "1024Mi", "nvidia.com/gpu": "2"},
    }
