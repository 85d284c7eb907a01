"""Checks of where things come from: the signed package repository and the image registry on the head node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial

from rackwright.checks import client
from rackwright.checks.base import (
    WORKSTATION,
    Check,
    Command,
    Evidence,
    Hint,
    Need,
    Output,
    Request,
    Verdict,
    found,
)
from rackwright.derive.model import Node, SiteModel
from rackwright.render.places import MIRROR_ROOT, ca_anchor

LOCK = f"{MIRROR_ROOT}/lock.json"


def judge_sources(evidence: Evidence, node: Node, mirror: str) -> Verdict:
    """apt knows no source but the site's mirror, and every source names the key it must be signed with."""
    problems, seen = [], 0
    allowed = [f"https://{mirror}/", *([f"file:{MIRROR_ROOT}/"] if node.is_head else [])]
    for line in evidence.text(node.name, "apt-sources").splitlines():
        uri, _, signed_by = line.strip().partition(" ")
        if not uri:
            continue
        seen += 1
        if not any(uri.startswith(place) for place in allowed):
            problems.append(f"{uri} is another source than the site's mirror")
        if not signed_by.strip():
            problems.append(f"{uri} has no Signed-By")
    waived = evidence.output(node.name, "apt-waived")
    problems += [f"a source waives its signature: {line}" for line in waived.stdout.splitlines()]
    if not seen:
        return Verdict(False, "apt has no source at all")
    return found(problems, f"only {' and '.join(allowed)}, signed")


def judge_update(evidence: Evidence, node: Node) -> Verdict:
    """apt fetches the index over TLS and accepts its signature."""
    output = evidence.output(node.name, "apt-update")
    bad = [
        line
        for line in (output.stdout + "\n" + output.stderr).splitlines()
        if re.match(r"(E|W|Err|Ign):?", line)
    ]
    # A scratch directory makes apt say that it downloads as root; that is no fault of the repository's.
    bad = [line for line in bad if "unsandboxed" not in line and not line.startswith("Ign")]
    if output.rc != 0 or bad:
        return Verdict(False, "; ".join(bad[:4]) or output.last_words)
    fetched = re.search(r"Fetched (.+)", output.stdout)
    return Verdict(
        True, f"index fetched and its signature accepted ({fetched.group(1) if fetched else 'unchanged'})"
    )


def lock_images(lock: object) -> list[str]:
    """``repository:tag`` of every image in a bundle's lock, without the registry's name."""
    entries = lock.get("entries", []) if isinstance(lock, dict) else []
    images = []
    for entry in entries:
        if entry.get("kind") == "image":
            name, version = str(entry["name"]).strip("/"), str(entry["version"])
            images.append(name if ":" in name.rsplit("/", 1)[-1] else f"{name}:{version}")
    return sorted(set(images))


def ask_manifests(evidence: Evidence, model: SiteModel) -> Output:
    """Ask the registry for every image that the lock on the head node names."""
    head = model.head
    host, _, port = model.registry.rpartition(":")
    lock = evidence.output(head.name, "lock")
    try:
        images = lock_images(json.loads(lock.stdout))
    except ValueError:
        return Output(-1, "", f"{LOCK} on {head.name} can't be read: {lock.last_words}")
    return client.with_authority(
        evidence,
        head.name,
        "site-authority",
        lambda pem: client.manifests(str(head.address), int(port), host, pem, images),
    )


def judge_manifests(evidence: Evidence) -> Verdict:
    """The registry's certificate is the site's, and it has a manifest for every image of the lock."""
    answers = evidence.json(WORKSTATION, "manifests")
    if not answers:
        return Verdict(False, "the lock names no image")
    return found(
        [f"{image}: HTTP {status}" for image, status in answers.items() if status != 200],
        f"manifests of all {len(answers)} images of the lock",
    )


def judge_registry_from(evidence: Evidence, node: Node, registry: str) -> Verdict:
    """The node reaches the registry by its name, and its own trust store accepts the certificate."""
    output = evidence.output(node.name, "registry")
    status = output.stdout.strip()
    if output.rc != 0 or status != "200":
        return Verdict(
            False, f"https://{registry}/v2/: {output.last_words if output.rc else f'HTTP {status}'}"
        )
    return Verdict(True, f"https://{registry}/v2/ answers, certificate accepted")


def checks(model: SiteModel) -> Iterator[Check]:
    """Repository and registry, from every node and from the workstation."""
    update = ("apt-get", "update", "-q", "-o", "Dir::State::lists={tmp}/lists", "-o", "Dir::Cache={tmp}")
    sources = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(SIGNED_BY)")
    waived = ("grep", "-rEis", r"^[^#]*(\[.*trusted *=|^trusted:|allow-insecure)", "/etc/apt")
    scratch = ("mkdir", "-p", "{tmp}/lists/partial", "{tmp}/archives/partial")
    curl = (
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code}",
        "--max-time",
        "15",
        f"https://{model.registry}/v2/",
    )
    for node in model.nodes:
        play = f"ansible-playbook -i {model.path} playbooks/nodes.yml --limit {node.name}"
        yield Check(
            "mirror.sources",
            "mirror",
            node.name,
            (
                Need(node.name, Command("apt-sources", sources)),
                Need(node.name, Command("apt-waived", waived)),
            ),
            partial(judge_sources, node=node, mirror=model.mirror_fqdn),
            Hint(
                "A source was added by hand, or the baseline did not take the distribution's away",
                f"ssh {node.address} ls /etc/apt/sources.list.d; {play}",
            ),
        )
        yield Check(
            "mirror.signature",
            "mirror",
            node.name,
            (
                Need(node.name, Command("apt-scratch", scratch, lane="apt")),
                Need(node.name, Command("apt-update", update, timeout=90, lane="apt")),
            ),
            partial(judge_update, node=node),
            Hint(
                "The repository was not signed by the key that the node trusts, nginx on the head node is "
                "down, or "
                "the node lacks the site's authority",
                f"ssh {node.address} apt-get update; rackwright bundle verify",
            ),
        )
        yield Check(
            "registry.reachable",
            "registry",
            node.name,
            (Need(node.name, Command("registry", curl)),),
            partial(judge_registry_from, node=node, registry=model.registry),
            Hint(
                "docker-registry on the head node is down, or the node lacks the site's authority",
                f"ssh {model.head.address} systemctl status docker-registry; {play}",
            ),
        )
    head = model.head
    yield Check(
        "registry.images",
        "registry",
        model.registry,
        (
            Need(head.name, Command("site-authority", ("cat", ca_anchor(model)))),
            Need(head.name, Command("lock", ("cat", LOCK))),
            Need(WORKSTATION, Request("manifests", partial(ask_manifests, model=model))),
        ),
        judge_manifests,
        Hint(
            "The bundle on the head node is incomplete or of another release",
            f"ssh {head.address} ls /srv/rackwright/mirror/registry; rackwright bundle verify",
        ),
    )
