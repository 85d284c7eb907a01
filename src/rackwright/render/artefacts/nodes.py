"""Artefacts of every node: names, time, packages, access, container runtime; and the API's endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rackwright.derive.model import Node, SiteModel
from rackwright.render.places import MIRROR_ROOT, ca_anchor
from rackwright.render.registry import Artefact, Options, Scope, Template


def time_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """Who asks whom: the head node the outside world, the control planes each other too, all ask them.

    A second head follows the first, so that both tell the same time.
    """
    control_planes = [peer.address for peer in model.control_planes if peer.name != node.name]
    if node.name == model.head.name:
        return {"serves": True, "leads": True, "sources": list(model.ntp_upstreams), "preferred": []}
    if node.is_head:
        first = model.head.address
        return {
            "serves": True,
            "leads": False,
            "sources": [first, *model.ntp_upstreams],
            "preferred": [first],
        }
    others = [address for address in control_planes if address not in model.ntp_servers]
    return {
        "serves": node.is_control_plane,
        "leads": False,
        "sources": [*model.ntp_servers, *others],
        "preferred": list(model.ntp_servers),
    }


def apt_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The head node reads its own disk: from there it installs the web server that serves the others."""
    return {
        "uri": f"file:{MIRROR_ROOT}/apt" if node.is_head else f"https://{model.mirror_fqdn}/apt",
        "ca_anchor": ca_anchor(model),
    }


def baseline_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The kernel settings as one mapping, and the machines that a node knows without asking DNS.

    On a large site those are only itself and the servers that DNS depends on: else the nodes' tables would
    grow with the square of their number.
    """
    sysctl = {**options["baseline_sysctl_network"], **options["baseline_sysctl_machine"]}
    if len(model.nodes) <= options["baseline_hosts_limit"]:
        return {"sysctl": sysctl, "known": model.nodes}
    known = {one.name: one for one in (*model.heads, *model.control_planes, node)}
    return {"sysctl": sysctl, "known": [known[name] for name in sorted(known)]}


def runtime_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """The pause image of the release, and the registry's authority."""
    return {
        "sandbox_image": f"{model.registry}/k8s/pause:{model.versions['pause']}",
        "ca_anchor": ca_anchor(model),
    }


def endpoint_values(model: SiteModel, node: Node, options: Options) -> Mapping[str, Any]:
    """VRRP's view of this control plane: the first in the site file has the highest priority."""
    order = [peer.name for peer in model.control_planes]
    interface = node.interface("management")
    return {
        "interface": interface.name if interface else "",
        "priority": 150 - 10 * order.index(node.name),
        "peers": [peer.address for peer in model.control_planes if peer.name != node.name],
        "prefix": 32,
    }


def _may_not_set_clock(model: SiteModel, node: Node, options: Options) -> bool:
    return not options["baseline_time_adjust_clock"]


ARTEFACTS = (
    Artefact(
        "time",
        role="baseline",
        values=time_values,
        files=(
            Template("chrony/chrony.conf.j2", "/etc/chrony/chrony.conf", validate="chronyd -p -f %s"),
            Template("chrony/default.j2", "/etc/default/chrony"),
            Template(
                "chrony/no-clock.conf.j2",
                "/etc/systemd/system/chrony.service.d/rackwright.conf",
                when=_may_not_set_clock,
            ),
        ),
    ),
    Artefact(
        "apt",
        role="baseline",
        values=apt_values,
        files=(
            Template("apt/rackwright.sources.j2", "/etc/apt/sources.list.d/rackwright.sources"),
            Template("apt/preferences.j2", "/etc/apt/preferences.d/rackwright"),
            Template("apt/apt.conf.j2", "/etc/apt/apt.conf.d/90rackwright"),
        ),
    ),
    Artefact(
        "baseline",
        role="baseline",
        values=baseline_values,
        files=(
            Template("baseline/hostname.j2", "/etc/hostname"),
            Template("baseline/hosts.j2", "/etc/hosts"),
            Template("baseline/resolv.conf.j2", "/etc/resolv.conf"),
            Template("baseline/sysctl.conf.j2", "/etc/sysctl.d/90-rackwright.conf"),
            Template("baseline/modules-load.conf.j2", "/etc/modules-load.d/rackwright.conf"),
            Template("baseline/bpffs.service.j2", "/etc/systemd/system/rackwright-bpffs.service"),
            Template(
                "baseline/sshd.conf.j2",
                "/etc/ssh/sshd_config.d/00-rackwright.conf",
                mode="0600",
                validate="sshd -t -f %s",
            ),
            Template(
                "baseline/authorized_keys.j2",
                "/etc/ssh/authorized_keys.d/{{ model.access.user }}",
                when=lambda model, node, options: bool(model.access.authorized_keys),
            ),
            Template(
                "baseline/sudoers.j2",
                "/etc/sudoers.d/rackwright",
                mode="0440",
                validate="visudo -cqf %s",
                when=lambda model, node, options: bool(options["baseline_admin_users"]),
            ),
        ),
    ),
    Artefact(
        "containerd",
        role="container_runtime",
        values=runtime_values,
        files=(
            Template("containerd/config.toml.j2", "/etc/containerd/config.toml"),
            Template("containerd/hosts.toml.j2", "/etc/containerd/certs.d/{{ model.registry }}/hosts.toml"),
        ),
    ),
    Artefact(
        "api_endpoint",
        role="api_endpoint",
        scope=Scope.CONTROL_PLANE,
        values=endpoint_values,
        files=(
            Template(
                "keepalived/service.conf.j2", "/etc/systemd/system/keepalived.service.d/rackwright.conf"
            ),
            Template("keepalived/sysctl.conf.j2", "/etc/sysctl.d/91-rackwright-api-endpoint.conf"),
            Template("haproxy/haproxy.cfg.j2", "/etc/haproxy/haproxy.cfg", validate="haproxy -c -q -f %s"),
            Template(
                "keepalived/keepalived.conf.j2",
                "/etc/keepalived/keepalived.conf",
                mode="0640",
                validate="keepalived --config-test --use-file=%s",
            ),
        ),
    ),
)
