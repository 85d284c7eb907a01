"""Faults between a bare server and the head: what a person is told of each, and that the run goes on when it is mended.

One emulated machine takes all of them one after the other, each from where the one before left it; at the end it has
its operating system. What goes wrong in a BMC is tests/metal's.

``pytest -m emulated tests/e2e`` takes half an hour and more, so ``scripts/test`` leaves it out.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator

import pytest

from rackwright.lab.spec import from_site

from .conftest import Lab, Play

pytestmark = pytest.mark.emulated
SITE, NAME, HEAD, BARE = "inventories/minimal", "btfaults", "r660-1", "r760xa-1"
INSPECT_LIMIT_S = 200
LOADER = "/usr/lib/ipxe/snponly.efi"
SCRIPT = "/srv/rackwright/boot/http/boot.ipxe"


@pytest.fixture(scope="module")
def site() -> Iterator[Lab]:
    """The site with its head set up and one server bare and off."""
    standing = Lab(SITE, NAME)
    standing.down()
    try:
        standing.rackwright("lab", "up", SITE, "--name", NAME, "--metal", BARE)
        assert standing.playbook(playbook="playbooks/head.yml").rc == 0
        yield standing
    finally:
        standing.down()


def provision(site: Lab, *words: str) -> Play:
    limits = json.dumps({"provision_servers": BARE, "server_inspect_limit": INSPECT_LIMIT_S})
    return site.playbook("--extra-vars", limits, *words, playbook="playbooks/provision.yml")


def port(site: Lab, nic: str) -> tuple[str, str]:
    """The tap and the bridge of one of the machine's ports."""
    spec = from_site(site.model, NAME, [BARE]).node(BARE)
    assert spec.machine is not None
    found = next(p for p in spec.machine.ports if p.name == nic)
    return found.tap, found.bridge


def link(site: Lab, *words: str) -> None:
    done = site.run("ip", "link", "set", *words)
    assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def cable_pulled(site: Lab) -> Iterator[None]:
    tap, _ = port(site, "lom1")
    link(site, tap, "down")
    yield
    link(site, tap, "up")


@contextlib.contextmanager
def cables_swapped(site: Lab) -> Iterator[None]:
    """The boot port's cable is in another port of the server, and the other's in it."""
    (boot, oob), (other, switch) = port(site, "lom1"), port(site, "ocp1")
    link(site, boot, "master", switch)
    link(site, other, "master", oob)
    yield
    link(site, boot, "master", oob)
    link(site, other, "master", switch)


@contextlib.contextmanager
def on_head(site: Lab, broken: str, mended: str) -> Iterator[None]:
    site.shell(HEAD, broken)
    yield
    site.shell(HEAD, mended)


Fault = Callable[[Lab], contextlib.AbstractContextManager[None]]


def loader_gone(site: Lab) -> contextlib.AbstractContextManager[None]:
    return on_head(site, f"mv {LOADER} {LOADER}.away", f"mv {LOADER}.away {LOADER}")


def script_refused(site: Lab) -> contextlib.AbstractContextManager[None]:
    return on_head(site, f"chmod 0600 {SCRIPT}", f"chmod 0644 {SCRIPT}")


def api_unreachable(site: Lab) -> contextlib.AbstractContextManager[None]:
    """What agents send to Ironic is dropped on the head; where they boot from is not."""
    rules = "table inet fault { chain input { type filter hook input priority 0; iifname eno1 tcp dport 6385 drop; } }"
    return on_head(site, f"nft '{rules}'", "nft delete table inet fault")


@pytest.mark.parametrize(
    ("fault", "called", "advice"),
    [
        (cable_pulled, "no DHCP answer", "the switch port of lom1"),
        (cables_swapped, "wrong NIC cabled", f"lom1 of {BARE} in the site file"),
        (loader_gone, "TFTP refused", "journalctl -u dnsmasq on the head"),
        (script_refused, "HTTP refused", "/var/log/nginx on the head"),
        (api_unreachable, "agent never calls back", "the agent says why"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
def test_a_fault_before_inspection_is_named(site: Lab, fault: Fault, called: str, advice: str) -> None:
    with fault(site):
        told = provision(site)
    assert told.rc == 2
    assert re.findall(r"failed: inspect its hardware \(([^)]+)\)", told.output)[:1] == [called], told.output
    assert advice in told.output
    assert f"where:    {BARE} (rack a, unit 34" in told.output


def test_an_image_that_was_damaged_is_named_and_not_started(site: Lab) -> None:
    image = "/srv/rackwright/metal/images/debian-13.raw"
    change = "printf '\\%s' | dd of={0} bs=1 seek=1073741824 conv=notrunc status=none; touch -r {0}.stamp {0}"
    site.shell(HEAD, f"touch -r {image} {image}.stamp; cp --sparse=always {image} {image}.good")
    with on_head(
        site, change.format(image) % "377", f"mv {image}.good {image}; touch -r {image}.stamp {image}"
    ):
        told = provision(site)
    assert told.rc == 2
    assert "failed: install its operating system (image checksum wrong)" in told.output, told.output


def test_what_was_mended_goes_on_to_the_end(site: Lab) -> None:
    done = provision(site)
    assert done.rc == 0, done.output
    again = provision(site)
    assert (again.rc, set(again.changed.values())) == (0, {0}), again.output
