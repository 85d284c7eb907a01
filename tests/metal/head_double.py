"""The head node: the real Ironic under the role's own configuration, with what stands around it there.

Its files are rendered and its secrets and certificates made by the role's own modules. In nginx's place are a proxy
with TLS and a file server that writes nginx's log; dnsmasq's lines are written by the hosts.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rackwright.derive.model import SiteModel
from rackwright.metal.ironic import Ironic, IronicError
from rackwright.paths import cache_dir, checkout
from rackwright.render import render
from rackwright.render.options import role_defaults

CONFIGURATION, LOG = Path("/etc/rackwright/ironic"), Path("/var/log/ironic/ironic.log")
BOOT, FILES = Path("/srv/rackwright/boot"), Path("/srv/rackwright/metal")
ACCESS, JOURNAL = Path("/var/log/nginx/access.log"), Path("/var/log/dnsmasq.journal")
SILENCE = 40
OPTIONS = {
    "ironic_inspect_timeout": SILENCE,
    "ironic_clean_timeout": SILENCE,
    "ironic_deploy_timeout": SILENCE,
    "ironic_power_timeout": 15,
    "ironic_soft_power_off_timeout": 15,
    "ironic_redfish_attempts": 2,
    "ironic_redfish_retry_interval": 1,
}
"""The role's options that shorten a test; all else is as it is on site."""
QUICKER = """\
[agent]
command_wait_interval = 1
post_deploy_get_power_state_retries = 10
post_deploy_get_power_state_retry_interval = 1
[conductor]
check_provision_state_interval = 3
[redfish]
raid_config_status_interval = 3
raid_config_fail_interval = 3
"""
IMAGE = b"an operating system\n" * 50_000


def programs() -> Path:
    """Where Ironic's programs are: a virtual environment in the cache, made once for these requirements."""
    wanted = Path(__file__).with_name("requirements.txt").read_text(encoding="utf-8")
    folder = cache_dir() / "tests" / "metal" / "ironic"
    stamp = folder / "requirements"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(Path(__file__).with_name("requirements.txt"))], check=True)
        stamp.write_text(wanted, encoding="utf-8")
    return folder / "bin"


MODULE = """\
import json, runpy, sys
import ansible.module_utils
from ansible.module_utils import basic
ansible.module_utils.__path__.append(sys.argv[1] + "/module_utils")
basic._ANSIBLE_PROFILE, basic._ANSIBLE_ARGS = "legacy", sys.stdin.buffer.read()
runpy.run_path(sys.argv[1] + "/modules/" + sys.argv[2] + ".py", run_name="__main__")
"""


