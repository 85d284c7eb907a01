"""Ports and cables."""

from __future__ import annotations

from broken.base import Mutation, many, one

LINK = "{switches: [leaf-a, leaf-b], ports: [ethernet1/1/53, ethernet1/1/54]}"
OCP2 = '      ocp2: {mac: "b8:3f:d2:40:0c:02", switch: leaf-b, port: ethernet1/1/2}\n'
NIC1 = '      nic1: {mac: "b8:3f:d2:40:29:03", switch: leaf-a, port: ethernet1/1/49}\n'
NIC2 = '      nic2: {mac: "b8:3f:d2:40:29:04", switch: leaf-b, port: ethernet1/1/49}\n'

PORTS = (
    one("port-not-of-profile", "server-port", OCP2, OCP2.replace("ocp2", "§ocp3")),
    one(
        "port-of-another-maker",
        "server-port",
        '      lom1: {mac: "b0:7b:25:40:0c:01"}',
        '      lom1: {mac: "b0:7b:25:40:0c:01"}\n      §eno2: {mac: "b0:7b:25:40:0c:02"}',
    ),
    many(
        "first-bond-port-missing",
        "first-bond-port",
        ('      ocp1: {mac: "b8:3f:d2:40:0c:01", switch: leaf-a, port: ethernet1/1/2}\n', ""),
        (
            '    ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
            '    §ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
        ),
    ),
    many(
        "first-adapter-port-missing",
        "first-adapter-port",
        (NIC1, ""),
        ("      nic2: ", "      §nic2: "),
        site="stored",
    ),
    many(
        "oob-port-missing",
        "oob-port",
        ('      lom1: {mac: "b0:7b:25:40:0c:01"}\n', ""),
        ("oob: 10.40.3.12}", "§oob: 10.40.3.12}"),
    ),
    many(
        "boot-port-missing",
        "boot-port",
        ('      lom1: {mac: "b0:7b:25:40:0c:01"}\n', ""),
        (", oob: 10.40.3.12}", "}"),
        (
            '    ports:\n      ocp1: {mac: "b8:3f:d2:40:0c:01"',
            '    §ports:\n      ocp1: {mac: "b8:3f:d2:40:0c:01"',
        ),
    ),
    many(
        "adapter-unused",
        "adapter-unused",
        (", storage: 10.40.2.41", ""),
        ("    addresses: {management: 10.40.0.41", "    §addresses: {management: 10.40.0.41"),
        site="stored",
    ),
    one("port-25-in-100", "port-speed", "leaf-a, port: ethernet1/1/2}", "leaf-a, port: §ethernet1/1/49}"),
    one(
        "port-100-in-25",
        "port-speed",
        "leaf-a, port: ethernet1/1/49}",
        "leaf-a, port: §ethernet1/1/40}",
        "stored",
    ),
    many(
        "port-25-in-part-of-10",
        "port-speed",
        ("251, breakouts: {ethernet1/1/50: 4x25}", "251, breakouts: {ethernet1/1/50: 4x10}"),
        ("leaf-a, port: ethernet1/1/50:1}", "leaf-a, port: §ethernet1/1/50:1}"),
        site="stored",
    ),
    one(
        "port-1-in-100",
        "port-speed",
        'lom1: {mac: "b0:7b:25:40:0c:01"}',
        'lom1: {mac: "b0:7b:25:40:0c:01", switch: leaf-a, port: §ethernet1/1/50}',
    ),
    many(
        "interconnect-of-two-speeds",
        "interconnect-speed",
        ("leaf-b, product: s5248f-on", "leaf-b, product: s5232f-on"),
        ("ports: [ethernet1/1/53, ethernet1/1/54]", "ports: [ethernet1/1/32, §ethernet1/1/33]"),
    ).but(
        {
            "interconnect-speed": "both ports differ",
            "port-speed": "all other cables are of the old product",
            "switch-pair-alike": "the pair is no longer one product",
        }
    ),
    one(
        "breakout-of-small-port",
        "breakout-kind",
        "252, breakouts: {ethernet1/1/50: 4x25}",
        "252, breakouts: {ethernet1/1/50: 4x25, ethernet1/1/30: §4x10}",
        "stored",
    ),
    one(
        "breakout-into-fives",
        "breakout-kind",
        "252, breakouts: {ethernet1/1/50: 4x25}",
        "252, breakouts: {ethernet1/1/50: §5x25}",
        "stored",
    ),
    one(
        "breakout-of-no-port",
        "breakout-kind",
        "252, breakouts: {ethernet1/1/50: 4x25}",
        "252, breakouts: {ethernet1/1/50: 4x25, §ethernet1/1/60: 4x25}",
        "stored",
    ),
    one(
        "part-of-whole-port",
        "breakout-part",
        "leaf-a, port: ethernet1/1/2}",
        "leaf-a, port: §ethernet1/1/2:1}",
    ),
    many(
        "breakout-missing",
        "breakout-part",
        (", breakouts: {ethernet1/1/50: 4x25}}\n\n", "}\n\n"),
        ("leaf-b, port: ethernet1/1/50:1}", "leaf-b, port: §ethernet1/1/50:1}"),
        site="stored",
    ),
    one(
        "port-whole-and-broken-out",
        "breakout-whole",
        "leaf-a, port: ethernet1/1/2}",
        "leaf-a, port: §ethernet1/1/50}",
        "stored",
    ),
    many(
        "interconnect-on-broken-out",
        "breakout-whole",
        ("[ethernet1/1/53, ethernet1/1/54]", "[ethernet1/1/53, §ethernet1/1/50]"),
        site="stored",
    ),
    one(
        "breakout-unused",
        "breakout-unused",
        "252, breakouts: {ethernet1/1/50: 4x25}",
        "252, breakouts: {ethernet1/1/50: 4x25, §ethernet1/1/51: 2x50}",
        "stored",
    ),
)

