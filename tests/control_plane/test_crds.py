"""The CRDs on a real API server: it takes them, explains them, and refuses what our own checks say it refuses."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from cluster.client import Cluster, KubectlError
from sparksweep_core.validation.document import parse_yaml
from support.documents.experiments_for_checks import FUNCTION, changed
from support.documents.invalid_documents import INVALID, Row
from support.documents.valid_documents import CHANGED, TEXTS

GROUP = "sparksweep.dev/v1alpha1"
REFUSED = r"is invalid: |Error from server \((BadRequest|Invalid)\)"
"""The server's own words; a refusal of kubectl's, or of a server that is not there, has others."""

VALID = {name: parse_yaml(text) for name, text in TEXTS.items()} | CHANGED


@pytest.fixture(scope="module")
def api(control_plane: Cluster, crds: None) -> Cluster:
    return control_plane


@pytest.fixture(scope="module")
def module_namespace(api: Cluster) -> str:
    return api.namespace()


def create(cluster: Cluster, namespace: str, document: dict[str, Any]) -> dict[str, Any]:
    """POST a document as it is, as kubectl would after it has looked at it: strictly, here without storing it."""
    placed = copy.deepcopy(document)
    if isinstance(placed.get("metadata"), dict):
        placed["metadata"].pop("namespace", None)
    path = f"/apis/{GROUP}/namespaces/{namespace}/experiments?dryRun=All&fieldValidation=Strict"
    answer = cluster.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(placed))
    stored: dict[str, Any] = json.loads(answer)
    return stored


def test_both_kinds_are_established_and_have_their_short_names(api: Cluster) -> None:
    for short, kind in (("swx", "Experiment"), ("swb", "TrialBatch")):
        rows = api.kubectl("api-resources", "--api-group=sparksweep.dev", "--no-headers").split(
            "\n"
        )
        assert any(row.split()[1] == short and row.split()[-1] == kind for row in rows if row)


def test_the_schema_has_no_warning_of_the_servers(api: Cluster) -> None:
    """Non-structural schemas and unmet conditions show up here."""
    for name in ("experiments", "trialbatches"):
        crd = api.get("crd", f"{name}.sparksweep.dev")
        conditions = {item["type"]: item["status"] for item in crd["status"]["conditions"]}
        assert conditions["Established"] == "True"
        assert conditions["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in conditions


def test_the_fields_are_explained(api: Cluster) -> None:
    said = api.kubectl("explain", "experiment.spec.trialTemplate")
    assert "KIND:       Experiment" in said
    for field in ("function", "command", "source", "resources", "maxRetries"):
        assert f"  {field}\t" in said, said
    assert "<empty>" not in said


def test_every_level_is_described(api: Cluster) -> None:
    said = api.kubectl("explain", "--recursive", "experiment.spec")
    assert "feasibleSpace" in said
    gpu = api.kubectl("explain", "experiment.spec.trialTemplate.resources.gpu.count")
    assert "DESCRIPTION" in gpu
    assert "<empty>" not in gpu


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_the_server_takes_a_valid_document(
    document: dict[str, Any], api: Cluster, module_namespace: str
) -> None:
    stored = create(api, module_namespace, document)
    assert stored["metadata"]["name"] == document["metadata"]["name"]


@pytest.mark.parametrize(
    "row", [row for row in INVALID if row.caught_by != "check"], ids=lambda row: row.id
)
def test_the_server_refuses_what_the_table_says_it_refuses(
    row: Row, api: Cluster, module_namespace: str
) -> None:
    with pytest.raises(KubectlError, match=REFUSED) as refused:
        create(api, module_namespace, row.document)
    assert "failed rule" not in str(refused.value), "a rule must say what would be right"


@pytest.mark.parametrize(
    "row", [row for row in INVALID if row.caught_by == "check"], ids=lambda row: row.id
)
def test_the_server_takes_what_only_our_own_check_can_tell(
    row: Row, api: Cluster, module_namespace: str
) -> None:
    """So that the operator's condition, and not a surprise, is where the user reads about it."""
    create(api, module_namespace, row.document)


def test_the_search_of_a_stored_experiment_can_not_be_changed_and_its_counts_can(
    api: Cluster, module_namespace: str
) -> None:
    api.apply(FUNCTION, module_namespace)
    api.apply(changed(FUNCTION, {"spec.parallelTrialCount": 5}), module_namespace)
    with pytest.raises(KubectlError, match="must not change"):
        api.apply(
            changed(FUNCTION, {"spec.algorithm.algorithmName": "grid"}),
            module_namespace,
        )


def test_defaults_are_filled_in_by_the_server(api: Cluster, module_namespace: str) -> None:
    document = changed(FUNCTION, {"metadata.name": "defaults"})
    del document["spec"]["parallelTrialCount"]
    api.apply(document, module_namespace)
    stored = api.get("experiment", "defaults", module_namespace)
    assert stored["spec"]["parallelTrialCount"] == 3
    assert stored["spec"]["trialTemplate"]["resources"] == {
        "cpu": "1",
        "memory": "2Gi",
        "gpu": {"count": 0, "resourceName": "nvidia.com/gpu"},
    }


def test_the_status_is_a_subresource_that_a_user_does_not_write_by_accident(
    api: Cluster, module_namespace: str
) -> None:
    document = changed(FUNCTION, {"metadata.name": "status", "status": {"state": "Complete"}})
    api.apply(document, module_namespace)
    assert "status" not in api.get("experiment", "status", module_namespace)


def test_experiments_are_listed_with_the_columns_that_people_look_for(
    api: Cluster, module_namespace: str
) -> None:
    api.apply(changed(FUNCTION, {"metadata.name": "listed"}), module_namespace)
    header, *rows = api.kubectl("get", "swx", "-n", module_namespace).splitlines()
    assert header.split() == ["NAME", "STATE", "TRIALS", "BEST", "ALGORITHM", "AGE"]
    assert any(row.startswith("listed ") and " random " in row for row in rows)
