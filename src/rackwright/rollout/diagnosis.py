"""From a failed task to what a person needs: what, where, the evidence, the likely cause, the next
command.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rackwright.errors import RunFailure
from rackwright.rollout.timeline import Failure

LONGEST = 900


@dataclass(frozen=True)
class Known:
    """Something that is known to go wrong: its sign, its cause, what to run (``{host}`` is filled in)."""

    sign: re.Pattern[str]
    cause: str
    next_command: str


def _known(sign: str, cause: str, next_command: str) -> Known:
    return Known(re.compile(sign, re.I | re.S), cause, next_command)


KNOWN: tuple[Known, ...] = (
    _known(
        r"permission denied \(publickey|authentication (failed|is incorrect)",
        "the machine does not accept the key: the user or the key of the site file is not the one it was "
        "installed with",
        "ssh -v {host}",
    ),
    _known(
        r"no route to host|connection (timed out|refused)|unreachable|EOF on stream|did not accept the conn",
        "the machine is off, still booting, or its address or cable is not what the site file says",
        "ping {host}; the console in its iDRAC",
    ),
    _known(
        r"no space left on device",
        "a file system is full",
        "ssh {host} df -h",
    ),
    _known(
        r"certificate verify failed|unable to get local issuer|x509: certificate signed by unknown authority",
        "the machine does not have the site's authority, or a server has a certificate of another one",
        "ansible-playbook -i {site} playbooks/nodes.yml --limit {host}",
    ),
    _known(
        r"NO_PUBKEY|is not signed|signatures? (were|was|couldn't|is) (invalid|not|be verified)|BADSIG",
        "the package index was not signed by the key that the machine trusts: bundle and machine are of "
        "different builds",
        "rackwright bundle verify",
    ),
    _known(
        r"hash sum mismatch|checksum .*(mismatch|did not match)|sha256 .*differ",
        "a file in the mirror is not the one that was locked",
        "rackwright bundle verify",
    ),
    _known(
        r"temporary failure in name resolution|could not resolve|no such host|name or service not known",
        "name service on the head node does not answer, or does not know the name",
        "rackwright rollout {site} --until head; dig @HEAD NAME",
    ),
    _known(
        r"unable to locate package|no installation candidate|no package matching|version .* was not found",
        "the mirror does not carry this package in this version: the bundle is of another release, or "
        "incomplete",
        "rackwright bundle list | grep deb",
    ),
    _known(
        r"manifest unknown|ImagePullBackOff|ErrImagePull|failed to pull",
        "the registry on the head node does not have the image, or can't be reached from the node",
        "rackwright bundle list | grep image",
    ),
    _known(
        r"insufficient nvidia\.com/gpu",
        "fewer GPUs are free than the model wants",
        "kubectl describe nodes | grep -A9 'Allocated resources'",
    ),
    _known(
        r"systemctl (re)?start \S+ failed|job for \S+ failed",
        "the service does not start with the configuration it was given: its last words are in the evidence",
        "ssh {host} journalctl -b -p warning -n 50",
    ),
    _known(
        r"timed out|timeout|deadline exceeded|within \d+ s",
        "the machine or the service takes longer than expected, or hangs",
        "ssh {host} journalctl -p warning -n 50",
    ),
)

#: How a module that looked at the cluster itself ends: it knows more than signs in its evidence tell.
OWN_WORDS = re.compile(r"likely cause: ([^\n]+)\n\s*next: ([^\n]+)\s*\Z")


def plain(reason: Mapping[str, Any]) -> str:
    """A failed result as text: messages and ends of outputs, no dictionaries."""
    if reason.get("secret"):
        return "the task handles secrets, so its result is not shown: look at the machine itself"
    parts = []
    for result in reason.get("results", []):
        item = f"[{result['item']}] " if "item" in result else ""
        message = str(result.get("msg", "")).strip()
        said = [message] if message else []
        if "rc" in result and not re.search(rf"\b{result['rc']}\b", message):
            said.append(f"exit status {result['rc']}")
        for stream in ("stderr", "exception", "stdout"):
            words = str(result.get(stream, "")).replace("(traceback unavailable)", "")
            lines = [line.rstrip() for line in words.splitlines() if line.strip()]
            tail = "\n".join(lines[-6:])
            if tail and tail not in message and len(said) < 3:
                said.append(tail)
        parts.append(item + "\n".join(said))
    text = "\n".join(part for part in parts if part) or "the module gave no message"
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n[…]\n{text[-LONGEST // 2 :]}"


def diagnose(failures: Sequence[Failure], site: str, next_command: str, log: str) -> RunFailure:
    """One readable failure of a rollout: the first failed task, and every host on which it failed."""
    if not failures:
        return RunFailure(
            what="run ansible-playbook",
            where="this machine",
            evidence=f"it ended before any task failed; see {log}",
            cause="the inventory or a playbook could not be loaded",
            next_command=f"less {log}",
        )
    first = failures[0]
    same = [failure for failure in failures if failure.task == first.task]
    evidence = plain(first.reason)
    own = OWN_WORDS.search(evidence)
    for known in () if own else KNOWN:
        if known.sign.search(evidence) or (
            first.status == "unreachable" and "unreachable" in known.sign.pattern
        ):
            cause = known.cause
            look = known.next_command.format(host=first.host, site=site)
            break
    else:
        cause, look = own.groups() if own else (f"see the whole output in {log}", f"less {log}")
    if own:
        evidence = evidence[: own.start()].rstrip()
    others = sorted({failure.task for failure in failures} - {first.task})
    also = f" (also failed: {', '.join(others[:3])})" if others else ""
    return RunFailure(
        what=f"{first.phase}: {first.task}{also}",
        where=", ".join(dict.fromkeys(failure.host for failure in same)),
        evidence=evidence.replace("\n", "\n            "),
        cause=cause,
        next_command=f"{look}\n            when mended: {next_command}",
    )


def diagnose_servers(failures: Sequence[Failure], next_command: str, log: str) -> RunFailure:
    """Servers that could not be provisioned, each with its own reason: the others went on without them."""
    told = {failure.host: _server(failure) for failure in failures}
    if len(told) == 1:
        (only,) = told.values()
        return RunFailure(
            **{**only, "next_command": f"{only['next_command']}\n            or: {next_command}"}
        )
    lines = []
    for host, parts in told.items():
        lines.append(f"{host}: {parts['what']}: {parts['cause']}")
        lines += [f"    {line.strip()}" for line in parts["evidence"].splitlines()[:3]]
        lines.append(f"    next: {parts['next_command'].splitlines()[0]}")
    return RunFailure(
        what=f"{failures[0].phase}: {len(told)} servers",
        where=", ".join(told),
        evidence="\n            ".join(lines),
        cause="named beside each; all others went on",
        next_command=f"{next_command}\n            all that was said: less {log}",
    )


def _server(failure: Failure) -> dict[str, str]:
    """The parts of one server's failure, as the action gave them, else from its message."""
    for result in failure.reason.get("results", []):
        parts = result.get("failure")
        if isinstance(parts, Mapping):
            keys = ("what", "where", "evidence", "cause", "next_command")
            return {key: str(parts.get(key, "")) for key in keys}
    single = diagnose([failure], "", "", "")
    return {
        "what": failure.task,
        "where": failure.host,
        "evidence": plain(failure.reason),
        "cause": single.cause,
        "next_command": single.next_command.splitlines()[0],
    }
