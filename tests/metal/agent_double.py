"""The agent of a host, as Ironic sees it: what ironic-python-agent 11.2 says and answers, and nothing behind it.

It inspects, looks itself up, beats its heart and does Ironic's commands, over verified TLS. Images are really fetched
and their digests compared. Errors come in the agent's own words (its ``errors.py`` and ``extensions/standby.py``).
"""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
import sys
import threading
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "unit" / "metal"))
import found_hardware

if TYPE_CHECKING:
    from host_double import Host

PORT = 9999
BEAT = 3.0
ALONE = {"priority": 0, "interface": "deploy", "reboot_requested": False, "abortable": True}
CLEAN_STEPS = [{**ALONE, "step": "erase_devices"}, {**ALONE, "step": "erase_devices_metadata"}]
DEPLOY_STEPS = [{**ALONE, "step": "write_image"}]
VERSION = {"generic_hardware_manager": "1.2"}


@dataclass
class AgentSettings:
    """What is wrong: ``fails``: command or step → its error (class and details); ``dies_in``: a command or step with
    which it falls silent for ever; ``disk_bytes``: the system disk's size.
    """

    fails: Mapping[str, tuple[str, str]] | None = None
    dies_in: str = ""
    disk_bytes: int = 1 << 40


class AgentError(Exception):
    """An error of the agent: the name of its class, and the details."""

    def __init__(self, kind: str, details: str) -> None:
        super().__init__(details)
        self.kind = kind

    def body(self) -> dict[str, Any]:
        return {"type": self.kind, "code": 500, "message": "Command execution failed", "details": str(self)}


