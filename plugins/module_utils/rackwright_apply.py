"""Server-side apply over the API, with the server's own dry run as the judge of what would change."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.module_utils.rackwright_cluster import Api, ApiError, ClusterError

MANAGER = "rackwright"
APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Change:
    """What applying one object does: `before` and `after` as JSON text, empty where it does not exist."""

    label: str
    before: str
    after: str
    secret: bool

    def diff(self) -> dict[str, str]:
        """Return it in the form that `--diff` shows."""
        shown = {
            "before_header": self.label,
            "after_header": self.label,
            "before": self.before,
            "after": self.after,
        }
        if self.secret:
            shown.update(before="(secret)\n" if self.before else "", after="(secret, changed)\n")
        return shown


class UnservedError(Exception):
    """The API serves no such kind (its CustomResourceDefinition is not there), or no such namespace yet."""


class Applier:
    """Applies objects as field manager `rackwright`."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._resources: dict[str, dict[str, Any]] = {}

    def path(self, wanted: Mapping[str, Any]) -> str:
        """Return an object's path. Raises UnservedError when the API does not know its kind."""
        version, kind, meta = wanted["apiVersion"], wanted["kind"], wanted["metadata"]
        base = f"/api/{version}" if "/" not in version else f"/apis/{version}"
        if kind not in self._resources.get(base, {}):
            found = self.api.get(base) or {"resources": []}
            self._resources[base] = {one["kind"]: one for one in found["resources"] if "/" not in one["name"]}
        resource = self._resources[base].get(kind)
        if resource is None:
            raise UnservedError(f"the API serves no {kind} of {version}")
        middle = f"/namespaces/{meta.get('namespace', 'default')}" if resource["namespaced"] else ""
        return f"{base}{middle}/{resource['name']}/{meta['name']}"

    def preview(self, wanted: Mapping[str, Any]) -> Change | None:
        """Return what applying would change; None where nothing would."""
        label = _label(wanted)
        secret = wanted["kind"] == "Secret"
        try:
            path = self.path(wanted)
            before = self.api.get(path)
            after = self._patch(path, wanted, dry=True)
        except UnservedError:
            return Change(label, "", _text(wanted), secret)
        if before is not None and _own(before) == _own(after):
            return None
        return Change(label, _text(_own(before)) if before else "", _text(_own(after)), secret)

    def apply(self, wanted: Mapping[str, Any], patience: float) -> None:
        """Apply, retrying for `patience` seconds while its kind, namespace or webhook is not there yet."""
        until = time.monotonic() + patience
        while True:
            try:
                self._patch(self.path(wanted), wanted, dry=False)
                return
            except (UnservedError, ApiError) as error:
                if time.monotonic() > until:
                    raise ClusterError(
                        f"Applying {_label(wanted)}",
                        self.api.server,
                        str(error),
                        "what makes this kind known (an operator, a CustomResourceDefinition) is not running"
                        if isinstance(error, UnservedError)
                        else "the API refuses the object",
                        "kubectl api-resources; kubectl get pods -A",
                    ) from error
            time.sleep(1)

    def _patch(self, path: str, wanted: Mapping[str, Any], dry: bool) -> dict[str, Any]:
        query = f"?fieldManager={MANAGER}&force=true" + ("&dryRun=All" if dry else "")
        status, answer = self.api.ask("PATCH", path + query, wanted, APPLY)
        if status in (200, 201):
            return dict(answer)
        message = answer.get("message", "") if isinstance(answer, dict) else str(answer)
        if status == 404:
            raise UnservedError(message)
        raise ApiError(f"{_label(wanted)}: {status} {message}")


def _label(wanted: Mapping[str, Any]) -> str:
    meta = wanted["metadata"]
    return f"{wanted['kind']} {meta.get('namespace', '')}/{meta['name']}".replace(" /", " ")


def _own(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object without what the server keeps for itself."""
    kept = {key: value for key, value in found.items() if key != "status"}
    kept["metadata"] = {
        key: value
        for key, value in found["metadata"].items()
        if key not in ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")
    }
    return kept


def _text(found: Mapping[str, Any]) -> str:
    return json.dumps(found, indent=2, sort_keys=True) + "\n"
