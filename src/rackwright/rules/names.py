"""Rules of names: each once, none that means something else, none too long for what is made from it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from rackwright.intent import schema
from rackwright.intent.document import Path_
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

GROUPS = frozenset({"all", "ungrouped", "head", "control_plane", "gpu_worker", "kubernetes", "localhost"})
SERVICES = ("api", "mirror", "registry", "serve")
#: What names in DNS end in: an address of a machine beside its first, its iDRAC.
SUFFIXES = ("bmc", *schema.PURPOSES)
LABEL = 63
#: A certificate's common name may have 64 characters (RFC 5280, ub-common-name).
COMMON_NAME = 64
AUTHORITY = "Rackwright site "
METRICS = "-metrics"
RENAME = "rename one of the two"


class Unique(Rule):
    """Something that may stand only once."""

    label: ClassVar[str]
    hint: ClassVar[str]

    @abstractmethod
    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        """Path, value and owner of each."""

    def check(self, facts: Facts) -> Iterator[Fault]:
        seen: dict[str, tuple[Path_, str]] = {}
        for path, value, owner in self.stated(facts):
            if value not in seen:
                seen[value] = (path, owner)
                continue
            first_path, first_owner = seen[value]
            whose = f" of {owner}" if owner else ""
            taken = f"already that of {first_owner}" if first_owner else "already taken"
            message = f"{self.label} {value}{whose} is {taken} ({facts.line_of(first_path, path)})"
            yield Fault(path, message, self.hint)


class DuplicateName(Unique):
    id = "duplicate-name"
    what = "Servers, switches and external storage have different names."
    why = "The name is the machine's, in DNS, in Kubernetes and in every message."
    mend = "Rename one of the two."
    source = "operations, DNS"
    label = "the name"
    hint = RENAME

    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        for at, name in facts.named:
            yield (*at, "name"), name, ""


class DuplicateModelName(Unique):
    id = "duplicate-model-name"
    what = "Served models have different names."
    why = "Clients ask for a model by its name."
    mend = "Rename one of the two, or raise the replicas of the one."
    source = "operations, Triton"
    label = "the model name"
    hint = "rename one of the two; for more copies of one raise its 'replicas'"

    def stated(self, facts: Facts) -> Iterable[tuple[Path_, str, str]]:
        for at, service in facts.models:
            yield (*at, "name"), service.name, ""


class ReservedName(Rule):
    id = "reserved-name"
    what = "No machine is named as a group of the inventory or as a service of the site."
    why = "Ansible can't tell a host from a group, nor DNS a machine from a service, of one name."
    mend = "Rename the machine."
    source = "operations, Ansible and DNS"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name in facts.named:
            if name in GROUPS or name in SERVICES:
                what = "a service of the site" if name in SERVICES else "a word of Ansible's inventory"
                message, hint = f"'{name}' is {what}", f"rename the machine, such as {name}-1"
                yield Fault((*at, "name"), message, hint)


class DerivedName(Rule):
    id = "derived-name"
    what = "No machine has the name that another one's iDRAC or further address gets in DNS."
    why = "The name would stand for both, and a command meant for the one reach the other."
    mend = "Rename the machine."
    source = "operations, DNS"

    def check(self, facts: Facts) -> Iterator[Fault]:
        servers = {server.name for _, server in facts.servers}
        for at, name in facts.named:
            owner, _, suffix = name.rpartition("-")
            if suffix in SUFFIXES and owner in servers:
                what = "iDRAC" if suffix == "bmc" else f"address on {suffix}"
                message = f"'{name}' is the name that {owner}'s {what} gets in DNS"
                yield Fault((*at, "name"), message, "rename the machine")


class NumericName(Rule):
    id = "numeric-name"
    what = "A machine's name isn't a number."
    why = "Programs read a number as an address: ssh 21 goes to 0.0.0.21."
    mend = "Put a word before the number."
    source = "operations, DNS"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, name in facts.named:
            if name.isdigit():
                message = f"'{name}' is a number, which programs take for an address"
                yield Fault((*at, "name"), message, f"put a word before it, such as node-{name}")


class LongName(Rule):
    id = "long-name"
    what = "A server's name leaves room for what is appended to it in DNS."
    why = f"A DNS label has {LABEL} characters at most, and '-management' is one of the suffixes."
    mend = "Shorten the name."
    source = "operations, DNS (RFC 1035)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        most = LABEL - 1 - max(len(suffix) for suffix in SUFFIXES)
        for at, server in facts.servers:
            if len(server.name) > most:
                message = f"'{server.name}' has {len(server.name)} characters"
                yield Fault((*at, "name"), message, f"{most} at most, for names such as …-management")


class LongDomain(Rule):
    id = "long-domain"
    what = f"The registry's full name has {COMMON_NAME} characters at most."
    why = "It is the common name of its certificate, which holds no more."
    mend = "Shorten the domain."
    source = "operations, certificates (RFC 5280)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        most = COMMON_NAME - len("registry.")
        if facts.site is not None and len(facts.site.domain) > most:
            message = f"the domain has {len(facts.site.domain)} characters"
            yield Fault(("site", "domain"), message, f"{most} at most: certificates name registry.<domain>")


class LongSiteName(Rule):
    id = "long-site-name"
    what = (
        f"The site's name fits into its certificate authority's, which has {COMMON_NAME} characters at most."
    )
    why = "The authority couldn't be made, and nothing can be installed without it."
    mend = "Shorten the name."
    source = "operations, certificates (RFC 5280)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        most = COMMON_NAME - len(AUTHORITY)
        if facts.site is not None and len(facts.site.name) > most:
            message = f"the site's name has {len(facts.site.name)} characters"
            hint = f"{most} at most: its certificate authority is '{AUTHORITY}<name>'"
            yield Fault(("site", "name"), message, hint)


class ReservedDomain(Rule):
    id = "reserved-domain"
    what = "The domain is none that has a meaning of its own."
    why = (
        "cluster.local is Kubernetes' own; names of localhost, arpa and invalid are never asked of a server."
    )
    mend = "Take a subdomain of the organisation's."
    source = "operations, DNS (RFC 6761)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.site is None:
            return
        domain = facts.site.domain
        for reserved in ("cluster.local", "localhost", "arpa", "invalid"):
            if domain == reserved or domain.endswith(f".{reserved}"):
                message = f"the domain {domain} lies in {reserved}, which has a meaning of its own"
                yield Fault(("site", "domain"), message, "take a subdomain of the organisation's")


class MulticastDomain(Rule):
    id = "multicast-domain"
    severity = "warning"
    what = "The domain doesn't end in .local."
    why = "Workstations look such names up by multicast and never ask the head node."
    mend = "Take a subdomain of the organisation's."
    source = "operations, DNS (RFC 6762)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        if facts.site is None:
            return
        domain = facts.site.domain
        if domain.endswith(".local") and not f".{domain}".endswith(".cluster.local"):
            message = f"names of {domain} are looked up by multicast, not at the head node"
            yield Fault(("site", "domain"), message, "take a subdomain of the organisation's")


class ModelNameLetter(Rule):
    id = "model-name-letter"
    what = "A served model's name begins with a letter."
    why = "Its Service has that name, and Kubernetes refuses a Service's name that begins with a digit."
    mend = "Put a word before the digit."
    source = "operations, Kubernetes (RFC 1035)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        for at, service in facts.models:
            if service.name[0].isdigit():
                message = f"'{service.name}' begins with a digit: Kubernetes refuses such a Service"
                yield Fault((*at, "name"), message, f"put a word before it, such as m-{service.name}")


class LongModelName(Rule):
    id = "long-model-name"
    what = "A served model's name leaves room for what is appended to it."
    why = f"A Service's name has {LABEL} characters at most, and {METRICS} is appended to one of them."
    mend = "Shorten the name."
    source = "operations, Kubernetes (RFC 1035)"

    def check(self, facts: Facts) -> Iterator[Fault]:
        most = LABEL - len(METRICS)
        for at, service in facts.models:
            if len(service.name) > most:
                message = f"'{service.name}' has {len(service.name)} characters"
                yield Fault((*at, "name"), message, f"{most} at most: a Service is named <name>{METRICS}")


class DerivedModelName(Rule):
    id = "derived-model-name"
    what = "No served model has the name of another one's metrics."
    why = "Two Services can't have one name: one of the models would never be reached."
    mend = "Rename the model."
    source = "operations, Kubernetes"

    def check(self, facts: Facts) -> Iterator[Fault]:
        names = {service.name for _, service in facts.models}
        for at, service in facts.models:
            owner = service.name.removesuffix(METRICS)
            if owner != service.name and owner in names:
                message = f"'{service.name}' is the name of {owner}'s Service for metrics"
                yield Fault((*at, "name"), message, "rename the model")


RULES: tuple[type[Rule], ...] = (
    DuplicateName,
    DuplicateModelName,
    ReservedName,
    DerivedName,
    NumericName,
    LongName,
    LongDomain,
    LongSiteName,
    ReservedDomain,
    MulticastDomain,
    ModelNameLetter,
    LongModelName,
    DerivedModelName,
)
