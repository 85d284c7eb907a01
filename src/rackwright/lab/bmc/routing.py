"""URIs and the functions that answer them; Redfish's rules for all of them: 404, 405, ETag, query parameters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from rackwright.lab.bmc.http import Json, Request, Response
from rackwright.lab.bmc.messages import BASE, RedfishError, not_found

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

Handler = Callable[..., "Json | Response"]
F = TypeVar("F", bound=Handler)

#: Actions and logins are POST; a resource that can be read answers HEAD too.
METHODS = ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS")


class Router:
    """Routes by URI template; ``{name}`` stands for one segment and is given to the handler by that name."""

    def __init__(self) -> None:
        self._fixed: dict[str, dict[str, Handler]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Handler]]] = []
        self._known: dict[str, dict[str, Handler]] = {}

    def on(self, method: str, template: str) -> Callable[[F], F]:
        """Decorator: the function answers ``method`` on ``template``."""

        def register(handler: F) -> F:
            table = self._known.get(template)
            if table is None:
                table = self._known[template] = {}
                if "{" in template:
                    pattern = "/".join(
                        f"(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else re.escape(part)
                        for part in template.split("/")
                    )
                    self._patterns.append((re.compile(pattern), table))
                else:
                    self._fixed[template] = table
            table[method] = handler
            return handler

        return register

    def find(self, path: str) -> tuple[dict[str, Handler], dict[str, str]]:
        """Handlers by method and the template's values; RedfishError 404 if no route has this path."""
        table = self._fixed.get(path)
        if table is not None:
            return table, {}
        for pattern, table in self._patterns:
            match = pattern.fullmatch(path)
            if match:
                return table, {k: unquote(v) for k, v in match.groupdict().items()}
        raise not_found(path)

    def call(self, bmc: Bmc, request: Request) -> Response:
        """The answer of the handler; RedfishError for a wrong path, method or precondition."""
        table, values = self.find(request.path)
        method = "GET" if request.method == "HEAD" else request.method
        handler = table.get(method)
        if handler is None:
            allow = ", ".join(allowed(table))
            if method == "OPTIONS":
                return Response(204, headers={"Allow": allow})
            raise RedfishError(405, f"{BASE}.OperationNotAllowed", headers={"Allow": allow})
        if method in ("PATCH", "PUT", "DELETE") and "GET" in table:
            self._precondition(bmc, request, table["GET"], values)
        answer = handler(bmc, request, **values)
        response = answer if isinstance(answer, Response) else Response(body=answer)
        if method == "GET" and response.status == 200 and isinstance(response.body, dict):
            body = response.body
            tag = etag(body)
            headers = {
                "ETag": tag,
                "Allow": ", ".join(allowed(table)),
                "Link": f"<{schema_of(body)}>; rel=describedby",
                **response.headers,
            }
            if request.headers.get("if-none-match") == tag:
                return Response(304, headers=headers)
            if request.path.startswith("/redfish/v1") and "@odata.id" in body:
                body = {**body, "@odata.etag": tag}
            return Response(response.status, query(self, bmc, request, body), headers)
        return response

    def _precondition(self, bmc: Bmc, request: Request, get: Handler, values: dict[str, str]) -> None:
        wanted = request.headers.get("if-match")
        if wanted in (None, "*"):
            return
        current = get(bmc, request, **values)
        tag = etag(current) if isinstance(current, dict) else ""
        if tag not in [t.strip() for t in str(wanted).split(",")]:
            raise RedfishError(412, f"{BASE}.PreconditionFailed")


ROUTER = Router()


def get(template: str) -> Callable[[F], F]:
    """Decorator: the function answers GET on ``template``."""
    return ROUTER.on("GET", template)


def post(template: str) -> Callable[[F], F]:
    """Decorator: the function answers POST on ``template``."""
    return ROUTER.on("POST", template)


def patch(template: str) -> Callable[[F], F]:
    """Decorator: the function answers PATCH on ``template``."""
    return ROUTER.on("PATCH", template)


def delete(template: str) -> Callable[[F], F]:
    """Decorator: the function answers DELETE on ``template``."""
    return ROUTER.on("DELETE", template)


def allowed(table: dict[str, Handler]) -> list[str]:
    """Methods of a resource, for the header Allow."""
    names = [m for m in METHODS if m in table]
    return ["GET", "HEAD", *names[1:]] if names[:1] == ["GET"] else names


