"""Secrets on a node: made, and kept in files that only root reads."""

from __future__ import annotations

import base64
import contextlib
import glob
import os
import secrets
import shutil
import string
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

# Beside kubeadm's own files, so that `kubeadm reset` leaves it and one mount carries it into the API server.
OWN_DIRECTORY = "/etc/kubernetes/rackwright"
ENCRYPTION = f"{OWN_DIRECTORY}/encryption.yaml"


def new_token() -> str:
    """Return a bootstrap token."""
    alphabet = string.ascii_lowercase + string.digits
    part = lambda size: "".join(secrets.choice(alphabet) for _ in range(size))  # noqa: E731
    return f"{part(6)}.{part(16)}"


def encryption_configuration() -> str:
    """Return an EncryptionConfiguration with a new key, for secrets at rest."""
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return (
        "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n"
        "  - resources: [secrets]\n    providers:\n      - secretbox:\n          keys:\n"
        f"            - name: key1\n              secret: {key}\n      - identity: {{}}\n"
    )


def write_secret(path: str, text: str) -> None:
    """Write a file of mode 0600 atomically, in a directory of mode 0700 if that has to be made."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path))
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


@contextlib.contextmanager
def secret_files(files: Mapping[str, str]) -> Iterator[str]:
    """Yield a directory in /run (memory) with these files, mode 0600; those of interrupted runs go first."""
    for old in glob.glob("/run/rackwright-kubeadm-*"):
        shutil.rmtree(old)
    directory = tempfile.mkdtemp(prefix="rackwright-kubeadm-", dir="/run")
    try:
        for name, text in files.items():
            write_secret(f"{directory}/{name}", text.replace("@directory@", directory))
        yield directory
    finally:
        shutil.rmtree(directory)


def filled(path: str, values: Mapping[str, str]) -> str:
    """Return a rendered kubeadm configuration with its @placeholders@ replaced."""
    with open(path, encoding="utf-8") as handle:
        text = handle.read()
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return text


def discovery(credentials: Mapping[str, Any]) -> str:
    """Return the kubeconfig with which a node finds and trusts the cluster, and presents its token."""
    authority = base64.b64encode(credentials["authority"].encode()).decode()
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: join\n"
        f"clusters:\n- name: site\n  cluster:\n    server: {credentials['endpoint']}\n"
        f"    certificate-authority-data: {authority}\n"
        "contexts:\n- name: join\n  context:\n    cluster: site\n    user: join\n"
        f"users:\n- name: join\n  user:\n    token: {credentials['token']}\n"
    )
