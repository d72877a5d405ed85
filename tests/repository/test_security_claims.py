"""Each claim of docs/security.md has a test that holds it, or is advice to the cluster's owner."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"

ADVICE = "advice"
"""Mark of a paragraph that says what to do, what does not hold, or what Kubernetes does."""
HOSTILE = (
    "e2e/test_hostile.py::test_hostile_trials_get_what_the_page_on_security_says_and_nothing_else"
)
MATRIX = "control_plane/test_rights_matrix.py::test_a_role_of_ours_has_exactly_its_table"
SLOT = "trainer/driver/test_hostile_slot.py"
SERVER = "trainer/test_http_server.py"
TLS = "trainer/driver/test_trial_server_tls.py"

CLAIMS: list[tuple[str, list[str]]] = [
    ("Rights of each part, isolation of users, and", [ADVICE]),
    ("No part may read Secrets", [MATRIX, "chart/test_chart_objects.py::test_no_rule_has_a_wildcard_or_gives_what_nobody_needs", "e2e/test_rights.py::test_every_right_is_used_and_no_other_is_asked_for"]),
    ("With `watchNamespaces` the operator has no right", ["chart/test_chart_objects.py::test_for_some_namespaces_no_right_is_given_outside_of_them", "control_plane/test_operator_rights.py::test_for_one_namespace_no_right_outside_of_it_is_needed_and_every_right_inside_is"]),
    ("Neither the operator nor a driver unpickles", [f"{SLOT}::test_an_outcome_that_could_not_be_written_never_enters", "trainer/driver/test_server.py::test_what_is_not_a_request_is_refused"]),
    ("Spark's secret is 32 random bytes", ["operator/test_manifests.py::test_sparks_secret_is_no_value_in_any_pod_or_config_map", HOSTILE]),
    ("Spark's Java accepts messages of Spark", ["trainer/driver/test_java_objects.py::test_every_object_but_a_message_is_refused_and_logged_and_trials_go_on"]),
    ("A local run uses a secret, too", ["trainer/driver/test_java_objects.py::test_without_the_secret_nothing_is_read"]),
    ("A store's Secret", ["trainer/kubernetes/test_store_credentials.py::test_other_variables_are_refused_by_name", "trainer/kubernetes/test_store_credentials.py::test_the_entry_point_takes_modules_from_the_image_alone"]),
    ("A driver's cloud identity", ["operator/test_manifests.py::test_a_cluster_may_allow_some_uris_alone", "trainer/kubernetes/test_store_credentials.py::test_the_drivers_identity_is_shown_to_no_server_of_the_users_choice"]),
    ("A claim as run directory", ["trainer/files/test_planted_links.py::test_no_link_is_followed", "e2e/test_storage.py::test_files_are_there_after_the_driver_was_killed"]),
    ("Every pod passes Pod Security's profile", ["operator/test_manifests.py::test_every_pod_passes_pod_securitys_restricted_profile", "chart/test_chart_objects.py::test_the_api_server_takes_everything_and_every_pod_is_restricted"]),
    ("The tests ask a real API server", [MATRIX, "control_plane/test_rights_matrix.py::test_a_role_of_kubernetes_gains_by_aggregation_what_ours_has_and_nothing_else"]),
    ("Nobody but the operator decides", ["trainer/kubernetes/test_settings.py::test_a_file_that_the_operator_did_not_write_is_refused_with_its_config_map", "trainer/slot/test_trial_code.py::test_sealed_code_that_was_changed_starts_no_trial"]),
    ("Logs and TensorBoard are read through one pod", ["operator/test_gateway_server.py::test_no_other_pod_is_reached", "operator/test_gateway_server.py::test_nothing_but_two_services_of_an_experiment_can_be_asked_for", "operator/test_gateway_server.py::test_a_request_is_bounded_in_bytes_and_time", "operator/test_gateway_server.py::test_a_connection_too_many_is_refused_and_later_ones_are_served"]),
    ("`sparksweep-view` does not reach it", [MATRIX]),
    ("The operator's token is worth", [MATRIX]),
    ("Users who may create Experiments", [ADVICE]),
    ("The driver runs no user's code", [ADVICE]),
    ("Its role holds TrialBatches and pods", [MATRIX]),
    ("ValidatingAdmissionPolicies", ["control_plane/test_driver_account.py::test_any_other_pod_is_refused", "control_plane/test_driver_account.py::test_a_token_that_no_pod_has_is_refused", "control_plane/test_driver_account.py::test_a_driver_changes_and_deletes_its_own_executors_and_no_other_pod"]),
    ("Labels and annotations are the operator's", ["control_plane/test_driver_account.py::test_any_other_pod_is_refused", "control_plane/test_driver_account.py::test_additions_of_other_admission_plugins_are_accepted"]),
    ("The chart refuses values that would undo this", ["chart/test_chart_objects.py::test_entries_that_would_undo_the_policies_are_refused_all_at_once", "chart/test_chart_objects.py::test_values_that_make_no_sense_are_refused_with_their_place"]),
    ("The policies can't tell", [ADVICE]),
    ("With `admissionPolicy.enabled: false`", ["chart/test_chart_objects.py::test_the_admission_policies_refuse_and_can_be_left_out"]),
    ("A webhook that adds containers", [ADVICE]),
    ("Anyone who may create pods", ["control_plane/test_driver_account.py::test_any_other_pod_is_refused"]),
    ("`networkPolicy.enabled` makes policies", ["chart/test_chart_objects.py::test_policies_let_executors_reach_their_driver_and_nobody_else", "chart/test_chart_objects.py::test_the_gateway_runs_where_drivers_may_and_reaches_nothing_else"]),
    ("Without a token the trial server gives little", [f"{SERVER}::test_without_the_token_no_more_than_a_head_is_read", f"{SERVER}::test_strangers_are_bounded_and_keep_nobody_out", f"{SERVER}::test_half_a_handshake_blocks_nobody", f"{SERVER}::test_what_is_no_tls_is_closed_at_once_and_never_parsed", f"{SERVER}::test_a_flood_of_connections_leaves_those_that_were_admitted_alone", "repository/test_security_figures.py::test_the_bounds_before_the_token_are_those_of_the_documentation"]),
    ("Slots and the trial server speak TLS", [f"{TLS}::test_no_other_server_hears_the_token", f"{TLS}::test_each_run_has_a_key_of_its_own_that_no_file_holds", "trainer/kubernetes/test_driver_process.py::test_batches_are_run_and_their_statuses_written", HOSTILE]),
    ("A token is good for one slot", [f"{SLOT}::test_a_token_is_good_for_its_own_slot_only", f"{SLOT}::test_neither_logs_nor_errors_nor_statuses_have_a_token", "trainer/kubernetes/test_driver_process.py::test_batches_are_run_and_their_statuses_written"]),
    ("A trial is the user's code", [HOSTILE]),
    ("Files: its own code", [HOSTILE]),
    ("With its slot's token a trial", [f"{SLOT}::test_nothing_of_a_trial_that_it_does_not_run_is_taken", f"{SLOT}::test_a_finished_trial_never_changes", f"{SLOT}::test_files_stay_below_the_directory_of_their_trial", f"{SLOT}::test_trials_that_it_takes_and_gives_back_end_as_lost", f"{SLOT}::test_a_flood_of_connections_with_a_token_costs_its_own_slot", f"{SERVER}::test_a_flood_of_requests_leaves_others_their_turn", f"{SERVER}::test_one_owner_sends_one_large_body_at_a_time", HOSTILE]),
    ("The trials of the same experiment are not", [ADVICE]),
    ("Network: the driver's ports", [HOSTILE]),
    ("The driver's Java refuses every object", ["trainer/driver/test_java_objects.py::test_every_object_but_a_message_is_refused_and_logged_and_trials_go_on", HOSTILE]),
    ("A claim that it mounts", ["trainer/files/test_planted_links.py::test_no_link_is_followed", HOSTILE]),
    ("Output: what it prints", ["sdk/test_nasty_text.py::test_tables_show_every_value_as_it_is", HOSTILE]),
    ("It gets no token of a service account", ["operator/test_manifests.py::test_executors_have_no_token_and_no_rights", HOSTILE]),
    ("Images are built from `requirements.lock`", ["repository/test_images.py::test_pip_installs_what_the_lock_says"]),
]  # fmt: skip


def claims() -> list[str]:
    """Return the page's paragraphs and items, without emphasis."""
    found: list[str] = []
    for block in PAGE.read_text().split("\n\n"):
        if not block.startswith(("#", "|")):
            items = re.split(r"\n(?=- )", block)
            found += [" ".join(item.removeprefix("- ").replace("**", "").split()) for item in items]
    return [item for item in found if item]


@cache
def functions(path: str) -> frozenset[str]:
    return frozenset(re.findall(r"^def (test_\w+)", (ROOT / "tests" / path).read_text(), re.M))


def test_each_claim_of_the_page_is_in_the_table_and_each_row_on_the_page() -> None:
    found = claims()
    starts = [start for start, _ in CLAIMS]
    assert [text[:60] for text in found if not text.startswith(tuple(starts))] == []
    assert [start for start in starts if sum(text.startswith(start) for text in found) != 1] == []


@pytest.mark.parametrize(("start", "tests"), CLAIMS, ids=[start for start, _ in CLAIMS])
def test_each_claim_has_a_test_that_exists_or_is_advice(start: str, tests: list[str]) -> None:
    assert tests, f"{start}: neither a test nor advice"
    for test in tests:
        if test != ADVICE:
            path, _, name = test.partition("::")
            assert name in functions(path), f"{test} does not exist"
