"""kubeadm itself: init, join, reset, one at a time on a node; and what is said when it fails."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ansible.module_utils.rackwright_cluster import (
    ADMIN_CONF,
    Api,
    ClusterError,
    Finished,
    execute,
    scrub,
    tail,
)
from ansible.module_utils.rackwright_membership import CONTROL_PLANE_MARK, ETCD_DATA, Look, established
from ansible.module_utils.rackwright_secrets import (
    ENCRYPTION,
    discovery,
    encryption_configuration,
    filled,
    new_token,
    secret_files,
    write_secret,
)

LOCK = "/run/lock/rackwright-kubeadm"
# Why kubeadm gives up, by what it or the kubelet said. First match wins.
CAUSES = (
    (r"not yet valid|has expired", "the clocks of the nodes differ: compare `chronyc tracking` on each"),
    (r"no space left on device", "a file system is full: df -h /var/lib/containerd /var/lib/kubelet"),
    (r"failed to pull|ImagePull|ErrImage", "an image can't be pulled from the site's registry"),
    (r"Port-\d+|address already in use", "another program listens on a port that Kubernetes needs: ss -ltnp"),
    (
        r"etcdserver: (too many learners|unhealthy cluster|re-configuration)",
        "etcd does not take a member now",
    ),
    (
        r":8443.*(refused|timed? ?out|no route)|(refused|timed? ?out|no route).*:8443",
        "the API's address does not answer",
    ),
    (
        r"lookup .* no such host|server misbehaving",
        "the API's or the registry's name does not resolve on this node",
    ),
    (
        r"\[ERROR (\w+)\]",
        "a preflight check of kubeadm failed; see kubernetes_preflight_ignore for those that may",
    ),
)


@contextlib.contextmanager
def exclusive(name: str, wait: float, take: bool) -> Iterator[int | None]:
    """Hold this node's lock; yields its descriptor, which kubeadm inherits: one that outlived its run is waited for."""
    if not take:
        yield None
        return
    os.makedirs(os.path.dirname(LOCK), exist_ok=True)
    descriptor = os.open(LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise ClusterError(
                        "Waiting for a kubeadm that an earlier run left behind",
                        name,
                        execute(["pgrep", "-a", "kubeadm"]).said or f"{LOCK} is held",
                        "an earlier run was interrupted, and its kubeadm is still at work or hangs",
                        f"ssh {name} pgrep -a kubeadm; end it, then run again",
                    ) from None
                time.sleep(1)
        yield descriptor
    finally:
        os.close(descriptor)


def failed(what: str, where: str, done: Finished) -> ClusterError:
    """Return the failure of a kubeadm run, with what the kubelet and the static pods said last."""
    evidence = [f"exit status {done.rc}", done.said]
    kubelet = execute(
        ["journalctl", "-b", "-u", "kubelet", "-p", "err", "-n", "6", "--no-pager", "-o", "cat"]
    ).out
    if kubelet.strip():
        evidence += ["kubelet:", tail(kubelet, 6)]
    for path in sorted(glob.glob("/var/log/pods/kube-system_*/*/*.log"))[:8]:
        pod = path.split("/")[4].split("_")[1]
        with open(path, encoding="utf-8", errors="replace") as handle:
            last = tail(handle.read()[-4000:], 2)
        if re.search(r"stderr F [EF]\d{4}|fatal|panic|error", last):
            evidence += [f"{pod}:", last]
    text = scrub("\n".join(evidence))
    cause = next((label for pattern, label in CAUSES if re.search(pattern, text)), "see what was seen above")
    return ClusterError(
        what, where, text, cause, f"ssh {where} journalctl -b -u kubelet -n 50; then run again"
    )


class Kubeadm:
    """The steps of kubeadm on this node."""

    def __init__(self, name: str, config: str, cri_socket: str, limit: float, lock: int | None) -> None:
        self.name, self.config, self.cri_socket, self.limit, self.lock = name, config, cri_socket, limit, lock

    def _run(self, what: str, files: Mapping[str, str], *words: str) -> None:
        with secret_files(files) as directory:
            command = ["kubeadm", *(word.replace("@directory@", directory) for word in words)]
            done = execute(command, limit=self.limit, keep_fd=self.lock)
        if done.rc != 0:
            raise failed(what, self.name, done)

    def init(self, seen: Look) -> None:
        """Start the cluster. etcd data that is there already stays; kubeadm then goes over its steps again."""
        ignored: list[str] = []
        if seen.data:
            if not os.path.exists(ENCRYPTION):
                raise ClusterError(
                    "Finishing an interrupted kubeadm init",
                    self.name,
                    f"{ETCD_DATA} exists, {ENCRYPTION} does not",
                    "the key that encrypts secrets in etcd was lost; a new one would make them unreadable",
                    f"restore {ENCRYPTION}; or, to give the data up: ssh {self.name} kubeadm reset -f",
                )
            ignored = [
                "--ignore-preflight-errors=DirAvailable--var-lib-etcd,Port-6443,Port-10250,Port-10257,Port-10259,Port-2379,"
                "Port-2380,FileAvailable--etc-kubernetes-manifests-kube-apiserver.yaml,"
                "FileAvailable--etc-kubernetes-manifests-kube-controller-manager.yaml,"
                "FileAvailable--etc-kubernetes-manifests-kube-scheduler.yaml,"
                "FileAvailable--etc-kubernetes-manifests-etcd.yaml"
            ]
        elif seen.stage != "absent":
            self.reset()
        if not os.path.exists(ENCRYPTION):
            write_secret(ENCRYPTION, encryption_configuration())
        values = {"token": new_token(), "certificate_key": secrets.token_hex(32)}
        self._run(
            "Starting the cluster with kubeadm init",
            {"init.yaml": filled(self.config, values)},
            "init",
            "--config=@directory@/init.yaml",
            *ignored,
        )

    def finish_init(self, seen: Look) -> None:
        """Run the phases of kubeadm init that a killed run never came to; each may be repeated."""
        values = {"token": new_token(), "certificate_key": secrets.token_hex(32)}
        phases = dict.fromkeys([*seen.unfounded, "mark-control-plane", "kubelet-finalize all"])
        for phase in phases:
            self._run(
                f"Finishing kubeadm init: phase {phase}",
                {"init.yaml": filled(self.config, values)},
                "init",
                "phase",
                *phase.split(),
                "--config=@directory@/init.yaml",
            )

    def join(self, seen: Look, credentials: Mapping[str, Any], forced: bool) -> None:
        """Join; before that, undo what an unfinished join left. An established member is never undone."""
        if "token" not in credentials:
            problem = credentials.get("problem") or {
                "what": "Joining the cluster",
                "where": self.name,
                "evidence": "no control plane in this run could give credentials",
                "cause": "no control plane is healthy, or none can be reached",
                "next_command": "ansible control_plane -b -m command -a 'systemctl is-active kubelet'",
            }
            raise ClusterError(**problem)
        authority = hashlib.sha256(credentials["authority"].strip().encode()).hexdigest()
        standing = credentials["standing"].get(self.name, "none")
        if established(seen.as_dict(), standing, authority) and not forced:
            raise ClusterError(
                "Bringing an established member of the cluster back",
                self.name,
                "; ".join(seen.reasons),
                "the node is a full member, but something on it does not work; nothing was removed",
                f"ssh {self.name} journalctl -b -u kubelet -n 50; to make it join anew: "
                f'-e \'{{"kubernetes_rejoin": ["{self.name}"]}}\'',
            )
        if seen.stage != "absent":
            self.reset()
        if seen.control_plane:
            write_secret(ENCRYPTION, credentials["encryption"])
        files = {
            "join.yaml": filled(self.config, {"certificate_key": credentials.get("certificate_key", "")}),
            "discovery.conf": discovery(credentials),
        }
        self._run("Joining the cluster with kubeadm join", files, "join", "--config=@directory@/join.yaml")

    def reset(self) -> None:
        """Undo an unfinished init or join. Its etcd member, if any, was removed through a healthy one before."""
        command = [
            "kubeadm",
            "reset",
            "--force",
            f"--cri-socket={self.cri_socket}",
            "--skip-phases=remove-etcd-member",
        ]
        done = execute(command, limit=self.limit, keep_fd=self.lock)
        if done.rc != 0:
            raise failed("Undoing an unfinished join with kubeadm reset", self.name, done)
        for path in (os.path.dirname(ETCD_DATA), "/var/lib/cni", "/etc/cni/net.d/05-cilium.conflist"):
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)

    def mark(self, seen: Look) -> None:
        """Set the control plane's label and taint, which a join killed at its very end lacks."""
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{seen.address}:6443")
        taint = {"key": CONTROL_PLANE_MARK, "effect": "NoSchedule"}
        body = {"metadata": {"labels": {CONTROL_PLANE_MARK: ""}}, "spec": {"taints": [taint]}}
        status, answer = api.ask(
            "PATCH", f"/api/v1/nodes/{self.name}", body, "application/strategic-merge-patch+json"
        )
        if status != 200:
            raise failed("Marking the node as a control plane", self.name, Finished(1, "", str(answer)))

    def require(self, seen: Look, step: str) -> None:
        """Raise ClusterError unless the node is a full member now."""
        if seen.stage == "joined":
            return
        raise failed(
            f"{step} ended, but the node is no full member",
            self.name,
            Finished(0, "\n".join(seen.reasons), ""),
        )
