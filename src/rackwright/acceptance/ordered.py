"""The promise of a server of a site: what its site file orders."""

from __future__ import annotations

from pathlib import Path

from rackwright.acceptance.promise import Promise, of_profile
from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.intent.load import load_intent
from rackwright.site import load_site


def of_node(site: str, node: str) -> Promise:
    """The promise of a site's server. Raises UsageError when it isn't one with GPUs, SiteError for a bad site."""
    return promise_of(load_site(site), node)


def promise_of(model: SiteModel, node: str) -> Promise:
    """The promise of a server of a loaded site. Raises UsageError when it isn't one with GPUs."""
    workers = {one.name: one for one in model.gpu_workers}
    if node not in workers:
        raise UsageError(
            f"{node} is no GPU server of {model.name}", f"these are: {', '.join(sorted(workers))}"
        )
    found = workers[node]
    if found.gpus is None:
        raise UsageError(f"{node} has no GPUs in {model.name}", "see its `gpus` in the site file")
    catalogue = load_intent(Path(model.path))[0].catalogue
    return of_profile(catalogue, found.profile, found.gpus.key, found.gpus.count)
