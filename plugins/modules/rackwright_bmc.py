#!/usr/bin/python
"""Find BMCs, and make one the site's own: its password, its certificate."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_bmc
short_description: Find the BMCs of servers, and claim one for the site
description:
  - Runs on the head node, which is on the BMCs' network and has the site's authority.
  - C(claim) has the BMC make a key and a request, signs it, and puts the certificate in; then it replaces the
    password, over the connection that is verified by then. It takes the first password that works of I(password),
    I(others) and I(factory_password), so that it can be cut off anywhere and run again.
  - C(look) reads what explains a failure, such as the last jobs. C(hardware) reads what the server consists of.
    C(discover) asks every address who it is.
options:
  operation: {description: What to do., type: str, choices: [claim, look, hardware, discover], required: true}
  address: {description: The BMC., type: str, default: ''}
  port: {description: Its port., type: int, default: 443}
  names: {description: DNS names for its certificate; the first is its own., type: list, elements: str, default: []}
  service_tag: {description: What it must say it is., type: str, default: ''}
  user: {description: The user that is claimed., type: str, default: root}
  password: {description: The password that it is to have., type: str, default: ''}
  others: {description: Passwords that it may have from earlier runs., type: list, elements: str, default: []}
  factory_password: {description: The password that it was delivered with., type: str, default: ''}
  directory: {description: Where C(ca.key) and C(ca.crt) lie., type: path, default: /etc/rackwright/ca}
  certificate_days: {description: Validity of the certificate., type: int, default: 1825}
  renew_before_days: {description: Renew what has fewer days left., type: int, default: 60}
  patience: {description: Seconds for which a BMC that doesn't answer is asked again., type: int, default: 60}
  addresses: {description: What C(discover) asks., type: list, elements: str, default: []}
  leases: {description: dnsmasq's leases; their addresses are asked too., type: path, default: ''}
attributes:
  check_mode: {support: full}
author: Rackwright
"""

