"""Names, fixed addresses and time from the head node."""

from __future__ import annotations

import json

from node_hosts import NodeHost

from rackwright.derive.model import SiteModel

# DNS questions without any tool: one datagram each; prints the answer's code and its addresses or names.
ASK = """python3 - <<'END'
import json, socket, struct

def read_name(answer, place):
    parts = []
    while answer[place]:
        if answer[place] >= 192:
            place = struct.unpack(">H", answer[place:place + 2])[0] & 0x3FFF
            continue
        parts.append(answer[place + 1:place + 1 + answer[place]].decode())
        place += answer[place] + 1
    return ".".join(parts)

def ask(wire, name, kind):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    query = struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + labels + b"\\0" + struct.pack(">2H", kind, 1)
    wire.send(query)
    answer = wire.recv(4096)
    code, count = struct.unpack(">2H", answer[2:4] + answer[6:8])
    place, found = len(query), []
    for _ in range(count):
        while answer[place] and answer[place] < 192:
            place += answer[place] + 1
        place += 2 if answer[place] else 1
        rtype, _, _, length = struct.unpack(">2HIH", answer[place:place + 10])
        place += 10
        if rtype == 1:
            found.append(socket.inet_ntoa(answer[place:place + 4]))
        if rtype == 12:
            found.append(read_name(answer, place))
        place += length
    return [code & 15, *sorted(found)]

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
    wire.settimeout(3)
    wire.connect((%r, 53))
    print(json.dumps([ask(wire, *question) for question in %r]))
END"""
A, PTR = 1, 12


def ask(asker: NodeHost, site: SiteModel, *questions: tuple[str, int]) -> list[list[object]]:
    """For each (name, record type): the answer's code, then its addresses or names."""
    answers: list[list[object]] = json.loads(asker.out(ASK % (str(site.dns_servers[0]), list(questions))))
    return answers


def test_every_node_and_bmc_has_its_name_both_ways(head: NodeHost, site: SiteModel) -> None:
    named = [(node.fqdn, node.address) for node in site.nodes]
    named += [(f"{node.name}-bmc.{site.domain}", node.bmc.address) for node in site.nodes]
    assert ask(head, site, *((name, A) for name, _ in named)) == [[0, str(address)] for _, address in named]
    back = ask(head, site, *((address.reverse_pointer, PTR) for _, address in named))
    assert back == [[0, name] for name, _ in named]


def test_well_known_names(each_client: NodeHost, site: SiteModel) -> None:
    wanted = {
        site.api_fqdn: site.api_vip,
        site.mirror_fqdn: site.head.address,
        site.registry.partition(":")[0]: site.head.address,
        **{f"{served.name}.serve.{site.domain}": served.vip for served in site.serving},
    }
    answers = ask(each_client, site, *((name, A) for name in wanted))
    assert answers == [[0, str(address)] for address in wanted.values()]


def test_unknown_names_are_denied_and_others_refused(head: NodeHost, site: SiteModel) -> None:
    assert ask(head, site, (f"nobody.{site.domain}", A)) == [[3]]
    if not site.dns_upstreams:
        assert ask(head, site, ("elsewhere.example.org", A)) == [[5]]


def test_dhcp_is_for_the_oob_network_alone(head: NodeHost) -> None:
    port = head.node.interface("oob")
    assert port is not None
    sockets = head.out("ss --listening --udp --numeric --no-header 'sport = :67'").splitlines()
    assert [line.split()[3] for line in sockets] == [f"0.0.0.0%{port.name}:67"]
    head.out("dnsmasq --test --conf-file=/etc/dnsmasq.d/rackwright.conf")


def test_known_machines_have_fixed_addresses(head: NodeHost, site: SiteModel) -> None:
    leases = head.host.file("/etc/dnsmasq.d/rackwright.conf").content_string
    for node in site.nodes:
        assert f"dhcp-host={node.bmc.mac},{node.bmc.address}," in leases


def test_services_run_and_start_at_boot(head: NodeHost) -> None:
    for name in ("dnsmasq", "chrony"):
        service = head.host.service(name)
        assert service.is_running and service.is_enabled