CABLES = (
    one("switch-product-unknown", "unknown-switch-product", "product: s5248f-on", "product: §s5248-on"),
    many(
        "cable-without-switch",
        "cable-half",
        (", switch: leaf-a, port: ethernet1/1/3}", ", §port: ethernet1/1/3}"),
    ),
    one("cable-without-port", "cable-half", "switch: leaf-a, port: ethernet1/1/3}", "§switch: leaf-a}"),
    one(
        "cable-to-no-switch",
        "cable-end",
        "switch: leaf-b, port: ethernet1/1/2}",
        "switch: §leaf-c, port: ethernet1/1/2}",
    ),
    one("cable-to-no-port", "cable-end", "leaf-a, port: ethernet1/1/2}", "leaf-a, port: §ethernet1/1/60}"),
    one(
        "cable-to-port-of-another-system",
        "cable-end",
        "leaf-a, port: ethernet1/1/2}",
        "leaf-a, port: §Ethernet2}",
    ),
    one(
        "cable-to-fifth-part",
        "cable-end",
        "leaf-a, port: ethernet1/1/50:1}",
        "leaf-a, port: §ethernet1/1/50:5}",
        "stored",
    ),
    one("interconnect-to-no-switch", "cable-end", LINK, LINK.replace("leaf-b", "§leaf-d")),
    one(
        "interconnect-to-no-port",
        "cable-end",
        LINK,
        LINK.replace("ethernet1/1/54", "§ethernet1/1/57"),
    ),
    one(
        "interconnect-to-itself",
        "interconnect-self",
        LINK,
        LINK.replace("[leaf-a, leaf-b]", "§[leaf-a, leaf-a]"),
    ),
    one("port-twice", "port-twice", "leaf-a, port: ethernet1/1/2}", "leaf-a, port: §ethernet1/1/1}"),
    many(
        "two-ports-twice",
        "port-twice",
        ("leaf-a, port: ethernet1/1/2}", "leaf-a, port: §ethernet1/1/1}"),
        ("leaf-a, port: ethernet1/1/3}", "leaf-a, port: ethernet1/1/1}"),
    ).but({"port-twice": "a third cable at that port is offered another one"}),
    one(
        "port-of-the-wrong-leaf",
        "port-twice",
        "leaf-b, port: ethernet1/1/2}",
        "leaf-a, port: §ethernet1/1/2}",
    ).but({"cabling-redundancy": "both cables at one leaf"}),
    many(
        "port-of-anothers-wrong-leaf",
        "port-twice",
        ("leaf-b, port: ethernet1/1/2}", "leaf-a, port: ethernet1/1/3}"),
        ('0d:01", switch: leaf-a, port: ethernet1/1/3}', '0d:01", switch: leaf-a, port: §ethernet1/1/3}'),
    ).but({"cabling-redundancy": "both cables at one leaf"}),
    one(
        "port-of-the-interconnect",
        "port-twice",
        "leaf-a, port: ethernet1/1/49}",
        "leaf-a, port: §ethernet1/1/53}",
        "stored",
    ),
    many(
        "part-twice",
        "port-twice",
        ("leaf-a, port: ethernet1/1/10}", "leaf-a, port: ethernet1/1/50:1}"),
        (
            'leaf-a, port: ethernet1/1/50:1}\n      ocp2: {mac: "b8:3f:d2:40:2a',
            'leaf-a, port: §ethernet1/1/50:1}\n      ocp2: {mac: "b8:3f:d2:40:2a',
        ),
        site="stored",
    ),
    many(
        "bond-of-one-port",
        "bond-cables",
        (OCP2, ""),
        (
            '    ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
            '    §ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
        ),
    ),
    many(
        "bond-without-cables",
        "bond-cables",
        (", switch: leaf-a, port: ethernet1/1/2}", "}"),
        (", switch: leaf-b, port: ethernet1/1/2}", "}"),
        (
            '    ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
            '    §ports:\n      lom1: {mac: "b0:7b:25:40:0c:01"}',
        ),
    ),
    many(
        "storage-bond-of-one-port",
        "bond-cables",
        (NIC2, ""),
        (
            '    ports:\n      lom1: {mac: "b0:7b:25:40:29:01"}',
            '    §ports:\n      lom1: {mac: "b0:7b:25:40:29:01"}',
        ),
        site="stored",
    ),
    one(
        "bond-to-one-switch",
        "cabling-redundancy",
        "switch: leaf-b, port: ethernet1/1/2}",
        "switch: §leaf-a, port: ethernet1/1/40}",
    ),
    one(
        "storage-bond-to-one-switch",
        "cabling-redundancy",
        "switch: leaf-b, port: ethernet1/1/49}",
        "switch: §leaf-a, port: ethernet1/1/51}",
        "stored",
    ),
    many(
        "interconnect-missing",
        "leaf-interconnect",
        (f"interconnects:              # the same port at both ends\n  - {LINK}\n", ""),
        ("  - {name: leaf-b", "  - §{name: leaf-b"),
    ),
    one(
        "interconnect-single",
        "interconnect-single",
        "ports: [ethernet1/1/53, ethernet1/1/54]",
        "ports: §[ethernet1/1/53]",
    ),
    many(
        "switch-pair-unlike",
        "switch-pair-alike",
        ("leaf-b, product: s5248f-on", "leaf-b, product: §s5232f-on"),
    ).but(
        {
            "port-speed": "the servers' cables end at ports of the old product",
            "cable-end": "the interconnect ends at a port that the new one lacks",
        }
    ),
    one(
        "switch-unused",
        "switch-unused",
        "\ninterconnects:",
        "  - {name: §leaf-c, product: s5248f-on, rack: b, unit: 41, address: 10.40.3.253}\n\ninterconnects:",
    ),
)

