"""What reading the files may find, before any rule looks at them; ``intent`` reports these."""

from __future__ import annotations

from rackwright.rules.base import Described

SOURCE = "operations, the site file"


class YamlSyntax(Described):
    id = "yaml-syntax"
    what = "The files are YAML, one document each, as UTF-8 text."
    why = "Nothing else in a file can be read before that."
    mend = "Mend the quotes, brackets and indentation at the place that is shown."
    source = SOURCE


class YamlTab(Described):
    id = "yaml-tab"
    what = "Lines are indented with spaces."
    why = "YAML takes no tabs."
    mend = "Replace the tab by spaces."
    source = SOURCE


class DuplicateKey(Described):
    id = "duplicate-key"
    what = "A key stands once in a block."
    why = "Only one of the two would count, and it isn't said which."
    mend = "Remove one of them."
    source = SOURCE


class MissingField(Described):
    id = "missing-field"
    what = "Fields without a default are stated."
    why = "What they say can't be guessed."
    mend = "Add the field."
    source = SOURCE


class UnknownField(Described):
    id = "unknown-field"
    what = "Fields and sections are those of this reference."
    why = "A misspelt field would silently do nothing."
    mend = "Correct the name; the hint has the one most like it."
    source = SOURCE


class UnknownValue(Described):
    id = "unknown-value"
    what = "A value that is one of a list is of that list."
    why = "Nothing else has a meaning there."
    mend = "Take one of the values that the hint names."
    source = SOURCE


class WrongType(Described):
    id = "wrong-type"
    what = "A value is of its field's kind: text, number, list or block."
    why = "It can't be read otherwise."
    mend = "Write it as the hint shows."
    source = SOURCE


class NoValue(Described):
    id = "no-value"
    what = "A stated field has a value."
    why = "An empty one says nothing; most often the rest of the line was lost."
    mend = "Write the value, or remove the field where it has a default."
    source = SOURCE


class OutOfRange(Described):
    id = "out-of-range"
    what = "A number lies within its field's limits."
    why = "Beyond them it has no meaning: there is no VLAN 5000."
    mend = "Take a number within the limits."
    source = SOURCE


class BadValue(Described):
    id = "bad-value"
    what = "Addresses, names, MAC addresses and the like have their usual form."
    why = "Programs would refuse them later, far from the line that is wrong."
    mend = "Write it as the hint shows."
    source = SOURCE


class UnknownCatalogue(Described):
    id = "unknown-catalogue"
    what = "Files of catalog/ beside the site are named as the package's."
    why = "Others would silently do nothing."
    mend = "Rename the file: servers.yml, gpus.yml, nics.yml, switches.yml or models.yml."
    source = SOURCE


class UnknownProduct(Described):
    id = "unknown-product"
    what = "GPUs and adapters that a server of catalog/ names are in the catalogue."
    why = "Their memory, power and speed come from there."
    mend = "Add the product beside the server, or correct the name."
    source = "table 2"


class Range(Described):
    id = "range"
    what = "A range's names, racks, units and values fit each other."
    why = "It stands for many machines: a slip in it is in all of them."
    mend = "Write the range as the hint shows."
    source = "operations, large sites"


class HardwareFile(Described):
    id = "hardware-file"
    what = "The factory's list beside the site is readable, and has what the ranges take from it."
    why = "Service tags and MAC addresses come from there."
    mend = "Ask for the list again, or correct the line that is shown."
    source = "operations, large sites"


GRAMMAR: tuple[type[Described], ...] = (
    YamlSyntax,
    YamlTab,
    DuplicateKey,
    MissingField,
    UnknownField,
    UnknownValue,
    WrongType,
    NoValue,
    OutOfRange,
    BadValue,
    UnknownCatalogue,
    UnknownProduct,
    Range,
    HardwareFile,
)
