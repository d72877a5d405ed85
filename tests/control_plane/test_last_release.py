"""Operator, driver, client and CRDs of the last release together with those of this version, in both directions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
import yaml

from cluster.client import Cluster
from sparksweep import Experiment
from sparksweep.errors import ExperimentRefused
from sparksweep_core.contract.ports import OPERATOR_HEALTH_PATH, OPERATOR_READY_PATH
from sparksweep_core.validation.reading import VERSION_ANNOTATION, own_version
from sparksweep_operator.pacing import PROGRESS_INTERVAL
from support import last_release
from support.cluster_fixtures import CRDS
from support.control_plane.driver_processes import DriverProcess
from support.control_plane.driver_threads import Script, shorten_waits
from support.control_plane.fault_proxy import FaultProxy
from support.control_plane.histories import TrialHistory
from support.control_plane.kube_api import Document
from support.control_plane.lab import Lab
from support.control_plane.operator_processes import OperatorProcess
from support.control_plane.simulated_kubelet import RunningDriver, SimulatedKubelet, start_thread
from support.pruned_fields import prune

TRIALS = 120
TRIAL_S = 2.0
PARALLEL = 40
"""Trials at the same time in the end; two before."""
SETTLED_S = PROGRESS_INTERVAL.total_seconds() + 0.5
"""Seconds after a change by which a delayed status is written."""

CLIENT = """
from sparksweep import Experiment
from sparksweep.client import Client


def training(x):
    return x


made = Experiment(training, {"x": [1, 2, 3]}, name="made").submit(namespace=value["other"])
with Client(value["other"]) as client:
    client.change("made", suspend=True, parallel=2)
    changed = client.get("made").spec
    names = [item.metadata.name for item in client.experiments()]
    client.delete("made")
with Client(value["namespace"]) as client:
    digits = client.get("digits")
    trials = client.trials("digits")
result = {
    "made": [names, changed.suspend, changed.parallel_trial_count],
    "expected": digits.status.trials.expected,
    "states": {item.spec.number: item.status.state for item in trials},
}
"""
"""Everything that a client does with Experiments, for `last_release.run_with`."""

MISSING = {
    "Experiment": ["status.recentTrials", "status.trials.expected", "spec.ttlSecondsAfterFinished"],
    "TrialBatch": ["spec.parallelTrialCount", "status.progress"],
}
"""Fields of this version that the CRDs of some earlier one lack."""


@pytest.fixture(scope="module")
def old_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return last_release.unpack(tmp_path_factory.mktemp("last-release"))


@pytest.fixture(scope="module")
def drivers_url(control_plane: Cluster) -> Iterator[str]:
    """Provide the URL at which drivers reach the API server."""
    if control_plane.layout is None:
        pytest.skip("the cluster is not ours: its kubeconfig may hold any credentials")
    with ExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(control_plane.kubeconfig))
        shorten_waits(stack.enter_context(pytest.MonkeyPatch.context()))
        yield proxy.url


@dataclass
class Releases:
    """The programs of both releases, ``old`` and ``new``, around one experiment."""

    lab: Lab
    old_sources: Path
    directory: Path
    other: str
    """A namespace that no operator watches."""
    script: Script = field(default_factory=partial(Script, seconds=lambda _: TRIAL_S))
    operators: list[OperatorProcess] = field(default_factory=list)

    def sources(self, release: str) -> Path | None:
        """Return the folder of a release's packages; None for those that are installed."""
        return self.old_sources if release == "old" else None

    def start_operator(self, release: str) -> OperatorProcess:
        operator = OperatorProcess(
            self.lab.cluster.kubeconfig,
            self.directory / f"{len(self.operators)}-{release}.log",
            [self.lab.name],
            sources=self.sources(release),
            # The last release has one probe.
            ready_path=OPERATOR_HEALTH_PATH if release == "old" else OPERATOR_READY_PATH,
        )
        self.operators.append(operator)
        operator.start()
        return operator

    def start_driver(
        self, release: str, environment: dict[str, str], server: str, script: Script
    ) -> RunningDriver:
        """Start a driver with the image of a release."""
        if release == "new":
            return start_thread(environment, server, script)
        return DriverProcess(
            environment,
            server,
            script,
            sources=self.old_sources,
            trial_s=TRIAL_S,
            log=self.directory / "driver.log",
        )

    def install_crds(self, release: str) -> None:
        self.lab.cluster.apply(last_release.CRDS if release == "old" else CRDS)

    def check_client(self, release: str) -> None:
        """Check that the client of a release makes, changes, lists and deletes an Experiment, and reads a running one."""
        value = {"namespace": self.lab.name, "other": self.other}
        result = last_release.run_with(self.sources(release), CLIENT, value)
        assert result["made"] == [["made"], True, 2]
        assert result["expected"] == TRIALS
        states = {int(number): state for number, state in result["states"].items()}
        assert set(states) <= set(range(1, TRIALS + 1))
        assert "Succeeded" in states.values()

    def wait_for_more(self) -> None:
        """Wait until more trials have succeeded than now, of which some are left."""
        before = self.succeeded
        self.lab.wait(lambda: self.succeeded > before, "a trial ends")
        assert self.succeeded < TRIALS, "the run is over too early for the test"

    def wait_for_driver(self, name: str) -> None:
        """Wait until a driver has begun a trial."""
        self.lab.wait(lambda: self.script.plays[-1][0] == name, f"{name} takes over")

    @property
    def succeeded(self) -> int:
        """Number of trials that have succeeded."""
        counts = [batch.get("status", {}).get("counts", {}) for batch in self.lab.batches()]
        return sum(count.get("succeeded", 0) for count in counts)


