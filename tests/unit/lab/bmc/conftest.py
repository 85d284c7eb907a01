"""A virtual BMC over real HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bmc_client import Client, Make

from rackwright.lab.bmc import BmcConfig, BmcServer


@pytest.fixture
def bmc_of(tmp_path: Path) -> Iterator[Make]:
    """Makes a running BMC (settings as in BmcConfig) and a client with its factory password."""
    running: list[BmcServer] = []

    def make(**settings: Any) -> tuple[BmcServer, Client]:
        config = BmcConfig(
            **{
                "name": "r660-1",
                "service_tag": "4MG9MP4",
                "state_dir": tmp_path / "bmc",
                "port": 0,
                "profile": "r660",
                "timing": {"job": 0},
                **settings,
            }
        )
        server = BmcServer(config).start()
        running.append(server)
        trusted = server.certificate_file
        return server, Client(server.url, config.factory_user, config.factory_password, trusted)

    yield make
    for server in running:
        server.stop()
