"""Virtual media: an image that is fetched over HTTP(S) and given to the machine as CD or stick."""

from __future__ import annotations

import shutil
import ssl
import urllib.request
from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import MANAGER, SYSTEM, Json, Request, Response, collection, resource
from rackwright.lab.bmc.messages import BASE, IDRAC, RedfishError, missing, not_found
from rackwright.lab.bmc.routing import get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

#: Where the collection stands: on the system in newer firmware, on the manager in older; ids differ too.
SLOTS = {
    f"{MANAGER}/VirtualMedia": {"CD": "cd", "RemovableDisk": "floppy"},
    f"{SYSTEM}/VirtualMedia": {"1": "cd", "2": "floppy"},
}
TYPES = {"cd": ["CD", "DVD"], "floppy": ["USBStick"]}
FETCH_SECONDS = 600


def _slot(request: Request) -> tuple[str, str, str]:
    """Collection, id and slot that a path names."""
    base, _, rest = request.path.partition("/VirtualMedia/")
    base, name = f"{base}/VirtualMedia", rest.split("/")[0]
    if name not in SLOTS[base]:
        raise not_found(request.path)
    return base, name, SLOTS[base][name]


def _collection(bmc: Bmc, request: Request) -> Json:
    return collection(request.path, "VirtualMedia", "Virtual Media Services", list(SLOTS[request.path]))


def _medium(bmc: Bmc, request: Request, name: str) -> Json:
    base, name, slot = _slot(request)
    uri = f"{base}/{name}"
    kept = bmc.state.setdefault("media", {}).get(slot, {})
    return resource(
        uri,
        "VirtualMedia.v1_6_3.VirtualMedia",
        "Virtual CD" if slot == "cd" else "Virtual Removable Disk",
        MediaTypes=TYPES[slot],
        ConnectedVia="URI" if kept else "NotConnected",
        Image=kept.get("image"),
        ImageName=kept["image"].rsplit("/", 1)[-1] if kept else None,
        Inserted=bool(kept),
        WriteProtected=True,
        TransferMethod="Stream" if kept else None,
        TransferProtocolType=kept["image"].split(":")[0].upper() if kept else None,
        UserName=None,
        Password=None,
        Actions={
            "#VirtualMedia.InsertMedia": {"target": f"{uri}/Actions/VirtualMedia.InsertMedia"},
            "#VirtualMedia.EjectMedia": {"target": f"{uri}/Actions/VirtualMedia.EjectMedia"},
        },
    )


def _insert(bmc: Bmc, request: Request, name: str) -> Response:
    _, _, slot = _slot(request)
    image = request.body.get("Image")
    if not isinstance(image, str):
        raise missing("VirtualMedia.InsertMedia", "Image")
    refused = bmc.faults.option("virtual_media_refused")
    if refused is not None:
        raise RedfishError(500, f"{IDRAC}.VRM0012", str(refused.get("reason", "the share gave no answer")))
    if not image.startswith(("http://", "https://")):
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", image, "Image", related=["#/Image"])
    if bmc.state.setdefault("media", {}).get(slot):
        raise RedfishError(500, f"{IDRAC}.VRM0012", "another medium is attached")
    file = f"media-{slot}.img"
    if bmc.config.machine.get("kind", "fake") == "fake":
        file = ""  # nobody reads it
    else:
        try:
            _fetch(image, bmc.config.state_dir / file)
        except (OSError, ValueError) as error:
            raise RedfishError(500, f"{IDRAC}.VRM0012", str(error)) from error
    bmc.state["media"][slot] = {"image": image, "file": file}
    if file:
        bmc.machine.insert_media(slot, bmc.config.state_dir / file)
    bmc.events.write("media", slot=slot, image=image)
    return Response(204)


def _fetch(url: str, path: object) -> None:
    # As an iDRAC does by default, the server's certificate is not looked at
    context = ssl._create_unverified_context()  # noqa: S323
    with (
        urllib.request.urlopen(url, timeout=FETCH_SECONDS, context=context) as source,  # noqa: S310
        open(str(path), "wb") as target,  # noqa: PTH123
    ):
        shutil.copyfileobj(source, target, 1 << 20)


def _eject(bmc: Bmc, request: Request, name: str) -> Response:
    _, _, slot = _slot(request)
    kept = bmc.state.setdefault("media", {}).pop(slot, None)
    if kept is None:
        raise RedfishError(500, f"{IDRAC}.VRM0012", "no medium is attached")
    if kept["file"]:
        bmc.machine.insert_media(slot, None)
        (bmc.config.state_dir / kept["file"]).unlink(missing_ok=True)
    bmc.events.write("media", slot=slot, image=None)
    return Response(204)


for _base in SLOTS:
    get(_base)(_collection)
    get(f"{_base}/{{name}}")(_medium)
    post(f"{_base}/{{name}}/Actions/VirtualMedia.InsertMedia")(_insert)
    post(f"{_base}/{{name}}/Actions/VirtualMedia.EjectMedia")(_eject)