UPLINK = "{switches: [leaf-b, spine-2], ports: [ethernet1/1/56], far_ports: [ethernet1/1/2]}"
#: The first uplink of the rows site's leaves of rows d to g.
WIDE = 'ethernet1/1/55: {switch: "spine-{1,2}", port: "ethernet1/1/{13..28}:{1..4}"}'

SPINES = (
    one(
        "uplink-to-no-port",
        "cable-end",
        UPLINK,
        UPLINK.replace("[ethernet1/1/2]", "[§ethernet1/1/35]"),
        "spined",
    ),
    one(
        "uplink-from-no-port",
        "cable-end",
        UPLINK,
        UPLINK.replace("[ethernet1/1/56]", "[§ethernet1/1/57]"),
        "spined",
    ),
    one(
        "uplink-far-port-twice",
        "port-twice",
        UPLINK,
        UPLINK.replace("[ethernet1/1/2]", "[§ethernet1/1/1]"),
        "spined",
    ),
    one(
        "uplink-near-port-twice",
        "port-twice",
        UPLINK,
        UPLINK.replace("[ethernet1/1/56]", "[§ethernet1/1/54]"),
        "spined",
    ),
    one(
        "uplink-of-two-speeds",
        "interconnect-speed",
        UPLINK,
        UPLINK.replace("[ethernet1/1/2]", "[§ethernet1/1/33]"),
        "spined",
    ),
    one(
        "uplink-to-part-of-whole-port",
        "breakout-part",
        UPLINK,
        UPLINK.replace("[ethernet1/1/2]", "[§ethernet1/1/2:1]"),
        "spined",
    ),
    one(
        "uplink-ends-missing",
        "interconnect-ends",
        UPLINK,
        UPLINK.replace("[ethernet1/1/56]", "[ethernet1/1/55, ethernet1/1/56]").replace(
            "[ethernet1/1/2]", "§[ethernet1/1/2]"
        ),
        "spined",
    ).but({"port-twice": "the added port takes the other uplink's cable"}),
    one("uplink-without-far-ports", "wrong-type", "far_ports: [ethernet1/1/2]", "far_ports: §[]", "spined"),
    many(
        "leaf-with-one-spine",
        "leaf-uplinks",
        (f"  - {UPLINK}\n", ""),
        ("- {name: leaf-b", "- {name: §leaf-b"),
        site="spined",
    ),
    one(
        "rows-uplink-to-no-spine",
        "cable-end",
        WIDE,
        WIDE.replace('"spine-{1,2}"', '§"spine-{1,5}"'),
        "rows",
    ).but({"breakout-unused": "the cables of its port go nowhere"}),
    one(
        "rows-uplink-from-no-port",
        "cable-end",
        WIDE,
        WIDE.replace("ethernet1/1/55", "§ethernet1/1/57"),
        "rows",
    ),
    one(
        "rows-uplinks-to-one-port",
        "port-twice",
        WIDE,
        WIDE.replace('"ethernet1/1/{13..28}:{1..4}"', '§"ethernet1/1/13:1"'),
        "rows",
    ).but({"breakout-unused": "the other ports have no cable"}),
    one(
        "rows-uplinks-too-few",
        "range",
        WIDE,
        WIDE.replace('"ethernet1/1/{13..28}:{1..4}"', '§"ethernet1/1/{13..27}:{1..4}"'),
        "rows",
    ),
    many(
        "rows-leaves-with-one-spine",
        "leaf-uplinks",
        (
            '      ethernet1/1/56: {switch: "spine-{3,4}", port: "ethernet1/1/29:{1..3}"}\n',
            "",
        ),
        ("- names: leaf-{rack}{a,b}", "- names: §leaf-{rack}{a,b}"),
        site="rows",
    ).but({"breakout-unused": "the port of the missing cables"}),
    one(
        "rows-breakout-twice",
        "range",
        '{"ethernet1/1/{1..29}": 4x100}',
        '{"ethernet1/1/{1..29}": 4x100, §ethernet1/1/29: 4x100}',
        "rows",
    ),
)

MUTATIONS: tuple[Mutation, ...] = (*PORTS, *CABLES, *SPINES)
