"""Switches in pairs, and pairs that make one network."""

from __future__ import annotations

from broken.base import Mutation, many, one

#: What joins the two pairs of leaves of the two-pairs site.
ACROSS = (
    "  - {switches: [leaf-a, leaf-c], ports: [ethernet1/1/55]}\n"
    "  - {switches: [leaf-b, leaf-d], ports: [ethernet1/1/55]}\n"
)
C_AND_D = "  - {switches: [leaf-c, leaf-d], ports: [ethernet1/1/53, ethernet1/1/54]}\n"
OF_R760XA_1 = '15:02", switch: leaf-d, port: ethernet1/1/4}'
FIRST_OF_R760XA_1 = '15:01", switch: leaf-c, port: ethernet1/1/4}'
LEAF_C = ("- {name: leaf-c", "- {name: §leaf-c")

MUTATIONS: tuple[Mutation, ...] = (
    many("pairs-apart", "leaves-apart", (ACROSS, ""), LEAF_C, site="two-pairs"),
    many(
        "pairs-apart-and-halves-too",
        "leaves-apart",
        (ACROSS + C_AND_D, ""),
        LEAF_C,
        site="two-pairs",
    ).but({"leaf-interconnect": "the halves of the second pair aren't joined either: another cable"}),
    many(
        "pair-without-spine",
        "leaf-uplinks",
        ("  - {switches: [leaf-c, spine-1], ports: [ethernet1/1/56], far_ports: [ethernet1/1/3]}\n", ""),
        ("  - {switches: [leaf-d, spine-1], ports: [ethernet1/1/56], far_ports: [ethernet1/1/4]}\n", ""),
        ("  - {switches: [leaf-c, spine-2], ports: [ethernet1/1/55], far_ports: [ethernet1/1/3]}\n", ""),
        ("  - {switches: [leaf-d, spine-2], ports: [ethernet1/1/55], far_ports: [ethernet1/1/4]}\n", ""),
        LEAF_C,
        site="two-pairs-spined",
    ).but({"leaf-uplinks": "both leaves of the pair; that nothing joins it to the others is the same fault"}),
    many(
        "spines-apart",
        "leaves-apart",
        ("[leaf-c, spine-1]", "[leaf-c, spine-3]"),
        ("[leaf-d, spine-1]", "[leaf-d, spine-3]"),
        ("[leaf-c, spine-2]", "[leaf-c, spine-4]"),
        ("[leaf-d, spine-2]", "[leaf-d, spine-4]"),
        (
            "\ninterconnects:",
            "  - {name: spine-3, product: s5232f-on, rack: b, unit: 32, address: 10.40.3.245}\n"
            "  - {name: spine-4, product: s5232f-on, rack: b, unit: 31, address: 10.40.3.246}\n"
            "\ninterconnects:",
        ),
        LEAF_C,
        site="two-pairs-spined",
    ),
    one(
        "bond-of-two-pairs",
        "bond-of-two-pairs",
        OF_R760XA_1,
        OF_R760XA_1.replace("leaf-d", "§leaf-b").replace("/4", "/40"),
        "two-pairs",
    ),
    many(
        "bond-to-a-switch-without-pair",
        "bond-of-two-pairs",
        (FIRST_OF_R760XA_1, FIRST_OF_R760XA_1.replace("leaf-c", "§leaf-e")),
        (
            "\ninterconnects:",
            "  - {name: leaf-e, product: s5248f-on, rack: b, unit: 32, address: 10.40.3.245}\n"
            "\ninterconnects:\n  - {switches: [leaf-a, leaf-e], ports: [ethernet1/1/56]}",
        ),
        site="two-pairs",
    ),
    many(
        "pair-in-one-rack",
        "pair-in-one-rack",
        ("- {name: leaf-b, product: s5248f-on, rack: b", "- {name: leaf-b, product: s5248f-on, rack: §a"),
        ("rack: a, unit: 42, address: 10.40.3.251", "rack: a, unit: 41, address: 10.40.3.251"),
    ),
)
