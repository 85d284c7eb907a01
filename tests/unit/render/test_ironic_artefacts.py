"""What Ironic and what servers boot from are told, for every example site."""

from __future__ import annotations

import configparser
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rackwright.derive.model import SiteModel
from rackwright.render import render
from rackwright.site import load_site

CONFIGURATION = "/etc/rackwright/ironic"


def files(model: SiteModel, node: str, options: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Path → content of everything that role ironic puts on ``node``."""
    found = {}
    for name in ("ironic", "metal_boot", "metal_dhcp"):
        for file in render(model, node, name, options or {}):
            found[file.path] = file.content
    return found


def settings(text: str) -> configparser.ConfigParser:
    """An oslo.config file: no name comes twice in a section."""
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.read_string(text)
    return parser


def test_first_head_alone_runs_ironic_and_every_head_says_what_to_boot(site: SiteModel) -> None:
    first = files(site, site.head.name)
    assert f"{CONFIGURATION}/ironic.conf" in first
    for node in site.heads:
        if node.name != site.head.name:
            (path,) = files(site, node.name)
            assert path == "/etc/dnsmasq.d/rackwright-boot.conf"
    text = settings(first[f"{CONFIGURATION}/ironic.conf"])
    port = site.head.interface("oob")
    assert port is not None and port.address is not None
    assert text["deploy"]["http_url"] == f"http://{port.address.ip}:8090"
    assert text["service_catalog"]["endpoint_override"] == f"https://{port.address.ip}:6385"
    assert text["DEFAULT"]["rpc_transport"] == "none"
    assert text["DEFAULT"]["debug"] == "false"


def test_nothing_secret_is_rendered() -> None:
    options = {"ironic_database_connection": "mysql+pymysql://ironic:hidden@db.example/ironic"}
    model = load_site("minimal")
    for path, content in files(model, model.head.name, options).items():
        assert "hidden" not in content and "password =" not in content, path
    text = settings(files(model, model.head.name, options)[f"{CONFIGURATION}/ironic.conf"])
    assert "connection" not in text["database"]


def test_configuration_is_for_ironic_s_eyes() -> None:
    model = load_site("minimal")
    found = {file.path: file for file in render(model, model.head.name, "ironic", {})}
    file = found[f"{CONFIGURATION}/ironic.conf"]
    assert (file.mode, file.owner, file.group) == ("0640", "root", "ironic")


def test_every_server_but_the_head_boots_and_no_other_machine(site: SiteModel) -> None:
    (names,) = render(site, site.head.name, "dnsmasq", {})
    wanted = {
        port.mac
        for node in site.nodes
        if not node.is_head and (port := node.interface("oob")) is not None and port.address
    }
    assert set(re.findall(r"dhcp-host=([0-9a-f:]+),set:boot,", names.content)) == wanted
    boot = files(site, site.head.name)["/etc/dnsmasq.d/rackwright-boot.conf"]
    assert [line for line in boot.splitlines() if line.startswith("dhcp-boot=")] == [
        line for line in boot.splitlines() if line.startswith("dhcp-boot=tag:boot,")
    ]


def test_dnsmasq_accepts_both_files_together(site: SiteModel, tmp_path: Path) -> None:
    for node in site.heads:
        (names,) = render(site, node.name, "dnsmasq", {})
        boot = files(site, node.name)["/etc/dnsmasq.d/rackwright-boot.conf"]
        for name, content in (("a.conf", names.content), ("b.conf", boot)):
            (tmp_path / name).write_text(content, encoding="utf-8")
        done = subprocess.run(
            ["dnsmasq", "--test", "--conf-file=/dev/null", f"--conf-dir={tmp_path}"],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr.strip()) == (0, "dnsmasq: syntax check OK.")


def test_virtual_media_are_for_the_controllers_of_the_site(site: SiteModel) -> None:
    text = files(site, site.head.name)["/etc/nginx/rackwright.d/ironic.conf"]
    allowed = set(re.findall(r"allow ([0-9.]+);", text))
    assert allowed == {str(node.bmc.address) for node in site.nodes if not node.is_head}
    assert "deny all;" in text


def test_conductors_of_their_own() -> None:
    model = load_site("minimal")
    conductors = [
        {"name": "a", "group": "rack-a", "port": 8091},
        {"name": "b", "group": "rack-b", "port": 8092},
    ]
    found = files(model, model.head.name, {"ironic_conductors": conductors, "ironic_database": "mariadb"})
    common = settings(found[f"{CONFIGURATION}/ironic.conf"])
    assert common["DEFAULT"]["rpc_transport"] == "json-rpc"
    assert common["json_rpc"]["use_ssl"] == "true" and common["json_rpc"]["auth_strategy"] == "http_basic"
    assert common["database"]["connection"].startswith("mysql+pymysql://ironic@localhost/ironic?unix_socket=")
    for conductor in conductors:
        own = settings(found[f"{CONFIGURATION}/conductors/{conductor['name']}.conf"])
        assert own["conductor"]["conductor_group"] == conductor["group"]
        assert own["json_rpc"]["port"] == str(conductor["port"])
    assert "/usr/bin/ironic-api " in found["/etc/systemd/system/rackwright-ironic.service"]
    assert "skip-networking" in found["/etc/mysql/mariadb.conf.d/90-rackwright.cnf"]


def test_hardware_types_bring_the_interfaces_that_they_know() -> None:
    model = load_site("minimal")

    def enabled(types: list[str], boot: list[str]) -> configparser.SectionProxy:
        options = {"ironic_hardware_types": types, "ironic_boot_interfaces": boot}
        return settings(files(model, model.head.name, options)[f"{CONFIGURATION}/ironic.conf"])["DEFAULT"]

    plain = enabled(["redfish"], ["ipxe"])
    assert "idrac" not in "".join(plain.values()) and plain["enabled_boot_interfaces"] == "ipxe"
    dell = enabled(["redfish", "idrac"], ["redfish-virtual-media"])
    assert dell["enabled_boot_interfaces"] == "redfish-virtual-media,idrac-redfish-virtual-media"
    assert dell["enabled_management_interfaces"] == "redfish,idrac-redfish"
    assert "fake" not in "".join(dell.values())
    trial = enabled(["redfish", "fake-hardware"], ["ipxe"])
    assert trial["enabled_power_interfaces"] == "redfish,fake"
    assert trial["enabled_network_interfaces"] == "noop"


def test_cleaning_takes_what_was_asked_for() -> None:
    model = load_site("minimal")
    for asked, metadata, everything in (("metadata", "10", "0"), ("everything", "0", "10")):
        found = files(model, model.head.name, {"ironic_clean": asked})[f"{CONFIGURATION}/ironic.conf"]
        deploy = settings(found)["deploy"]
        assert deploy["erase_devices_metadata_priority"] == metadata
        assert deploy["erase_devices_priority"] == everything
