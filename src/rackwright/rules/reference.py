"""Writes docs/reference/site.md from the grammar, and rules.md from the rules.

``python -m rackwright.rules.reference`` writes both.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from rackwright.intent import fields, schema, schema_ranges
from rackwright.paths import checkout
from rackwright.rules.engine import DESCRIBED

HEAD = """\
# The site file

One file states a site: `inventories/<site>/site.yml`. It is an Ansible inventory too:
`ansible-inventory -i inventories/<site>/site.yml --graph`. A large site may put servers, switches and
interconnects into `racks/*.yml` beside it. Passwords, tokens and keys stand in none of them: they belong
into a vault-encrypted file of `group_vars/` or `host_vars/`.

`rackwright validate <site>` shows every fault that can be seen at once, as `file:line:column: severity: message [rule]`
with a hint. Findings go to stderr, the verdict on a valid site to stdout; with `--format json` the findings go to
stdout, by [validate.schema.json](schemas/validate.schema.json).
Exit code 2: the site has errors. What is checked beyond the fields stands in [The rules](rules.md).
The keys that `profile`, `product`, `model` and `release` take are listed in [The catalogue](catalogue.md). Editors
complete and explain the fields by [site.schema.json](schemas/site.schema.json). A whole site, step by step:
[Write a site file](../how-to/write-a-site.md).

This page is made from the grammar by `python -m rackwright.rules.reference`.

## Fields
"""

RULES_HEAD = """\
# The rules

What must hold in a site beyond its grammar. `rackwright validate <site>` reports each breach at its place with the
rule's id in brackets; `rackwright rules` lists the rules, `rackwright rules ID` explains one. *Source* is where in the
Dell Validated Design for Generative AI Inferencing a rule comes from, or `operations` and the matter where the
design leaves it to whoever runs the site.

An error must be mended. A warning can be accepted, with a reason that the report and the site book show:

```yaml
waive:
  - rule: cabling-redundancy
    at: servers.r660-3
    reason: its second cable is on order, due in week 50
```

`at` is the first parts of the path that the finding has in `--format json`: `servers.r660-3`, `serving.models`, or
`server_ranges.gpu-{01..64}` for all servers of a range, by its names as the file has them. With a `*` at its end it is
any beginning: `servers.gpu-*`. Without `at` all warnings of the rule are accepted.

This page is made from the rules by `python -m rackwright.rules.reference`.
"""

CLASSES: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The file", schema.SiteFile),
    ("site", schema.Site),
    ("networks", schema.Networks),
    ("networks.<purpose>", schema.Network),
    ("access", schema.Access),
    ("dns", schema.Dns),
    ("ntp", schema.Ntp),
    ("kubernetes", schema.Kubernetes),
    ("head", schema.Head),
    ("racks[]", schema.Rack),
    ("storage", schema.Storage),
    ("switches[]", schema.Switch),
    ("interconnects[]", schema.Interconnect),
    ("servers[]", schema.Server),
    ("servers[].bmc", schema.Bmc),
    ("servers[].addresses", schema.Addresses),
    ("servers[].ports.<port>", schema.Port),
    ("servers[].gpus", fields.Gpus),
    ("serving", schema.Serving),
    ("serving.models[]", schema.ModelService),
    ("waive[]", schema.Waiver),
    ("rack_ranges[]", schema_ranges.RackRange),
    ("switch_ranges[]", schema_ranges.SwitchRange),
    ("switch_ranges[].uplinks.<port>", schema_ranges.UplinkRange),
    ("server_ranges[]", schema_ranges.ServerRange),
    ("server_ranges[].bmc", schema_ranges.BmcRange),
    ("server_ranges[].addresses", schema_ranges.AddressRanges),
    ("server_ranges[].ports.<port>", schema_ranges.PortRange),
    ("Addresses of a range", schema_ranges.AddressSeries),
    ("MAC addresses of a range", schema_ranges.MacSeries),
    ("racks/*.yml", schema.RackFile),
)

_KINDS = {"str": "text", "int": "number", "IPv4Address": "address", "IPv4Network": "network/length"}


def site_reference() -> str:
    """The whole page."""
    return HEAD + "".join(_sections())


def rules_reference() -> str:
    """The page of the rules."""
    return RULES_HEAD + "".join(_rules())


def _sections() -> Iterator[str]:
    for title, grammar in CLASSES:
        yield f"\n### {title}\n\n{inspect.cleandoc(grammar.__doc__ or '')}\n\n"
        yield "| Field | Type | Default | Meaning |\n|---|---|---|---|\n"
        for name, info in grammar.model_fields.items():
            kind = _kind(name, info)
            yield f"| `{name}` | {kind} | {_default(info)} | {info.description} |\n"


def _rules() -> Iterator[str]:
    for subject, described in DESCRIBED.items():
        yield f"\n## {subject}\n\n| Rule | What must hold | Why | How to mend it | Source |\n|---|---|---|---|---|\n"
        for rule in sorted(described, key=lambda one: one.id):
            warning = " (warning)" if rule.severity == "warning" else ""
            yield f"| `{rule.id}`{warning} | {rule.what} | {rule.why} | {rule.mend} | {rule.source} |\n"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if isinstance(value, BaseModel) or value is None or value in ((), {}):
        return ""
    return f"`{value}`"


def _kind(name: str, info: FieldInfo) -> str:
    if name in ("dhcp_range", "vip_range"):
        return "first-last"
    return _type(info.annotation)


def _type(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _type(next(part for part in arguments if part is not type(None)))
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"block of {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{_anchor(annotation)})"
    return _KINDS[annotation.__name__]


def _anchor(grammar: type[BaseModel]) -> str:
    title = next(title for title, known in CLASSES if known is grammar)
    return "".join(c for c in title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


if __name__ == "__main__":
    folder = checkout() / "docs/reference"
    (folder / "site.md").write_text(site_reference(), encoding="utf-8")
    (folder / "rules.md").write_text(rules_reference(), encoding="utf-8")
