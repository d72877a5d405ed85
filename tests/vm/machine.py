"""The virtual machine: started from the packages' kernel and two disks, ended with this process."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from cluster.layout import Layout
from cluster.shell import ClusterError, system_path
from vm import disks, initramfs, packages
from vm.inside.agent import PORT

BOOT_S = 180.0
"""Seconds that the start may take; 10 to 20 on an idle machine."""


@dataclass(frozen=True)
class Done:
    """One command that ran inside the machine."""

    code: int | None
    """Exit code, minus a signal's number, or None for one that was ended because its time was over."""
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """Parts of the virtual machine.

    Its disks are the system, the code under test, 256 MiB for use as swap (`/dev/vdc`), 1 GiB for files
    (`/run/scratch`), and from `/dev/vde` on those of `disks`.
    """

    memory_mib: int = 1536
    processors: int = 2
    system: Path | None = None
    """Image of the system; None for one with Python and runc. Nothing is written to it."""
    disks: Sequence[Path] = ()
    """Images of further disks. Nothing is written to them: changes end with the machine."""
    link: str | None = None
    """Network device of this machine, of the kind tap, that is the other end of the virtual machine's `eth0`."""
    modules: Sequence[str] = ()
    """Modules of the kernel in addition to those of every machine."""


class Machine:
    """A running virtual machine. A context manager; not thread-safe."""

    def __init__(self, layout: Layout, hardware: Hardware = Hardware()) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sparksweep-vm-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._received = b""
        try:
            self._start(layout, hardware)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def console(self) -> str:
        """Lines that the kernel has printed."""
        path = self._folder / "console.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def run(self, *command: str, stdin: str = "", timeout_s: float = 120) -> Done:
        """Run a command inside the machine.

        Raises:
            ClusterError: The machine does not answer.
        """
        request = {"command": command, "stdin": stdin, "timeout": timeout_s}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        return Done(**self._receive(timeout_s + 60))

    def run_json(self, program: str, request: Any, *, timeout_s: float = 240) -> Any:
        """Run a program of `vm.inside`, with a JSON value on its standard input; return the one that it prints.

        Raises:
            ClusterError: It failed; with what it printed.
        """
        command = ("env", "PYTHONPATH=/code", "python3", "-m", f"vm.inside.{program}")
        done = self.run(*command, stdin=json.dumps(request), timeout_s=timeout_s)
        if done.code != 0:
            raise ClusterError(
                f"{program} in the virtual machine: {done.code}\n{done.stdout}{done.stderr}"
            )
        return json.loads(done.stdout.splitlines()[-1])

    def close(self) -> None:
        """End the machine."""
        self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, layout: Layout, hardware: Hardware) -> None:
        unpacked = packages.fetch(layout)
        system = hardware.system or disks.system_disk(layout, unpacked)
        code, swap, scratch = (
            self._folder / name for name in ("code.ext4", "swap", "scratch.ext4")
        )
        disks.code_disk(code)
        disks.empty_disk(swap, mebibytes=256)
        disks.empty_disk(scratch, mebibytes=1024, file_system=True)
        first = self._folder / "initramfs"
        first.write_bytes(initramfs.build(unpacked, [*initramfs.MODULES, *hardware.modules]))
        kept, changed = (system, code), (swap, scratch)
        arguments = [
            *self._arguments(unpacked, first),
            *_drives([*kept, *changed, *hardware.disks], writable=changed),
            *_network(hardware.link),
            *("-m", str(hardware.memory_mib), "-smp", str(hardware.processors)),
        ]
        libraries = unpacked / "usr/lib/x86_64-linux-gnu"
        environment = {
            **os.environ,
            "PATH": system_path(),
            "LD_LIBRARY_PATH": f"{libraries}:{unpacked / 'lib/x86_64-linux-gnu'}",
        }
        with (self._folder / "emulator.log").open("wb") as log:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        self._connect()

    def _arguments(self, unpacked: Path, first: Path) -> list[str]:
        (kernel,) = (unpacked / "boot").glob("vmlinuz-*")
        # A start that is cut off by a signal must not leave the emulator behind.
        return [
            "setpriv", "--pdeathsig", "KILL",
            str(unpacked / "usr/bin/qemu-system-x86_64"),
            "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-machine", "pc",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-L", str(unpacked / "usr/share/qemu"), "-L", str(unpacked / "usr/share/seabios"),
            "-kernel", str(kernel), "-initrd", str(first),
            "-append", "console=ttyS0 loglevel=4 panic=-1 mitigations=off",
            "-serial", f"file:{self._folder / 'console.log'}",
            "-device", "virtio-serial-pci",
            "-chardev", f"socket,id=agent,path={self._folder / 'agent'},server=on,wait=off",
            "-device", f"virtserialport,chardev=agent,name={PORT}",
        ]  # fmt: skip

    def _connect(self) -> None:
        end = time.monotonic() + BOOT_S
        while True:
            try:
                self._connection.connect(str(self._folder / "agent"))
                break
            except OSError:
                self._check_alive()
                if time.monotonic() > end:
                    raise ClusterError("the emulator does not open its port") from None
                time.sleep(0.1)
        self._receive(end - time.monotonic())

    def _receive(self, timeout_s: float) -> dict[str, Any]:
        end = time.monotonic() + timeout_s
        while b"\n" not in self._received:
            self._connection.settimeout(max(0.1, end - time.monotonic()))
            try:
                data = self._connection.recv(1 << 16)
            except TimeoutError:
                text = (
                    f"the virtual machine does not answer within {timeout_s:.0f} s\n{self.console}"
                )
                raise ClusterError(text) from None
            if not data:
                self._check_alive()
                raise ClusterError(f"the virtual machine has ended\n{self.console}")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def _check_alive(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            said = (self._folder / "emulator.log").read_text(errors="replace")
            raise ClusterError(
                f"the emulator ended ({self._process.returncode}): {said}{self.console}"
            )


def _drives(images: Sequence[Path], *, writable: Sequence[Path]) -> list[str]:
    """Return the arguments for disks; what is written to one that is not writable ends with the machine."""
    return [
        word
        for image in images
        for word in (
            "-drive",
            f"file={image},if=virtio,format=raw,snapshot={'off' if image in writable else 'on'}",
        )
    ]


def _network(link: str | None) -> list[str]:
    if link is None:
        return []
    return [
        *("-netdev", f"tap,id=net,ifname={link},script=no,downscript=no"),
        # No start over the network: its program is in a package of its own.
        *("-device", "virtio-net-pci,netdev=net,romfile="),
    ]
