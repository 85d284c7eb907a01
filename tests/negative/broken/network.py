"""Networks and addresses."""

from __future__ import annotations

from broken.base import Mutation, many, one

POD, SERVICE = "pod_cidr: 10.244.0.0/16", "service_cidr: 10.96.0.0/16"
VIPS = "vip_range: 10.40.1.200-10.40.1.219"
OOB_RANGE = "dhcp_range: 10.40.3.200-10.40.3.249"

NETWORKS = (
    many("networks-overlap", "networks-overlap", ("cidr: 10.40.3.0/24", "cidr: §10.40.2.0/23")),
    one(
        "pods-overlap-network",
        "networks-overlap",
        POD,
        "pod_cidr: §10.40.0.0/24",
        also={"pod-range": "a /24 is too small too"},
    ),
    one("services-overlap-pods", "networks-overlap", SERVICE, "service_cidr: §10.244.128.0/20"),
    one("services-overlap-storage", "networks-overlap", SERVICE, "service_cidr: §10.40.2.0/24"),
    one("pods-on-loopback", "reserved-range", POD, "pod_cidr: §127.0.0.0/16"),
    one("pods-on-link-local", "reserved-range", POD, "pod_cidr: §169.254.0.0/16"),
    one("services-on-multicast", "reserved-range", SERVICE, "service_cidr: §239.0.0.0/16"),
    one("services-reserved", "reserved-range", SERVICE, "service_cidr: §240.0.0.0/16"),
    one("pods-of-no-network", "reserved-range", POD, "pod_cidr: §0.0.0.0/8"),
    one("pods-on-docker", "bridge-range", POD, "pod_cidr: §172.17.0.0/16"),
    one("services-around-docker", "bridge-range", SERVICE, "service_cidr: §172.16.0.0/12"),
    one("pods-public", "public-range", POD, "pod_cidr: §11.0.0.0/16"),
    one("services-public", "public-range", SERVICE, "service_cidr: §9.9.0.0/16"),
    one("gateway-outside", "gateway-outside", "gateway: 10.40.1.1", "gateway: §10.41.1.1"),
    one("gateway-is-broadcast", "gateway-outside", "gateway: 10.40.1.1", "gateway: §10.40.1.255"),
    one("gateway-is-network", "gateway-outside", "gateway: 10.40.3.1", "gateway: §10.40.3.0"),
    many(
        "external-gateway-missing",
        "external-gateway",
        ("    gateway: 10.40.1.1\n", ""),
        ("  external: ", "  §external: "),
    ),
    many("vlan-missing", "vlan-missing", ("    vlan: 110\n", ""), ("  external: ", "  §external: ")),
    many("vlan-missing-storage", "vlan-missing", ("    vlan: 120\n", ""), ("  storage: ", "  §storage: ")),
    one(
        "vlan-of-management",
        "vlan-unwanted",
        "    gateway: 10.40.0.1\n",
        "    gateway: 10.40.0.1\n    §vlan: 100\n",
    ),
    one(
        "vlan-of-oob", "vlan-unwanted", "    gateway: 10.40.3.1\n", "    gateway: 10.40.3.1\n    §vlan: 130\n"
    ),
    one("vlan-twice", "vlan-twice", "vlan: 120", "vlan: §110"),
    one("vlan-default", "vlan-reserved", "vlan: 110", "vlan: §1"),
    one("vlan-of-os10", "vlan-reserved", "vlan: 120", "vlan: §4094"),
    one("mtu-larger-than-bond", "largest-mtu", "    vlan: 120", "    vlan: 120\n    mtu: §9000"),
    one("mtu-external-larger", "largest-mtu", "    vlan: 110", "    vlan: 110\n    mtu: §1600"),
    one("mtu-of-oob", "oob-mtu", "    gateway: 10.40.3.1\n", "    gateway: 10.40.3.1\n    mtu: §9000\n"),
    one(
        "mtu-of-external-storage",
        "storage-mtu",
        "    vlan: 120\n    mtu: 9000\n",
        "    vlan: 120\n    mtu: §1500\n",
        "stored",
    ),
    one("pod-range-too-small", "pod-range", POD, "pod_cidr: §10.244.0.0/22"),
    one("pod-range-of-one-node", "pod-range", POD, "pod_cidr: §10.244.0.0/24"),
    one("service-range-too-small", "service-range", SERVICE, "service_cidr: §10.96.0.0/28"),
    one("service-range-too-large", "service-range", SERVICE, "service_cidr: §10.128.0.0/11"),
)

