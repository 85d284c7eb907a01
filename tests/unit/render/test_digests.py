"""Large sites: a line for each artefact in place of its files, and tables that don't grow with the square."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from rackwright.cli.main import main
from rackwright.paths import checkout
from rackwright.render.engine import render
from rackwright.render.intended import DIGESTS
from rackwright.site import load_site

MINIMAL = checkout() / "inventories/minimal/site.yml"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A copy of the minimal site."""
    path = tmp_path / "site" / "site.yml"
    path.parent.mkdir()
    path.write_text(MINIMAL.read_text(encoding="utf-8"), encoding="utf-8")
    return path


def test_a_digest_is_that_of_the_list_of_files(site: Path, tmp_path: Path) -> None:
    """As a person would compute it: sha256sum of each file of an artefact, sorted by path."""
    assert main(["render", str(site), "--digests"]) == 0
    assert main(["render", str(site), "--output", str(tmp_path / "files")]) == 0
    lines = (site.parent / "intended" / DIGESTS).read_text(encoding="utf-8").splitlines()
    name, count, digest = next(line for line in lines if line.startswith("netplan ")).split()
    files = sorted((tmp_path / "files").glob("*/etc/netplan/*"))
    listing = "".join(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(tmp_path / 'files')}\n"
        for file in files
    )
    assert (name, int(count)) == ("netplan", len(files) or None)
    assert digest == hashlib.sha256(listing.encode()).hexdigest()
    total = sum(int(line.split()[1]) for line in lines if not line.startswith("#"))
    assert total == sum(path.is_file() for path in (tmp_path / "files").rglob("*"))


def test_where_digests_stand_they_are_kept_and_checked(
    site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["render", str(site), "--digests"])
    assert main(["render", str(site), "--check"]) == 0
    (site.parent / "group_vars").mkdir()
    (site.parent / "group_vars/all.yml").write_text("baseline_hosts_limit: 1\n", encoding="utf-8")
    capsys.readouterr()
    assert main(["render", str(site), "--check"]) == 1
    changed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("+") and " " in line]
    assert [line.split()[0] for line in changed[1:]] == ["+baseline"]
    assert main(["render", str(site)]) == 0
    assert [path.name for path in (site.parent / "intended").rglob("*")] == [DIGESTS]


def test_beyond_the_limit_a_node_knows_itself_and_what_dns_needs() -> None:
    model = load_site(MINIMAL)

    def names(node: str, limit: int) -> set[str]:
        files = render(model, node, "baseline", {"baseline_hosts_limit": limit})
        (text,) = [file.content for file in files if file.path == "/etc/hosts"]
        return {line.split()[-1] for line in text.splitlines() if line.endswith(("-1", "-2", "-3"))}

    everybody = {node.name for node in model.nodes}
    assert names("r660-2", len(everybody)) == everybody
    worker = model.gpu_workers[0].name
    control = {node.name for node in model.control_planes}
    assert names("r660-2", 1) == control
    assert names(worker, 1) == control | {worker}
