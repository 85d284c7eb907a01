"""Rules of versions: a release that is there, ran as a whole, and is still mended by its makers."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from rackwright import catalog
from rackwright.intent.explain import did_you_mean
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

VERSIONS = "table 9"


def today() -> datetime.date:
    """The day against which ends of life are held."""
    return datetime.date.today()


def _release(facts: Facts) -> catalog.Release | None:
    """The site's release, where it may be installed."""
    if facts.site is None:
        return None
    release = catalog.releases().get(facts.site.release)
    return release if release is not None and release.status == "current" else None


def _distribution(facts: Facts) -> catalog.Distribution | None:
    return catalog.distributions().get(facts.site.distribution) if facts.site is not None else None


class UnknownRelease(Rule):
    id = "unknown-release"
    what = "The release is in the catalogue."
    why = "Only versions that were tested together are installed."
    mend = "Take the current release."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.site is not None and facts.site.release not in catalog.releases():
            name = facts.site.release
            hint = did_you_mean(name, catalog.releases())
            yield Fault(("site", "release"), f"there is no release '{name}'", hint)


class ReleaseEnded(Rule):
    id = "release-ended"
    what = "The release is not at its end of life."
    why = "Its makers mend it no more: not even a hole that is known to everyone."
    mend = "Take the current release."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        releases = catalog.releases()
        release = releases.get(facts.site.release) if facts.site is not None else None
        if release is not None and release.status != "current":
            current = sorted(key for key, one in releases.items() if one.status == "current")
            message = f"release {release.release} is '{release.status}' and no longer for new sites"
            yield Fault(("site", "release"), message, f"current: {', '.join(current)}")


class ComponentEnded(Rule):
    id = "component-ended"
    severity = "warning"
    what = "Each component of the release is still mended by its makers."
    why = "A hole that is found in it stays open."
    mend = "Move to a newer release."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        release = _release(facts)
        systems = {distribution.id for distribution in catalog.distributions().values()}
        for name, end in release.ended(today()).items() if release is not None else ():
            if release is not None and name not in systems:
                message = f"{name} {release.versions[name]} of release {release.release} is mended no more since {end}"
                yield Fault(("site", "release"), message, "move to a newer release")


class UnknownDistribution(Rule):
    id = "unknown-distribution"
    what = "The nodes' operating system is in the catalogue."
    why = "Names of packages, services and files come from there."
    mend = "Take a key of catalog/distributions.yml."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.site is not None and facts.site.distribution not in catalog.distributions():
            name = facts.site.distribution
            hint = did_you_mean(name, catalog.distributions())
            yield Fault(("site", "distribution"), f"the roles don't know the distribution '{name}'", hint)


class DistributionEnded(Rule):
    id = "distribution-ended"
    severity = "warning"
    what = "The nodes' operating system is still mended by its makers."
    why = "A hole that is found in it stays open."
    mend = "Take a newer one."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        distribution = _distribution(facts)
        if distribution is not None and distribution.end_of_life < today():
            message = f"{distribution.product} is mended no more since {distribution.end_of_life}"
            yield Fault(("site", "distribution"), message, "take a newer one of catalog/distributions.yml")


class ReleaseCombination(Rule):
    id = "release-combination"
    severity = "warning"
    what = "Kubernetes, GPU operator, driver, Triton and the operating system ran together in a test."
    why = "Each of them works by itself; what fails at a customer's is the combination."
    mend = "Take the operating system that the release was tested with: nobody has rolled out another combination yet."
    source = VERSIONS

    def check(self, facts: Facts) -> Iterator[Fault]:
        release, system = _release(facts), _distribution(facts)
        if release is None or system is None:
            return
        known = {distribution.id for distribution in catalog.distributions().values()}
        here = {name: version for name, version in release.versions.items() if name not in known}
        here[system.id] = system.version
        differing = [
            {name: version for name, version in tested.versions.items() if here.get(name) != version}
            for tested in release.tested_together
        ]
        if {} in differing:
            return
        tested = min(differing, key=len, default={})
        ran = ", ".join(f"{name} {version}" for name, version in tested.items()) or "nothing"
        message = f"release {release.release} was not tested with {system.product}"
        if tested.keys() - known:
            message = f"release {release.release} on {system.product} is no combination that was tested"
        images = ""
        if tested.keys() & known and facts.site is not None:
            name = facts.site.distribution
            images = f"images of {name} come by 'rackwright bundle build --image {name}'; "
        hint = f"tested: {ran}; {images}nobody has rolled this combination out yet"
        yield Fault(("site", "distribution"), message, hint)


RULES: tuple[type[Rule], ...] = (
    UnknownRelease,
    ReleaseEnded,
    ComponentEnded,
    UnknownDistribution,
    DistributionEnded,
    ReleaseCombination,
)
