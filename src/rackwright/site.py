"""A site from its file to its model: the one entrance for everything that works on a site."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rackwright import catalog
from rackwright.derive.model import Node, SiteModel, Waived, plain
from rackwright.derive.site import derive
from rackwright.errors import Finding, SiteError, UsageError
from rackwright.intent.load import load_intent, site_files
from rackwright.intent.own_catalogue import catalogue_files
from rackwright.intent.ranges import gathered
from rackwright.paths import checkout
from rackwright.rules.engine import check

FILE = "site.yml"


def resolve_site(site: str | Path) -> Path:
    """The site file that ``site`` means: a file, a directory with a site.yml, or a name under the checkout's inventories/.

    Raises UsageError where there is none.
    """
    inventories = checkout() / "inventories"
    known = sorted(path.parent.name for path in inventories.glob(f"*/{FILE}"))
    for candidate in (Path(site), checkout() / site, inventories / site):
        if candidate.is_file():
            return candidate
        if (candidate / FILE).is_file():
            return candidate / FILE
    hint = f"name one of {inventories}: {', '.join(known)}; or give the path of a {FILE}"
    # Names are those of the checkout that the command was installed from, not of the one that the user stands in.
    here = Path("inventories") / site
    if (here / FILE).is_file():
        hint = f"give its path, {here}: bare names are those of {inventories}"
    raise UsageError(
        f"no site at '{site}': neither here nor in {inventories} is it a {FILE} or a folder with one", hint
    )


def validate(site: str | Path) -> tuple[SiteModel | None, list[Finding]]:
    """The model (None where there are errors) and all findings, warnings too, in the order of the file.

    Warnings that the site waives are not among them, but in the model.
    """
    with _collector_paused():
        return _validate(resolve_site(site))


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the search for cycles: of a large site's millions of objects none goes, and each search sees all."""
    paused = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if paused:
            gc.enable()


def _validate(path: Path) -> tuple[SiteModel | None, list[Finding]]:
    intent, findings = load_intent(path)
    checked = check(intent)
    findings = sorted(
        gathered(intent.document, [*findings, *checked.findings]),
        key=lambda f: (f.file, f.line, f.column, f.rule, f.message),
    )
    # Without errors of grammar the whole file has parsed.
    if intent.file is None or any(finding.severity == "error" for finding in findings):
        return None, findings
    waived = tuple(
        Waived(one.finding.rule, one.finding.path, one.finding.message, one.reason) for one in checked.waived
    )
    model = derive(intent.file, str(path.resolve()), intent.catalogue)
    return dataclasses.replace(model, waived=waived), findings


def load_site(site: str | Path) -> SiteModel:
    """The model of a site. Raises SiteError with all its errors, UsageError where there is no site.

    Read once per process and state of the files: what forks (Ansible's workers) inherits the model.
    """
    path = resolve_site(site)
    return _load(path, _state(path))


def _state(path: Path) -> tuple[tuple[str, int, int], ...]:
    """What tells whether the site's files have changed: names, times in ns, sizes."""
    stats = ((file, file.stat()) for file in (*site_files(path), *catalogue_files(path)))
    return tuple((str(file.resolve()), stat.st_mtime_ns, stat.st_size) for file, stat in stats)


@functools.lru_cache(maxsize=8)
def _load(path: Path, state: tuple[tuple[str, int, int], ...]) -> SiteModel:
    model, findings = validate(path)
    if model is None:
        raise SiteError([finding for finding in findings if finding.severity == "error"])
    return model


def host_groups(model: SiteModel) -> dict[str, list[str]]:
    """Ansible's groups and the names of their hosts: by role, Kubernetes, profile and rack."""
    groups: dict[str, list[str]] = {"head": [], "control_plane": [], "gpu_worker": [], "kubernetes": []}
    for node in model.nodes:
        kubernetes = ["kubernetes"] if node.is_kubernetes else []
        names = [*sorted(node.roles), *kubernetes, f"profile_{node.profile}", f"rack_{node.rack}"]
        for name in names:
            groups.setdefault(re.sub(r"[^A-Za-z0-9_]", "_", name), []).append(node.name)
    return groups


def site_variables(model: SiteModel) -> dict[str, Any]:
    """Ansible's variables of the whole site, in group ``all``, where ``group_vars/all`` may change them."""
    return {
        "ansible_user": model.access.user,
        "ansible_python_interpreter": "/usr/bin/python3",
        # Measured in the lab: without it files reach the nodes five times as fast.
        "mitogen_ssh_compression": False,
        "rackwright_site": model.path,
        "rackwright_site_name": model.name,
        "rackwright_domain": model.domain,
        "rackwright_timezone": model.timezone,
        "rackwright_distribution": catalog.distributions()[model.distribution].model_dump(mode="json"),
        "rackwright_release": model.release,
        "rackwright_versions": dict(model.versions),
        "rackwright_networks": plain(model.networks),
        "rackwright_api": {"vip": str(model.api_vip), "port": model.api_port, "fqdn": model.api_fqdn},
        "rackwright_mirror": model.mirror_fqdn,
        "rackwright_registry": model.registry,
        "rackwright_serving": plain(model.serving),
    }


def host_variables(model: SiteModel, node: Node) -> dict[str, Any]:
    """Ansible's variables of one host."""
    return {"ansible_host": str(node.address), "rackwright_node": node.to_dict()}