def schema_of(body: Json) -> str:
    """Where the resource's JSON schema is published."""
    kind = str(body.get("@odata.type", "#ServiceRoot.ServiceRoot")).lstrip("#").rsplit(".", 1)[0]
    return f"https://redfish.dmtf.org/schemas/v1/{kind}.json"


def etag(body: Json) -> str:
    """The ETag of a resource: of what it says, but for the clock."""
    text = json.dumps({k: v for k, v in body.items() if k != "DateTime"}, sort_keys=True)
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:16]}"'


def query(router: Router, bmc: Bmc, request: Request, body: Json) -> Json:
    """The body as ``$expand``, ``$select``, ``$filter``, ``$top``, ``$skip`` and ``only`` want it.

    RedfishError 501 for another ``$`` parameter, 400 for a value that isn't understood.
    """
    asked = dict(request.query)
    for name in asked:
        if name.startswith("$") and name not in ("$expand", "$select", "$filter", "$top", "$skip"):
            raise RedfishError(501, f"{BASE}.QueryNotSupported")
    members = body.get("Members")
    if asked.get("only"):
        raise RedfishError(400, f"{BASE}.QueryParameterValueFormatError", asked["only"], "only")
    if "only" in asked and isinstance(members, list) and len(members) == 1:
        body = _read(router, bmc, request, members[0]["@odata.id"])
        members = None
    if isinstance(members, list):
        body = {**body, "Members": _members(router, bmc, request, asked, members)}
        if "$filter" in asked:
            body["Members@odata.count"] = len(body["Members"])
    if "$expand" in asked:
        if not re.fullmatch(r"[*.~](\(\$levels=\d+\))?|Members(\(\$levels=\d+\))?", asked["$expand"]):
            raise RedfishError(400, f"{BASE}.QueryParameterValueFormatError", asked["$expand"], "$expand")
        body = {
            k: _expanded(router, bmc, request, v) if k not in ("Links", "Actions", "@odata.id") else v
            for k, v in body.items()
        }
    if "$select" in asked:
        wanted = {part.strip().split("/")[0] for part in asked["$select"].split(",")}
        body = {k: v for k, v in body.items() if k in wanted or k.startswith("@odata")}
        attributes = {part.strip() for part in asked["$select"].split(",")}
        whole = _read(router, bmc, request, request.path).get("Attributes")
        if isinstance(whole, dict) and attributes & set(
            whole
        ):  # as iDRAC does: attributes by their own names
            body["Attributes"] = {k: whole[k] for k in attributes & set(whole)}
    return body


def _members(
    router: Router, bmc: Bmc, request: Request, asked: dict[str, str], members: list[Json]
) -> list[Json]:
    if "$filter" in asked:
        match = re.fullmatch(r"\s*(\w+)\s+eq\s+'([^']*)'\s*", asked["$filter"])
        if not match:
            raise RedfishError(400, f"{BASE}.QueryParameterValueFormatError", asked["$filter"], "$filter")
        key, value = match.groups()
        whole = [m if len(m) > 1 else _read(router, bmc, request, m["@odata.id"]) for m in members]
        members = [m for m in whole if str(m.get(key, "")) == value]
    for name in ("$skip", "$top"):
        if name in asked:
            if not asked[name].isdigit():
                raise RedfishError(400, f"{BASE}.QueryParameterValueFormatError", asked[name], name)
            count = int(asked[name])
            members = members[count:] if name == "$skip" else members[:count]
    return members


def _expanded(router: Router, bmc: Bmc, request: Request, value: object) -> object:
    if isinstance(value, dict) and set(value) == {"@odata.id"} and "#" not in value["@odata.id"]:
        return _read(router, bmc, request, value["@odata.id"])
    if isinstance(value, list):
        return [_expanded(router, bmc, request, v) for v in value]
    return value


def _read(router: Router, bmc: Bmc, request: Request, uri: str) -> Json:
    table, values = router.find(uri.rstrip("/"))
    answer = table["GET"](bmc, Request("GET", uri.rstrip("/"), account=request.account), **values)
    if isinstance(answer, dict):
        return {**answer, "@odata.etag": etag(answer)}
    return answer.body if isinstance(answer.body, dict) else {}
