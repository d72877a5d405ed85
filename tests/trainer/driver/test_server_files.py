"""Files over the trial server: only of the attempt that runs, bounded, and a few at a time."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sparksweep_trainer.driver.slot_loss import Loss
from sparksweep_trainer.driver.trial_server import TrialServer
from sparksweep_trainer.files.store import FileStore
from sparksweep_trainer.protocol import MAX_CHUNK_BYTES, MAX_REQUEST_BYTES, Chunk, ChunkTaken
from sparksweep_trainer.slot.trial_client import DriverGone, TrialClient
from support.trainer.server_rig import PROGRAM, Rig, report, run_next


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tls=True)
    rig.server.close()
    rig.server = TrialServer(rig.service, files=FileStore(tmp_path), certificate=rig.certificate)
    yield rig
    rig.close()


def part(client: TrialClient, number: int, attempt: int, data: bytes = b"x", **fields: object) -> ChunkTaken:  # fmt: skip
    given = {"slot": 0, "path": "stdout.log", "offset": 0, **fields}
    return client.send_file(Chunk.model_validate({"number": number, "attempt": attempt, **given}), data)  # fmt: skip


def test_what_the_running_attempt_sends_is_stored(rig: Rig, tmp_path: Path) -> None:
    client = rig.ready()
    assignment = run_next(client)
    data = bytes(range(256)) * (MAX_CHUNK_BYTES // 256)
    assert part(client, assignment.number, 1, data) == ChunkTaken(taken=True, size=len(data))
    assert (tmp_path / "trials" / "0001" / "stdout.log").read_bytes() == data


def test_nothing_of_another_trial_attempt_or_slot_is_taken(rig: Rig, tmp_path: Path) -> None:
    client = rig.ready()
    number = run_next(client).number
    assert not part(client, number + 1, 1).taken
    assert not part(client, number, 2).taken
    with pytest.raises(DriverGone, match=r"403 .* slot 3: the token is that of slot 0"):
        part(client, number, 1, slot=3)
    assert list((tmp_path / "trials").iterdir()) == []


def test_nothing_is_taken_after_the_outcome_or_a_loss(rig: Rig) -> None:
    client = rig.ready()
    first = run_next(client)
    client.report(report(first))
    assert not part(client, first.number, 1).taken
    second = run_next(client)
    rig.service.lose(0, Loss("gone"))
    assert not part(client, second.number, 1).taken


def test_names_that_lead_elsewhere_are_refused(rig: Rig) -> None:
    client = rig.ready()
    number = run_next(client).number
    with pytest.raises(DriverGone, match="400"):
        part(client, number, 1, path="../../x")


def test_a_part_that_is_too_large_is_refused_unread(rig: Rig) -> None:
    connection = rig.connection()
    headers = {
        "Authorization": f"Bearer {rig.server.token(0)}",
        "Content-Length": str(MAX_CHUNK_BYTES + MAX_REQUEST_BYTES + 1),
    }
    connection.request("POST", "/v1/files", headers=headers)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_server_without_a_run_directory_takes_no_files() -> None:
    rig = Rig()
    try:
        client = rig.ready()
        with pytest.raises(DriverGone, match="404"):
            part(client, run_next(client).number, 1)
    finally:
        rig.close()


def test_by_default_slots_send_nothing() -> None:
    assert PROGRAM.sends_files is False
