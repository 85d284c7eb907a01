"""Redfish messages and error bodies.

The texts of ``Base`` are those of DMTF's registry Base.1.18.1; the texts under ``IDRAC`` imitate Dell's Event and
Error Messages and are for people to read: clients should go by the status code and the message's id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

BASE = "Base.1.18"
IDRAC = "IDRAC.2.8"

#: Message id to text with %1, severity and resolution.
TEXTS: dict[str, tuple[str, str, str]] = {
    f"{BASE}.Success": ("The request completed successfully.", "OK", "None."),
    f"{BASE}.Created": ("The resource was created successfully.", "OK", "None."),
    f"{BASE}.GeneralError": (
        "A general error has occurred.  See Resolution for information on how to resolve the error, or "
        "@Message.ExtendedInfo if Resolution is not provided.",
        "Critical",
        "None.",
    ),
    f"{BASE}.MalformedJSON": (
        "The request body submitted was malformed JSON and could not be parsed by the receiving service.",
        "Critical",
        "Ensure that the request body is valid JSON and resubmit the request.",
    ),
    f"{BASE}.UnrecognizedRequestBody": (
        "The service detected a malformed request body that it was unable to interpret.",
        "Warning",
        "Correct the request body and resubmit the request if it failed.",
    ),
    f"{BASE}.EmptyJSON": (
        "The request body submitted contained an empty JSON object and the service is unable to process it.",
        "Warning",
        "Add properties in the JSON object and resubmit the request.",
    ),
    f"{BASE}.ResourceMissingAtURI": (
        "The resource at the URI '%1' was not found.",
        "Critical",
        "Place a valid resource at the URI or correct the URI and resubmit the request.",
    ),
    f"{BASE}.OperationNotAllowed": (
        "The HTTP method is not allowed on this resource.",
        "Critical",
        "None.",
    ),
    f"{BASE}.ActionNotSupported": (
        "The action %1 is not supported by the resource.",
        "Critical",
        "The action supplied cannot be resubmitted to the implementation.",
    ),
    f"{BASE}.ActionParameterMissing": (
        "The action %1 requires the parameter %2 to be present in the request body.",
        "Critical",
        "Supply the action with the required parameter in the request body when the request is resubmitted.",
    ),
    f"{BASE}.ActionParameterNotSupported": (
        "The parameter %1 for the action %2 is not supported on the target resource.",
        "Warning",
        "Remove the parameter supplied and resubmit the request if the operation failed.",
    ),
    f"{BASE}.ActionParameterValueNotInList": (
        "The value '%1' for the parameter %2 in the action %3 is not in the list of acceptable values.",
        "Warning",
        "Choose a value from the enumeration list that the implementation can support.",
    ),
    f"{BASE}.PropertyUnknown": (
        "The property %1 is not in the list of valid properties for the resource.",
        "Warning",
        "Remove the unknown property from the request body and resubmit the request if the operation failed.",
    ),
    f"{BASE}.PropertyNotWritable": (
        "The property %1 is a read-only property and cannot be assigned a value.",
        "Warning",
        "Remove the property from the request body and resubmit the request if the operation failed.",
    ),
    f"{BASE}.PropertyMissing": (
        "The property %1 is a required property and must be included in the request.",
        "Warning",
        "Ensure that the property is in the request body and has a valid value and resubmit the request.",
    ),
    f"{BASE}.PropertyValueNotInList": (
        "The value '%1' for the property %2 is not in the list of acceptable values.",
        "Warning",
        "Choose a value from the enumeration list that the implementation can support and resubmit the request.",
    ),
    f"{BASE}.PropertyValueTypeError": (
        "The value '%1' for the property %2 is not a type that the property can accept.",
        "Warning",
        "Correct the value for the property in the request body and resubmit the request if it failed.",
    ),
    f"{BASE}.PropertyValueFormatError": (
        "The value '%1' for the property %2 is not a format that the property can accept.",
        "Warning",
        "Correct the value for the property in the request body and resubmit the request if it failed.",
    ),
    f"{BASE}.PropertyValueOutOfRange": (
        "The value '%1' for the property %2 is not in the supported range of acceptable values.",
        "Warning",
        "Correct the value for the property in the request body and resubmit the request if it failed.",
    ),
    f"{BASE}.PropertyValueConflict": (
        "The property '%1' could not be written because its value would conflict with the value of the '%2' property.",
        "Warning",
        "No resolution is required.",
    ),
    f"{BASE}.ResourceInUse": (
        "The change to the requested resource failed because the resource is in use or in transition.",
        "Warning",
        "Remove the condition and resubmit the request if the operation failed.",
    ),
    f"{BASE}.ResourceCannotBeDeleted": (
        "The delete request failed because the resource requested cannot be deleted.",
        "Critical",
        "Do not attempt to delete a non-deletable resource.",
    ),
    f"{BASE}.ResourceAlreadyExists": (
        "The requested resource of type %1 with the property %2 with the value '%3' already exists.",
        "Critical",
        "Do not repeat the create operation as the resource was already created.",
    ),
    f"{BASE}.CreateLimitReachedForResource": (
        "The create operation failed because the resource has reached the limit of possible resources.",
        "Critical",
        "Either delete resources and resubmit the request or do not resubmit the request.",
    ),
    f"{BASE}.ServiceTemporarilyUnavailable": (
        "The service is temporarily unavailable.  Retry in %1 seconds.",
        "Critical",
        "Wait for the indicated retry duration and retry the operation.",
    ),
    f"{BASE}.InsufficientPrivilege": (
        "There are insufficient privileges for the account or credentials associated with the current session to "
        "perform the requested operation.",
        "Critical",
        "Either abandon the operation or change the associated access rights and resubmit the request.",
    ),
    f"{BASE}.NoValidSession": (
        "There is no valid session established with the implementation.",
        "Critical",
        "Establish a session before attempting any operations.",
    ),
    f"{BASE}.ResourceAtUriUnauthorized": (
        "While accessing the resource at '%1', the service received an authorization error '%2'.",
        "Critical",
        "Ensure that the appropriate access is provided for the service in order for it to access the URI.",
    ),
    f"{BASE}.PasswordChangeRequired": (
        "The password provided for this account must be changed before access is granted.  PATCH the Password property "
        "for this account located at the target URI '%1' to complete this process.",
        "Critical",
        "Change the password for this account using a PATCH to the Password property at the URI provided.",
    ),
    f"{BASE}.PreconditionFailed": (
        "The ETag supplied did not match the ETag required to change this resource.",
        "Critical",
        "Try the operation again using the appropriate ETag.",
    ),
    f"{BASE}.QueryNotSupported": (
        "Querying is not supported by the implementation.",
        "Warning",
        "Remove the query parameters and resubmit the request if the operation failed.",
    ),
    f"{BASE}.QueryParameterValueFormatError": (
        "The value '%1' for the parameter %2 is not a format that the parameter can accept.",
        "Warning",
        "Correct the value for the query parameter in the request and resubmit the request if it failed.",
    ),
    f"{BASE}.HeaderInvalid": (
        "Header '%1' is invalid.",
        "Critical",
        "Resubmit the request with a valid request header.",
    ),
    f"{BASE}.NoOperation": (
        "The request body submitted contain no data to act upon and no changes to the resource took place.",
        "Warning",
        "Add properties in the JSON object and resubmit the request.",
    ),
    f"{IDRAC}.PSU501": (
        "Server is already powered ON.",
        "Informational",
        "No response action is required.",
    ),
    f"{IDRAC}.PSU502": (
        "Server is already powered OFF.",
        "Informational",
        "No response action is required.",
    ),
    f"{IDRAC}.PSU503": (
        "The server cannot be powered on: %1",
        "Critical",
        "Look at the power supplies and at the hardware log, then power on again.",
    ),
    f"{IDRAC}.SYS011": (
        "Pending configuration values are already committed, unable to perform another set operation.",
        "Warning",
        "Wait for the scheduled job to complete or delete the configuration job before attempting more set attributes.",
    ),
    f"{IDRAC}.SYS029": (
        "Unable to start the operation because the Lifecycle Controller is in use by another process.",
        "Warning",
        "Wait until the other process has ended and try again.",
    ),
    f"{IDRAC}.SYS403": (
        "Unable to complete the operation because the resource %1 entered in not found.",
        "Critical",
        "Enter the correct resource and retry the operation.",
    ),
    f"{IDRAC}.SYS410": (
        "Unable to modify the attribute %1 because the attribute is read-only and depends on other attributes.",
        "Warning",
        "Look up its dependencies in the attribute registry and change those first.",
    ),
    f"{IDRAC}.RAC0508": (
        "An unexpected error occurred.",
        "Critical",
        "Wait for some time and retry the operation.",
    ),
    f"{IDRAC}.RAC0724": (
        "Unable to complete the operation because the password does not meet the policy: %1",
        "Warning",
        "Enter a password that meets the policy and retry the operation.",
    ),
    f"{IDRAC}.VRM0012": (
        "Unable to attach the media: %1",
        "Critical",
        "Make sure that the iDRAC can reach the share and that the path is right, then retry.",
    ),
    f"{IDRAC}.STOR": ("Unable to change the storage: %1", "Warning", "Correct the request and retry."),
}


def message(message_id: str, *args: str, related: Sequence[str] = ()) -> dict[str, Any]:
    """One entry of ``@Message.ExtendedInfo``."""
    text, severity, resolution = TEXTS[message_id]
    for place, value in enumerate(args, 1):
        text = text.replace(f"%{place}", value)
    entry: dict[str, Any] = {
        "@odata.type": "#Message.v1_2_1.Message",
        "MessageId": message_id,
        "Message": text,
        "MessageArgs": list(args),
        "MessageSeverity": "OK" if severity == "Informational" else severity,
        "Severity": "OK" if severity == "Informational" else severity,
        "Resolution": resolution,
    }
    if related:
        entry["RelatedProperties"] = list(related)
    return entry


class RedfishError(Exception):
    """An answer that says no: a status code and a message of the registry.

    ``status`` is the HTTP status, ``message_id`` one of ``TEXTS``, ``related`` JSON pointers of the request's
    properties, ``headers`` further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message_id: str,
        *args: str,
        related: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message_id, *args)
        self.status = status
        self.headers = dict(headers or {})
        self.entry = message(message_id, *args, related=related)

    def body(self) -> dict[str, Any]:
        """The error as Redfish's JSON."""
        return {
            "error": {
                "code": f"{BASE}.GeneralError",
                "message": TEXTS[f"{BASE}.GeneralError"][0],
                "@Message.ExtendedInfo": [self.entry],
            }
        }


def not_found(uri: str) -> RedfishError:
    """404 for a URI that leads nowhere."""
    return RedfishError(404, f"{BASE}.ResourceMissingAtURI", uri)


def missing(action: str, parameter: str) -> RedfishError:
    """400 for an action without a parameter that it needs."""
    return RedfishError(400, f"{BASE}.ActionParameterMissing", action, parameter)
