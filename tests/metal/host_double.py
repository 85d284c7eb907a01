"""A host behind a virtual BMC: it boots as the BMC says, over the network or from its disk, without being a machine.

Over the network it does what firmware, iPXE and kernel do with HTTP: it asks for Ironic's scripts and files and starts
the agent of ``agent_double`` with the kernel's parameters. What DHCP and TFTP would say of it is only written down, in
dnsmasq's words, for the module that looks for evidence. From a disk that was written it starts an ssh server.
"""

from __future__ import annotations

import http.client
import logging
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paramiko
from agent_double import Agent, AgentSettings

from rackwright.derive.model import Node
from rackwright.lab.bmc.bmc import Bmc

LOOK = 0.25
logging.getLogger("paramiko").setLevel(
    logging.CRITICAL
)  # who only asks for a key ends the connection in its middle
NETBOOT = re.compile(r"^kernel (?:--timeout \d+ )?(\S+) (.*?)(?: \|\| .*)?$", re.M)


@dataclass
class Behaviour:
    """What is wrong with a host. ``cable``: the MAC that asks for an address in place of the boot port's, ``none``
    for no cable at all; ``no_agent``: the ramdisk hangs; ``boots``: whether its disk starts; ``agent``: the agent's own.
    """

    cable: str = ""
    no_agent: bool = False
    boots: bool = True
    agent: AgentSettings = field(default_factory=AgentSettings)


class Host:
    """Follows its BMC's machine from start to start."""

    def __init__(self, node: Node, bmc: Bmc, journal: Path, certificate: Path, authority: Path) -> None:
        """``journal``: where dnsmasq's lines go; ``certificate``: the agents' own, with its key in the same file."""
        self.node, self.bmc, self.behaviour = node, bmc, Behaviour()
        self.scripts: list[str] = []
        self.tokens: list[str] = []
        self.disk: dict[str, Any] = {}
        self._journal, self._certificate, self._authority = journal, certificate, authority
        self._port = next(one for one in node.interfaces if one.network == "oob")
        assert self._port.address is not None
        self.address = str(self._port.address.ip)
        self._starts, self._running = 0, None  # type: tuple[int, Callable[[], None] | None]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True, name=f"host-{node.name}")
        self._thread.start()

    def close(self) -> None:
        """Take it away."""
        self._over.set()
        self._thread.join(10)
        self._stop()

    def switch_off(self) -> None:
        """The host switches itself off, as an operating system does."""
        with self.bmc.lock:
            self.bmc.machine.power_off(False)

    # --- power

    def _follow(self) -> None:
        while not self._over.wait(LOOK):
            with self.bmc.lock:
                on, starts = self.bmc.machine.power_state() == "On", int(self.bmc.state.get("starts", 0))
            if starts != self._starts or not on:
                self._stop()
            if on and starts != self._starts:
                order = [one["order"] for one in self.bmc.events.read() if one["event"] == "start"][-1]
                self._running = self._boot(order)
            self._starts = starts

    def _stop(self) -> None:
        running, self._running = self._running, None
        if running:
            running()

    def _boot(self, order: list[str]) -> Callable[[], None] | None:
        """Try each device in turn; what stops what was started."""
        for device in order:
            if device.startswith("nic:"):
                parameters = self._netboot()
                if parameters is not None:
                    if self.behaviour.no_agent:
                        return None
                    agent = Agent(self, parameters, self._certificate, self._authority)
                    return agent.close
            elif device.startswith("disk:") and self.disk and self.behaviour.boots:
                return OperatingSystem(str(self.node.address)).close
        return None

    # --- over the network

    def _note(self, text: str) -> None:
        stamp = time.strftime("%b %d %H:%M:%S")
        with self._journal.open("a", encoding="utf-8") as stream:
            stream.write(f"{stamp} head dnsmasq{text}\n")

    def _netboot(self) -> dict[str, str] | None:
        """The kernel's parameters; None where nothing came of it."""
        mac = self.behaviour.cable or self._port.mac.lower()
        if mac == "none":
            return None
        self._note(
            f"-dhcp[1]: DHCPDISCOVER(eno1) {mac}" + (" no address available" if self.behaviour.cable else "")
        )
        if self.behaviour.cable:
            return None
        self._note(f"-dhcp[1]: DHCPACK(eno1) {self.address} {mac} {self.node.name}")
        self._note(f"-tftp[1]: sent /usr/lib/ipxe/snponly.efi to {self.address}")
        first = self._get("/boot.ipxe")
        script = self._get(f"/pxelinux.cfg/{mac.replace(':', '-')}") if first else None
        if not script:
            return None
        self.scripts.append(script)
        found = NETBOOT.search(script)
        if "goto deploy" not in script.split("\n:")[0] or found is None:
            return None  # it has the firmware go on with its disk
        initrd = re.search(r"^initrd (?:--timeout \d+ )?(\S+)", script, re.M)
        assert initrd is not None
        if self._get(found.group(1)) is None or self._get(initrd.group(1)) is None:
            return None
        words = (word.partition("=") for word in found.group(2).split())
        return {name: value for name, _, value in words}

    def _get(self, where: str) -> str | None:
        status, data = self.fetch(where)
        return data.decode(errors="replace") if status == 200 else None

    def fetch(self, where: str) -> tuple[int, bytes]:
        """Status and content of a file of the head's web server, asked for from the host's own address."""
        path = re.sub(r"^http://[^/]+", "", where)
        head = http.client.HTTPConnection("10.40.3.11", 8090, timeout=30, source_address=(self.address, 0))
        try:
            head.request("GET", path, headers={"User-Agent": "iPXE/1.21.1"})
            answer = head.getresponse()
            return answer.status, answer.read()
        except OSError:
            return 0, b""
        finally:
            head.close()


class OperatingSystem:
    """What the flow sees of one: the host key of its ssh server."""

    KEY = paramiko.ECDSAKey.generate()

    def __init__(self, address: str) -> None:
        self._listener = socket.create_server((address, 22))
        self._listener.settimeout(0.5)
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """It is off."""
        self._over.set()
        self._listener.close()

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                continue
            server = paramiko.Transport(connection)
            server.add_server_key(self.KEY)
            try:
                server.start_server(event=threading.Event(), server=paramiko.ServerInterface())
            except (paramiko.SSHException, OSError, EOFError):
                server.close()
