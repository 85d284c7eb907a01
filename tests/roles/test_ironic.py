"""Ironic on the head node: its API behind TLS and a password, its drivers, what servers boot from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
from ironic_api import CURL, LOGIN, STATUS, api, oob, wait_for
from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

CONFIGURATION = PurePosixPath("/etc/rackwright/ironic")
UUID = "6a5b6a0e-5a3a-4c9b-9d5d-0f6a2f1c7b11"
MAC = "52:54:00:0c:0f:fe"


def test_listens_where_it_is_needed(head: NodeHost) -> None:
    for port, wanted in (
        (6385, {f"{head.node.address}:6385", f"{oob(head)}:6385", "127.0.0.1:6385"}),
        (8090, {f"{oob(head)}:8090"}),
    ):
        sockets = head.out(f"ss --listening --tcp --numeric --no-header 'sport = :{port}'")
        assert {line.split()[3] for line in sockets.splitlines()} == wanted


def test_certificate_names_both_addresses_and_names(head: NodeHost, site: SiteModel) -> None:
    for name in (str(head.node.address), oob(head), site.mirror_fqdn, head.node.fqdn):
        assert head.out(f"{CURL} {STATUS} https://{name}:6385/") == "200"
    other = head.out("find /usr/share/ca-certificates -name '*.crt' | sort | head -n 1")
    assert (
        head.host.run(
            f"curl --silent --capath /var/empty --cacert {other} https://{head.node.address}:6385/"
        ).rc
        == 60
    )


def test_wants_the_password(head: NodeHost) -> None:
    url = f"https://{head.node.address}:6385/v1/nodes"
    assert head.out(f"{CURL} {STATUS} {url}") == "401"
    assert head.out(f"{CURL} {STATUS} --user rackwright:wrong {url}") == "401"
    assert api(head, "GET", "/nodes") is not None


def test_agents_side_has_what_agents_need_alone(head: NodeHost) -> None:
    base = f"https://{oob(head)}:6385"
    assert head.out(f"{CURL} {STATUS} {base}/") == "200"
    assert head.out(f"{CURL} {STATUS} '{base}/v1/lookup?addresses=52:54:00:00:00:01'") == "404"
    for path in ("nodes", "ports", "drivers", "lookup/x"):
        assert head.out(f"{LOGIN}{CURL} {STATUS} --config - {base}/v1/{path}") == "403"


def test_drivers(head: NodeHost) -> None:
    found = {driver["name"] for driver in api(head, "GET", "/drivers")["drivers"]}
    assert {"redfish", "idrac"} <= found


@pytest.fixture
def machine(head: NodeHost) -> Iterator[str]:
    """A machine without a controller, enrolled; its boot interface is the real one."""
    api(
        head,
        "POST",
        "/nodes",
        {
            "uuid": UUID,
            "name": "trial",
            "driver": "fake-hardware",
            "boot_interface": "ipxe",
            "inspect_interface": "agent",
            "deploy_interface": "direct",
            "properties": {"capabilities": "boot_mode:uefi"},
            "driver_info": {"redfish_password": "not-to-be-seen"},
        },
    )
    yield "trial"
    node = api(head, "GET", "/nodes/trial")
    if node["provision_state"] == "inspect wait":
        api(head, "PUT", "/nodes/trial/states/provision", {"target": "abort"})
        wait_for(head, "trial", "inspect failed")
    api(head, "PATCH", "/nodes/trial", [{"op": "replace", "path": "/maintenance", "value": True}])
    api(head, "DELETE", "/nodes/trial")


def test_a_machine_is_enrolled_managed_and_given_its_boot_script(head: NodeHost, machine: str) -> None:
    assert api(head, "GET", f"/nodes/{machine}")["driver_info"]["redfish_password"] == "******"
    api(head, "POST", "/ports", {"node_uuid": UUID, "address": MAC, "pxe_enabled": True})
    provision = f"/nodes/{machine}/states/provision"
    api(head, "PUT", provision, {"target": "manage"})
    wait_for(head, machine, "manageable")
    api(head, "PUT", provision, {"target": "inspect"})
    wait_for(head, machine, "inspect wait")
    base = f"http://{oob(head)}:8090"
    script = head.out(f"curl --silent --fail {base}/pxelinux.cfg/{MAC.replace(':', '-')}")
    assert f"https://{oob(head)}:6385/v1/continue_inspection" in script
    assert "token" not in script and "insecure" not in script
    for name in ("kernel", "ramdisk"):
        assert head.out(f"curl --silent {STATUS} {base}/{UUID}/deploy_{name}") == "200"
    # Linked, not copied: a hundred servers at a time take no more room than one.
    links = head.out(f"stat --format=%h /srv/rackwright/boot/http/{UUID}/deploy_ramdisk")
    assert int(links) > 1


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("boot.ipxe", "200"),
        ("", "404"),
        ("images/", "404"),
        ("pxelinux.cfg/", "404"),
        ("../agent/ipa.kernel", "400"),
        ("images/../ipa.kernel", "404"),
        ("redfish/boot.iso", "403"),
    ],
)
def test_boot_files_and_nothing_else(head: NodeHost, path: str, status: str) -> None:
    assert head.out(f"curl --silent --path-as-is {STATUS} http://{oob(head)}:8090/{path}") == status


def test_boot_files_are_read_only(head: NodeHost) -> None:
    url = f"http://{oob(head)}:8090/boot.ipxe"
    assert head.out(f"curl --silent {STATUS} --request PUT --data x {url}") == "405"


def test_loader_comes_by_tftp(head: NodeHost) -> None:
    wanted = head.out("sha256sum < /usr/lib/ipxe/snponly.efi")
    assert head.out(f"curl --silent tftp://{oob(head)}/snponly.efi | sha256sum") == wanted
    assert head.host.run(f"curl --silent --max-time 10 tftp://{oob(head)}/../../../etc/passwd").rc != 0


def test_ramdisk_carries_the_site_s_authority(head: NodeHost) -> None:
    """What the kernel would unpack last: the archive at the end of the ramdisk."""
    shown = (
        "tail --bytes=8192 /srv/rackwright/boot/agent/ipa.initramfs | tr --complement --delete '[:print:]\\n'"
    )
    found = head.out(shown)
    assert found.endswith("TRAILER!!!")
    assert head.out("cat /etc/rackwright/ca/ca.crt") in found
    assert "insecure = false" in found and "PRIVATE" not in found


def test_secrets_are_read_by_those_who_must(head: NodeHost) -> None:
    for name, group, mode in (
        ("password", "root", 0o600),
        ("htpasswd", "ironic", 0o640),
        ("htpasswd-rpc", "ironic", 0o640),
        ("secrets.conf", "ironic", 0o640),
        ("ironic.conf", "ironic", 0o640),
    ):
        file = head.host.file(str(CONFIGURATION / name))
        assert (file.user, file.group, file.mode) == ("root", group, mode), name
    assert head.host.file("/etc/rackwright/tls/ironic.key").mode == 0o600
    state = head.host.file("/var/lib/ironic/rackwright")
    assert (state.user, state.mode) == ("ironic", 0o700)


def test_password_is_in_no_log_and_no_argument(head: NodeHost) -> None:
    for command in (
        "journalctl --unit rackwright-ironic --no-pager",
        "ps -e -o args=",
        "cat /var/log/nginx/*.log",
    ):
        head.out(f'test "$({command} | grep --count --fixed-strings --file {CONFIGURATION}/password)" = 0')


def test_runs_and_starts_at_boot(head: NodeHost) -> None:
    service = head.host.service("rackwright-ironic")
    assert service.is_running and service.is_enabled
    assert head.out("systemctl show --property=User --value rackwright-ironic") == "ironic"
