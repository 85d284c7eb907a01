"""Ask one DNS server for many names, on any machine with Python and nothing else.

The checks send this file to the nodes as standard input of ``python3 -``: usage ``SERVER NAME TYPE [NAME TYPE
…]`` with TYPE ``A`` or ``PTR``. It prints an answer per line as dig does (``name. 0 IN A 10.0.0.1``), and
``;;`` with the reason for a question that got none. Exit status 1 when no question was answered.
"""

from __future__ import annotations

import socket
import struct
import sys

KINDS = {"A": 1, "CNAME": 5, "PTR": 12}


def question(number: int, name: str, kind: str) -> bytes:
    """The packet that asks for ``name``; RFC 1035, section 4."""
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.rstrip(".").split("."))
    return (
        struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0)
        + labels
        + b"\0"
        + struct.pack(">HH", KINDS[kind], 1)
    )


def read_name(packet: bytes, at: int) -> tuple[str, int]:
    """The name at an offset, and the offset behind it; follows compression, ValueError for a loop."""
    labels: list[str] = []
    behind = 0
    for _ in range(128):
        length = packet[at]
        if length == 0:
            return ".".join(labels) + ".", behind or at + 1
        if length >= 0xC0:
            behind = behind or at + 2
            at = struct.unpack(">H", packet[at : at + 2])[0] & 0x3FFF
        else:
            labels.append(packet[at + 1 : at + 1 + length].decode())
            at += 1 + length
    raise ValueError("a name that never ends")


def answers(packet: bytes) -> list[str]:
    """The A, CNAME and PTR records of an answer, one line each."""
    count = struct.unpack(">H", packet[6:8])[0]
    _, at = read_name(packet, 12)
    at += 4
    lines = []
    for _ in range(count):
        name, at = read_name(packet, at)
        kind, _, ttl, length = struct.unpack(">HHIH", packet[at : at + 10])
        at += 10
        if kind == KINDS["A"]:
            lines.append(f"{name} {ttl} IN A {socket.inet_ntoa(packet[at : at + 4])}")
        elif kind in (KINDS["CNAME"], KINDS["PTR"]):
            word = "PTR" if kind == KINDS["PTR"] else "CNAME"
            lines.append(f"{name} {ttl} IN {word} {read_name(packet, at)[0]}")
        at += length
    return lines


def ask(server: str, number: int, name: str, kind: str) -> list[str]:
    """The answer's lines, after two tries of two seconds at most; OSError when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(2)
        line.connect((server, 53))
        for last in (False, True):
            try:
                line.send(question(number, name, kind))
                while True:
                    packet = line.recv(4096)
                    if packet[:2] == struct.pack(">H", number):
                        return answers(packet)
            except TimeoutError:
                if last:
                    raise
    return []


def main(arguments: list[str]) -> int:
    """Ask everything; a server that does not answer at all is given up after two questions."""
    server, *words = arguments
    answered, silent = 0, 0
    for number, (name, kind) in enumerate(zip(words[::2], words[1::2]), start=1):  # noqa: B905  # Python 3.9 lacks strict
        try:
            lines = ask(server, number, name, kind)
            answered += 1
            print("\n".join(lines) if lines else f";; {name}: no such name")
        except (OSError, ValueError, struct.error, IndexError) as error:
            silent += 1
            print(f";; {name}: {error or 'no answer'} from {server}")
            if silent >= 2 and not answered:
                break
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
