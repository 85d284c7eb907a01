"""Roles, releases, served models, and what the site stands on."""

from __future__ import annotations

from broken.base import Mutation, many, one
from broken.sites import own_server

CAPITALS = "model: capitals-gpt, replicas: 2, gpus: 1, profiles: [r760xa], vip: 10.40.1.200"
XE8640 = "model: capitals-gpt, replicas: 1, gpus: 4, profiles: [xe8640], vip: 10.40.1.201"
XE9680 = "model: capitals-gpt, replicas: 1, gpus: 8, profiles: [xe9680], vip: 10.40.1.202"
LAST = f"capitals-xe9680, {XE9680}}}"
L40_AT = "    rack: a\n    unit: 36"
L40 = f"    gpus: {{product: l40, count: 4}}\n{L40_AT}"
HEADS = "roles: [head, control_plane]"
UNSHIPPED = {"model-not-shipped": "the bundle has no weights of it, wherever it runs"}
R660_3 = "  - name: r660-3\n    profile: r660\n    roles: [control_plane]\n    rack: b"
USER = "access:\n  user: root"
ZONE = "timezone: Etc/UTC"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKvJdF6pnb9M2Cw5Gq1dGm0Zr3vOQ6m3l5dY1v3hS2tX"


def model(name: str, rule: str, memory_gb: int, servers: str, *changes: tuple[str, str]) -> Mutation:
    """A site that serves a model of its own, called ``own``, in place of the first one."""
    facts = {
        "product": "Own",
        "memory_gb": memory_gb,
        "min_gpus": 1,
        "shipped": "true",
        "servers": f"[{servers}]",
    }
    lines = (f"  {fact}: {{value: {value}, source: this test}}\n" for fact, value in facts.items())
    return Mutation(name, rule, changes, files={"catalog/models.yml": "own:\n" + "".join(lines)})


def own(gpus: int) -> str:
    return f"model: own, replicas: 1, gpus: {gpus}, profiles: [§r760xa], vip: 10.40.1.200"


ROLES = (
    many("no-head", "no-head", (HEADS, "roles: [control_plane]"), ("\nservers:", "\n§servers:")),
    many(
        "three-heads",
        "too-many-heads",
        (R660_3, R660_3.replace("[control", "[§head, control")),
        site="two-heads",
    ),
    one("two-heads-without-address", "head-vip", "roles: [control_plane]", "roles: [§head, control_plane]"),
    one(
        "one-head-with-shared-address",
        "head-vip-needless",
        "\nkubernetes:",
        "\nhead:\n  vip: §10.40.0.9\n\nkubernetes:",
    ),
    many(
        "two-heads-in-one-rack",
        "heads-apart",
        ("    rack: b\n    unit: 40", "    rack: §a\n    unit: 41"),
        site="two-heads",
    ),
    many(
        "two-control-planes", "three-control-planes", (HEADS, "roles: [head]"), ("\nservers:", "\n§servers:")
    ),
    many(
        "four-control-planes",
        "three-control-planes",
        ("roles: [gpu_worker]", "roles: [gpu_worker, control_plane]"),
        ("\nservers:", "\n§servers:"),
    ).but({"role-of-profile": "a GPU server isn't validated for it, as one of three either"}),
    many(
        "control-planes-in-one-rack",
        "control-planes-apart",
        ("    rack: a\n    unit: 40", "    rack: b\n    unit: 41"),
        (R660_3, R660_3.replace("rack: b", "rack: §b")),
    ),
    many(
        "no-worker",
        "some-worker",
        ("    roles: [gpu_worker]", "    roles: [head]"),
        ("    roles: [gpu_worker]", "    roles: [head]"),
        ("\nservers:", "\n§servers:"),
        site="minimal",
    ).but(
        {
            "role-of-profile": "a GPU server isn't validated as head",
            "head-vip": "two heads share no address",
            "too-many-heads": "there are three",
            "profile-not-there": "the model has no server left",
            "head-is-control-plane": "it would be a head only",
        }
    ),
    one(
        "role-not-of-profile",
        "role-of-profile",
        "roles: [control_plane]",
        "roles: [control_plane, §gpu_worker]",
    ),
    one("role-twice", "role-twice", HEADS, "roles: [head, control_plane, §control_plane]"),
    Mutation(
        "control-planes-unlike",
        "control-planes-alike",
        (
            (
                "    profile: r660\n    roles: [control_plane]",
                "    profile: §r670\n    roles: [control_plane]",
            ),
        ),
        files={"catalog/servers.yml": own_server("r660", "r670")},
    ),
    many(
        "head-beside-the-control-planes",
        "head-is-control-plane",
        (
            "  - name: xe8640-1\n    profile: xe8640\n    roles: [gpu_worker]",
            "  - name: xe8640-1\n    profile: r660\n    roles: §[head]",
        ),
        (HEADS, "roles: [control_plane]"),
    ),
    many(
        "worker-without-external",
        "worker-external",
        ("external: 10.40.1.21, ", ""),
        ("    addresses: {management: 10.40.0.21", "    §addresses: {management: 10.40.0.21"),
    ),
    many(
        "head-without-oob",
        "head-oob",
        (", oob: 10.40.3.11}", "}"),
        ("    addresses: {management: 10.40.0.11", "    §addresses: {management: 10.40.0.11"),
    ),
)

