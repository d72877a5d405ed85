"""A trial server with its service, and clients of it."""

import http.client
from datetime import UTC, datetime

from sparksweep_core.api import (
    Parameter,
    TrialReason,
    TrialSpec,
    TrialState,
    TrialStatus,
    TrialTemplate,
)
from sparksweep_core.api.search_spec import FeasibleSpace, ParameterType
from sparksweep_core.contract.program import Program
from sparksweep_trainer.driver.run_certificate import RunCertificate
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.driver.trial_service import TrialService
from sparksweep_trainer.http_server.tls import client_context
from sparksweep_trainer.protocol import (
    Assignment,
    Outcome,
    Report,
    SlotHello,
)
from sparksweep_trainer.slot.trial_client import Address, TrialClient
from support.trainer.recorded_trials import RecordedTrials

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PROGRAM = Program(
    experiment="digits",
    parameters=[
        Parameter(
            name="x",
            parameter_type=ParameterType.DISCRETE,
            feasible_space=FeasibleSpace(list=["1", "2"]),
        )
    ],
    trial_template=TrialTemplate(function="train:training"),
    trials_directory="trials",
)


class Rig:
    """A service, its server and clients of it."""

    def __init__(self, *, tls: bool = False) -> None:
        self.certificate = RunCertificate.make() if tls else None
        self.trials = RecordedTrials()
        self.service = TrialService(PROGRAM, record=self.trials.record, added=self.trials.added)
        self.server = TrialServer(self.service, certificate=self.certificate)
        self.clients: list[TrialClient] = []

    @property
    def recorded(self) -> list[TrialStatus]:
        return self.trials.changes

    @property
    def statuses(self) -> list[TrialStatus]:
        return self.trials.statuses

    def address(self, slot: int = 0, *, token: str | None = None) -> Address:
        return Address(
            "127.0.0.1",
            self.server.port,
            token or self.server.token(slot),
            patience_s=0.3,
            certificate=self.certificate.text if self.certificate else None,
        )

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection for requests of the test's own."""
        port = self.server.port
        if self.certificate is None:
            return http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        tls = client_context(self.certificate.text)
        return http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=tls)

    def client(self, slot: int = 0, *, token: str | None = None) -> TrialClient:
        client = TrialClient(self.address(slot, token=token))
        self.clients.append(client)
        if token is None:
            client.hello(SlotHello(slot=slot, node=f"node-{slot}", pid=1))
        return client

    def ready(self, trials: int = 3) -> TrialClient:
        """Return the client of a slot that has passed the check, with trials waiting."""
        client = self.client()
        self.service.submit(
            [TrialSpec(number=n, parameters={"x": "1"}) for n in range(1, trials + 1)]
        )
        assert client.next(0).order == "check"
        client.passed(0)
        return client

    def close(self) -> None:
        self.service.close()
        for client in self.clients:
            client.close()
        self.server.close()


def report(
    assignment: Assignment, *, slot: int = 0, state: TrialState = TrialState.SUCCEEDED
) -> Report:
    outcome = Outcome(
        state=state,  # type: ignore[arg-type]
        reason=TrialReason.COMPLETED,
        metrics={"accuracy": 0.5},
        start_time=NOW,
        completion_time=NOW,
        duration_seconds=0.5,
    )
    return Report(slot=slot, number=assignment.number, attempt=assignment.attempt, outcome=outcome)


def run_next(client: TrialClient, slot: int = 0) -> Assignment:
    order = client.next(slot)
    assert order.order == "run"
    assert order.assignment is not None
    return order.assignment
