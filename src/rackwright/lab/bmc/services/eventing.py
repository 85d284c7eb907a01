"""EventService: subscriptions are kept; no event is ever sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rackwright.lab.bmc.http import ROOT, Json, Request, Response, collection, link, resource
from rackwright.lab.bmc.messages import BASE, RedfishError, not_found
from rackwright.lab.bmc.routing import delete, get, post

if TYPE_CHECKING:
    from rackwright.lab.bmc.bmc import Bmc

SERVICE = f"{ROOT}/EventService"
SUBSCRIPTIONS = f"{SERVICE}/Subscriptions"


@get(SERVICE)
def service(bmc: Bmc, request: Request) -> Json:
    """The service."""
    return resource(
        SERVICE,
        "EventService.v1_10_1.EventService",
        "Event Service",
        ServiceEnabled=True,
        DeliveryRetryAttempts=3,
        DeliveryRetryIntervalSeconds=5,
        EventFormatTypes=["Event"],
        Subscriptions=link(SUBSCRIPTIONS),
        Actions={
            "#EventService.SubmitTestEvent": {"target": f"{SERVICE}/Actions/EventService.SubmitTestEvent"},
        },
        Status={"State": "Enabled", "Health": "OK"},
    )


@post(f"{SERVICE}/Actions/EventService.SubmitTestEvent")
def test_event(bmc: Bmc, request: Request) -> Response:
    """Taken and written to the Lifecycle log; nothing is sent."""
    bmc.log("lc", "Informational", f"Test event {request.text('MessageId', '')}")
    return Response(204)


@get(SUBSCRIPTIONS)
def subscriptions(bmc: Bmc, request: Request) -> Json:
    """All that were made."""
    return collection(
        SUBSCRIPTIONS, "EventDestination", "Event Subscriptions", list(bmc.state.get("subscriptions", {}))
    )


@get(f"{SUBSCRIPTIONS}/{{number}}")
def subscription(bmc: Bmc, request: Request, number: str) -> Json:
    """One of them."""
    kept = bmc.state.get("subscriptions", {}).get(number)
    if kept is None:
        raise not_found(request.path)
    return resource(
        f"{SUBSCRIPTIONS}/{number}",
        "EventDestination.v1_14_0.EventDestination",
        f"Event Subscription {number}",
        Destination=kept["destination"],
        Context=kept["context"],
        Protocol="Redfish",
        SubscriptionType="RedfishEvent",
        EventFormatType="Event",
        Status={"State": "Enabled", "Health": "OK"},
    )


@post(SUBSCRIPTIONS)
def subscribe(bmc: Bmc, request: Request) -> Response:
    """Keep a subscription."""
    destination = request.text("Destination")
    if request.text("Protocol") != "Redfish":
        raise RedfishError(400, f"{BASE}.PropertyValueNotInList", request.text("Protocol"), "Protocol")
    if not destination.startswith("https://"):
        raise RedfishError(400, f"{BASE}.PropertyValueFormatError", destination, "Destination")
    kept = bmc.state.setdefault("subscriptions", {})
    number = str(max(map(int, kept), default=0) + 1)
    kept[number] = {"destination": destination, "context": request.text("Context", "")}
    return Response(201, subscription(bmc, request, number), {"Location": f"{SUBSCRIPTIONS}/{number}"})


@delete(f"{SUBSCRIPTIONS}/{{number}}")
def unsubscribe(bmc: Bmc, request: Request, number: str) -> Response:
    """Forget one."""
    if bmc.state.get("subscriptions", {}).pop(number, None) is None:
        raise not_found(request.path)
    return Response(204)