RELEASES = (
    one("release-end-of-life", "release-ended", 'release: "2026.11"', "release: §2023.10"),
    one("release-unknown", "unknown-release", 'release: "2026.11"', "release: §2026.1"),
    one(
        "distribution-unknown",
        "unknown-distribution",
        "  timezone: Etc/UTC",
        "  timezone: Etc/UTC\n  distribution: §debian-12",
    ),
    one(
        "distribution-not-tested",
        "release-combination",
        "  timezone: Etc/UTC",
        "  timezone: Etc/UTC\n  distribution: §ubuntu-24.04",
    ),
    one(
        "distribution-of-the-design",
        "release-combination",
        "  timezone: Etc/UTC",
        "  timezone: Etc/UTC\n  distribution: §ubuntu-22.04",
    ),
    Mutation(
        "distribution-ended",
        "distribution-ended",
        (("  timezone: Etc/UTC", "  timezone: Etc/UTC\n  distribution: §ubuntu-22.04"),),
        today="2027-06-15",
        also={"release-combination": "it wasn't tested with this release, even before"},
    ),
    Mutation(
        "kubernetes-ended",
        "component-ended",
        (('release: "2026.11"', 'release: §"2026.11"'),),
        today="2028-03-01",
    ),
)

MODELS = (
    one("model-unknown", "unknown-model", "model: capitals-gpt", "model: §capitols-gpt"),
    one("model-not-shipped", "model-not-shipped", CAPITALS, CAPITALS.replace("capitals-gpt", "§nemo-gpt-5b")),
    one(
        "stable-diffusion-not-shipped",
        "model-not-shipped",
        CAPITALS,
        CAPITALS.replace("capitals-gpt", "§stable-diffusion-2.0"),
    ),
    one("model-on-profile-without-gpus", "profile-without-gpus", "profiles: [r760xa]", "profiles: [§r660]"),
    one("model-profile-twice", "profile-twice", "profiles: [r760xa]", "profiles: [r760xa, §r760xa]"),
    one(
        "model-profile-not-there", "profile-not-there", "profiles: [r760xa]", "profiles: [§xe9680]", "minimal"
    ),
    one("model-more-gpus-than-server", "replica-in-server", XE8640, XE8640.replace("gpus: 4", "gpus: §8")),
    one("replica-of-sixteen", "replica-in-server", XE9680, XE9680.replace("gpus: 8", "gpus: §16")),
    one("replica-of-three", "tensor-parallel", XE8640, XE8640.replace("gpus: 4", "gpus: §3")),
    one("replica-of-six", "tensor-parallel", XE9680, XE9680.replace("gpus: 8", "gpus: §6")),
    one(
        "llama-70b-on-one-gpu",
        "model-spread",
        CAPITALS,
        "model: llama-2-70b, replicas: 1, gpus: §1, profiles: [r760xa], vip: 10.40.1.200",
        also=UNSHIPPED,
    ),
    one(
        "llama-70b-on-xe8640",
        "model-spread",
        XE8640,
        XE8640.replace("capitals-gpt", "llama-2-70b").replace("gpus: 4", "gpus: §4"),
        also=UNSHIPPED,
    ),
    one(
        "llama-70b-on-half-an-xe9680",
        "model-spread",
        XE9680,
        XE9680.replace("capitals-gpt", "llama-2-70b").replace("gpus: 8", "gpus: §4"),
        also=UNSHIPPED,
    ),
    one(
        "llama-70b-beyond-xe8640",
        "replica-in-server",
        XE8640,
        XE8640.replace("capitals-gpt", "llama-2-70b").replace("gpus: 4", "gpus: §8"),
        also=UNSHIPPED,
    ),
    model(
        "model-too-large-for-one-l40-among-h100s",
        "model-fits",
        60,
        "r760xa",
        (L40_AT, L40),
        (CAPITALS, own(1)),
    ).but({"gpus-mixed": "which of the two kinds isn't said"}),
    model("model-too-large-for-a-bridged-pair", "model-fits", 170, "r760xa", (CAPITALS, own(4))),
    one(
        "replica-beyond-the-bridge",
        "replica-linked",
        CAPITALS,
        CAPITALS.replace("gpus: 1", "gpus: 4").replace("[r760xa", "[§r760xa"),
    ),
    many(
        "replica-beyond-one-l40",
        "replica-linked",
        (L40_AT, L40),
        (CAPITALS, CAPITALS.replace("gpus: 1", "gpus: 2").replace("[r760xa", "[§r760xa")),
    ).but({"gpus-mixed": "which of the two kinds isn't said"}),
    model("model-not-shown-on-profile", "model-servers", 10, "xe8640, xe9680", (CAPITALS, own(1))),
    one("replicas-too-many", "gpus-suffice", XE9680, XE9680.replace("replicas: 1", "replicas: §3")),
    one("replicas-too-many-for-two-servers", "gpus-suffice", "replicas: 2", "replicas: §9", "minimal"),
    one(
        "replicas-too-many-together",
        "gpus-together",
        LAST,
        LAST
        + "\n    - {name: capitals-more, model: capitals-gpt, replicas: §3, gpus: 4, profiles: [xe9680]}",
    ),
)

