"""The faults, each a function of the scene; `FAULTS` weighs them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.scene import Scene
from support.control_plane.fault_proxy import Fault, Interference
from support.control_plane.kube_api import Refused

WRITING = ("POST", "PATCH", "DELETE")


def kill_operator(scene: Scene, draw: random.Random) -> None:
    """Kill the operator before or after its next write, or at once, and start another one, with a stale view at times."""
    _await_cut(scene.operator_fault, draw)
    scene.stop_operator()
    time.sleep(draw.choice((0, 0, 1)))
    scene.operator_fault.mend()
    scene.start_operator()


def kill_driver(scene: Scene, draw: random.Random) -> None:
    """Kill the driver before or after its next write, or at once."""
    _await_cut(scene.driver_fault, draw)
    for driver in scene.kubelet.drivers:
        scene.kubelet.kill(driver)
    scene.driver_fault.mend()


def lose_slot(scene: Scene, draw: random.Random) -> None:
    """Lose an executor with what runs on it."""
    for driver in scene.kubelet.drivers:
        driver.lose_a_slot()


def cut_watches(scene: Scene, draw: random.Random) -> None:
    """Close all connections; at times the watches' events are gone, too."""
    for proxy, fault in scene.proxies:
        if draw.random() < 0.5:
            fault.gone += ["pods", "trialbatches", "experiments"]
        proxy.cut_connections(scene.lab.name)


def bad_weather(scene: Scene, draw: random.Random) -> None:
    """Delay, refuse or lose some of the requests for a while; let some arrive after their client has given up."""
    seed, share = draw.random(), draw.choice((0.2, 0.5, 0.9))
    chance = random.Random(seed)

    def interfere(method: str, _: str) -> Interference | None:
        if method == "WATCH" or chance.random() > share:
            return None
        if method == "GET":
            return chance.choice((Interference(code=503), Interference(delay_s=0.5)))
        return chance.choice(
            (
                Interference(delay_s=0.5),
                Interference(code=500),
                Interference(code=503),
                Interference(code=429, retry_after_s=1),
                Interference(lost="request"),
                Interference(lost="answer"),
                Interference(late_s=chance.uniform(0.2, 3)),
            )
        )

    for _, fault in scene.proxies:
        fault.interfere = interfere
    time.sleep(draw.uniform(0.5, 3))
    for _, fault in scene.proxies:
        fault.interfere = lambda method, resource: None


def freeze_server(scene: Scene, draw: random.Random) -> None:
    """Let the API server or etcd stop in its tracks for a while: requests wait for their answers."""
    with scene.cluster.faults.frozen(draw.choice(("etcd", "apiserver"))):
        time.sleep(draw.uniform(0.5, 2))


def kill_apiserver(scene: Scene, draw: random.Random) -> None:
    """Kill the API server and start it again; its watches and their events are gone."""
    if not scene.is_alone:
        # Other seeds look at the API server themselves.
        freeze_server(scene, draw)
        return
    with scene.cluster.faults.killed("apiserver"):
        time.sleep(draw.uniform(0.5, 2))


def delete_driver_pod(scene: Scene, draw: random.Random) -> None:
    """Delete the driver's pod by hand."""
    for pod in scene.lab.drivers():
        scene.lab.api.delete("pods", pod["metadata"]["name"], gracePeriodSeconds=0)


def change_parallelism(scene: Scene, draw: random.Random) -> None:
    """Change the number of parallel trials."""
    scene.lab.change(parallelTrialCount=draw.randint(1, 6))


def suspend(scene: Scene, draw: random.Random) -> None:
    """Suspend the experiment for a while."""
    scene.lab.change(suspend=True)
    time.sleep(draw.uniform(0, 3))
    scene.lab.change(suspend=False)


def wipe_status(scene: Scene, draw: random.Random) -> None:
    """Empty the status of a running Experiment, as somebody with the right to may do."""
    if not scene.lab.status().get("completionTime"):
        scene.lab.api.patch("experiments", scene.name, {"status": None}, "status")


def delete_experiment(scene: Scene, draw: random.Random) -> None:
    """Delete the Experiment, and create another one of the same name, at once or later."""
    scene.replace_experiment(later=draw.random() < 0.5)


@dataclass(frozen=True)
class Kind:
    """A kind of fault and its weight in the draw."""

    make: Callable[[Scene, random.Random], None]
    weight: int


FAULTS = (
    Kind(kill_operator, 6),
    Kind(kill_driver, 4),
    Kind(lose_slot, 6),
    Kind(cut_watches, 4),
    Kind(bad_weather, 4),
    Kind(freeze_server, 1),
    Kind(kill_apiserver, 1),
    Kind(delete_driver_pod, 2),
    Kind(change_parallelism, 2),
    Kind(suspend, 2),
    Kind(wipe_status, 1),
    Kind(delete_experiment, 1),
)


def next_fault(draw: random.Random) -> Callable[[Scene, random.Random], None]:
    """Draw a fault."""
    weights = [kind.weight for kind in FAULTS]
    return draw.choices(FAULTS, weights)[0].make


def make(fault: Callable[[Scene, random.Random], None], scene: Scene, draw: random.Random) -> None:
    """Make a fault; one whose object has just gone, or been changed by another writer, is over."""
    try:
        fault(scene, draw)
    except Refused as error:
        if error.code not in (404, 409):
            raise


def _await_cut(fault: Fault, draw: random.Random) -> None:
    """Cut all requests at one of the next writes, or now if there is none soon."""
    fault.when = draw.choice(("before", "after", "stale"))
    fault.at = len(fault.writes) + draw.choice((0, 0, 1, 2))
    fault.cut.wait(draw.uniform(0, 2))
    fault.cut.set()
