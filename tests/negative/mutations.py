"""Broken sites: named changes of a good one. What each must say is in ``expected/<name>.txt``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """Replaces the first occurrence of each ``old`` by ``new``, in turn, in the good site's text."""

    name: str
    changes: tuple[tuple[str, str], ...]
    site: str = "reference"

    def apply(self, text: str) -> str:
        """The broken text; a change that doesn't apply any more is the test's own fault."""
        for old, new in self.changes:
            assert old in text, f"{self.name}: '{old}' is not in the good site"
            text = text.replace(old, new, 1)
        return text


def _one(name: str, old: str, new: str, site: str = "reference") -> Mutation:
    return Mutation(name, ((old, new),), site)


XE9680 = "xe9680, model: capitals-gpt, replicas: 1, gpus: 8, profiles: [xe9680]"
CAPITALS = "name: capitals, model: capitals-gpt, replicas: 2, gpus: 1, profiles: [r760xa], vip: 10.40.1.200"

SYNTAX = (
    _one("yaml-tab", "    cidr: 10.40.0.0/24", "\tcidr: 10.40.0.0/24"),
    _one("yaml-two-colons", "  name: reference", "  name: reference: two"),
    _one("yaml-open-brace", 'mac: "b0:7b:25:40:0b:00"}', 'mac: "b0:7b:25:40:0b:00"'),
    _one("yaml-open-quote", 'release: "2026.11"', 'release: "2026.11'),
    _one("yaml-indentation", "  timezone: Etc/UTC", "   timezone: Etc/UTC"),
    _one("yaml-line-without-colon", "  timezone: Etc/UTC", "  timezone\n  domain: other.example"),
    _one("yaml-second-document", "\nswitches:", "\n---\nswitches:"),
    _one("duplicate-key", "    unit: 40", "    unit: 40\n    unit: 41"),
)

GRAMMAR = (
    _one("unknown-field", "    service_tag:", "    servicetag:"),
    _one("unknown-section", "\nswitches:", "\nswitchs:"),
    _one("unknown-profile", "profile: r760xa", "profile: r760xd"),
    _one("unknown-role", "roles: [head, control_plane]", "roles: [head, controlplane]"),
    _one("missing-bmc", '    bmc: {address: 10.40.3.112, mac: "b0:7b:25:40:0c:00"}\n', ""),
    _one(
        "missing-network",
        "  management:               # ssh, Kubernetes between the nodes\n"
        "    cidr: 10.40.0.0/24\n    gateway: 10.40.0.1\n",
        "",
    ),
    _one("wrong-type-number", "unit: 39", "unit: top"),
    _one("wrong-type-list", "roles: [gpu_worker]", "roles: gpu_worker"),
    _one("wrong-type-block", "access:\n  user: root", "access: root"),
    _one("no-value", "  api_vip: 10.40.0.10", "  api_vip:"),
    _one("bad-network-host-bits", "cidr: 10.40.1.0/24", "cidr: 10.40.1.7/24"),
    _one("bad-network-no-length", "service_cidr: 10.96.0.0/16", "service_cidr: 10.96.0.0"),
    _one("bad-address", "management: 10.40.0.12,", "management: 10.40.0.312,"),
    _one("bad-mac", "b8:3f:d2:40:0c:01", "b8:3f:d2:40:0c"),
    _one("bad-service-tag", "service_tag: BZ4DN14", "service_tag: BZ4DN14X"),
    _one("bad-name", "name: r660-2", "name: R660_2"),
    _one("bad-range", "10.40.3.200-10.40.3.249", "10.40.3.249-10.40.3.200"),
    _one(
        "bad-public-key",
        "  user: root",
        '  user: root\n  authorized_keys: ["-----BEGIN OPENSSH PRIVATE KEY-----"]',
    ),
    _one("vlan-out-of-range", "vlan: 110", "vlan: 4095"),
)

