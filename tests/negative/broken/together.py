"""Several faults at once: all are reported in one run."""

from __future__ import annotations

from broken.base import Mutation

MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "many-errors-in-one-run",
        "bad-value",
        (
            ("domain: reference.example", "domain: §Reference"),
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
        also=dict.fromkeys(
            (
                "networks-overlap",
                "vlan-twice",
                "duplicate-address",
                "address-outside",
                "unknown-field",
                "wrong-type",
                "duplicate-mac",
                "unknown-value",
                "unknown-model",
            ),
            "one fault for each change",
        ),
    ),
)
