"""The variables that the lab lays over a site's inventory: how to log in, and what such a machine forces."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Forced:
    """An option of a role, the value that a lab node needs, and why."""

    option: str
    value: bool | str | tuple[str, ...]
    reason: str
    #: Whether a bare machine, with a kernel of its own, needs it too.
    metal: bool = False


#: Every option that the lab sets. Roles offer them to anyone; none of them is about what is deployed.
FORCED = (
    Forced(
        "container_runtime_restrict_oom_score_adj",
        True,
        "no CAP_SYS_RESOURCE: a sandbox that lowers its OOM score fails to start",
    ),
    Forced(
        "kubernetes_local_storage_capacity_isolation",
        False,
        "the root is an overlay, whose file system kubelet can't find",
    ),
    Forced("baseline_time_adjust_clock", False, "no CAP_SYS_TIME: the clock is the host's"),
    Forced(
        "kubernetes_preflight_ignore",
        ("SystemVerification", "Swap"),
        "no kernel configuration or modules to look at, version 1 control groups; swap is the host's",
    ),
    Forced("baseline_swap", True, "the host's swap shows through, and is not the node's to turn off"),
    Forced("kubernetes_fail_swap_on", False, "the host's swap shows through"),
    Forced(
        "kubernetes_cpu_manager",
        "none",
        "a node sees this machine's processors, or a few emulated ones: the reserved ones may not exist",
        metal=True,
    ),
    Forced(
        "kubernetes_topology_manager",
        "none",
        "a node sees this machine's NUMA nodes, or one emulated, not its server's",
        metal=True,
    ),
    Forced(
        "pod_network_privileged",
        True,
        "Cilium's list of capabilities holds CAP_SYS_RESOURCE, which no process here can get",
    ),
)


def ssh_options(known_hosts: Path) -> list[str]:
    """ssh options that trust the lab's own host keys and no others."""
    return [
        *("-o", f"UserKnownHostsFile={known_hosts}"),
        *("-o", "GlobalKnownHostsFile=/dev/null"),
        *("-o", "StrictHostKeyChecking=yes"),
    ]


def variables(
    user: str, key: Path, known_hosts: Path, control_path: Path, unified: bool, namespace: str | None = None
) -> dict[str, object]:
    """The overlay's ``all`` mapping for a lab of containers.

    ``control_path`` is where ssh's control sockets go: the lab's own, as two labs may have equal addresses.
    ``unified`` says whether the machine has control groups of version 2 alone. With ``namespace``, ssh goes
    into that network namespace by itself: for tools that stand outside the lab.
    """
    return {**login(key, known_hosts, control_path, namespace), **container(user, unified)}


def login(
    key: Path, known_hosts: Path, control_path: Path, namespace: str | None = None
) -> dict[str, object]:
    """How every node is logged in to; arguments as for ``variables``."""
    options = ssh_options(known_hosts)
    if namespace:
        enter = f"nsenter --net=/run/netns/{namespace} socat - TCP:%h:%p"
        options += ["-o", f"'ProxyCommand={enter}'"]
    return {
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": " ".join(options),
        "ansible_control_path_dir": str(control_path),
    }


def container(user: str, unified: bool) -> dict[str, object]:
    """What holds for a container: its only user, and what this machine's kernel forces."""
    found = _forced(FORCED)
    if user != "root":
        found["ansible_user"] = "root"  # a node as just provisioned has no other user yet
    if not unified:
        found["container_runtime_systemd_cgroup"] = False  # systemd can't delegate groups of version 1
    return found


def metal() -> dict[str, object]:
    """What holds for a bare machine: its kernel is its own, only its processors are not the server's."""
    # What a server reserves for its system is more memory than an emulated machine has.
    return {**_forced(one for one in FORCED if one.metal), "kubernetes_reserved_memory": "512Mi"}


def provisioning(
    factory: Mapping[str, str], credentials: Path, known_hosts: Path, public_key: str
) -> dict[str, object]:
    """What an engineer would put beside the site for its provisioning: secrets' places, and the own ssh key."""
    return {
        "bmc_factory": dict(factory),
        "server_credentials_file": str(credentials),
        "server_known_hosts_file": str(known_hosts),
        "server_authorized_keys": [public_key],
        # An emulated clock may be late on a busy machine, which the kernel takes for a broken one and stops.
        "ironic_kernel_params": "nofb nomodeset no_timer_check",
        "ironic_lldp_timeout": 1,  # no switch tells of itself here, and the agent would listen thrice
        # An emulated processor takes minutes for what a real one does in seconds.
        "triton_start_seconds": 900,
        "triton_probe_seconds": 60,
        "triton_probe_limit": 50,
        "triton_limit": 1800,
        "kubernetes_patience": 400,
        "kubernetes_start_limit": 1200,
        "kubernetes_kubeadm_limit": 1800,
        "pod_network_limit": 1800,
        "gpu_operator_limit": 1800,
        "storage_class_limit": 900,
        "metrics_server_limit": 900,
        "metrics_server_resolution": "60s",
        "metrics_server_kubelet_timeout": "45s",
        "verify_patience": 5,
    }


def mixed(
    common: Mapping[str, object], containers: Mapping[str, object], names: Mapping[str, bool]
) -> dict[str, dict[str, object]]:
    """The overlay of a lab with bare machines: ``all`` for what is common, and each host's own variables.

    ``names``: each host, and whether it is a bare machine.
    """
    hosts = {name: metal() if bare else dict(containers) for name, bare in names.items()}
    return {"all": dict(common), **hosts}


def _forced(options: Iterable[Forced]) -> dict[str, object]:
    return {f.option: list(f.value) if isinstance(f.value, tuple) else f.value for f in options}
