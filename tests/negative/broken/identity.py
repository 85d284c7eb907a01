"""Names, and what tells machines apart."""

from __future__ import annotations

from broken.base import Mutation, many, one

LONG = "node-" + "x" * 58
MODEL = "name: capitals-xe8640,"

NAMES = (
    one("name-duplicate", "duplicate-name", "name: r660-3", "name: §r660-2"),
    one(
        "switch-named-as-switch",
        "duplicate-name",
        "name: leaf-b,",
        "name: §leaf-a,",
        also={"cable-end": "the cables that end at the old name"},
    ),
    one("storage-named-as-server", "duplicate-name", "  name: scale", "  name: §r660-1", "stored"),
    one("name-of-service", "reserved-name", "name: r660-3", "name: §mirror"),
    one("name-of-registry", "reserved-name", "name: r660-3", "name: §registry"),
    one("name-of-group", "reserved-name", "name: r660-3", "name: §kubernetes"),
    one("name-of-everybody", "reserved-name", "name: r660-3", "name: §all"),
    one("name-of-bmc", "derived-name", "name: r660-3", "name: §r660-2-bmc"),
    one("name-of-other-address", "derived-name", "name: xe9680-2", "name: §xe9680-1-storage"),
    one("name-is-number", "numeric-name", "name: r660-3", "name: §3"),
    one("name-too-long", "long-name", "name: r660-3", f"name: §{LONG}"),
    one("domain-too-long", "long-domain", "domain: reference.example", f"domain: §{'a' * 50}.example"),
    one("site-name-too-long", "long-site-name", "  name: reference", f"  name: §{'a' * 49}"),
    one("domain-of-cluster", "reserved-domain", "domain: reference.example", "domain: §site.cluster.local"),
    one("domain-localhost", "reserved-domain", "domain: reference.example", "domain: §reference.localhost"),
    one("domain-arpa", "reserved-domain", "domain: reference.example", "domain: §home.arpa"),
    one("domain-local", "multicast-domain", "domain: reference.example", "domain: §reference.local"),
    one("model-name-duplicate", "duplicate-model-name", MODEL, "name: §capitals,"),
    one("model-name-digit", "model-name-letter", MODEL, "name: §8640-capitals,"),
    one("model-name-too-long", "long-model-name", MODEL, f"name: §{'c' * 56},"),
    one("model-name-of-metrics", "derived-model-name", MODEL, "name: §capitals-metrics,"),
)

MACHINES = (
    one("mac-duplicate", "duplicate-mac", '"b8:3f:d2:40:0c:02"', '§"B8:3F:D2:40:0B:02"'),
    one("mac-of-bmc-as-port", "duplicate-mac", '"b0:7b:25:40:0c:01"', '§"b0:7b:25:40:0c:00"'),
    one("mac-of-both-bmcs", "duplicate-mac", '"b0:7b:25:40:0d:00"', '§"b0:7b:25:40:0c:00"'),
    one("mac-zero", "mac-of-nobody", '"b8:3f:d2:40:0c:02"', '§"00:00:00:00:00:00"'),
    one("mac-broadcast", "mac-of-nobody", '"b0:7b:25:40:0c:00"', '§"ff:ff:ff:ff:ff:ff"'),
    one("mac-multicast", "mac-of-nobody", '"b8:3f:d2:40:0c:02"', '§"b9:3f:d2:40:0c:02"'),
    one("mac-of-no-maker", "mac-of-nobody", '"b8:3f:d2:40:0c:02"', '§"00:00:00:12:34:56"'),
    one("mac-local", "local-mac", '"b8:3f:d2:40:0c:02"', '§"ba:3f:d2:40:0c:02"'),
    one("mac-of-a-container", "local-mac", '"b0:7b:25:40:0c:01"', '§"02:42:ac:11:00:02"'),
    one("service-tag-duplicate", "duplicate-service-tag", "service_tag: 2VK3CL4", "service_tag: §bz4dn14"),
    one("service-tag-zeros", "service-tag-placeholder", "service_tag: 2VK3CL4", 'service_tag: §"0000000"'),
    one("service-tag-counted", "service-tag-placeholder", "service_tag: 2VK3CL4", 'service_tag: §"1234567"'),
    many(
        "head-cannot-reach-bmcs",
        "head-reaches-bmcs",
        ("    dhcp_range: 10.40.3.200-10.40.3.249\n", ""),
        (
            "    addresses: {management: 10.40.0.11, external: 10.40.1.11, storage: 10.40.2.11, oob: 10.40.3.11}",
            "    §addresses: {management: 10.40.0.11, external: 10.40.1.11, storage: 10.40.2.11}",
        ),
        ('      lom1: {mac: "b0:7b:25:40:0b:01"}\n', ""),
    ).but({"boot-port": "without DHCP the head's own LOM is of no use either"}),
)

MUTATIONS: tuple[Mutation, ...] = (*NAMES, *MACHINES)
