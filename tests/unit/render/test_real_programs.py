"""The real programs accept what is rendered for every example site: netplan, dnsmasq, promtool, Triton's own schema."""

from __future__ import annotations

import dataclasses
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from rackwright import catalog
from rackwright.derive.model import Node, SiteModel
from rackwright.derive.site import derive_serving
from rackwright.intent import schema
from rackwright.paths import checkout
from rackwright.render import render
from rackwright.render.engine import render_text
from rackwright.render.options import role_defaults
from rackwright.render.site_documents import site_documents
from rackwright.serving.plan import services
from rackwright.site import load_site

SITES = sorted(path.parent.name for path in (checkout() / "inventories").glob("*/site.yml"))
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module", params=SITES)
def example(request: pytest.FixtureRequest) -> SiteModel:
    """Each example site."""
    return load_site(str(checkout() / "inventories" / request.param))


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=60, check=False)


def some(model: SiteModel) -> list[Node]:
    """All nodes; of a large site, one of each profile and set of roles."""
    if len(model.nodes) <= 20:
        return list(model.nodes)
    return list({(node.profile, node.roles): node for node in model.nodes}.values())


def generate(root: Path, text: str) -> subprocess.CompletedProcess[str]:
    """``netplan generate`` for a machine whose files lie under ``root``."""
    path = root / "etc/netplan/60-rackwright.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return run("netplan", "generate", "--root-dir", root)


def test_netplan_makes_every_interface_of_every_node(example: SiteModel, tmp_path: Path) -> None:
    for node in some(example):
        (file,) = render(example, node.name, "netplan", {})
        assert (file.path, file.mode) == ("/etc/netplan/60-rackwright.yaml", "0600")
        done = generate(tmp_path / node.name, file.content)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        made = tmp_path / node.name / "run/systemd/network"
        for interface in node.interfaces:
            text = (made / f"10-netplan-{interface.name}.network").read_text(encoding="utf-8")
            assert f"MTUBytes={interface.mtu}\n" in text
            if interface.address is not None:
                assert f"Address={interface.address}\n" in text
            if interface.kind == "bond":
                assert "Mode=802.3ad\n" in (made / f"10-netplan-{interface.name}.netdev").read_text()
            for member in interface.members:
                member_text = (made / f"10-netplan-{member}.network").read_text(encoding="utf-8")
                assert f"Bond={interface.name}\n" in member_text
        gateways = [
            line for path in made.iterdir() for line in path.read_text().splitlines() if "Gateway=" in line
        ]
        assert len(gateways) == 1


def test_netplan_is_asked_in_earnest(tmp_path: Path) -> None:
    (file,) = render(load_site("minimal"), "r660-1", "netplan", {})
    done = generate(tmp_path, file.content.replace("802.3ad", "802.3xy"))
    assert done.returncode != 0
    assert "802.3xy" in done.stderr


def test_dnsmasq_accepts_its_configuration(example: SiteModel, tmp_path: Path) -> None:
    for node in example.heads:
        (file,) = render(example, node.name, "dnsmasq", {})
        path = tmp_path / f"{node.name}.conf"
        path.write_text(file.content, encoding="utf-8")
        done = run("dnsmasq", "--test", f"--conf-file={path}")
        assert (done.returncode, done.stderr.strip()) == (0, "dnsmasq: syntax check OK.")


def test_promtool_accepts_configuration_and_targets(example: SiteModel, tmp_path: Path) -> None:
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    for name, text in site_documents(example, catalog.builtin()).items():
        if name.startswith("prometheus/"):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace(TOKEN, str(tmp_path)), encoding="utf-8")
    done = run("promtool", "check", "config", tmp_path / "prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "prometheus/targets/node.json").write_text("[{]", encoding="utf-8")
    assert run("promtool", "check", "config", tmp_path / "prometheus/prometheus.yml").returncode == 1


def configuration(model: SiteModel, name: str, gpus: int) -> model_config_pb2.ModelConfig:
    """Triton's configuration of a model of the catalogue on so many GPUs, read with Triton's own schema."""
    stated = schema.Serving.model_validate(
        {
            "vip_range": "10.0.0.1-10.0.0.9",
            "models": [{"name": "asked", "model": name, "gpus": gpus, "profiles": ["xe9680"]}],
        }
    )
    served = derive_serving(stated, catalog.builtin())
    assert served[0].vip == IPv4Address("10.0.0.1")
    (service,) = services(dataclasses.replace(model, serving=served))
    names = {**role_defaults("triton"), "service": service, "triton": service.models[0], "model": model}
    text = render_text("triton/config.pbtxt.j2", names)
    return text_format.Parse(text, model_config_pb2.ModelConfig())


@pytest.mark.parametrize("name", sorted(catalog.builtin().models))
def test_triton_s_schema_takes_every_model_of_the_catalogue(name: str) -> None:
    facts = catalog.builtin().models[name]
    found = configuration(load_site("minimal"), name, facts.min_gpus)
    assert found.name == "asked" and found.backend == "python"
    group = found.instance_group[0]
    if facts.shipped:
        return
    assert found.max_batch_size == (facts.load.concurrency if facts.load else 1)
    assert found.HasField("dynamic_batching") == (found.max_batch_size > 1)
    assert found.parameters["tensor_parallel"].string_value == str(facts.min_gpus)
    assert group.kind == (group.KIND_GPU if facts.min_gpus == 1 else group.KIND_MODEL)


def test_a_language_model_is_spread_and_an_image_model_is_copied() -> None:
    language = configuration(load_site("minimal"), "nemo-gpt-20b", 4)
    assert language.parameters["tensor_parallel"].string_value == "4"
    assert language.instance_group[0].count == 1
    images = configuration(load_site("minimal"), "stable-diffusion-2.0", 4)
    assert images.parameters["tensor_parallel"].string_value == "1"
    assert list(images.instance_group[0].gpus) == [0, 1, 2, 3]
