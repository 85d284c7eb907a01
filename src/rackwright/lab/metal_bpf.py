"""802.1Q tags by BPF: kernels without the 8021q module (and without ``act_vlan``) can push and pop them so.

Three small programs stand in for what a switch's port does. They are assembled here instruction by instruction,
loaded by bpf(2) and attached by rtnetlink to the clsact queueing discipline, so neither a compiler nor ``tc`` nor a
bpffs is needed; the kernel drops them with their device. Offsets and numbers are of the kernel's ``linux/bpf.h``,
``linux/pkt_sched.h`` and ``linux/rtnetlink.h``.

Run as a program in the network namespace of the devices, it reads ``[{"device", "hook", "kind", …}, …]`` from its
standard input and attaches one program for each entry.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SYSCALL = {"x86_64": 321, "aarch64": 280}
PROG_LOAD, SCHED_CLS = 5, 3
VLAN_PRESENT, VLAN_TCI = 20, 24  # offsets in struct __sk_buff
VLAN_PUSH, VLAN_POP, REDIRECT = 18, 19, 23  # helper functions
PASS, DROP = 0, 2  # TC_ACT_OK, TC_ACT_SHOT
ETH_8021Q = 0x8100

R0, R1, R2, R3, R6, R7 = 0, 1, 2, 3, 6, 7


def _insn(code: int, dst: int = 0, src: int = 0, off: int = 0, imm: int = 0) -> bytes:
    return struct.pack("<BBhi", code, src << 4 | dst, off, imm)


def load(dst: int, src: int, offset: int) -> bytes:
    """``dst = *(u32 *)(src + offset)``."""
    return _insn(0x61, dst, src, offset)


def move(dst: int, value: int) -> bytes:
    """``dst = value``."""
    return _insn(0xB7, dst, imm=value)


def copy(dst: int, src: int) -> bytes:
    """``dst = src``."""
    return _insn(0xBF, dst, src)


def mask(dst: int, value: int) -> bytes:
    """``dst &= value``."""
    return _insn(0x57, dst, imm=value)


def unless(dst: int, value: int, body: bytes) -> bytes:
    """``if (dst != value) skip body; body``."""
    return _insn(0x55, dst, off=len(body) // 8, imm=value) + body


def call(function: int) -> bytes:
    """``r0 = function(r1 …)``; r1 to r5 are lost."""
    return _insn(0x85, imm=function)


def leave(verdict: int) -> bytes:
    """``return verdict``."""
    return move(R0, verdict) + _insn(0x95)


def redirect(ifindex: int) -> bytes:
    """Send the frame out of another device: ``return bpf_redirect(ifindex, 0)``."""
    return move(R1, ifindex) + move(R2, 0) + call(REDIRECT) + _insn(0x95)


def port(native: bool, vlans: Iterable[int]) -> bytes:
    """What a switch port lets through, either way: untagged frames if ``native``, and those of ``vlans``."""
    code = load(R2, R1, VLAN_PRESENT) + unless(R2, 0, leave(PASS if native else DROP))
    code += load(R2, R1, VLAN_TCI) + mask(R2, 0xFFF)
    for vlan in vlans:
        code += unless(R2, vlan, leave(PASS))
    return code + leave(DROP)


def sort_out(native: int | None, vlans: Mapping[int, int]) -> bytes:
    """From the trunk to the networks: take the tag off, and send the frame out of the network's own device.

    ``native`` is the device's index for untagged frames, ``vlans`` the one by VLAN; all else is dropped.
    """
    code = copy(R6, R1) + load(R2, R1, VLAN_PRESENT)
    code += unless(R2, 0, leave(DROP) if native is None else redirect(native))
    code += load(R7, R6, VLAN_TCI) + mask(R7, 0xFFF)
    for vlan, ifindex in vlans.items():
        pop = copy(R1, R6) + call(VLAN_POP) + unless(R0, 0, redirect(ifindex)) + leave(DROP)
        code += unless(R7, vlan, pop)
    return code + leave(DROP)


def bring(vlan: int | None, trunk: int) -> bytes:
    """From a network to the trunk, the device of index ``trunk``: put its tag on, none if ``vlan`` is None.

    A frame that has a tag already belongs to no network, and is dropped.
    """
    send = redirect(trunk)
    if vlan is not None:
        push = copy(R1, R6) + move(R2, socket.htons(ETH_8021Q)) + move(R3, vlan) + call(VLAN_PUSH)
        send = push + unless(R0, 0, send) + leave(DROP)
    return copy(R6, R1) + load(R2, R1, VLAN_PRESENT) + unless(R2, 0, send) + leave(DROP)


def assemble(entry: Mapping[str, Any]) -> bytes:
    """The program that an entry of the input describes; devices in it are named, and must be there.

    ``{"kind": "port", "native": bool, "vlans": [id]}``, ``{"kind": "sort_out", "native": device or None,
    "vlans": {id: device}}`` or ``{"kind": "bring", "vlan": id or None, "trunk": device}``.
    """
    match entry["kind"]:
        case "port":
            return port(entry["native"], entry["vlans"])
        case "sort_out":
            native = entry["native"]
            return sort_out(
                None if native is None else socket.if_nametoindex(native),
                {int(vlan): socket.if_nametoindex(device) for vlan, device in entry["vlans"].items()},
            )
        case "bring":
            return bring(entry["vlan"], socket.if_nametoindex(entry["trunk"]))
        case other:
            raise ValueError(f"{other!r} is no kind of program")


def load_program(code: bytes) -> int:
    """The file descriptor of the loaded program; OSError with the verifier's words where it is refused."""
    libc = ctypes.CDLL(None, use_errno=True)
    insns, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"GPL")
    log = ctypes.create_string_buffer(65536)
    attr = ctypes.create_string_buffer(
        struct.pack(
            "=IIQQIIQ",
            *(SCHED_CLS, len(code) // 8, ctypes.addressof(insns), ctypes.addressof(licence)),
            *(1, len(log), ctypes.addressof(log)),
        ),
        128,
    )
    number = SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"bpf(2) is not known for {platform.machine()}")
    fd: int = libc.syscall(number, PROG_LOAD, attr, len(attr))
    if fd < 0:
        code_, said = ctypes.get_errno(), log.value.decode(errors="replace").strip()
        raise OSError(code_, f"{os.strerror(code_)}: the kernel refuses the program: {said[-400:]}")
    return fd


