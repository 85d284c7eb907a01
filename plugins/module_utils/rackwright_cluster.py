"""What Rackwright's cluster modules share on a node: a small API client, etcdctl, processes, and failures.

Only the standard library: nodes carry no Python packages for this.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PKI = "/etc/kubernetes/pki"
ADMIN_CONF = "/etc/kubernetes/admin.conf"
KUBELET_CONF = "/etc/kubernetes/kubelet.conf"

_SECRETS = (
    (re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"), "<token>"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "<64 hex digits>"),
    (re.compile(r"-----BEGIN [^-]*PRIVATE KEY-----.*?-----END [^-]*-----", re.S), "<private key>"),
)


class ClusterError(Exception):
    """A failure as a user meets it: what was being done, where, what was seen, why, and what to run next."""

    def __init__(self, what: str, where: str, evidence: str, cause: str, next_command: str) -> None:
        super().__init__(what)
        self.what, self.where, self.evidence = what, where, scrub(evidence).strip()
        self.cause, self.next_command = cause, next_command

    def as_result(self) -> dict[str, str]:
        """Return the arguments of `AnsibleModule.fail_json`: one readable message and its parts."""
        parts = self.parts()
        message = (
            f"{self.what} ({self.where})\n  seen: "
            + self.evidence.replace("\n", "\n        ")
            + f"\n  likely cause: {self.cause}\n  next: {self.next_command}"
        )
        return {"msg": message, **parts}

    def parts(self) -> dict[str, str]:
        """Return the parts by name, as `rackwright.errors.RunFailure` names them."""
        return {
            "what": self.what,
            "where": self.where,
            "evidence": self.evidence,
            "cause": self.cause,
            "next_command": self.next_command,
        }


def scrub(text: str) -> str:
    """Replace bootstrap tokens, certificate keys and private keys by a placeholder."""
    for pattern, label in _SECRETS:
        text = pattern.sub(label, text)
    return text


def tail(text: str, lines: int = 20) -> str:
    """Return the last `lines` non-empty lines of a text."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


@dataclass(frozen=True)
class Finished:
    """A process that ended: exit status and both outputs. Status 124: it ran past its limit."""

    rc: int
    out: str
    err: str

    @property
    def said(self) -> str:
        """The last lines of what it said, secrets removed."""
        return scrub(tail(self.out + "\n" + self.err))  # the reason for the failure stands last


def execute(
    argv: list[str], limit: float = 120, stdin: str | None = None, keep_fd: int | None = None
) -> Finished:
    """Run a program without a shell; never raises for its exit status.

    `keep_fd` stays open in the child: a lock held there outlives this process when it is killed.
    """
    environment = {
        **os.environ,
        "LC_ALL": "C",
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin",
    }
    environment.pop("KUBECONFIG", None)
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
            env=environment,
            pass_fds=() if keep_fd is None else (keep_fd,),
        )
    except FileNotFoundError:
        return Finished(127, "", f"{argv[0]}: not installed")
    except subprocess.TimeoutExpired as late:
        heard = [
            part.decode(errors="replace") if isinstance(part, bytes) else part or ""
            for part in (late.stdout, late.stderr)
        ]
        return Finished(124, heard[0], f"{heard[1]}\n{argv[0]} ran longer than {limit:.0f} s")
    return Finished(done.returncode, done.stdout, done.stderr)


def installed(program: str) -> bool:
    """Tell whether a program is on the system's path."""
    return (
        shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin") is not None
    )


class ApiError(Exception):
    """The API could not be asked: no route, no listener, TLS refused."""


