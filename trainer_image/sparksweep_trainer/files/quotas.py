"""Quotas of trials' files: one for each log, one for a trial's other files together, and one for all of a run. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from sparksweep_core.api.quantities import format_bytes
from sparksweep_core.contract.driver_config import RUN_BYTES
from sparksweep_core.contract.run_layout import OF_ATTEMPT

HEAD_BYTES = 8 * 2**20
"""Bytes of a log that are kept from its beginning."""
TAIL_BYTES = 8 * 2**20
"""Bytes of a log that are kept from its end."""
SPARE = 64 * 1024
"""Bytes in addition to a log's head and tail, for the lines that say what is left out."""


@dataclass(frozen=True, kw_only=True)
class Quotas:
    """Bytes and files that are kept at most."""

    run_bytes: int = RUN_BYTES
    """Of all trials together."""
    trial_bytes: int = 256 * 2**20
    """Of one trial's files, without its logs."""
    log_bytes: int = HEAD_BYTES + TAIL_BYTES + SPARE
    """Of one log."""
    files: int = 1000
    """Files of one trial."""

    def refusal(
        self, path: str, *, size: int, before: int, others: int, files: int, run: int
    ) -> str | None:
        """Return the reason why a file can't have this size; None if it can.

        Args:
            path: the file.
            size: the new size, in bytes.
            before: the present size; 0 if there is no such file.
            others: bytes of the trial's other files, without its logs.
            files: number of the trial's files.
            run: bytes of the whole run.
        """
        if not before and files >= self.files:
            return f"the trial has {files} files already"
        is_log = path in OF_ATTEMPT
        if is_log and size > self.log_bytes:
            return f"it is over {format_bytes(self.log_bytes)}"
        if not is_log and others + size > self.trial_bytes:
            return f"the trial's files would be over {format_bytes(self.trial_bytes)}"
        # A tenth of the run's bytes is for logs alone.
        most = self.run_bytes if is_log else self.run_bytes * 9 // 10
        if run - before + size > most:
            return f"the files of all trials would be over {format_bytes(most)}"
        return None
