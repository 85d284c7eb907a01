"""Files that can't be read, or fields that aren't right in themselves."""

from __future__ import annotations

from broken.base import Mutation, many, one
from broken.sites import own_server

SYNTAX = (
    one("yaml-tab", "yaml-tab", "    cidr: 10.40.0.0/24", "§\tcidr: 10.40.0.0/24"),
    one("yaml-two-colons", "yaml-syntax", "  name: reference", "  name: reference§: two"),
    one(
        "yaml-open-brace",
        "yaml-syntax",
        'bmc: {address: 10.40.3.111, mac: "b0:7b:25:40:0b:00"}',
        'bmc: §{address: 10.40.3.111, mac: "b0:7b:25:40:0b:00"',
    ),
    one("yaml-open-quote", "yaml-syntax", 'release: "2026.11"', 'release: §"2026.11'),
    one("yaml-indentation", "yaml-syntax", "  timezone: Etc/UTC", "   §timezone: Etc/UTC"),
    one(
        "yaml-line-without-colon",
        "yaml-syntax",
        "  timezone: Etc/UTC",
        "  timezone\n  §domain: other.example",
    ),
    one("yaml-second-document", "yaml-syntax", "\nswitches:", "\n---\n§switches:"),
    one("yaml-brackets-as-key", "yaml-syntax", "    unit: 40", "    unit: 40\n    §[unit, top]: 41"),
    one("yaml-unknown-anchor", "yaml-syntax", "domain: reference.example", "domain: §*domain"),
    one("yaml-key-without-blank", "yaml-syntax", "  timezone: Etc/UTC", "  §timezone:Etc/UTC"),
    one(
        "yaml-first-key-without-blank",
        "yaml-syntax",
        "    cidr: 10.40.0.0/24",
        "    §cidr:10.40.0.0/24",
    ),
    one(
        "yaml-series-in-a-block",
        "yaml-syntax",
        'port: "ethernet1/1/{slot}"}',
        "port: §ethernet1/1/{1..4}}",
        "rows",
    ),
    one(
        "yaml-series-in-a-list",
        "yaml-syntax",
        "interlinks: [ethernet1/1/53, ethernet1/1/54]",
        "interlinks: [§ethernet1/1/{53..54}]",
        "rows",
    ),
    one(
        "yaml-series-with-more-behind-it",
        "yaml-syntax",
        'racks: "{b,c}{01..16}"',
        "racks: §{b,c}{01..16}",
        "rows",
    ),
    one("duplicate-key", "duplicate-key", "    unit: 40", "    unit: 40\n    §unit: 41"),
    one("duplicate-section", "duplicate-key", "\nserving:", "\n§access: {user: admin}\nserving:"),
)

