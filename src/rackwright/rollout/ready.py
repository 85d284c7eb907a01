"""Whether a valid site can be rolled out: a site may be planned with more than can be installed yet."""

from __future__ import annotations

from pathlib import Path

from rackwright.derive.model import SiteModel
from rackwright.errors import UsageError
from rackwright.site import load_site


def load_ready_site(site: Path) -> SiteModel:
    """The model of a site that can be rolled out.

    Raises SiteError where it isn't valid, UsageError where it can be planned only.
    """
    model = load_site(site)
    if len(model.heads) > 1:
        names = " and ".join(node.name for node in model.heads)
        raise UsageError(
            f"{model.name} can't be rolled out: it has two heads, {names}, and their take-over isn't built yet",
            "validate, render, book and size work; to roll out, keep the role head on one server",
        )
    missing = sorted({served.model for served in model.serving if not served.facts.shipped})
    if missing:
        raise UsageError(
            f"{model.name} can't be rolled out: the weights of {', '.join(missing)} aren't in the bundle",
            "validate, render, book and size work; to roll out, serve models that the bundle carries",
        )
    return model