class Agent:
    """One start of the ramdisk."""

    def __init__(
        self,
        host: Host,
        parameters: Mapping[str, str],
        certificate: Path,
        authority: Path,
    ) -> None:
        self.host, self.parameters = host, parameters
        self._certificate = certificate.read_text().partition("-----BEGIN PRIVATE")[0]
        self._trust = ssl.create_default_context(cafile=str(authority))
        self._over, self._beat = threading.Event(), threading.Event()
        self._uuid = self._token = ""
        self._commands: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        agent = self

        class Handler(_Handler):
            owner = agent

        self._server = ThreadingHTTPServer((host.address, PORT), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True
        ).start()
        threading.Thread(target=self._live, daemon=True, name=f"agent-{host.node.name}").start()

    def close(self) -> None:
        """The host is off."""
        self._over.set()
        self._beat.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def settings(self) -> AgentSettings:
        """What is wrong with it at this moment."""
        return self.host.behaviour.agent

    # --- towards Ironic

    def _live(self) -> None:
        callback = self.parameters.get("ipa-inspection-callback-url")
        if callback:
            found = found_hardware.agent(self.host.node)
            self._until(
                lambda: self._ask("POST", callback, {"inventory": found["inventory"], **found["plugin_data"]})
            )
        macs = ",".join(one.mac for one in self.host.node.interfaces if one.kind == "physical")
        query = urllib.parse.urlencode({"addresses": macs})
        said = self._until(lambda: self._ask("GET", f"{self._api}/v1/lookup?{query}"))
        if said is None:
            return
        self._uuid, self._token = said["node"]["uuid"], str(said["config"].get("agent_token") or "")
        self.host.tokens.append(self._token)
        while not self._over.is_set():
            beat = {
                "callback_url": f"https://{self.host.address}:{PORT}", "agent_token": self._token,
                "agent_version": "11.2.0", "agent_verify_ca": self._certificate,
            }  # fmt: skip
            self._ask("POST", f"{self._api}/v1/heartbeat/{self._uuid}", beat)
            self._beat.wait(BEAT)
            self._beat.clear()

    @property
    def _api(self) -> str:
        return self.parameters["ipa-api-url"].rstrip("/")

    def _until(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer, or the host is off."""
        while not self._over.is_set():
            said = ask()
            if said is not None:
                return said
            self._over.wait(1)
        return None

    def _ask(self, method: str, url: str, body: Any = None) -> dict[str, Any] | None:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if "inspection" not in url:
            headers["X-OpenStack-Ironic-API-Version"] = "1.68"
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60, context=self._trust) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")  # type: ignore[no-any-return]
        except (OSError, ValueError, http.client.HTTPException):
            return None

    # --- Ironic's commands

    def allowed(self, token: str) -> bool:
        """Whether it is Ironic who asks."""
        return bool(self._token) and token == self._token

    def listed(self) -> list[dict[str, Any]]:
        """All commands since the start."""
        with self._lock:
            return [dict(one) for one in self._commands]

    def execute(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a command; steps of cleaning and deployment go on behind the answer."""
        short = name.partition(".")[2]
        command: dict[str, Any] = {
            "id": str(uuid.uuid4()), "command_name": short, "command_status": "RUNNING", "command_error": None,
            "command_result": None, "command_params": {},
        }  # fmt: skip
        with self._lock:
            self._commands.append(command)
        if short.startswith("execute_") or short == "install_bootloader":
            threading.Thread(target=self._run, args=(command, params), daemon=True).start()
        else:
            self._run(command, params)
        return dict(command)

    def _run(self, command: dict[str, Any], params: Mapping[str, Any]) -> None:
        name = command["command_name"]
        step = params.get("step") or {}
        what = str(step.get("step") or name)
        if self.settings.dies_in == what:
            self._over.set()
            return
        result: Any = None
        try:
            fails = (self.settings.fails or {}).get(what)
            if fails:
                raise AgentError(*fails)
            if what == "write_image":
                self._write(step["args"])
            if name == "power_off":
                threading.Timer(0.3, self.host.switch_off).start()
            kind = name.split("_")[1] if name.startswith("execute_") else ""
            result = {
                "get_clean_steps": {"clean_steps": {"Generic": CLEAN_STEPS}, "hardware_manager_version": VERSION},
                "get_deploy_steps": {"deploy_steps": {"Generic": DEPLOY_STEPS}, "hardware_manager_version": VERSION},
                "get_service_steps": {"service_steps": {}, "hardware_manager_version": VERSION},
                "collect_system_logs": {"system_logs": "bG9n"},
            }.get(name, {f"{kind}_result": None, f"{kind}_step": step} if kind else {})  # fmt: skip
        except AgentError as error:
            command.update(command_status="FAILED", command_error=error.body())
        else:
            command.update(command_status="SUCCEEDED", command_result=result)
        self._beat.set()

    def _write(self, args: Mapping[str, Any]) -> None:
        """Fetch the image and compare its digest; the config drive is kept with it."""
        image = args["image_info"]

        def failed(text: str) -> AgentError:
            return AgentError("ImageDownloadError", f"Download of image {image['id']} failed: {text}")

        status, data = self.host.fetch(image["urls"][0])
        if status != 200:
            raise failed(
                f"Received status code {status} from {image['urls'][0]}, expected 200. Response body: "
            )
        if len(data) > self.settings.disk_bytes:
            raise failed(
                "Unable to write image to device /dev/nvme0n1. Error: [Errno 28] No space left on device"
            )
        digest = hashlib.sha256(data)
        if digest.hexdigest() != image["os_hash_value"]:
            raise AgentError(
                "ImageChecksumError",
                f"Image failed to verify against checksum. location: {image['id']}; image ID: /dev/nvme0n1; image "
                f"checksum: {image['os_hash_value']}; verification checksum: {digest.hexdigest()}",
            )
        self.host.disk = {"image": digest.hexdigest(), "configdrive": args.get("configdrive") or ""}


class _Handler(BaseHTTPRequestHandler):
    """The agent's own API."""

    owner: Agent
    timeout = 30

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on the console."""

    def _answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _known(self) -> bool:
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        if self.owner.allowed(query.get("agent_token", [""])[0]):
            return True
        self._answer(401, {"faultcode": "Client", "faultstring": "Token invalid."})
        return False

    def do_GET(self) -> None:
        if self._known():
            self._answer(200, {"commands": self.owner.listed()})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self._known():
            self._answer(200, self.owner.execute(body["name"], body["params"]))
