"""The other example sites: L40s, 100 Gbit/s with external storage, two heads, a thousand servers."""

from __future__ import annotations

from broken.base import Mutation, many, one

HA, FAST, L40, ROWS = "air-gapped-ha", "hundred-gig", "l40", "rows"
NIC1 = '      nic1: {mac: "a0:88:c2:42:29:01", switch: leaf-a, port: ethernet1/1/7}\n'
NIC2 = '      nic2: {mac: "a0:88:c2:42:29:02", switch: leaf-b, port: ethernet1/1/7}\n'
PORTS = '    ports:\n      lom1: {mac: "b0:7b:25:42:29:01"}'

MUTATIONS: tuple[Mutation, ...] = (
    one("l40-images-on-h100-profile", "profile-not-there", "profiles: [r760xa]", "profiles: [§xe8640]", L40),
    one(
        "l40-image-replica-of-two",
        "replica-linked",
        "replicas: 8, gpus: 1, profiles: [r760xa]",
        "replicas: 4, gpus: 2, profiles: [§r760xa]",
        L40,
    ),
    one("l40-too-many-images", "gpus-suffice", "replicas: 8", "replicas: §13", L40),
    one(
        "l40-waives-what-is-shipped",
        "unused-waiver",
        "model: stable-diffusion-2.0",
        "model: capitals-gpt",
        L40,
    ).marked("model-not-shipped"),
    one(
        "l40-model-of-the-bundle-misspelt",
        "unknown-model",
        "stable-diffusion-2.0",
        "§stable-diffusion-2",
        L40,
    ),
    many("ha-address-of-heads-missing", "head-vip", ("head:\n  vip: 10.43.0.9\n", ""))
    .on(HA)
    .marked("head, control_plane]\n    rack: b"),
    many(
        "ha-one-head-left",
        "head-vip-needless",
        ("head, control_plane]\n    rack: b", "control_plane]\n    rack: b"),
    )
    .on(HA)
    .marked("10.43.0.9"),
    many("ha-heads-in-one-rack", "heads-apart", ("    rack: b\n    unit: 40", "    rack: §a\n    unit: 38"))
    .on(HA)
    .but({"control-planes-apart": "the third control plane stands there already"}),
    one("ha-head-vip-is-gateway", "duplicate-address", "  vip: 10.43.0.9", "  vip: §10.43.0.1", HA),
    one(
        "ha-power-of-a-rack",
        "rack-power",
        "{name: b, units: 42, power_w: 12000}",
        "{name: b, units: 42, power_w: §5000}",
        HA,
    ),
    one(
        "fast-breakout-missing",
        "breakout-part",
        "leaf-b, port: ethernet1/1/5}",
        "leaf-b, port: §ethernet1/1/5:1}",
        FAST,
    ),
    one(
        "fast-port-not-broken-out",
        "port-speed",
        "leaf-b, port: ethernet1/1/3:4}",
        "leaf-b, port: §ethernet1/1/9}",
        FAST,
    ),
    one(
        "fast-adapter-in-a-part",
        "port-speed",
        "leaf-a, port: ethernet1/1/7}",
        "leaf-a, port: §ethernet1/1/1:4}",
        FAST,
    ),
    one(
        "fast-breakout-beyond-the-product",
        "breakout-kind",
        "ethernet1/1/3: 4x25}",
        "ethernet1/1/3: 4x25, ethernet1/1/33: §4x25}",
        FAST,
    ),
    one("fast-small-packets", "storage-mtu", "mtu: 9000", "mtu: §1500", FAST),
    many(
        "fast-storage-network-missing",
        "storage-network",
        (
            "  storage:\n    cidr: 10.42.2.0/24\n    vlan: 220\n"
            "    mtu: 9000                 # over bond1; the others keep 1500\n",
            "",
        ),
    )
    .on(FAST)
    .marked("storage:\n  product"),
    many("fast-worker-without-storage", "adapter-unused", (", storage: 10.42.2.41", ""))
    .on(FAST)
    .marked("addresses: {management: 10.42.0.41"),
    many(
        "fast-worker-without-adapter-and-storage",
        "worker-storage",
        (NIC1, ""),
        (NIC2, ""),
        (", storage: 10.42.2.41", ""),
    )
    .on(FAST)
    .marked("addresses: {management: 10.42.0.41"),
    many("fast-storage-over-the-small-bond", "largest-mtu", (NIC1, ""), (NIC2, "")).on(FAST).marked("9000"),
    many("fast-half-an-adapter", "bond-cables", (NIC2, ""))
    .on(FAST)
    .marked('ports:\n      lom1: {mac: "b0:7b:25:42:29:01"}'),
    one(
        "fast-llama-70b-on-pairs",
        "model-spread",
        "replicas: 2, gpus: 8, profiles: [xe9680]",
        "replicas: 2, gpus: §4, profiles: [xe9680]",
        FAST,
    ),
    one("fast-20b-too-often", "gpus-suffice", "replicas: 4, gpus: 1", "replicas: §9, gpus: 1", FAST),
    one("rows-pods-too-few", "pod-range", "pod_cidr: 10.128.0.0/13", "pod_cidr: §10.128.0.0/14", ROWS),
    one(
        "rows-power-of-xe9680s",
        "rack-power",
        '{names: "a{01..16}", power_w: 42000}',
        '{names: "a{01..16}", power_w: §36000}',
        ROWS,
    ),
)