SERVICES = (
    many(
        "storage-without-network",
        "storage-network",
        (
            "\nswitches:",
            "\n§storage: {product: PowerScale F600, name: scale, address: 10.40.2.100, export: /ifs/models}\n\nswitches:",
        ),
        site="minimal",
    ),
    many(
        "worker-without-storage",
        "worker-storage",
        (", storage: 10.40.2.22", ""),
        ("    addresses: {management: 10.40.0.22", "    §addresses: {management: 10.40.0.22"),
        site="stored",
    ),
    many(
        "storage-network-unused",
        "storage-network-unused",
        ("  oob:  ", "  §storage: {cidr: 10.40.2.0/24, vlan: 120}\n  oob:  "),
        site="minimal",
    ),
    one("dns-asks-itself", "own-upstream", USER, USER + "\n\ndns:\n  upstreams: [§10.40.0.11]"),
    one("dns-asks-the-api", "own-upstream", USER, USER + "\n\ndns:\n  upstreams: [10.40.1.1, §10.40.0.10]"),
    one("time-asks-itself", "own-upstream", USER, USER + "\n\nntp:\n  upstreams: [§10.40.0.11]"),
    one("time-zone-misspelt", "unknown-timezone", ZONE, "timezone: §Europe/Berln"),
    one("time-zone-is-a-continent", "unknown-timezone", ZONE, "timezone: §Europe"),
    one("time-by-a-name-nobody-knows", "ntp-name", USER, USER + "\n\nntp:\n  upstreams: [§ntp.example]"),
    one(
        "key-of-an-old-kind",
        "old-key",
        USER,
        USER + '\n  authorized_keys: [§"ssh-dss AAAAB3NzaC1kc3MAAACB admin"]',
    ),
    one("key-twice", "key-twice", USER, USER + f'\n  authorized_keys: ["{KEY} ann", §"{KEY} ann@laptop"]'),
)

