"""Rules of how servers are set up: what a profile of the site's own says of its BIOS and its volume."""

from __future__ import annotations

from collections.abc import Iterator

from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts
from rackwright.rules.hardware import OWN, profiles


class ProfileVolume(Rule):
    id = "profile-volume"
    severity = "warning"
    what = "A profile whose disks are behind a RAID controller says what volume it makes of them."
    why = "Without a volume the operating system finds no disk to go to."
    mend = f"Add 'raid' with level and size_gib to the entry in {OWN}."
    source = "operations, provisioning"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, entry in profiles(facts):
            if entry.disks.raid and entry.raid is None:
                message = (
                    f"profile {name} has its disks behind {entry.disks.controller}, but no volume of them"
                )
                yield Fault(at, message, "raid: {value: {level: 1+0, size_gib: …}, source: …}")


class ProfileBios(Rule):
    id = "profile-bios"
    severity = "warning"
    what = "What a profile says of threads and NUMA nodes is what it sets the BIOS to."
    why = (
        "CPUs are given to models by them: the checks would find other processors than the site counts with."
    )
    mend = f"Correct 'bios' or 'cpu' of the entry in {OWN}."
    source = "operations, provisioning"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name, entry in profiles(facts):
            cpu = entry.cpu
            threads = "Enabled" if cpu.threads > cpu.cores else "Disabled"
            if entry.bios.get("LogicalProc", threads) != threads:
                message = (
                    f"profile {name} counts {cpu.threads} threads of {cpu.cores} cores, "
                    f"but sets LogicalProc to {entry.bios['LogicalProc']}"
                )
                yield Fault(at, message, f"LogicalProc: {threads}")
            split = entry.bios.get("SubNumaCluster")
            if split is not None and (split == "Disabled") != (cpu.numa_per_socket == 1):
                message = (
                    f"profile {name} counts {cpu.numa_per_socket} NUMA nodes of a processor, "
                    f"but sets SubNumaCluster to {split}"
                )
                yield Fault(at, message, "take numa_per_socket from the BIOS, or set SubNumaCluster by it")


RULES: tuple[type[Rule], ...] = (ProfileVolume, ProfileBios)
