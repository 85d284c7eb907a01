"""Sites of any size for the benchmarks: written in ranges, and the same ones with every machine written out."""

from __future__ import annotations

from pathlib import Path

import yaml

from rackwright.intent.load import load_intent
from rackwright.intent.ranges import TARGETS

IN_RACK = 10
SITE = """\
---
plugin: rackwright_site
site: {{name: scale, domain: scale.example, release: "2026.11"}}
networks:
  management: {{cidr: 10.64.0.0/16, gateway: 10.64.255.254}}
  external: {{cidr: 10.65.0.0/16, gateway: 10.65.255.254, vlan: 110}}
  storage: {{cidr: 10.66.0.0/16, vlan: 120}}
  oob: {{cidr: 10.67.0.0/16, gateway: 10.67.255.254, dhcp_range: 10.67.254.1-10.67.254.250}}
kubernetes: {{api_vip: 10.64.0.10, pod_cidr: 100.64.0.0/11, service_cidr: 10.96.0.0/16}}
switch_ranges:
  - names: leaf-{{rack}}{{a,b}}
    product: s5248f-on
    racks: m{{1..3}}
    units: [41, 42]
    address: 10.67.200.1
    interlinks: [ethernet1/1/53]
  - names: leaf-{{rack}}{{a,b}}
    product: s5248f-on
    racks: r{{001..{racks:03}}}
    units: [41, 42]
    address: 10.67.201.1
    interlinks: [ethernet1/1/53]
server_ranges:
  - names: r660-1
    racks: m1
    roles: [head, control_plane]
{control}  - names: r660-{{2..3}}
    racks: m{{2..3}}
    roles: [control_plane]
{control_others}  - names: gpu-{{0001..{count:04}}}
    profile: r760xa
    roles: [gpu_worker]
    racks: r{{001..{racks:03}}}
    units: 2..29..3
    service_tag: 2RW0000
    bmc: {{address: 10.67.1.1, mac: {{first: "b0:7b:25:10:00:00", step: 2}}}}
    addresses: {{management: 10.64.1.1, external: 10.65.1.1, storage: 10.66.1.1, oob: 10.67.101.1}}
    ports:
      lom1: {{mac: {{first: "b0:7b:25:10:00:01", step: 2}}}}
      ocp1: {{mac: {{first: "b8:3f:d2:10:00:00", step: 2}}, switch: "leaf-{{rack}}a", port: "ethernet1/1/{{slot}}"}}
      ocp2: {{mac: {{first: "b8:3f:d2:10:00:01", step: 2}}, switch: "leaf-{{rack}}b", port: "ethernet1/1/{{slot}}"}}
serving:
  vip_range: 10.65.250.1-10.65.250.100
  models:
    - {{name: capitals, model: capitals-gpt, replicas: 8, gpus: 1, profiles: [r760xa]}}
"""
CONTROL = """\
    profile: r660
    units: [20]
    service_tag: 1RW000{n}
    bmc: {{address: 10.67.0.1{n}, mac: "b0:7b:25:00:00:{n}0"}}
    addresses: {{management: 10.64.0.1{n}, external: 10.65.0.1{n}, storage: 10.66.0.1{n}, oob: 10.67.0.2{n}}}
    ports:
      lom1: {{mac: "b0:7b:25:01:00:{n}0"}}
      ocp1: {{mac: "b8:3f:d2:00:00:{n}0", switch: "leaf-{{rack}}a", port: ethernet1/1/1}}
      ocp2: {{mac: "b8:3f:d2:01:00:{n}0", switch: "leaf-{{rack}}b", port: ethernet1/1/1}}
"""


def in_ranges(folder: Path, gpu_servers: int) -> Path:
    """A site of so many R760xas (a multiple of ten) and three R660s, in ranges."""
    assert gpu_servers % IN_RACK == 0
    text = SITE.format(
        racks=gpu_servers // IN_RACK,
        count=gpu_servers,
        control=CONTROL.format(n=1),
        control_others=CONTROL.format(n=2),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "site.yml").write_text(text, encoding="utf-8")
    return folder / "site.yml"


def written_out(folder: Path, ranges: Path) -> Path:
    """The site of ``ranges`` with every machine stated by itself."""
    intent, findings = load_intent(ranges)
    assert not findings, findings[0]
    data = {key: value for key, value in intent.document.data.items() if key not in TARGETS}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "site.yml"
    # An alias for every list that two servers share is nobody's way of writing.
    dumper = type("Plain", (yaml.CSafeDumper,), {"ignore_aliases": lambda self, data: True})
    path.write_text(yaml.dump(data, Dumper=dumper, sort_keys=False, width=200), encoding="utf-8")
    return path


def with_group_vars(site: Path) -> Path:
    """The site with an option set for all hosts, so that Ansible has to say who gets it."""
    folder = site.parent / "group_vars"
    folder.mkdir(exist_ok=True)
    (folder / "all.yml").write_text("baseline_swap: true\n", encoding="utf-8")
    return site