RETURN = """
changes: {description: What was, or would be, done., type: list, elements: str, returned: claim}
account: {description: "Which password worked: C(current), C(other) or C(factory).", type: str, returned: claim}
service_tag: {description: Who it says it is., type: str, returned: claim}
fault: {description: In one word why it failed., type: str, returned: failure}
stated: {description: Redfish resources by their id., type: dict, returned: hardware}
found: {description: The BMCs that answered., type: list, elements: dict, returned: discover}
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_hardware import collect
from ansible.module_utils.rackwright_redfish import (
    ACCOUNTS,
    CERTIFICATES,
    JOBS,
    LOG,
    MANAGER,
    ROOT,
    SYSTEM,
    Bmc,
    BmcError,
    identity,
    must_change_password,
)

CSR_SECONDS = 130  # Dell's own Ansible module waits for 120 for a request to be made
RESTART_SECONDS = 420  # an iDRAC that restarts for its certificate answers after two to five minutes
WORKERS = 32


class Claim:
    """One BMC on its way from the factory to the site."""

    def __init__(self, module: AnsibleModule, bmc: Bmc) -> None:
        self.module, self.p, self.bmc = module, module.params, bmc
        self.changes: list[str] = []
        self.forced = False

    def run(self) -> dict[str, Any]:
        """Claim it, in the order in which an interruption leaves something that the next run can go on with."""
        account = self._log_in()
        tag = "" if self.forced else self._who()
        if self.forced:
            # It lets nobody do anything before its password is replaced, be it over a connection not yet verified.
            self._password(account)
            tag = self._who()
        self._certificate()
        if not self.forced:
            self._password(account)
        return {
            "account": account,
            "service_tag": tag,
            "changes": self.changes,
            "verified": self.bmc.verified,
        }

    def _log_in(self) -> str:
        """Find the password that works; which it is."""
        tried = [("current", self.p["password"])]
        tried += [("other", word) for word in self.p["others"]]
        tried += [("factory", self.p["factory_password"])]
        seen: set[str] = set()
        last = "there is no password to try"
        for kind, word in tried:
            if not word or word in seen:
                continue
            seen.add(word)
            self.bmc.login(self.p["user"], word)
            try:
                self.bmc.ask("GET", ACCOUNTS)
                return kind
            except BmcError as error:
                if must_change_password(error):
                    self.forced = True
                    return kind
                if error.fault != "credentials":
                    raise
                last = str(error)
        raise BmcError("credentials", f"none of {len(seen)} passwords of {self.p['user']} works: {last}", 401)

    def _who(self) -> str:
        """Its service tag; it must be the site's."""
        system = self.bmc.ask("GET", SYSTEM)
        tag = str(system.get("SKU") or system.get("SerialNumber") or "")
        if self.p["service_tag"] and tag.upper() != self.p["service_tag"].upper():
            raise BmcError(
                "identity", f"the server at {self.p['address']} is {tag or 'without a service tag'}"
            )
        return tag

    def _act(self, what: str) -> bool:
        self.changes.append(what)
        return not self.module.check_mode

    def _certificate(self) -> None:
        """Have a certificate of the site's authority."""
        if self.bmc.verified and self._lasting():
            return
        if not self._act("certificate: signed by the site's authority"):
            return
        request = self.bmc.ask(
            "POST",
            f"{ROOT}/CertificateService/Actions/CertificateService.GenerateCSR",
            {
                "CertificateCollection": {"@odata.id": CERTIFICATES},
                "CommonName": self.p["names"][0],
                "AlternativeNames": [*self.p["names"], self.p["address"]],
                # iDRACs want every part of a subject; the authority takes over none of them.
                "Organization": "Rackwright",
                "OrganizationalUnit": "BMC",
                "City": "Site",
                "State": "Site",
                "Country": "US",
            },
            timeout=CSR_SECONDS,
        )
        # Here, as it takes a fifth of the module's start, and most runs sign nothing.
        from ansible.module_utils.rackwright_authority import sign_request

        signed = sign_request(
            Path(self.p["directory"]),
            str(request.get("CSRString") or ""),
            self.p["names"],
            [self.p["address"]],
            self.p["certificate_days"],
        )
        collection = self.bmc.ask("GET", CERTIFICATES)
        members = collection.get("Members") or [{"@odata.id": f"{CERTIFICATES}/SecurityCertificate.1"}]
        self.bmc.ask(
            "POST",
            f"{ROOT}/CertificateService/Actions/CertificateService.ReplaceCertificate",
            {
                "CertificateString": signed,
                "CertificateType": "PEM",
                "CertificateUri": {"@odata.id": members[0]["@odata.id"]},
            },
        )
        if not self._shows_it(20):
            try:  # older firmware shows its certificate after a restart of the controller
                self.bmc.ask("POST", f"{MANAGER}/Actions/Manager.Reset", {"ResetType": "GracefulRestart"})
            except BmcError as error:
                if error.fault != "unreachable":
                    raise
            if not self._shows_it(RESTART_SECONDS):
                raise BmcError("certificate", "it doesn't show the certificate that it was given")

    def _shows_it(self, seconds: float) -> bool:
        """Whether it shows a certificate of the site's authority within this time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.bmc.forget_certificate()
            try:
                self.bmc.ask("GET", ROOT)
            except BmcError as error:
                if error.fault not in ("unreachable", "busy"):
                    raise
            if self.bmc.verified:
                return True
            time.sleep(1)
        return False

    def _lasting(self) -> bool:
        """Whether its certificate is valid for long enough; one whose end isn't told counts as valid."""
        for member in self.bmc.ask("GET", CERTIFICATES).get("Members") or ():
            ends = str(self.bmc.ask("GET", member["@odata.id"]).get("ValidNotAfter") or "")
            try:
                left = time.mktime(time.strptime(ends[:19], "%Y-%m-%dT%H:%M:%S")) - time.time()
            except ValueError:
                continue
            if left < self.p["renew_before_days"] * 86400:
                return False
        return True

    def _password(self, account: str) -> None:
        """Have the password that is wanted, and see that it works."""
        if account == "current" and not self.forced:
            return
        if not self._act("password: replaced"):
            return
        where = self._account()
        self.bmc.ask("PATCH", where, {"Password": self.p["password"]})
        self.bmc.login(self.p["user"], self.p["password"])
        until = time.monotonic() + 30
        while True:
            try:
                self.bmc.ask("GET", ACCOUNTS)
                return
            except BmcError as error:
                if error.fault != "credentials" or time.monotonic() > until:
                    raise
            time.sleep(2)

    def _account(self) -> str:
        """The resource of the user: the second on iDRACs, where the first is nobody's."""
        if self.forced:
            return f"{ACCOUNTS}/2"
        for member in self.bmc.ask("GET", ACCOUNTS).get("Members") or ():
            account = member if "UserName" in member else self.bmc.ask("GET", member["@odata.id"])
            if account.get("UserName") == self.p["user"]:
                return str(account["@odata.id"])
        raise BmcError("refused", f"it has no user {self.p['user']}")