NETWORKS = (
    _one("networks-overlap", "cidr: 10.40.2.0/24", "cidr: 10.40.0.0/22"),
    _one("pods-overlap-network", "pod_cidr: 10.244.0.0/16", "pod_cidr: 10.40.0.0/16"),
    _one("pod-range-too-small", "pod_cidr: 10.244.0.0/16", "pod_cidr: 10.244.0.0/22"),
    _one("service-range-too-small", "service_cidr: 10.96.0.0/16", "service_cidr: 10.96.0.0/28"),
    _one("gateway-outside", "gateway: 10.40.1.1", "gateway: 10.41.1.1"),
    _one("dhcp-range-outside", "10.40.3.200-10.40.3.249", "10.40.4.200-10.40.4.249"),
    _one(
        "dhcp-on-management",
        "    gateway: 10.40.0.1\n",
        "    gateway: 10.40.0.1\n    dhcp_range: 10.40.0.200-10.40.0.210\n",
    ),
    _one("vlan-missing", "    vlan: 110\n", ""),
    _one("mtu-larger-than-bond", "    vlan: 120", "    vlan: 120\n    mtu: 9000"),
    _one("vlan-twice", "vlan: 120", "vlan: 110"),
)

ADDRESSES = (
    _one("address-outside", "management: 10.40.0.21,", "management: 10.40.9.21,"),
    _one("address-duplicate", "external: 10.40.1.12,", "external: 10.40.1.11,"),
    _one("address-in-dhcp-range", "bmc: {address: 10.40.3.112,", "bmc: {address: 10.40.3.212,"),
    _one(
        "network-not-there",
        "addresses: {management: 10.40.0.12, external: 10.40.1.12,",
        "addresses: {management: 10.40.0.12, external: 10.40.1.12, storage: 10.40.2.12,",
        "minimal",
    ),
    _one("vip-outside-network", "api_vip: 10.40.0.10", "api_vip: 10.41.0.10"),
    _one("vip-in-use", "api_vip: 10.40.0.10", "api_vip: 10.40.0.13"),
    _one(
        "serving-range-outside",
        "vip_range: 10.40.1.200-10.40.1.219",
        "vip_range: 10.40.2.200-10.40.2.219",
        "minimal",
    ),
    _one("serving-range-holds-network", "vip_range: 10.40.1.200-", "vip_range: 10.40.1.0-", "minimal"),
    _one("serving-range-holds-node", "external: 10.40.1.24,", "external: 10.40.1.204,"),
    _one(
        "serving-range-too-small", "vip_range: 10.40.1.200-10.40.1.219", "vip_range: 10.40.1.201-10.40.1.202"
    ),
    _one("serving-vip-outside-range", "vip: 10.40.1.201", "vip: 10.40.1.230"),
)

IDENTITY = (
    _one("name-duplicate", "name: r660-3", "name: r660-2"),
    _one("name-reserved", "name: r660-3", "name: mirror"),
    _one("mac-duplicate", "b8:3f:d2:40:0c:02", "B8:3F:D2:40:0B:02"),
    _one("service-tag-duplicate", "service_tag: 2VK3CL4", "service_tag: bz4dn14"),
    _one("rack-unit-duplicate", "unit: 36", "unit: 35"),
    _one("rack-unit-beyond-top", "unit: 18", "unit: 50"),
    _one("model-name-duplicate", "name: capitals-xe8640,", "name: capitals,"),
)

CABLING = (
    _one("port-twice", "switch: leaf-a, port: ethernet1/1/2}", "switch: leaf-a, port: ethernet1/1/1}"),
    _one(
        "port-not-on-switch", "switch: leaf-a, port: ethernet1/1/2}", "switch: leaf-a, port: ethernet1/1/60}"
    ),
    _one("port-of-no-switch", "switch: leaf-b, port: ethernet1/1/2}", "switch: leaf-c, port: ethernet1/1/2}"),
    _one("port-not-of-profile", "      ocp2:", "      ocp3:"),
    _one("port-without-switch", ", switch: leaf-a, port: ethernet1/1/3}", ", port: ethernet1/1/3}"),
    _one("switch-product-unknown", "product: s5248f-on", "product: s5248-on"),
    _one("interconnect-to-itself", "switches: [leaf-a, leaf-b]", "switches: [leaf-a, leaf-a]"),
)