FIELDS = (
    many(
        "unknown-field",
        "unknown-field",
        ("    service_tag: BZ4DN14", "    service_tag: BZ4DN14\n    §servicetag: BZ4DN14"),
    ),
    one("misspelt-field", "unknown-field", "    service_tag: BZ4DN14", "    §servicetag: BZ4DN14"),
    one("misspelt-section", "unknown-field", "\nkubernetes:", "\n§kubernets:"),
    one(
        "key-without-blank",
        "unknown-field",
        '{address: 10.40.3.111, mac: "b0:7b:25:40:0b:00"}',
        "{address: 10.40.3.111, §mac:b0:7b:25:40:0b:00}",
    ),
    one("unknown-field-of-network", "unknown-field", "    vlan: 110", "    vlan: 110\n    §vlan_id: 110"),
    one("unknown-field-of-model", "unknown-field", "replicas: 2, gpus: 1,", "replicas: 2, §gpuss: 1,"),
    one("unknown-field-of-port", "unknown-field", "ethernet1/1/1}", "ethernet1/1/1, §speed: 25}"),
    one("unknown-section", "unknown-field", "\nserving:", "\n§servings:"),
    one(
        "unknown-network", "unknown-field", "  storage:  ", "  §backup:\n    cidr: 10.40.9.0/24\n  storage:  "
    ),
    many(
        "missing-bmc",
        "missing-field",
        ('    bmc: {address: 10.40.3.112, mac: "b0:7b:25:40:0c:00"}\n', ""),
        ("  - name: r660-2", "  - §name: r660-2"),
    ),
    many(
        "missing-service-tag",
        "missing-field",
        ("    service_tag: 2VK3CL4\n", ""),
        ("  - name: r660-2", "  - §name: r660-2"),
    ),
    many(
        "missing-api-vip",
        "missing-field",
        ("  api_vip: 10.40.0.10\n", ""),
        ("\nkubernetes:", "\n§kubernetes:"),
    ),
    many("missing-domain", "missing-field", ("  domain: reference.example\n", ""), ("\nsite:", "\n§site:")),
    many("missing-mac", "missing-field", ('ocp1: {mac: "b8:3f:d2:40:0c:01", ', "§ocp1: {")),
    many(
        "missing-network",
        "missing-field",
        (
            "  management:               # ssh, Kubernetes between the nodes\n    cidr: 10.40.0.0/24\n    gateway: 10.40.0.1\n",
            "",
        ),
        ("\nnetworks:", "\n§networks:"),
    ),
    one("unknown-profile", "unknown-value", "profile: r760xa", "profile: §r760xd"),
    one("unknown-role", "unknown-value", "roles: [head, control_plane]", "roles: [head, §controlplane]"),
    one("unknown-plugin", "unknown-value", "plugin: rackwright_site", "plugin: §rackwright"),
    one(
        "unknown-protocol",
        "unknown-value",
        "  export: /ifs/models",
        "  export: /ifs/models\n  protocol: §smb",
        "stored",
    ),
    one("unknown-profile-of-model", "unknown-value", "profiles: [xe8640]", "profiles: [§xe8645]"),
    one("wrong-type-number", "wrong-type", "unit: 39", "unit: §top"),
    one("wrong-type-list", "wrong-type", "roles: [gpu_worker]", "roles: §gpu_worker"),
    one("wrong-type-block", "wrong-type", "access:\n  user: root", "access: §root"),
    one("no-roles", "wrong-type", "roles: [gpu_worker]", "roles: §[]"),
    one("one-switch-of-two", "wrong-type", "switches: [leaf-a, leaf-b]", "switches: §[leaf-a]"),
    one("no-value", "no-value", "  api_vip: 10.40.0.10", "  api_vip:§"),
    one("no-service-tag", "no-value", "service_tag: BZ4DN14", "service_tag:§"),
    one("no-mac", "no-value", 'mac: "b0:7b:25:40:0b:00"', "mac:§"),
    one("no-list", "no-value", "\naccess:\n  user: root", "\naccess:\n  user: root\n  authorized_keys:§"),
    one("vlan-out-of-range", "out-of-range", "vlan: 110", "vlan: §4095"),
    one("vlan-zero", "out-of-range", "vlan: 110", "vlan: §0"),
    one("mtu-too-large", "out-of-range", "    vlan: 120", "    vlan: 120\n    mtu: §9999"),
    one("mtu-too-small", "out-of-range", "    vlan: 120", "    vlan: 120\n    mtu: §576"),
    one("unit-zero", "out-of-range", "unit: 18", "unit: §0"),
    one("replicas-zero", "out-of-range", "replicas: 2", "replicas: §0"),
    one("gpus-seventeen", "out-of-range", "gpus: 8", "gpus: §17"),
    one("rack-of-99-units", "out-of-range", "units: 44", "units: §99", "racked"),
    one("rack-of-no-power", "out-of-range", "power_w: 28000", "power_w: §0", "racked"),
    one("network-host-bits", "bad-value", "cidr: 10.40.1.0/24", "cidr: §10.40.1.7/24"),
    one("network-no-length", "bad-value", "service_cidr: 10.96.0.0/16", "service_cidr: §10.96.0.0"),
    one("network-length-33", "bad-value", "cidr: 10.40.2.0/24", "cidr: §10.40.2.0/33"),
    one("bad-address", "wrong-type", "management: 10.40.0.12,", "management: §10.40.0.312,"),
    one("bad-mac", "bad-value", '"b8:3f:d2:40:0c:01"', '§"b8:3f:d2:40:0c"'),
    one("bad-service-tag", "bad-value", "service_tag: BZ4DN14", "service_tag: §BZ4DN14X"),
    one("bad-name", "bad-value", "name: r660-2", "name: §R660_2"),
    one("name-with-hyphen-last", "bad-value", "name: leaf-a", "name: §leaf-a-"),
    one("bad-domain", "bad-value", "domain: reference.example", "domain: §reference"),
    one("bad-range", "bad-value", "10.40.3.200-10.40.3.249", "§10.40.3.249-10.40.3.200"),
    one("range-of-last-octets", "bad-value", "10.40.3.200-10.40.3.249", "§10.40.3.200-249"),
    one("range-of-one", "bad-value", "vip_range: 10.40.1.200-10.40.1.219", "vip_range: §10.40.1.200"),
    one("bad-rack", "bad-value", "rack: a\n    unit: 18", "rack: §row 1/a\n    unit: 18"),
    one("bad-user", "bad-value", "  user: root", "  user: §Root"),
    one("bad-timezone", "bad-value", "timezone: Etc/UTC", "timezone: §utc+1"),
    one("bad-breakout", "bad-value", "{ethernet1/1/50: 4x25}", "{ethernet1/1/50: §4*25}", "stored"),
    one("bad-export", "bad-value", "export: /ifs/models", "export: §ifs/models", "stored"),
    one(
        "bad-time-server",
        "bad-value",
        "access:\n  user: root",
        "access:\n  user: root\nntp:\n  upstreams: [§-ntp-]",
    ),
    one(
        "private-key-as-public",
        "bad-value",
        "  user: root",
        '  user: root\n  authorized_keys: [§"-----BEGIN OPENSSH PRIVATE KEY-----"]',
    ),
)

