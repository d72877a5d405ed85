"""A slot as a container's program; its arguments are the port and the token of the trial server on this machine."""

from __future__ import annotations

import logging
import sys

from sparksweep_trainer.slot.slot import run_slot
from sparksweep_trainer.slot.trial_client import Address

if __name__ == "__main__":
    logging.basicConfig(level=logging.DEBUG)
    run_slot(0, Address("127.0.0.1", int(sys.argv[1]), sys.argv[2], patience_s=60))
