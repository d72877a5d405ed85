"""The SDK's client and reader of a cluster, with a local HTTP server in place of the API server."""

from __future__ import annotations

import json
import random
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from sparksweep import Experiment
from sparksweep._kube import connect
from sparksweep._runs.cluster_run import ClusterRunReader
from sparksweep.cli import main
from sparksweep.cli.targets import open_run
from sparksweep.client import Client
from sparksweep.errors import (
    ClusterError,
    ClusterUnavailable,
    ExperimentExists,
    ExperimentNotFound,
    ExperimentRefused,
    Forbidden,
    InvalidExperiment,
    MissingDependency,
    Unreadable,
)

ROOT = "/apis/sparksweep.dev/v1alpha1/namespaces/lab"


class ApiServer:
    """Answers by method and path; anything else is 404."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], tuple[int, Any]] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[bytes] = []

    def refuse(self, method: str, path: str, status: int, message: str) -> None:
        self.answers[method, path] = status, {"kind": "Status", "message": message}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    answers = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            answers.bodies.append(self.rfile.read(length))
            request = self.command, self.path.partition("?")[0]
            answers.requests.append(request)
            status, body = answers.answers.get(request, (404, {"message": "no such object"}))
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            return

    http = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.02,))
    thread.start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [
            {"name": "here", "cluster": {"server": f"http://127.0.0.1:{http.server_port}"}}
        ],
        "users": [{"name": "me", "user": {}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "me", "namespace": "lab"}}
        ],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield answers
    http.shutdown()
    http.server_close()
    thread.join()


def document() -> dict[str, Any]:
    return Experiment("train:training", {"x": [1, 2]}, name="digits").to_dict()


def batch(index: int, *numbers: int) -> dict[str, Any]:
    return {
        "apiVersion": "sparksweep.dev/v1alpha1",
        "kind": "TrialBatch",
        "metadata": {"name": f"digits-{index}", "namespace": "lab"},
        "spec": {
            "experiment": "digits",
            "index": index,
            "trials": [{"number": n, "parameters": {"x": str(n)}} for n in numbers],
        },
    }


def test_an_experiment_and_its_trials_are_read(server: ApiServer) -> None:
    server.answers["GET", f"{ROOT}/experiments/digits"] = 200, document()
    server.answers["GET", f"{ROOT}/experiments"] = 200, {"items": [document()]}
    batches = [batch(0, 1), batch(1, 2)]
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": batches}
    server.answers["GET", f"{ROOT}/trialbatches/digits-1"] = 200, batches[1]
    with Client() as client:
        assert client.get("digits").metadata.name == "digits"
        assert [item.metadata.name for item in client.experiments()] == ["digits"]
        assert [trial.number for trial in client.trials("digits")] == [1, 2]
    reader = ClusterRunReader(connect(), "digits")
    assert reader.title == "Experiment digits in namespace lab"
    assert reader.experiment().metadata.name == "digits"
    assert [trial.number for trial in reader.trials()] == [1, 2]
    assert reader.trial(3) is None
    for _ in range(2):
        trial = reader.trial(2)
        assert trial is not None
        assert trial.number == 2
    # The second time its batch alone is read.
    assert server.requests[-1] == ("GET", f"{ROOT}/trialbatches/digits-1")


LATER: dict[str, Callable[[dict[str, Any]], object]] = {
    "a later condition": lambda item: item.update(status={"conditions": "many"}),
    "a later algorithm": lambda item: item["spec"]["algorithm"].update(algorithmName="psychic"),
    "a later count": lambda item: item.update(status={"trials": {"created": "dozens"}}),
}


@pytest.mark.parametrize("change", LATER.values(), ids=LATER)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_list_has_what_can_be_read_and_names_the_rest(
    server: ApiServer, change: Callable[[dict[str, Any]], object], position: int
) -> None:
    items = [document() for _ in range(3)]
    for index, item in enumerate(items):
        item["metadata"] |= {"name": f"digits-{index}", "namespace": "lab"}
    change(items[position])
    server.answers["GET", f"{ROOT}/experiments"] = 200, {"items": items[::-1]}
    name = f"digits-{position}"
    with Client() as client:
        with pytest.warns(UserWarning, match=f"The list lacks Experiment {name} in") as caught:
            listed = client.experiments()
        assert caught[0].filename == __file__
    assert [item.metadata.name for item in listed] == [
        f"digits-{index}" for index in range(3) if index != position
    ]
    (error,) = listed.unreadable
    assert error.subject == f"Experiment {name} in namespace lab"
    assert error.errors
    server.answers["GET", f"{ROOT}/experiments/{name}"] = 200, items[position]
    with Client() as client, pytest.raises(Unreadable, match=name):
        client.get(name)


def test_a_list_of_what_can_not_be_read_is_empty_and_says_so(server: ApiServer) -> None:
    broken = document() | {"spec": 1}
    server.answers["GET", f"{ROOT}/experiments"] = 200, {"items": [broken, broken]}
    with Client() as client, pytest.warns(UserWarning, match="digits, Experiment digits"):
        listed = client.experiments()
    assert listed == []
    assert len(listed.unreadable) == 2


def exit_code(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_trials_that_can_not_be_read_are_named_and_never_taken_for_absent(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    later = batch(1, 2, 3)
    later["status"] = {"trials": [{"number": 2, "state": "Dreaming"}]}
    server.answers["GET", f"{ROOT}/experiments/digits"] = 200, document()
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": [batch(0, 1), later]}
    with Client() as client:
        with pytest.warns(UserWarning, match="The list lacks TrialBatch digits-1 in .*Dreaming"):
            trials = client.trials("digits")
        assert [trial.number for trial in trials] == [1]
        assert [error.subject for error in trials.unreadable] == [
            "TrialBatch digits-1 in namespace lab"
        ]
    reader = ClusterRunReader(connect(), "digits")
    assert [trial.number for trial in reader.trials()] == [1]
    assert reader.trial(1) is not None
    with pytest.raises(Unreadable, match="digits-1"):
        reader.trial(2)
    assert exit_code("trials", "digits") == 0
    shown = capsys.readouterr()
    assert "1" in shown.out
    assert "The list lacks TrialBatch digits-1 in namespace lab" in shown.err
    assert exit_code("best", "digits") == 2
    assert "digits-1" in capsys.readouterr().err


def test_a_reader_names_an_experiment_that_does_not_exist(server: ApiServer) -> None:
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": []}
    message = "Experiment digits in namespace lab: no such object"
    with pytest.raises(ExperimentNotFound, match=message):
        ClusterRunReader(connect(), "digits").trials()
    with Client() as client:
        assert client.trials("digits") == []
        with pytest.raises(ExperimentNotFound, match=message):
            client.delete("digits")


@pytest.mark.parametrize("command", ["trials", "best", "logs", "tensorboard"])
@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_name_that_is_neither_directory_nor_experiment_is_said_to_be_neither(
    server: ApiServer,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": []}
    server.refuse("GET", f"{ROOT}/experiments/nope", status, "because")
    arguments = [command, "nope", "--trial", "1"] if command == "logs" else [command, "nope"]
    absent = "Experiment nope in namespace lab: because"
    assert exit_code(*arguments) == 2
    assert capsys.readouterr().err == f"error: there is no directory nope here, and {absent}\n"
    assert exit_code(*arguments, "--namespace", "lab") == 2
    assert capsys.readouterr().err == f"error: {absent}\n"


def test_of_an_experiment_that_was_found_no_directory_is_missed(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.answers["GET", f"{ROOT}/experiments/digits"] = 200, document()
    reader = open_run("digits", None)
    reader.experiment()
    server.refuse("GET", f"{ROOT}/trialbatches", 403, "because")
    with pytest.raises(Forbidden) as caught:
        reader.trials()
    assert "directory" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "when_read", "when_written"),
    [
        (403, Forbidden, Forbidden),
        (404, ExperimentNotFound, ExperimentNotFound),
        (409, ClusterError, ExperimentExists),
        (422, ClusterError, ExperimentRefused),
        (500, ClusterUnavailable, ClusterUnavailable),
        (418, ClusterError, ClusterError),
    ],
)
def test_each_status_is_one_error_with_the_servers_own_words(
    server: ApiServer, status: int, when_read: type[Exception], when_written: type[Exception]
) -> None:
    path = f"{ROOT}/experiments/digits"
    server.refuse("GET", path, status, "because")
    server.refuse("PATCH", path, status, "because")
    with Client() as client:
        with pytest.raises(ClusterError) as read:
            client.get("digits")
        with pytest.raises((ClusterError, ExperimentRefused)) as written:
            client.change("digits", suspend=True)
    assert (type(read.value), type(written.value)) == (when_read, when_written)
    assert str(read.value) == str(written.value) == "Experiment digits in namespace lab: because"


def test_without_a_configuration_the_command_names_both_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(ClusterUnavailable, match=r"^no cluster is configured"):
        Client()
    message = "there is no directory digits here, and no cluster is configured"
    with pytest.raises(ClusterUnavailable, match=message):
        open_run("digits", None)
    with pytest.raises(ClusterUnavailable, match=r"^no cluster is configured"):
        open_run("digits", "lab")


def test_without_the_extra_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "sparksweep._kube.sync_client", raising=False)
    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(MissingDependency, match=r"pip install 'sparksweep\[client\]'"):
        Client()
    with pytest.raises(MissingDependency, match="there is no directory digits here, and kubernetes"):  # fmt: skip
        open_run("digits", None)


def finished(document: dict[str, Any], kind: str) -> dict[str, Any]:
    condition = {
        "type": kind,
        "status": "True",
        "reason": "SearchSpaceExhausted",
        "message": "All 2 points were tried.",
        "lastTransitionTime": "2026-01-01T00:00:00.000Z",
    }
    results = "pod/digits-driver-0:/var/lib/sparksweep/digits"
    return {**document, "status": {"conditions": [condition], "results": results}}


def test_an_experiment_is_submitted_waited_for_and_suspended(server: ApiServer) -> None:
    created = document()
    created["metadata"] |= {"uid": "1-2-3", "namespace": "lab"}
    path = f"{ROOT}/experiments/digits"
    server.answers["POST", f"{ROOT}/experiments"] = 201, created
    server.answers["GET", path] = 200, finished(created, "Complete")
    server.answers["PATCH", path] = 200, created
    trial = batch(0, 1)
    trial["status"] = {
        "trials": [{"number": 1, "state": "Succeeded", "attempt": 1, "metrics": {"metric": 0.5}}]
    }
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": [trial]}
    experiment = Experiment("train:training", {"x": [1, 2]}, name="digits")
    experiment.submit(backend="kubernetes")
    assert experiment.where == "lab/digits"
    result = experiment.wait(progress=False)
    assert (result.best_value, result.best_params) == (0.5, {"x": 1})
    assert result.best_dir == "pod/digits-driver-0:/var/lib/sparksweep/digits/trials/0001"
    experiment.cancel()
    assert ("PATCH", path) in server.requests
    assert Experiment.get("digits").where == "lab/digits"


def test_code_in_a_config_map_is_owned_by_its_experiment_or_deleted(server: ApiServer) -> None:
    noise = random.Random(0).randbytes(400_000)

    def training(x: int) -> int:
        return noise[x]

    maps = "/api/v1/namespaces/lab/configmaps"
    experiment = Experiment(training, {"x": [1, 2]}, name="digits")
    server.answers["POST", maps] = 201, {}
    server.refuse("POST", f"{ROOT}/experiments", 422, "spec.parameters: too many")
    with pytest.raises(ExperimentRefused, match="too many"):
        experiment.submit(backend="kubernetes")
    assert server.requests[-1] == ("DELETE", f"{maps}/digits-function")
    created = document()
    created["metadata"] |= {"uid": "1-2-3", "namespace": "lab"}
    server.answers["POST", f"{ROOT}/experiments"] = 201, created
    server.answers["PATCH", f"{maps}/digits-function"] = 200, {}
    experiment.submit(backend="kubernetes")
    assert server.requests[-1] == ("PATCH", f"{maps}/digits-function")


@pytest.mark.parametrize(("size", "kind"), [(100_000, "experiments"), (365_000, "experiments"), (400_000, "configmaps")])  # fmt: skip
def test_without_rights_on_config_maps_a_function_runs_until_it_is_too_long_for_its_experiment(
    server: ApiServer, size: int, kind: str
) -> None:
    noise = random.Random(0).randbytes(size)

    def training(x: int) -> int:
        return noise[x]

    maps = "/api/v1/namespaces/lab/configmaps"
    server.refuse("POST", maps, 403, 'configmaps is forbidden: User "alice" cannot create resource')
    created = document()
    created["metadata"] |= {"uid": "1-2-3", "namespace": "lab"}
    server.answers["POST", f"{ROOT}/experiments"] = 201, created
    experiment = Experiment(training, {"x": [1, 2]}, name="digits")
    if kind == "experiments":
        experiment.submit(backend="kubernetes")
        assert server.requests == [("POST", f"{ROOT}/experiments")]
        return
    with pytest.raises(Forbidden) as refused:
        experiment.submit(backend="kubernetes")
    message = str(refused.value)
    for words in ("500,000", "53", "create, patch and delete configmaps in namespace lab", "sparksweep-edit", 'User "alice"'):  # fmt: skip
        assert words in message
    assert server.requests == [("POST", maps)], "no Experiment without its code"


def test_a_suspended_experiment_goes_on_under_new_limits_and_an_ended_one_does_not(
    server: ApiServer,
) -> None:
    path = f"{ROOT}/experiments/digits"
    raised = document()
    raised["spec"]["maxTrialCount"] = 60
    server.answers["GET", path] = 200, document()
    server.answers["PATCH", path] = 200, raised
    experiment = Experiment.get("digits")
    assert experiment.resume(max_trials=60, parallel=2).spec.max_trial_count == 60
    change = {"suspend": False, "maxTrialCount": 60, "parallelTrialCount": 2}
    assert json.loads(server.bodies[-1]) == {"spec": change}
    with pytest.raises(InvalidExperiment, match=r"goal: 0\.5 can't be set on a cluster"):
        experiment.resume(goal=0.5)
    moment = "2026-01-01T00:00:00Z"
    complete = {"type": "Complete", "status": "True", "reason": "GoalReached", "lastTransitionTime": moment}  # fmt: skip
    server.answers["GET", path] = 200, {**document(), "status": {"conditions": [complete]}}
    with pytest.raises(ExperimentRefused, match="lab/digits has ended, and on a cluster"):
        experiment.resume(max_trials=70)


def test_ctrl_c_leaves_an_experiment_running_and_says_how_to_get_it_back(
    server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers["GET", f"{ROOT}/experiments/digits"] = 200, document()

    def interrupted(_: object, __: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sparksweep._backends.cluster.ClusterRun.pause", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Experiment.get("digits").wait(progress=False)
    again = "Experiment.get('digits', namespace='lab')"
    assert capsys.readouterr().err == (
        f"digits goes on in namespace lab. {again}.wait() waits for it again, {again}.cancel() suspends it\n"
    )
    assert ("PATCH", f"{ROOT}/experiments/digits") not in server.requests


def test_a_trial_of_a_cluster_has_the_function_s_values(server: ApiServer) -> None:
    server.answers["GET", f"{ROOT}/experiments/digits"] = 200, document()
    server.answers["GET", f"{ROOT}/trialbatches"] = 200, {"items": [batch(0, 1), batch(1, 2)]}
    result = Experiment.get("digits").result()
    assert [trial.parameters for trial in result.trials] == [{"x": 1}, {"x": 2}]
    assert [trial.ran for trial in result.trials] == [False, False]
    assert result.trials["parameters.x"].tolist() == [1, 2]