CATALOGUE = (
    Mutation("catalogue-of-nothing", "unknown-catalogue", files={"catalog/gpu.yml": "§big-gpu: {}\n"}),
    Mutation(
        "catalogue-without-source",
        "bad-value",
        files={
            "catalog/servers.yml": own_server("xe8640", "mine", height=4).replace(
                "  height:\n    value: 4\n    source: quote 4711\n", "  height: §4\n"
            )
        },
    ),
    Mutation(
        "catalogue-unknown-gpu",
        "unknown-product",
        files={
            "catalog/servers.yml": own_server("r760xa", "mine").replace(
                "product: h100-pcie", "product: §h200-pcie"
            )
        },
    ),
)

RANGES = (
    one("range-of-servers-without-end", "range", "names: r660-{2..3}", "names: §r660-{2..}", "rows"),
    one("series-read-as-block", "wrong-type", 'racks: "{b,c}{01..16}"', "racks: §{b,c}", "rows"),
    one("series-written-as-list", "wrong-type", 'racks: "{b,c}{01..16}"', "racks: §[b01, c01]", "rows"),
    one(
        "series-of-ports-read-as-block",
        "wrong-type",
        'port: "ethernet1/1/{slot}"}',
        "port: §{1..4}}",
        "rows",
    ),
    one("range-longer-than-its-racks", "range", "names: xe9680-{01..64}", "names: §xe9680-{01..65}", "rows"),
    one(
        "hardware-file-missing",
        "range",
        "hardware: hardware.csv",
        "hardware: §factory.csv",
        "rows",
    ),
    Mutation(
        "hardware-file-without-names",
        "hardware-file",
        site="rows",
        files={"hardware.csv": "§server,service_tag\nxe9680-01,CWXSTQ4\n"},
    ),
    Mutation(
        "hardware-file-of-another-site",
        "hardware-unused",
        (("\nswitches:", "\nhardware: hardware.csv\n\nswitches:"),),
        files={
            "hardware.csv": "name,service_tag\nr660-1,BZ4DN14\n§r660-9,CWXSTQ4\nxe9680-7,6DZV194\n,57R11Q4\n"
        },
    ),
    Mutation(
        "hardware-file-bad-mac",
        "bad-value",
        (
            ("\nswitches:", "\nhardware: hardware.csv\n\nswitches:"),
            ('ocp1: {mac: "b8:3f:d2:40:0c:01", ', "ocp1: {mac: , "),
        ),
        files={"hardware.csv": "name,service_tag,ocp1\nr660-2,2VK3CL4,§b8-3f-d2-40-0c-01\n"},
    ),
)

MUTATIONS: tuple[Mutation, ...] = (*SYNTAX, *FIELDS, *CATALOGUE, *RANGES)
