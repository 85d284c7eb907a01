"""Two conductors on one MariaDB: each manages the servers of its own group, and the API finds the right one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ironic_api import CURL, STATUS, api, wait_for
from node_hosts import NodeHost

CONDUCTORS = {"a": ("rack-a", 8091), "b": ("rack-b", 8092)}


@pytest.fixture
def machines(head: NodeHost) -> Iterator[dict[str, str]]:
    """A machine without a controller in each group: name → group."""
    made = {f"trial-{name}": group for name, (group, _) in CONDUCTORS.items()}
    for name, group in made.items():
        api(head, "POST", "/nodes", {"name": name, "driver": "fake-hardware", "conductor_group": group})
    yield made
    for name in made:
        api(head, "DELETE", f"/nodes/{name}")


def test_both_are_alive(head: NodeHost) -> None:
    found = {
        one["conductor_group"]: one["hostname"]
        for one in api(head, "GET", "/conductors")["conductors"]
        if one["alive"]
    }
    wanted = {group: f"{head.node.address}:{port}" for group, port in CONDUCTORS.values()}
    assert wanted.items() <= found.items()


def test_each_manages_its_own_group(head: NodeHost, machines: dict[str, str]) -> None:
    for name, group in machines.items():
        api(head, "PUT", f"/nodes/{name}/states/provision", {"target": "manage"})
        wait_for(head, name, "manageable")
        port = next(port for known, port in CONDUCTORS.values() if known == group)
        assert api(head, "GET", f"/nodes/{name}")["conductor"] == f"{head.node.address}:{port}"


def test_a_group_without_a_conductor_is_refused(head: NodeHost) -> None:
    body = {"name": "trial-c", "driver": "fake-hardware", "conductor_group": "rack-c"}
    with pytest.raises(AssertionError, match="returned error: 400"):
        api(head, "POST", "/nodes", body)


def test_the_other_goes_on_when_one_is_down(head: NodeHost, machines: dict[str, str]) -> None:
    head.out("systemctl kill --signal=KILL rackwright-ironic-conductor@a")
    api(head, "PUT", "/nodes/trial-b/states/provision", {"target": "manage"})
    wait_for(head, "trial-b", "manageable")
    head.out(
        "for second in $(seq 30); do systemctl is-active --quiet rackwright-ironic-conductor@a && exit; "
        "sleep 1; done; exit 1"
    )


def test_conductors_are_spoken_to_by_tls_and_with_a_password(head: NodeHost) -> None:
    for _, port in CONDUCTORS.values():
        url = f"{head.node.address}:{port}"
        assert head.out(f"{CURL} {STATUS} --request POST https://{url}/") == "401"
        assert head.host.run(f"curl --silent --request POST http://{url}/").rc != 0


def test_the_database_has_neither_port_nor_password(head: NodeHost) -> None:
    assert head.out("ss --listening --tcp --numeric --no-header 'sport = :3306'") == ""
    question = "mariadb --skip-column-names --execute 'SELECT COUNT(*) FROM ironic.conductors'"
    assert int(head.out(f"runuser -u ironic -- {question}")) >= len(CONDUCTORS)
    assert head.host.run(f"runuser -u nobody -- {question}").rc != 0


def test_key_is_root_s(head: NodeHost) -> None:
    assert head.host.file("/etc/rackwright/tls/ironic.key").user == "root"
    assert head.host.file("/etc/rackwright/tls/ironic.key").mode == 0o600