NEWQDISC, NEWTFILTER, ERROR = 36, 44, 2
REQUEST, ACK, REPLACE, CREATE = 0x1, 0x4, 0x100, 0x400
CLSACT, CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
HOOKS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
KIND, OPTIONS = 1, 2
BPF_FD, BPF_NAME, BPF_FLAGS, DIRECT_ACTION = 6, 7, 8, 1
PRIORITY, ETH_P_ALL, EEXIST = 1, 0x0003, 17


def _attribute(kind: int, payload: bytes) -> bytes:
    padding = -len(payload) % 4
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * padding


def _request(sock: socket.socket, kind: int, flags: int, message: bytes) -> int:
    """Send one rtnetlink request; the kernel's error number, 0 when it did as asked."""
    header = struct.pack("=IHHII", 16 + len(message), kind, REQUEST | ACK | flags, 1, 0)
    sock.send(header + message)
    answer = sock.recv(65536)
    (answered,) = struct.unpack_from("=H", answer, 4)
    if answered != ERROR:
        raise OSError(f"rtnetlink answered with message type {answered}")
    return -int(struct.unpack_from("=i", answer, 16)[0])


def _message(ifindex: int, handle: int, parent: int, info: int) -> bytes:
    return struct.pack("=BxxxiIII", socket.AF_UNSPEC, ifindex, handle, parent, info)


def attach(device: str, hook: str, fd: int) -> None:
    """Have a loaded program judge what comes into (``ingress``) or goes out of (``egress``) a device.

    A program that was there before is replaced. OSError where the kernel refuses.
    """
    ifindex = socket.if_nametoindex(device)
    netlink = socket.NETLINK_ROUTE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink) as sock:
        clsact = _message(ifindex, CLSACT_HANDLE, CLSACT, 0) + _attribute(KIND, b"clsact\0")
        error = _request(sock, NEWQDISC, CREATE, clsact)
        if error not in (0, EEXIST):
            raise OSError(error, f"{os.strerror(error)}: clsact on {device}")
        options = _attribute(BPF_FD, struct.pack("=I", fd)) + _attribute(BPF_NAME, b"rackwright\0")
        options += _attribute(BPF_FLAGS, struct.pack("=I", DIRECT_ACTION))
        info = PRIORITY << 16 | socket.htons(ETH_P_ALL)
        filter_ = _message(ifindex, 1, HOOKS[hook], info)
        filter_ += _attribute(KIND, b"bpf\0") + _attribute(OPTIONS, options)
        error = _request(sock, NEWTFILTER, CREATE | REPLACE, filter_)
        if error:
            raise OSError(error, f"{os.strerror(error)}: BPF program on {device}, {hook}")


def attach_all(entries: Sequence[Mapping[str, Any]]) -> None:
    """Assemble, load and attach a program for each entry; OSError names the device that it failed on."""
    for entry in entries:
        try:
            fd = load_program(assemble(entry))
        except OSError as error:
            raise OSError(error.errno, f"{entry['device']}, {entry['kind']}: {error}") from error
        try:
            attach(entry["device"], entry["hook"], fd)
        finally:
            os.close(fd)


def main() -> int:
    """Attach what standard input describes; 1 with the reason on standard error where that fails."""
    try:
        attach_all(json.load(sys.stdin))
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