def look(bmc: Bmc) -> dict[str, Any]:
    """What explains a failure: power, how far the last start came, the last jobs and entries of the log."""
    found: dict[str, Any] = {"verified": False, "jobs": [], "log": []}
    system = bmc.ask("GET", SYSTEM)
    progress = system.get("BootProgress") or {}
    found |= {
        "verified": bmc.verified,
        "power": str(system.get("PowerState") or ""),
        "boot": str(progress.get("LastState") or progress.get("OemLastState") or ""),
        "health": str((system.get("Status") or {}).get("HealthRollup") or ""),
    }
    for key, path in (("jobs", f"{JOBS}?$expand=*($levels=1)"), ("log", LOG)):
        try:
            members = bmc.ask("GET", path).get("Members") or []
        except BmcError as error:
            found[key] = [str(error)]
            continue
        entries = [one for one in members if isinstance(one, dict)]
        if key == "jobs":
            entries = sorted(entries, key=lambda one: str(one.get("StartTime") or one.get("Id")))
            found[key] = [job_text(one) for one in entries[-5:]]
        else:
            found[key] = [f"{one.get('Created', '')} {one.get('Message', '')}".strip() for one in entries[:8]]
    return found


def there(bmc: Bmc, path: str) -> dict[str, Any] | None:
    """A resource; None where the BMC has none of that name."""
    try:
        return bmc.ask("GET", path)
    except BmcError as error:
        if error.status in (400, 404, 405, 501):
            return None
        raise


def job_text(job: dict[str, Any]) -> str:
    """``JID_1 ConfigBIOS: Running 40 %: …``."""
    done = f" {job['PercentComplete']} %" if "PercentComplete" in job else ""
    name = job.get("JobType") or job.get("Name") or ""
    return f"{job.get('Id', '')} {name}: {job.get('JobState', '')}{done}: {job.get('Message', '')}"


def discover(parameters: dict[str, Any]) -> list[dict[str, str]]:
    """Who answers at the addresses that are named or were leased, in the order of addresses."""
    macs: dict[str, str] = {}
    if parameters["leases"] and os.path.exists(parameters["leases"]):
        with open(parameters["leases"], encoding="utf-8") as handle:
            for words in map(str.split, handle):
                if len(words) >= 3 and "." in words[2]:
                    macs[words[2]] = words[1].lower()
    addresses = sorted({*parameters["addresses"], *macs})

    def one(address: str) -> dict[str, str]:
        bmc = Bmc(address, parameters["port"], os.path.join(parameters["directory"], "ca.crt"), 5, 0)
        found = {"address": address, "mac": macs.get(address, ""), "service_tag": "", "product": ""}
        try:
            said = identity(bmc)
            state = "claimed" if bmc.verified else "factory"
        except BmcError as error:
            said, state = {}, "silent" if error.fault == "unreachable" else "locked"
        finally:
            bmc.close()
        found |= {key: value for key, value in said.items() if value}
        return {**found, "fingerprint": bmc.fingerprint, "state": state}

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, addresses))


def main() -> None:
    """Run the module."""
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "operation": {
                "type": "str",
                "choices": ["claim", "look", "hardware", "discover"],
                "required": True,
            },
            "address": text,
            "port": {"type": "int", "default": 443},
            "names": {"type": "list", "elements": "str", "default": []},
            "service_tag": text,
            "user": {"type": "str", "default": "root"},
            "password": {**text, "no_log": True},
            "others": {"type": "list", "elements": "str", "default": [], "no_log": True},
            "factory_password": {**text, "no_log": True},
            "directory": {"type": "path", "default": "/etc/rackwright/ca"},
            "certificate_days": {"type": "int", "default": 1825},
            "renew_before_days": {"type": "int", "default": 60},
            "patience": {"type": "int", "default": 60},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "leases": {"type": "path", "default": ""},
        },
        supports_check_mode=True,
    )
    p = module.params
    if p["operation"] == "discover":
        module.exit_json(changed=False, found=discover(p))
    bmc = Bmc(p["address"], p["port"], os.path.join(p["directory"], "ca.crt"), patience=p["patience"])
    try:
        if p["operation"] == "look":
            bmc.login(p["user"], p["password"])
            module.exit_json(changed=False, **look(bmc))
        if p["operation"] == "hardware":
            bmc.login(p["user"], p["password"])
            module.exit_json(changed=False, stated=collect(lambda path: there(bmc, path)))
        if find_spec("cryptography") is None:
            raise BmcError("refused", "python3-cryptography is missing here: run playbooks/head.yml first")
        result = Claim(module, bmc).run()
    except BmcError as error:
        module.fail_json(msg=str(error), fault=error.fault)
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"its certificate could not be signed: {error}", fault="certificate")
    finally:
        bmc.close()
    module.exit_json(changed=bool(result["changes"]), **result)


if __name__ == "__main__":
    main()