def module(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """One of the project's modules, run as Ansible runs it: a process of its own on the head."""
    sent = json.dumps({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_remote_tmp": "/var/tmp"}})
    path = f"{JOURNAL.parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-c", MODULE, str(checkout() / "plugins"), name],
        input=sent.encode(), capture_output=True, check=False, env={**os.environ, "PATH": path},
    )  # fmt: skip
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(done.stderr.decode()) from None
    return result


def must(name: str, **arguments: Any) -> dict[str, Any]:
    """A module that succeeds."""
    result = module(name, arguments)
    assert not result.get("failed"), result
    return result


class Head:
    """The head node of a site, from its files to a running Ironic."""

    def __init__(self, model: SiteModel) -> None:
        port = model.head.interface("oob")
        assert port is not None and port.address is not None
        self.model, self.oob, self.address = model, str(port.address.ip), str(model.head.address)
        self.url, self.files = f"https://{self.address}:6385", f"http://{self.oob}:8090"
        self.front = Front(self)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Everything up to an API that answers."""
        self._prepare()
        bin_folder = programs()
        words = [f"--config-file={CONFIGURATION / name}.conf" for name in ("ironic", "secrets", "quicker")]
        subprocess.run(
            [bin_folder / "ironic-dbsync", *words, "create_schema"], check=True, capture_output=True
        )
        self.front.start()
        with LOG.open("wb") as log:
            command = ["setpriv", "--pdeathsig", "KILL", "--", str(bin_folder / "ironic"), *words]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 60
        while True:
            try:
                self.api().nodes()
                return
            except IronicError:
                assert time.monotonic() < until and self._process.poll() is None, LOG.read_text()[-3000:]
                time.sleep(0.3)

    def stop(self) -> None:
        """Nothing of it runs any more."""
        self.front.stop()
        if self._process is not None:
            self._process.kill()  # a minute for its work to end is not needed
            self._process.wait(30)

    def api(self) -> Ironic:
        """A client as the flow makes it."""
        return Ironic(self.url, "rackwright", self.secret("password"), str(self.authority))

    @property
    def authority(self) -> Path:
        return Path("/etc/rackwright/ca/ca.crt")

    def secret(self, name: str) -> str:
        """A file of secrets."""
        return (CONFIGURATION / name).read_text(encoding="utf-8").strip()

    def _prepare(self) -> None:
        """The files of the role, and the folders that its packages would make."""
        options = {**role_defaults("ironic"), **OPTIONS}
        for file in render(self.model, self.model.head.name, "ironic", options):
            path = Path(file.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.content, encoding="utf-8")
        for folder in (
            BOOT / "tmp", BOOT / "http", BOOT / "agent", BOOT / "cache/iso", BOOT / "cache/images", BOOT / "cache/boot",
            BOOT / "cache/instances", BOOT / "cache/tftp", FILES / "images", LOG.parent / "deploy", ACCESS.parent,
            Path("/var/lib/ironic/rackwright/certificates"), Path("/var/lib/ironic/rackwright/locks"),
        ):  # fmt: skip
            folder.mkdir(parents=True, exist_ok=True)
        for name in ("ipa.kernel", "ipa.initramfs", "esp.img"):
            (BOOT / "agent" / name).write_text(f"{name}\n")
        (FILES / "images/debian-13.raw").write_bytes(IMAGE)
        ACCESS.touch()
        JOURNAL.touch()
        asked = JOURNAL.parent / "journalctl"
        asked.write_text(f"#!/bin/sh\nexec cat {JOURNAL}\n")
        asked.chmod(0o755)
        must(
            "rackwright_ca", directory="/etc/rackwright/ca", common_name="Rackwright site minimal",
            servers=[{"path": "/etc/rackwright/tls/ironic", "names": [self.model.head.fqdn],
                      "addresses": [self.address, self.oob]}],
        )  # fmt: skip
        must("rackwright_ironic_secrets", directory=str(CONFIGURATION), group="root")
        (CONFIGURATION / "quicker.conf").write_text(QUICKER)


class Front:
    """What nginx is on the head: TLS before Ironic's API, and the files that servers boot from and are written with.

    ``refuse``: requests from this address for paths with this beginning are answered with 403; ``spoil``: images come
    damaged to these addresses.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.refuse: dict[str, str] = {}
        self.spoil: set[str] = set()
        self._servers: list[ThreadingHTTPServer] = []

    def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/etc/rackwright/tls/ironic.crt", "/etc/rackwright/tls/ironic.key")
        front = self

        class Api(_Api):
            owner = front

        class Files(_Files):
            owner = front

        for address, port, handler in (
            (self.head.address, 6385, Api),
            (self.head.oob, 6385, Api),
            (self.head.oob, 8090, Files),
        ):
            server = ThreadingHTTPServer((address, port), handler)
            server.daemon_threads = True
            if handler is Api:
                server.socket = context.wrap_socket(
                    server.socket, server_side=True, do_handshake_on_connect=False
                )
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()
            self._servers.append(server)

    def stop(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    owner: Front
    protocol_version = "HTTP/1.1"
    timeout = 120

    def log_message(self, format: str, *args: Any) -> None:
        """The log is written where it is wanted."""

    def send(self, status: int, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Api(_Quiet):
    """To Ironic and back."""

    def _pass(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {
            name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
        }
        headers |= {"X-Forwarded-Proto": "https", "Host": self.headers.get("Host", "")}
        ironic = http.client.HTTPConnection("127.0.0.1", 6385, timeout=300)
        try:
            ironic.request(self.command, self.path, data, headers)
            answer = ironic.getresponse()
            body = answer.read()
        except OSError:
            self.send(502, b"Bad Gateway")
            return
        finally:
            ironic.close()
        kept = {
            n: v for n, v in answer.getheaders() if n.lower() not in ("content-length", "connection", "date")
        }
        self.send(answer.status, body, kept)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass  # noqa: N815


class _Files(_Quiet):
    """Boot files and images, with a line for each request in nginx's format."""

    def do_GET(self) -> None:
        path = urllib.parse.urlsplit(self.path).path
        status, data = 200, b""
        refused = self.owner.refuse.get(self.client_address[0])
        folder = FILES if path.startswith("/images/") else BOOT / "http"
        if refused and path.startswith(refused):
            status = 403
        else:
            try:
                data = (folder / path.lstrip("/")).read_bytes()
            except OSError:
                status = 404
        if self.client_address[0] in self.owner.spoil and path.startswith("/images/"):
            data = b"damaged" + data[7:]
        stamp, agent = (
            time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            self.headers.get("User-Agent", "-"),
        )
        line = f'{self.client_address[0]} - - [{stamp}] "{self.command} {path} HTTP/1.1" {status} {len(data)} "-" "{agent}"'
        with ACCESS.open("a", encoding="utf-8") as log:
            log.write(line + "\n")
        self.send(status, data)

    do_HEAD = do_GET  # noqa: N815