@pytest.fixture
def releases(
    bare_lab: Lab, old_sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Releases]:
    monkeypatch.setenv("KUBECONFIG", str(bare_lab.cluster.kubeconfig))
    other = bare_lab.cluster.namespace()
    releases = Releases(bare_lab, old_sources, tmp_path, other)
    try:
        yield releases
        for operator in releases.operators:
            assert operator.troubles() == [], operator.output()
    finally:
        for operator in releases.operators:
            operator.kill()
        releases.install_crds("new")
        bare_lab.cluster.delete_namespace(other)


def older_crds() -> list[Document]:
    """Return this version's CRDs without the fields that are `MISSING`."""
    documents: list[Document] = []
    for path in sorted(CRDS.glob("*.yaml")):
        document: Document = yaml.safe_load(path.read_text())
        (version,) = document["spec"]["versions"]
        for name in MISSING[document["spec"]["names"]["kind"]]:
            # Between the names in a field's path the schema has "properties".
            prune(
                version["schema"]["openAPIV3Schema"],
                f"properties.{name.replace('.', '.properties.')}",
            )
        documents.append(document)
    return documents


def write_list(lab: Lab) -> list[str]:
    """Return the operator's writes so far, each as method, path and the answer's code."""
    return [
        f"{entry['verb']} {entry['requestURI']} {entry['responseStatus']['code']}"
        for entry in lab.writes()
    ]


def touch(lab: Lab, number: int) -> None:
    """Have the operator reconcile the experiment, although nothing of it has changed."""
    for kind, name in (("experiments", "digits"), ("trialbatches", "digits-00000")):
        lab.api.patch(kind, name, {"metadata": {"labels": {"touched": str(number)}}})


def settle(lab: Lab) -> None:
    """Wait until the operator has written nothing for as long as it may delay a status."""
    before = None
    while (writes := write_list(lab)) != before:
        before = writes
        time.sleep(SETTLED_S)


@pytest.mark.alone
@pytest.mark.chaos
@pytest.mark.timeout(300)
def test_a_run_goes_on_through_an_upgrade_and_a_rollback(
    releases: Releases, drivers_url: str
) -> None:
    """CRDs, operator and driver are replaced one after the other, and each pair of neighbours works for a while."""
    lab, script = releases.lab, releases.script
    releases.install_crds("old")
    operator = releases.start_operator("old")
    kubelet = SimulatedKubelet(lab.api, drivers_url, lambda _: script)
    kubelet.start = partial(releases.start_driver, "old")
    with kubelet:
        lab.create(trials=TRIALS)
        history = TrialHistory(lab)
        releases.wait_for_more()
        releases.check_client("new")
        for number, release in enumerate(("new", "old")):
            releases.install_crds(release)
            releases.wait_for_more()
            operator.kill()
            operator = releases.start_operator(release)
            if release == "new":
                releases.check_client("old")
            releases.wait_for_more()
            # Until now the driver has kept its image; the next one takes over from it.
            assert script.plays[-1][0] == f"digits-driver-{number}"
            kubelet.start = partial(releases.start_driver, release)
            lab.api.delete("pods", f"digits-driver-{number}")
            releases.wait_for_driver(f"digits-driver-{number + 1}")
            releases.wait_for_more()
            history.read()
        lab.change(parallelTrialCount=PARALLEL)
        lab.wait(lambda: lab.status().get("completionTime") and not lab.drivers(), "digits ends")
        assert kubelet.errors == []
    status = lab.status()
    assert status["state"] == "Complete"
    assert status["trials"]["succeeded"] == TRIALS
    trials = [trial for batch in lab.batches() for trial in batch["status"]["trials"]]
    assert [trial["state"] for trial in trials] == ["Succeeded"] * TRIALS
    # Begun again were only trials that each deleted driver was running, two at once, or whose end was not written yet.
    history.read()
    assert len(script.plays) <= TRIALS + 2 * (2 + 2)


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_with_crds_that_lack_fields_nothing_is_written_again_and_again(releases: Releases) -> None:
    """The operator begins with this version's CRDs and goes on with older ones, as after a rollback of them alone."""
    lab, trials = releases.lab, 8
    operator = releases.start_operator("new")
    lab.create(trials=trials)
    lab.wait_for_driver()
    lab.take_over()
    lab.play(most=2)
    lab.wait(lambda: lab.status()["trials"]["succeeded"] == 2, "two trials have ended")
    assert "recentTrials" in lab.status()
    lab.cluster.apply(older_crds())
    lab.wait(lambda: "recentTrials" not in lab.status(), "the API server drops the field")
    lab.change(parallelTrialCount=3)
    lab.play(most=2)
    lab.wait(lambda: lab.status()["trials"]["succeeded"] == 4, "two more trials have ended")
    touch(lab, 1)
    # Changed CRDs end the watches: what is listed again is written once more.
    settle(lab)
    writes, events = write_list(lab), lab.events()
    touch(lab, 2)
    time.sleep(SETTLED_S)
    assert write_list(lab) == writes
    assert lab.events() == events
    assert "the CRDs are older than this operator" in operator.output()
    annotations = lab.batches()[0]["metadata"]["annotations"]
    assert annotations[VERSION_ANNOTATION] == own_version()
    lab.play_to_the_end()
    assert lab.status()["trials"]["succeeded"] == trials
    # A field that the user sets is not dropped in silence.
    with pytest.raises(ExperimentRefused, match=r'unknown field "spec\.ttlSecondsAfterFinished"'):
        Experiment(lambda x: x, {"x": ["a", "b"]}, ttl_seconds=60).submit(namespace=releases.other)
