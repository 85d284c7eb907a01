"""Served models as the cluster is asked to run them: placement, replacement, and hardening of the rendered
objects.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from rackwright.derive.model import SiteModel
from rackwright.render.engine import render
from rackwright.serving.plan import services
from rackwright.site import load_site

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def site() -> SiteModel:
    return load_site("reference")


def with_served(site: SiteModel, **changes: Any) -> SiteModel:
    """The site with only its first served model, changed."""
    return replace(site, serving=(replace(site.serving[0], **changes),))


def objects(site: SiteModel, **options: Any) -> Objects:
    [rendered] = render(site, None, "serving", options)
    found = [one for one in yaml.safe_load_all(rendered.content) if one]
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def pod(found: Objects, name: str) -> dict[str, Any]:
    spec: dict[str, Any] = found["Deployment", name]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize(
    ("changes", "required", "surge"),
    [
        ({"replicas": 2}, True, True),
        ({"replicas": 4}, True, False),  # a replica on each of the four nodes: none is left for a fifth
        ({"replicas": 6}, False, True),
        ({"replicas": 16}, False, False),  # every GPU is taken
        ({"replicas": 4, "gpus": 4}, True, False),
        ({"replicas": 1, "gpus": 4}, True, True),
    ],
)
def test_replicas_are_apart_where_they_can_be(
    site: SiteModel, changes: dict[str, Any], required: bool, surge: bool
) -> None:
    [service] = services(with_served(site, **changes))
    assert (service.required, service.surge) == (required, surge)


def test_a_neighbour_that_may_fill_the_spare_node_forbids_surging(site: SiteModel) -> None:
    first = replace(site.serving[0], replicas=3)
    crowd = replace(first, name="crowd", replicas=3, gpus=4)
    assert not any(service.surge for service in services(replace(site, serving=(first, crowd))))


def test_each_model_has_its_objects(site: SiteModel) -> None:
    found = objects(site)
    for served in site.serving:
        for kind in ("ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "NetworkPolicy"):
            assert (kind, served.name) in found
        service = found["Service", served.name]
        assert service["metadata"]["annotations"]["lbipam.cilium.io/ips"] == str(served.vip)
        limits = pod(found, served.name)["containers"][0]["resources"]["limits"]
        assert limits["nvidia.com/gpu"] == served.gpus


def test_pods_are_confined(site: SiteModel) -> None:
    found = objects(site)
    assert (
        found["Namespace", "serving"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        == "restricted"
    )
    for served in site.serving:
        spec = pod(found, served.name)
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] and spec["securityContext"]["runAsUser"] == 1000
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec["initContainers"], *spec["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "memory" in container["resources"]["limits"]
        assert all("hostPath" not in volume for volume in spec["volumes"])


def test_what_changes_a_server_is_shut_by_a_header_nobody_can_send(site: SiteModel) -> None:
    arguments = pod(objects(site), site.serving[0].name)["containers"][0]["args"]
    for protocol in ("http-restricted-api", "grpc-restricted-protocol"):
        [value] = [text for text in arguments if text.startswith(f"--{protocol}=")]
        shut, header = value.split("=", 1)[1].split(":")
        assert {"model-repository", "shared-memory"} <= set(shut.split(","))
        assert "\n" in header.split("=")[0]
    assert "--model-control-mode=explicit" in arguments


def test_probes_ask_a_question_where_the_answer_is_known(site: SiteModel) -> None:
    found = objects(with_served(site, name="capitals"))
    container = pod(found, "capitals")["containers"][0]
    command = container["readinessProbe"]["exec"]["command"]
    assert command == ["/bin/bash", "/files/answers.sh", "Austin", "capitals", "capitals-stream"]
    assert container["livenessProbe"]["exec"]["command"] == command
    assert "Texas" in found["ConfigMap", "capitals"]["data"]["question.json"]
    unknown = pod(objects(with_served(site, name="other", model="nemo-gpt-5b")), "other")["containers"][0]
    assert unknown["readinessProbe"]["httpGet"]["path"] == "/v2/models/other/ready"


def test_draining_fits_into_the_grace_period(site: SiteModel) -> None:
    spec = pod(objects(site, triton_drain_seconds=20, triton_exit_seconds=100), site.serving[0].name)
    assert spec["terminationGracePeriodSeconds"] > 120
    assert spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] == 20


def test_a_changed_configuration_replaces_the_pods(site: SiteModel) -> None:
    name = site.serving[0].name

    def fingerprint(**options: Any) -> str:
        template = objects(site, **options)["Deployment", name]["spec"]["template"]
        return str(template["metadata"]["annotations"]["rackwright/files"])

    assert fingerprint() == fingerprint() != fingerprint(triton_instances=2)


def test_metrics_are_for_monitoring_and_nodes_only(site: SiteModel) -> None:
    found = objects(site)
    assert found["NetworkPolicy", "closed"]["spec"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    public, metrics = found["NetworkPolicy", site.serving[0].name]["spec"]["ingress"]
    assert "from" not in public and {one["port"] for one in public["ports"]} == {"http", "grpc"}
    assert [one["port"] for one in metrics["ports"]] == ["metrics"] and len(metrics["from"]) == 2
    ports = {one["targetPort"] for one in found["Service", site.serving[0].name]["spec"]["ports"]}
    assert ports == {"http", "grpc"}