RANGE = """
server_ranges:
  - names: gpu-{1..2}
    profile: r760xa
    roles: [gpu_worker]
    racks: a
    units: [4, 6]
    service_tag: GPUTAG1
    bmc: {address: 10.40.3.147, mac: b0:7b:25:99:00:00}
    addresses: {management: 10.40.0.51, external: 10.40.1.51, oob: 10.40.3.51}
    ports:
      lom1: {mac: b0:7b:25:99:01:00}
      ocp1: {mac: b0:7b:25:99:02:00, switch: leaf-a, port: "ethernet1/1/{11..12}"}
      ocp2: {mac: b0:7b:25:99:03:00, switch: leaf-b, port: "ethernet1/1/{11..12}"}
"""
NEIGHBOUR = (
    "switches:\n",
    "switches:\n  - {name: sw-9, product: s5248f-on, rack: a, unit: 30, address: 10.40.3.150}\n",
)
UNUSED = {"switch-unused": "the neighbour is there for its address alone"}

ADDRESSES = (
    many(
        "range-meets-one-address",
        "duplicate-address",
        NEIGHBOUR,
        (
            "\nserving:",
            RANGE.replace("bmc: {address: 10.40.3.147", "bmc: {address: §10.40.3.149") + "\nserving:",
        ),
        site="minimal",
    ).but(UNUSED),
    many(
        "range-in-dhcp-range",
        "address-in-dhcp-range",
        ("\nserving:", RANGE.replace("oob: 10.40.3.51", "oob: §10.40.3.248") + "\nserving:"),
        site="minimal",
    ),
    many(
        "two-addresses-twice",
        "duplicate-address",
        ("external: 10.40.1.12,", "external: §10.40.1.11,"),
        ("external: 10.40.1.13,", "external: 10.40.1.11,"),
    ).but({"duplicate-address": "a third one of that address is offered another one"}),
    many(
        "address-outside-of-overlapping-networks",
        "address-outside",
        ("cidr: 10.40.3.0/24", "cidr: 10.40.2.0/23"),
        ("oob: 10.40.3.22}", "oob: §10.40.4.22}"),
    ).but({"networks-overlap": "no address is offered while two networks hold it"}),
    one("address-outside", "address-outside", "management: 10.40.0.21,", "management: §10.40.9.21,"),
    one("address-of-other-network", "address-outside", "external: 10.40.1.22,", "external: §10.40.2.122,"),
    one("address-is-broadcast", "address-outside", "storage: 10.40.2.31,", "storage: §10.40.2.255,"),
    one("address-is-network", "address-outside", "management: 10.40.0.31,", "management: §10.40.0.0,"),
    one("bmc-not-on-oob", "address-outside", "bmc: {address: 10.40.3.121,", "bmc: {address: §10.40.0.121,"),
    one(
        "switch-not-on-oob",
        "address-outside",
        "unit: 42, address: 10.40.3.251",
        "unit: 42, address: §10.40.0.251",
    ),
    one("api-vip-outside", "address-outside", "api_vip: 10.40.0.10", "api_vip: §10.41.0.10"),
    one("head-vip-outside", "address-outside", "vip: 10.40.0.9", "vip: §10.40.1.9", "two-heads"),
    one("storage-outside", "address-outside", "address: 10.40.2.100", "address: §10.40.0.100", "stored"),
    one("model-vip-outside-network", "address-outside", "vip: 10.40.1.201", "vip: §10.40.2.201"),
    one(
        "network-not-there",
        "network-not-there",
        "addresses: {management: 10.40.0.12, external: 10.40.1.12,",
        "addresses: {management: 10.40.0.12, external: 10.40.1.12, §storage: 10.40.2.12,",
        "minimal",
    ),
    one("address-duplicate", "duplicate-address", "external: 10.40.1.12,", "external: §10.40.1.11,"),
    one("address-of-the-gateway", "duplicate-address", "management: 10.40.0.22,", "management: §10.40.0.1,"),
    one(
        "bmc-shares-an-address",
        "duplicate-address",
        "bmc: {address: 10.40.3.122,",
        "bmc: {address: §10.40.3.121,",
    ),
    many("bmc-has-its-lom-address", "duplicate-address", ("oob: 10.40.3.22}", "oob: §10.40.3.122}")),
    one(
        "bmc-shares-with-switch",
        "duplicate-address",
        "bmc: {address: 10.40.3.122,",
        "bmc: {address: §10.40.3.251,",
    ),
    one("switches-share-an-address", "duplicate-address", "address: 10.40.3.252", "address: §10.40.3.251"),
    many(
        "api-vip-in-use",
        "duplicate-address",
        ("api_vip: 10.40.0.10", "api_vip: 10.40.0.13"),
        ("management: 10.40.0.13,", "management: §10.40.0.13,"),
    ),
    one("api-vip-is-gateway", "duplicate-address", "api_vip: 10.40.0.10", "api_vip: §10.40.0.1"),
    many(
        "head-vip-is-api-vip",
        "duplicate-address",
        ("  vip: 10.40.0.9", "  vip: 10.40.0.10"),
        ("api_vip: 10.40.0.10", "api_vip: §10.40.0.10"),
        site="two-heads",
    ),
    many(
        "head-vip-is-a-heads",
        "duplicate-address",
        ("  vip: 10.40.0.9", "  vip: 10.40.0.11"),
        ("management: 10.40.0.11,", "management: §10.40.0.11,"),
        site="two-heads",
    ),
    many(
        "storage-shares-an-address",
        "duplicate-address",
        ("address: 10.40.2.100", "address: 10.40.2.21"),
        ("storage: 10.40.2.21,", "storage: §10.40.2.21,"),
        site="stored",
    ),
    one("model-vips-alike", "duplicate-address", "vip: 10.40.1.202", "vip: §10.40.1.201"),
    one(
        "address-in-dhcp-range",
        "address-in-dhcp-range",
        "bmc: {address: 10.40.3.112,",
        "bmc: {address: §10.40.3.212,",
    ),
    one("lom-in-dhcp-range", "address-in-dhcp-range", "oob: 10.40.3.42}", "oob: §10.40.3.242}"),
    many(
        "gateway-in-dhcp-range", "address-in-dhcp-range", ("gateway: 10.40.3.1\n", "gateway: §10.40.3.201\n")
    ),
    many(
        "switch-in-dhcp-range",
        "address-in-dhcp-range",
        (OOB_RANGE, "dhcp_range: 10.40.3.200-10.40.3.251"),
        ("address: 10.40.3.251}", "address: §10.40.3.251}"),
    ),
    one("dhcp-range-outside", "dhcp-range-outside", OOB_RANGE, "dhcp_range: §10.40.4.200-10.40.4.249"),
    one("dhcp-range-to-broadcast", "dhcp-range-outside", OOB_RANGE, "dhcp_range: §10.40.3.253-10.40.3.255"),
    one(
        "dhcp-on-management",
        "dhcp-only-oob",
        "    gateway: 10.40.0.1\n",
        "    gateway: 10.40.0.1\n    §dhcp_range: 10.40.0.200-10.40.0.210\n",
    ),
    one(
        "dhcp-on-storage",
        "dhcp-only-oob",
        "    vlan: 120\n",
        "    vlan: 120\n    §dhcp_range: 10.40.2.200-10.40.2.210\n",
    ),
    many(
        "dhcp-range-too-small",
        "dhcp-range-too-small",
        (OOB_RANGE, "dhcp_range: §10.40.3.200-10.40.3.200"),
        (", oob: 10.40.3.12}", "}"),
        (", oob: 10.40.3.13}", "}"),
    ),
    many(
        "dhcp-range-missing",
        "dhcp-range-missing",
        (f"    {OOB_RANGE}\n", ""),
        (", oob: 10.40.3.12}", "}"),
        ("  oob:   ", "  §oob:   "),
    ),
    one("serving-range-outside", "serving-range", VIPS, "vip_range: §10.40.2.200-10.40.2.219", "minimal"),
    one(
        "serving-range-holds-network",
        "serving-range",
        "vip_range: 10.40.1.200-",
        "vip_range: §10.40.1.0-",
        "minimal",
    ),
    one("serving-range-to-broadcast", "serving-range", VIPS, "vip_range: §10.40.1.200-10.40.1.255"),
    one(
        "serving-range-holds-node",
        "address-in-serving-range",
        "external: 10.40.1.24,",
        "external: §10.40.1.204,",
    ),
    one(
        "serving-range-holds-gateway",
        "address-in-serving-range",
        "gateway: 10.40.1.1\n",
        "gateway: §10.40.1.210\n",
    ),
    one(
        "serving-range-too-small",
        "serving-range-too-small",
        VIPS,
        "vip_range: §10.40.1.201-10.40.1.202",
        also={"vip-outside-range": "the one model's VIP that is left out"},
    ),
    one("serving-vip-outside-range", "vip-outside-range", "vip: 10.40.1.201", "vip: §10.40.1.230"),
)

MUTATIONS: tuple[Mutation, ...] = (*NETWORKS, *ADDRESSES)