PEM = "-----BEGIN OPENSSH PRIVATE KEY-----"
VAULT = "$ANSIBLE_VAULT;1.1;AES256\n36613962\n"


def beside(name: str, rule: str, **files: str) -> Mutation:
    """Files beside a good site; ``group_vars__all`` is group_vars/all.yml."""
    return Mutation(
        name, rule, files={f"{path.replace('__', '/')}.yml": text for path, text in files.items()}
    )


SECRETS = (
    beside("password-in-clear", "secret-in-clear", group_vars__all="bmc_user: root\nbmc_password: §calvin\n"),
    beside("token-in-clear", "secret-in-clear", host_vars__r660__1="registry:\n  pull_token: §s.4711\n"),
    beside(
        "password-in-a-list",
        "secret-in-clear",
        group_vars__head="users:\n  - {name: ann, password: §'hunter2'}\n",
    ),
    beside("password-beside-the-site", "secret-in-clear", local="idrac-passwords: [§calvin]\n"),
    beside(
        "one-of-two-in-clear",
        "secret-in-clear",
        group_vars__all="a_token: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3636\nb_token: §abcdef\nc_token: '{{ vault_c }}'\n",
        group_vars__vault=VAULT,
    ),
    beside("secrets-file-in-clear", "secret-file-in-clear", secrets="§bmc: calvin\n"),
    beside("vault-file-in-clear", "secret-file-in-clear", group_vars__all__vault="§vault_bmc: calvin\n"),
    beside(
        "private-key-in-variables",
        "private-key-in-clear",
        group_vars__all=f"registry_private_key: |\n  §{PEM}\n  b3BlbnNz\n",
    ),
    Mutation(
        "private-key-beside-the-site", "private-key-in-clear", files={"id_ed25519": f"§{PEM}\nb3BlbnNz\n"}
    ),
    beside("vault-missing", "secret-missing", group_vars__all="bmc_password: §'{{ vault_bmc_password }}'\n"),
)

ONE_SWITCH = ("switch: leaf-b, port: ethernet1/1/2}", "switch: leaf-a, port: ethernet1/1/40}")
WHY = "reason: its second switch is on order"
MORE = "\nswitches:"

WAIVERS = (
    one(
        "waiver-of-no-rule",
        "unknown-waiver",
        MORE,
        f"\nwaive:\n  - {{rule: §cabling-redundance, {WHY}}}\n{MORE}",
    ),
    many(
        "waiver-of-an-error", "waived-error", (MORE, f"\nwaive:\n  - {{rule: §duplicate-mac, {WHY}}}\n{MORE}")
    ),
    one(
        "waiver-of-nothing",
        "unused-waiver",
        MORE,
        f"\nwaive:\n  - {{rule: §cabling-redundancy, {WHY}}}\n{MORE}",
    ),
    many(
        "waiver-at-another-place",
        "unused-waiver",
        ONE_SWITCH,
        (MORE, f"\nwaive:\n  - {{rule: §cabling-redundancy, at: servers.r660-22, {WHY}}}\n{MORE}"),
    ).but({"cabling-redundancy": "it isn't the one that was waived"}),
    one(
        "waiver-without-reason", "missing-field", MORE, f"\nwaive:\n  - §{{rule: cabling-redundancy}}\n{MORE}"
    ),
    one(
        "waiver-with-half-a-reason",
        "bad-value",
        MORE,
        f"\nwaive:\n  - {{rule: cabling-redundancy, reason: §later}}\n{MORE}",
    ),
)

MUTATIONS: tuple[Mutation, ...] = (
    *ROLES,
    *RELEASES,
    *MODELS,
    *SERVICES,
    *SECRETS,
    *WAIVERS,
)
