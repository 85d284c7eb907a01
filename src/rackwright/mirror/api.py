"""What the rest of Rackwright uses of the bundle builder."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from rackwright.mirror.engine import Engine, Progress, build_lock, say
from rackwright.mirror.gobuild import trim_build_cache
from rackwright.mirror.lock import Lock, Problem
from rackwright.mirror.lock import read_lock as _read_lock
from rackwright.mirror.lock import verify as _verify
from rackwright.mirror.parts import assemble
from rackwright.mirror.plan import make_plan
from rackwright.mirror.release import DEFAULT, read_release
from rackwright.mirror.signing import SigningKey
from rackwright.mirror.step import step_keys
from rackwright.paths import cache_dir, checkout

#: Results that no build has used for so many days are removed.
KEEP_DAYS = 7.0


def bundle_path(release: str = DEFAULT) -> Path:
    """Where a release's bundle lies unless the user says otherwise."""
    return cache_dir() / "bundles" / release


def build_bundle(
    release: str = DEFAULT,
    output: Path | None = None,
    progress: Progress | None = None,
    refresh: bool = False,
    repair: bool = False,
    extra_images: Collection[str] = (),
) -> Path:
    """Build a release's bundle, or bring it up to date; returns its directory.

    ``refresh`` fetches Debian's packages anew; ``repair`` checks every kept result first and remakes bad.
    ``extra_images`` names systems' images to hold besides the usual ones; see ``packaging/metal/images``.

    Raises:
        UsageError: no such release or image.
        RunFailure: a step failed, or another build is running.
    """
    tell = progress or say
    cache = cache_dir()
    target = output or bundle_path(release)
    with build_lock(cache):
        versions = read_release(release)
        plan = make_plan(versions, checkout() / "packaging", SigningKey(cache / "keys" / "apt"), extra_images)
        engine = Engine(cache, tell)
        keys = step_keys(plan.steps)
        for step in plan.steps:
            result = engine.store.path(keys[step.name])
            stale = refresh and step.name.startswith("debian-")
            if result.is_dir() and (stale or (repair and (bad := engine.store.damaged(keys[step.name])))):
                tell(f"{step.name}: " + ("fetched anew" if stale else f"made again, {bad[0]} was damaged"))
                shutil.rmtree(result)
        compiles = any(s.name.startswith("go-") and not engine.store.has(keys[s.name]) for s in plan.steps)
        results = engine.run(plan.steps)
        target.mkdir(parents=True, exist_ok=True)
        assemble([results[name] for name in plan.parts], versions.name, target)
        engine.store.prune(set(keys.values()), KEEP_DAYS)
        if compiles and trim_build_cache(cache):
            tell("Go's build cache had grown large and was emptied")
    return target


def verify_bundle(path: Path) -> list[Problem]:
    """Every difference between a bundle and its lock; an empty list when it is whole."""
    return _verify(path)


def read_lock(path: Path) -> Lock:
    """A bundle's lock."""
    return _read_lock(path)
