"""The overlay says how to log in from inside and from outside, and forces what the machine's control groups force."""

from __future__ import annotations

from pathlib import Path

from rackwright.lab.overlay import variables

PLACES = (Path("/k"), Path("/h"), Path("/c"))


def test_only_the_outside_overlay_enters_the_namespace() -> None:
    inside = variables("root", *PLACES, unified=True)
    outside = variables("root", *PLACES, unified=True, namespace="rw-x")
    assert "ProxyCommand" not in str(inside["ansible_ssh_common_args"])
    assert "nsenter --net=/run/netns/rw-x socat - TCP:%h:%p" in str(outside["ansible_ssh_common_args"])


def test_version_1_groups_are_not_given_to_systemd() -> None:
    assert "container_runtime_systemd_cgroup" not in variables("root", *PLACES, unified=True)
    assert variables("root", *PLACES, unified=False)["container_runtime_systemd_cgroup"] is False
