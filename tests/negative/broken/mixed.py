"""Servers of one profile with different GPUs, and what is said of the models on them."""

from __future__ import annotations

from broken.base import Mutation, many, one
from broken.cluster import CAPITALS, L40, L40_AT, XE8640
from broken.sites import own_server

MIXED = (L40_AT, L40)
AT_ANY = {"gpus-mixed": "which of the two kinds isn't said"}


MUTATIONS: tuple[Mutation, ...] = (
    many("gpus-of-a-profile-mixed", "gpus-mixed", MIXED, (CAPITALS, CAPITALS.replace("[r", "[§r"))),
    many(
        "mixed-replica-of-three",
        "tensor-parallel",
        MIXED,
        (CAPITALS, CAPITALS.replace("gpus: 1", "gpus: §3")),
    ).but(AT_ANY),
    many(
        "mixed-replica-of-two",
        "replica-linked",
        MIXED,
        (CAPITALS, CAPITALS.replace("gpus: 1", "gpus: 2").replace("[r", "[§r")),
    ).but(AT_ANY),
    many(
        "mixed-more-replicas-than-of-the-gpu",
        "gpus-suffice",
        MIXED,
        (CAPITALS, CAPITALS.replace("replicas: 2", "replicas: §5") + ", gpu: l40"),
    ),
    many(
        "mixed-together-too-many",
        "gpus-together",
        MIXED,
        (CAPITALS, CAPITALS.replace("replicas: 2", "replicas: 4") + ", gpu: l40"),
        (
            XE8640,
            XE8640.replace("gpus: 4, profiles: [xe8640]", "gpus: 1, profiles: [r760xa], gpu: l40").replace(
                "replicas: 1", "replicas: §1"
            ),
        ),
    ),
    one("gpu-not-in-the-catalogue", "unknown-gpu", CAPITALS, CAPITALS + ", gpu: §h100-pci"),
    one("gpu-meant-as-gpus", "unknown-gpu", CAPITALS, CAPITALS.replace("gpus: 1", "gpu: §1")),
    one("gpu-of-no-worker", "gpu-not-there", CAPITALS, CAPITALS + ", gpu: §l40"),
    one(
        "model-with-unknown-field",
        "unknown-field",
        XE8640,
        XE8640.replace("gpus: 4", "colour: red, gpus: 3").replace("colour", "§colour"),
    ).but({"tensor-parallel": "the field hides nothing else of the model"}),
    one(
        "service-tag-of-the-sizing",
        "service-tag-placeholder",
        "service_tag: 2VK3CL4",
        "service_tag: §PLH0012",
    ),
    Mutation(
        "own-server-with-a-fault",
        "unknown-field",
        (("    profile: xe8640", "    profile: xe8640-own"),),
        files={"catalog/servers.yml": own_server("xe8640", "xe8640-own") + "  §colour: red\n"},
    ),
)
