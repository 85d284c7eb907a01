"""The bundle on the head node: whole, closed by its lock, and where the head node installs from."""

from __future__ import annotations

import json

from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

ROOT = "/srv/rackwright/mirror"


def test_lock_vouches_for_what_lies_there(head: NodeHost, site: SiteModel) -> None:
    assert "OK" in head.out(f"cd {ROOT} && sha256sum --check lock.json.sha256")
    lock = json.loads(head.out(f"cat {ROOT}/lock.json"))
    assert lock["release"] == site.release
    sums = "".join(f"{entry['sha256']}  {entry['path']}\n" for entry in lock["entries"])
    checked = head.host.run(f"cd {ROOT} && sha256sum --check --quiet <<'END'\n{sums}END")
    assert checked.rc == 0, checked.stdout


def test_nothing_but_what_the_lock_lists(head: NodeHost) -> None:
    listed = {entry["path"] for entry in json.loads(head.out(f"cat {ROOT}/lock.json"))["entries"]}
    found = set(head.out(f"cd {ROOT} && find . -type f -printf '%P\\n'").splitlines())
    assert found - {"lock.json", "lock.json.sha256"} == listed


def test_head_installs_from_its_own_disk_with_signatures(head: NodeHost) -> None:
    source = head.host.file("/etc/apt/sources.list.d/rackwright.sources")
    assert f"URIs: file:{ROOT}/apt" in source.content_string
    assert "Signed-By: /etc/apt/keyrings/rackwright.gpg" in source.content_string
    assert "Trusted" not in source.content_string
