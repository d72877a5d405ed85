"""Whole experiments on Spark's local master: real Java, real slots, real processes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from support.marked_processes import marked_processes
from support.sdk.commands import EXPERIMENTS, sparksweep, trials_of

pytestmark = pytest.mark.spark


def run(name: str, tmp_path: Path, *options: str) -> tuple[Any, dict[int, dict[str, Any]]]:
    """Run an experiment to its end, and return its document and its trials."""
    directory = tmp_path / "run"
    done = sparksweep(
        "run", EXPERIMENTS / f"{name}.yaml", "--dir", directory, "-o", "json", *options
    )
    document = done.document
    counts = document["status"]["trials"]
    states = ("pending", "running", "succeeded", "failed", "stopped")
    assert counts["created"] == sum(counts.get(state, 0) for state in states)
    assert counts.get("pending", 0) == counts.get("running", 0) == 0
    complete = condition(document, "Complete").get("status") == "True"
    assert done.code == (0 if complete else 1), done.stderr
    return document, trials_of(directory)


def condition(document: Any, kind: str) -> dict[str, str]:
    for condition in document["status"]["conditions"]:
        if condition["type"] == kind:
            return dict(condition)
    return {}


EXPECTED = {
    "raise": ("Exception", "ValueError: the loss exploded"),
    "exit": ("Exited", "3"),
    "os-exit": ("Exited", "4"),
    "segfault": ("SegmentationFault", "SIGSEGV"),
    "kill-self": ("Signalled", "SIGKILL"),
    "allocate": ("OOMKilled", "300Mi"),
    "memory-error": ("OutOfMemory", "300Mi"),
    "hang": ("TimedOut", "4"),
    "ignore-sigterm": ("TimedOut", "4"),
    "nan": ("MetricNaN", "score"),
    "infinite": ("MetricInfinite", "score"),
    "string": ("MetricNotNumeric", "0.93"),
    "missing": ("MetricMissing", "accuracy"),
    "nothing": ("MetricMissing", "score"),
}
"""Behaviour of a trial of torture.yaml -> its reason, and a text of its message."""


def test_every_bad_trial_fails_with_its_own_reason_and_the_others_succeed(tmp_path: Path) -> None:
    document, trials = run("torture", tmp_path)
    for trial in trials.values():
        behaviour = trial["parameters"]["behaviour"]
        if behaviour in EXPECTED:
            reason, text = EXPECTED[behaviour]
            assert (trial["state"], trial["reason"]) == ("Failed", reason), trial
            assert text in trial["message"], trial
        else:
            assert trial["state"] == "Succeeded", trial
        assert trial["attempt"] == 1
    assert document["status"]["trials"]["failed"] == len(EXPECTED)
    best = document["status"]["bestTrial"]
    assert best["parameters"] == {"behaviour": "good-6"}
    assert best["objective"] == 6.0
    assert marked_processes() == []
    logs = tmp_path / "run" / "trials"
    flood = next(n for n, t in trials.items() if t["parameters"]["behaviour"] == "print-100-mb")
    size = (logs / f"{flood:04d}" / "stdout.log").stat().st_size
    assert 1e6 < size < 20e6
    rows = pq.read_table(tmp_path / "run" / "results.parquet").to_pylist()
    assert Counter(row["state"] for row in rows) == Counter(t["state"] for t in trials.values())


def test_katibs_grid_example_runs_its_first_twelve_points(tmp_path: Path) -> None:
    document, trials = run("katib-grid", tmp_path)
    points = [(t["parameters"]["lr"], t["parameters"]["momentum"]) for t in trials.values()]
    momenta = (0.5, 0.6, 0.7, 0.8, 0.9)
    assert points == [(lr, momentum) for lr in (0.01, 0.015, 0.02) for momentum in momenta][:12]
    assert condition(document, "Accepted")["reason"] == "GridTruncated"
    assert "45" in condition(document, "Accepted")["message"]
    assert condition(document, "Complete")["reason"] == "MaxTrialsReached"
    assert "45" in condition(document, "Complete")["message"]
    assert document["status"]["bestTrial"]["number"] == 1


def test_katibs_random_example_runs_twelve_points_of_its_space(tmp_path: Path) -> None:
    document, trials = run("katib-random", tmp_path)
    points = [
        (float(t["parameters"]["lr"]), float(t["parameters"]["momentum"])) for t in trials.values()
    ]
    assert len(set(points)) == 12
    assert all(0.01 <= lr <= 0.05 and 0.5 <= momentum <= 0.9 for lr, momentum in points)
    assert condition(document, "Complete")["reason"] == "MaxTrialsReached"
    assert document["status"]["bestTrial"]["objective"] == min(lr for lr, _ in points)


def test_too_many_failures_fail_the_experiment_with_the_last_ones_message(tmp_path: Path) -> None:
    document, trials = run("failing", tmp_path)
    failed = condition(document, "Failed")
    assert failed["reason"] == "MaxFailedTrialsReached"
    assert "ValueError: x is" in failed["message"]
    states = Counter(trial["state"] for trial in trials.values())
    assert states["Succeeded"] == 1
    # Two ran when the third failed; one of them may have failed as well.
    assert states["Failed"] in (3, 4)
    assert states["Stopped"] == len(trials) - states["Failed"] - 1
    assert document["status"]["bestTrial"]["number"] == 1


def test_trials_that_all_fail_alike_are_not_run_to_the_last(tmp_path: Path) -> None:
    document, trials = run("failing-alike", tmp_path)
    failed = condition(document, "Failed")
    assert failed["reason"] == "IdenticalFailures"
    assert "ModuleNotFoundError: No module named 'absent_library'" in failed["message"]
    assert "set maxFailedTrialCount" in failed["message"]
    states = Counter(trial["state"] for trial in trials.values())
    # Slots that are as fast as this run on until the planner's next turn.
    assert states["Failed"] >= 12
    assert states["Stopped"] == 100 - states["Failed"]


def test_negative_metrics_a_first_nan_defaults_and_keyword_arguments(tmp_path: Path) -> None:
    document, trials = run("negative", tmp_path)
    assert len(trials) == 8
    assert [trials[n]["reason"] for n in (1, 2)] == ["MetricNaN", "MetricNaN"]
    best = document["status"]["bestTrial"]
    assert best["parameters"] == {"lr": "0.1", "layers": "1"}
    assert best["objective"] == pytest.approx(-1.1)
    assert condition(document, "Complete")["reason"] == "SearchSpaceExhausted"


def test_the_goal_stops_the_rest_at_once(tmp_path: Path) -> None:
    document, trials = run("goal", tmp_path)
    assert condition(document, "Complete")["reason"] == "GoalReached"
    assert trials[3]["state"] == "Succeeded"
    assert {trials[n]["state"] for n in trials if n != 3} == {"Stopped"}
    assert {trials[n]["reason"] for n in trials if n != 3} == {"GoalReached"}
    assert sum(trial.get("attempt", 0) for trial in trials.values()) <= 4
    assert marked_processes() == []


def test_a_grid_too_large_to_build_is_counted_and_begun(tmp_path: Path) -> None:
    document, trials = run("huge-grid", tmp_path)
    assert len(trials) == 5
    assert [trial["parameters"]["p20"] for trial in trials.values()] == [1, 2, 3, 4, 5]
    assert "10^40" in condition(document, "Accepted")["message"]
    assert "bestTrial" not in document["status"]


def test_failed_attempts_are_retried_and_their_logs_kept(tmp_path: Path) -> None:
    document, trials = run("retries", tmp_path)
    assert {(t["state"], t["attempt"], t["retries"]) for t in trials.values()} == {
        ("Succeeded", 2, 1)
    }
    values = {n: float(t["parameters"]["x"]) for n, t in trials.items()}
    assert document["status"]["bestTrial"]["number"] == max(values, key=lambda n: values[n])
    assert (tmp_path / "run" / "trials" / "0001" / "stderr.attempt-1.log").exists()
