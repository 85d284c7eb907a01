"""A client of a BMC that knows nothing of it but its address."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rackwright.lab.bmc import BmcServer

SYSTEM = "/redfish/v1/Systems/System.Embedded.1"
MANAGER = "/redfish/v1/Managers/iDRAC.Embedded.1"


@dataclass
class Answer:
    """Status, headers and JSON of an answer."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def message_id(self) -> str:
        """Of an error, the message's id without the registry's version."""
        return str(self.body["error"]["@Message.ExtendedInfo"][0]["MessageId"]).rsplit(".", 1)[-1]


class Client:
    """Asks with a user's name and password, or with a token; believes only ``trusted`` as certificate."""

    def __init__(self, url: str, user: str, password: str, trusted: str | None = None) -> None:
        self.url, self.user, self.password, self.token = url, user, password, ""
        if trusted:
            self.context = ssl.create_default_context(cafile=trusted)
            self.context.check_hostname = False
        else:
            self.context = ssl._create_unverified_context()  # noqa: S323

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        auth: bool = True,
    ) -> Answer:
        sent = {"Content-Type": "application/json", **(headers or {})}
        if auth and self.token:
            sent["X-Auth-Token"] = self.token
        elif auth:
            sent["Authorization"] = (
                "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            )
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, method=method, data=data, headers=sent)  # noqa: S310
        try:
            with urllib.request.urlopen(request, context=self.context, timeout=10) as response:  # noqa: S310
                raw, status, got = response.read(), response.status, dict(response.headers)
        except urllib.error.HTTPError as error:
            raw, status, got = error.read(), error.code, dict(error.headers)
        return Answer(status, got, json.loads(raw) if raw[:1] == b"{" else {"text": raw.decode()})


Make = Callable[..., tuple[BmcServer, Client]]
