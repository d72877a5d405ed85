"""Kubernetes quantities, as far as the API uses them: CPUs and bytes."""

from __future__ import annotations

import math
from decimal import Decimal

CPU_PATTERN = r"^([0-9]+m|[0-9]+([.][0-9]{1,3})?)$"
MEMORY_PATTERN = r"^[0-9]+([.][0-9]{1,3})?(k|M|G|T|Ki|Mi|Gi|Ti)?$"

_SUFFIXES = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip


def cpus(quantity: str) -> Decimal:
    """Return the CPUs of "2", "0.5" or "500m". The text matches ``CPU_PATTERN``."""
    if quantity.endswith("m"):
        return Decimal(quantity[:-1]) / 1000
    return Decimal(quantity)


def threads(quantity: str) -> int:
    """Return the number of threads that the CPUs can keep busy: rounded up, at least one."""
    return max(1, math.ceil(cpus(quantity)))


def memory_bytes(quantity: str) -> int:
    """Return a memory quantity, such as "512Mi", in bytes. The text matches ``MEMORY_PATTERN``."""
    digits = quantity.rstrip("kKMGTi")
    return int(Decimal(digits) * _SUFFIXES[quantity[len(digits) :]])


def format_bytes(count: int) -> str:
    """Return bytes as text for people: "1.5Gi", "512Mi", "300Ki"."""
    for suffix in ("Ti", "Gi", "Mi", "Ki"):
        size = _SUFFIXES[suffix]
        if count >= size:
            return f"{count / size:.1f}".removesuffix(".0") + suffix
    return f"{count}"
