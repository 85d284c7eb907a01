#!/usr/bin/python
"""Keep a TLS secret in the cluster whose certificate the cluster's own CA signed."""

from __future__ import annotations

DOCUMENTATION = """
module: rackwright_serving_certificate
short_description: A server certificate of the cluster's CA, as a TLS secret
description:
  - Runs on a control plane. The key is made there, in memory, and goes nowhere but into the secret.
  - Made anew when the secret is missing, names another server, was signed by another CA, or is about to expire.
options:
  secret: {description: The secret's name., type: str, required: true}
  namespace: {description: Its namespace., type: str, required: true}
  server: {description: "The DNS name that clients verify, such as C(service.namespace.svc).", type: str, required: true}
  address: {description: Address of this control plane., type: str, required: true}
  days: {description: Validity in days., type: int, default: 397}
  renew_before_days: {description: Renew what has fewer days left., type: int, default: 90}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
authority:
  description: The certificate of the cluster's CA in base64, as an APIService wants it; empty before there is one.
  type: str
  returned: always
"""

import base64
import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.rackwright_apply import Applier
from ansible.module_utils.rackwright_cluster import ADMIN_CONF, PKI, Api, ApiError, ClusterError, execute
from ansible.module_utils.rackwright_secrets import secret_files


def openssl(*words: str) -> str:
    """What openssl printed. Raises ClusterError when it refuses."""
    done = execute(["openssl", *words], limit=30)
    if done.rc:
        raise ClusterError(
            "Making a server certificate",
            "openssl",
            done.said,
            "the cluster's CA can't be read",
            f"ls -l {PKI}",
        )
    return done.out


def fault(certificate: bytes, server: str, days: int) -> str:
    """Why a certificate in PEM will not do; empty where it does."""
    if not certificate:
        return "missing"
    with secret_files({"tls.crt": certificate.decode(errors="replace")}) as directory:
        path = f"{directory}/tls.crt"
        if execute(["openssl", "verify", "-CAfile", f"{PKI}/ca.crt", "-verify_hostname", server, path]).rc:
            return "not the cluster's CA's for this server, or expired"
        if execute(["openssl", "x509", "-in", path, "-noout", "-checkend", str(days * 86400)]).rc:
            return "about to expire"
    return ""


def make(server: str, days: int) -> dict[str, str]:
    """A new key and certificate, in the form of a TLS secret's data."""
    extensions = (
        f"subjectAltName=DNS:{server}\nbasicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
    )
    with secret_files({"extensions": extensions}) as at:
        request = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256"]
        openssl(*request, "-subj", f"/CN={server}"[:68], "-keyout", f"{at}/tls.key", "-out", f"{at}/tls.csr")
        signed = [
            "x509",
            "-req",
            "-sha256",
            "-CA",
            f"{PKI}/ca.crt",
            "-CAkey",
            f"{PKI}/ca.key",
            "-days",
            str(days),
        ]
        serial = "0x" + os.urandom(16).hex()
        openssl(
            *signed,
            "-set_serial",
            serial,
            "-extfile",
            f"{at}/extensions",
            "-in",
            f"{at}/tls.csr",
            "-out",
            f"{at}/tls.crt",
        )
        found = {}
        for name in ("tls.crt", "tls.key"):
            with open(f"{at}/{name}", "rb") as handle:
                found[name] = base64.b64encode(handle.read()).decode()
        return found


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "secret": {"required": True, "no_log": False},
            "namespace": {"required": True},
            "server": {"required": True},
            "address": {"required": True},
            "days": {"type": "int", "default": 397},
            "renew_before_days": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    p = module.params
    label = f"Secret {p['namespace']}/{p['secret']}"
    if module.check_mode and not os.path.exists(ADMIN_CONF):
        module.exit_json(changed=True, authority="", diff={"before": "", "after": f"{label}: made\n"})
    try:
        api = Api.from_kubeconfig(ADMIN_CONF, f"https://{p['address']}:6443", limit=30)
        found = api.get(f"/api/v1/namespaces/{p['namespace']}/secrets/{p['secret']}")
        data = (found or {}).get("data", {})
        why = fault(base64.b64decode(data.get("tls.crt", "")), p["server"], p["renew_before_days"])
        if why and not module.check_mode:
            secret = {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": p["secret"], "namespace": p["namespace"]},
                "data": make(p["server"], p["days"]),
            }
            Applier(api).apply(secret, 30)
        with open(f"{PKI}/ca.crt", "rb") as handle:
            authority = base64.b64encode(handle.read()).decode()
    except ClusterError as failure:
        module.fail_json(**failure.as_result())
    except (ApiError, OSError) as error:
        cause = "the API server does not answer, or this is no control plane"
        command = "kubectl get --raw /readyz?verbose; then run again"
        failure = ClusterError(f"Keeping {label}", p["address"], str(error), cause, command)
        module.fail_json(**failure.as_result())
    after = f"{label}: made anew ({why})\n" if why else ""
    module.exit_json(changed=bool(why), authority=authority, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