class Api:
    """A client of the Kubernetes API over one client certificate.

    Answers are `(status, object)`; only a failure of the connection raises (`ApiError`).
    """

    def __init__(self, server: str, context: ssl.SSLContext, limit: float = 10) -> None:
        self.server, self._context, self._limit = server.rstrip("/"), context, limit
        self._connection: http.client.HTTPSConnection | None = None

    @classmethod
    def from_kubeconfig(cls, path: str, server: str | None = None, limit: float = 10) -> Api:
        """Read a kubeconfig as kubeadm writes it; `server` replaces the endpoint named there.

        Raises ApiError when the file is absent or incomplete.
        """
        try:
            with open(path, encoding="utf-8") as handle:
                text = handle.read()
            authority = base64.b64decode(_field(text, "certificate-authority-data")).decode()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=authority)
            _load_client(context, text)
            return cls(server or _field(text, "server"), context, limit)
        except (OSError, ValueError, ssl.SSLError) as error:
            raise ApiError(f"{path}: {error}") from error

    def ask(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, Any]:
        """Send one request. The object is parsed JSON, or text where the answer is not JSON."""
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = kind
            data = json.dumps(body)
        fresh = self._connection is None
        try:
            status, text = self._send(method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            self._connection = None
            if fresh:
                raise ApiError(f"{method} {self.server}{path.split('?')[0]}: {error}") from error
            # The server closed a connection that had been idle: that says nothing about this request.
            return self.ask(method, path, body, kind)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def _send(self, method: str, path: str, data: str | None, headers: dict[str, str]) -> tuple[int, str]:
        if self._connection is None:
            where = urlsplit(self.server)
            self._connection = http.client.HTTPSConnection(
                where.hostname or "", where.port or 443, timeout=self._limit, context=self._context
            )
        self._connection.request(method, path, body=data, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read().decode()

    def get(self, path: str) -> Any | None:
        """Return an object, or None where there is none (404). Other refusals raise ApiError."""
        status, found = self.ask("GET", path)
        if status == 404:
            return None
        if status >= 300:
            reason = found.get("message", found) if isinstance(found, dict) else found
            raise ApiError(f"GET {path}: {status} {reason}")
        return found

    def ready(self) -> bool:
        """Tell whether this API server says that it is ready."""
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except ApiError:
            return False


def _field(text: str, name: str) -> str:
    found = re.search(rf"^\s*{name}:\s*\"?([^\"\s]+)\"?\s*$", text, re.M)
    if not found:
        raise ValueError(f"no {name}")
    return found.group(1)


def _load_client(context: ssl.SSLContext, text: str) -> None:
    """Load the client certificate: the file that the kubeconfig names, or its data through a 0600 file in /run."""
    named = re.search(r"^\s*client-certificate:\s*(\S+)\s*$", text, re.M)
    if named:
        context.load_cert_chain(named.group(1), _field(text, "client-key"))
        return
    pair = b"".join(
        base64.b64decode(_field(text, name)) for name in ("client-certificate-data", "client-key-data")
    )
    with tempfile.NamedTemporaryFile(dir="/run" if os.access("/run", os.W_OK) else None) as handle:
        handle.write(pair)
        handle.flush()
        context.load_cert_chain(handle.name)


@dataclass(frozen=True)
class Member:
    """One etcd member. `started` is false until it has joined and published its name."""

    id: str
    name: str
    peer: str
    learner: bool

    @property
    def started(self) -> bool:
        """Whether the member ever published its name."""
        return bool(self.name)

    @property
    def standing(self) -> str:
        """`voter`, `learner` or `unstarted`."""
        return "unstarted" if not self.started else "learner" if self.learner else "voter"


class Etcd:
    """etcdctl with kubeadm's health-check client certificate; needs root on a control plane."""

    def __init__(self, endpoint: str = "https://127.0.0.1:2379") -> None:
        self._base = [
            "etcdctl",
            f"--endpoints={endpoint}",
            f"--cacert={PKI}/etcd/ca.crt",
            f"--cert={PKI}/etcd/healthcheck-client.crt",
            f"--key={PKI}/etcd/healthcheck-client.key",
            "--dial-timeout=3s",
            "--command-timeout=10s",
        ]

    def call(self, *words: str) -> Finished:
        """Run etcdctl with these words."""
        return execute([*self._base, *words], limit=20)

    def members(self) -> list[Member] | None:
        """Return the members, or None when this endpoint can't say (down, no quorum, a learner)."""
        done = self.call("member", "list", "--write-out=json", "--hex")
        if done.rc != 0:
            return None
        found = json.loads(done.out).get("members", [])
        return [
            Member(
                id=f"{int(str(one['ID']), 16):x}" if isinstance(one["ID"], str) else f"{one['ID']:x}",
                name=one.get("name", ""),
                peer=(one.get("peerURLs") or [""])[0],
                learner=bool(one.get("isLearner", False)),
            )
            for one in found
        ]

    def is_learner(self) -> bool:
        """Tell whether the member at this endpoint says of itself that it only learns."""
        done = self.call("endpoint", "status", "--write-out=json")
        if done.rc != 0:
            return False
        return any(one.get("Status", {}).get("isLearner", False) for one in json.loads(done.out))


def member_of(members: list[Member], name: str, address: str) -> Member | None:
    """Return a node's member: by peer address, which a member has before its name; else by name."""
    peer = f"https://{address}:2380"
    for one in members:
        if one.peer == peer or one.name == name:
            return one
    return None