CLUSTER = (
    _one("two-heads", "roles: [control_plane]", "roles: [head, control_plane]"),
    _one("no-head", "roles: [head, control_plane]", "roles: [control_plane]"),
    _one("two-control-planes", "roles: [head, control_plane]", "roles: [head]"),
    _one("role-not-of-profile", "roles: [control_plane]", "roles: [control_plane, gpu_worker]"),
    _one("worker-without-external", "external: 10.40.1.21, ", ""),
    _one("head-without-oob", "storage: 10.40.2.11, oob: 10.40.3.11}", "storage: 10.40.2.11}"),
    _one("release-end-of-life", 'release: "2026.11"', "release: 2023.10"),
    _one("release-unknown", 'release: "2026.11"', "release: 2026.1"),
    _one("distribution-unknown", "  timezone: Etc/UTC", "  timezone: Etc/UTC\n  distribution: debian-12"),
    _one(
        "gpus-not-of-profile",
        "    rack: a\n    unit: 18",
        "    gpus: {product: l40, count: 4}\n    rack: a\n    unit: 18",
    ),
    _one(
        "gpus-not-validated-number",
        "    rack: a\n    unit: 36",
        "    gpus: {product: l40, count: 3}\n    rack: a\n    unit: 36",
    ),
)

SERVING = (
    _one("model-unknown", "model: capitals-gpt", "model: capitols-gpt"),
    _one(
        "model-too-large-for-profile",
        CAPITALS,
        "name: llama, model: llama-2-70b, replicas: 1, gpus: 4, profiles: [r760xa], vip: 10.40.1.200",
    ),
    _one(
        "model-memory-of-profile",
        CAPITALS,
        "name: llama, model: llama-2-70b, replicas: 1, gpus: 1, profiles: [r760xa], vip: 10.40.1.200",
    ),
    _one("model-more-gpus-than-server", "gpus: 4, profiles: [xe8640]", "gpus: 8, profiles: [xe8640]"),
    _one("model-on-profile-without-gpus", "profiles: [r760xa]", "profiles: [r660]"),
    _one("model-profile-not-there", "profiles: [r760xa]", "profiles: [xe9680]", "minimal"),
    _one("replicas-too-many", "replicas: 1, gpus: 8", "replicas: 3, gpus: 8"),
    _one(
        "replicas-too-many-together",
        f"capitals-{XE9680}, vip: 10.40.1.202}}",
        f"capitals-{XE9680}, vip: 10.40.1.202}}\n"
        "    - {name: capitals-more, model: capitals-gpt, replicas: 3, gpus: 4, profiles: [xe9680]}",
    ),
)

MANY = Mutation(
    "many-errors-in-one-run",
    (
        ("domain: reference.example", "domain: Reference"),
        ("cidr: 10.40.2.0/24", "cidr: 10.40.1.128/25"),
        ("vlan: 120", "vlan: 110"),
        ("api_vip: 10.40.0.10", "api_vip: 10.40.0.11"),
        ("service_tag: 2VK3CL4", "servicetag: 2VK3CL4"),
        ("unit: 39", "unit: forty"),
        ('mac: "b8:3f:d2:40:15:02"', 'mac: "b8:3f:d2:40:15:01"'),
        ("external: 10.40.1.23,", "external: 10.40.1.24,"),
        ("profile: xe9680", "profile: xe9860"),
        ("model: capitals-gpt", "model: capital-gpt"),
    ),
)

MUTATIONS = (*SYNTAX, *GRAMMAR, *NETWORKS, *ADDRESSES, *IDENTITY, *CABLING, *CLUSTER, *SERVING, MANY)
