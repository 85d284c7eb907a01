"""Rules of secrets beside the site file: encrypted, and there. Values are looked at, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from rackwright.intent.document import Mark
from rackwright.intent.load import shown
from rackwright.rules.base import Fault, Rule
from rackwright.rules.facts import Facts

VAULT = "$ANSIBLE_VAULT;"
SECRET_FILE = re.compile(r"(secrets?|vault)(\.ya?ml)?$", re.IGNORECASE)
SECRET_KEY = re.compile(
    r"(^|[_-])(password|passwd|passphrase|secret|token|private[_-]?key|api[_-]?key|credentials?)s?$",
    re.IGNORECASE,
)
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
REFERENCE = re.compile(r"\bvault_[a-z0-9_]+")
ENCRYPT = "encrypt it: ansible-vault encrypt "
SOURCE = "operations, secrets"


class _Files:
    """The files beside a site: path as messages show it → text."""

    def __init__(self, facts: Facts) -> None:
        self.texts = {shown(path): text for path, text in facts.beside.items()}
        self.variables = {shown(path) for path in facts.beside if path.parent != facts.folder}

    def in_clear(self) -> Iterator[tuple[str, str]]:
        """Path and text of every file that is not encrypted as a whole."""
        return ((path, text) for path, text in self.texts.items() if not text.startswith(VAULT))

    def scalars(self, path: str) -> Iterator[tuple[str, yaml.ScalarNode]]:
        """Key and value of every scalar of a file of variables; nothing of one that isn't YAML."""
        if path not in self.variables and not path.endswith((".yml", ".yaml")):
            return
        try:
            roots = list(yaml.compose_all(self.texts[path], Loader=yaml.SafeLoader))
        except yaml.YAMLError:
            return
        for root in roots:
            if root is not None:
                yield from _scalars("", root)


def _scalars(key: str, node: yaml.Node) -> Iterator[tuple[str, yaml.ScalarNode]]:
    if isinstance(node, yaml.ScalarNode):
        yield key, node
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _scalars(key, item)
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _scalars(str(name.value), value)


class _Secrets(Rule):
    source = SOURCE

    def files(self, facts: Facts) -> _Files:
        return _Files(facts)


class SecretInClear(_Secrets):
    id = "secret-in-clear"
    what = "Passwords, tokens and the like in group_vars, host_vars and beside the site file are encrypted."
    why = "The site's files are kept in version control, where everybody reads them for ever."
    mend = "Encrypt the file, or the value: ansible-vault encrypt_string."

    def check(self, facts: Facts) -> Iterator[Fault]:
        files = self.files(facts)
        for path, _ in files.in_clear():
            if _secret_file(path):
                continue
            for key, node in files.scalars(path):
                if SECRET_KEY.search(key) and _is_secret(node):
                    mark = Mark(path, node.start_mark.line + 1, node.start_mark.column + 1)
                    hint = f"{ENCRYPT}{path}, or the value with encrypt_string; then change the secret"
                    yield Fault((), f"'{key}' is not encrypted", hint, mark=mark)


def _is_secret(node: yaml.ScalarNode) -> bool:
    """Whether a value may be a secret: no vault's, no other variable's, no switch, no file's name."""
    if node.tag == "!vault" or node.tag in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
        return False
    value = node.value.strip()
    return bool(value) and "{{" not in value and value[0] not in "/~" and not PRIVATE_KEY.search(value)


def _secret_file(path: str) -> bool:
    """Whether a file is one for secrets by its name; it is then encrypted as a whole."""
    return SECRET_FILE.search(Path(path).name) is not None


class SecretFileInClear(_Secrets):
    id = "secret-file-in-clear"
    what = "A file that is called secrets or vault is encrypted as a whole."
    why = "By its name it holds secrets; in clear they are anybody's who reads the site's files."
    mend = "Encrypt the file: ansible-vault encrypt."

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, text in self.files(facts).in_clear():
            if _secret_file(path) and text.strip() and not PRIVATE_KEY.search(text):
                hint = f"{ENCRYPT}{path}; then change the secrets"
                yield Fault((), "a file for secrets is not encrypted", hint, mark=Mark(path, 1, 1))


class PrivateKeyInClear(_Secrets):
    id = "private-key-in-clear"
    what = "No private key stands in clear in or beside the site's files."
    why = "Whoever reads it is root on every node, or speaks in the site's name."
    mend = "Encrypt the file, and replace the key: it counts as known."

    def check(self, facts: Facts) -> Iterator[Fault]:
        for path, text in self.files(facts).in_clear():
            for number, line in enumerate(text.splitlines(), start=1):
                found = PRIVATE_KEY.search(line)
                if found:
                    mark = Mark(path, number, found.start() + 1)
                    hint = f"{ENCRYPT}{path}; then replace the key: it counts as known"
                    yield Fault((), "a private key in clear", hint, mark=mark)


class SecretMissing(_Secrets):
    id = "secret-missing"
    what = "Where a variable refers to a vault's (vault_…), there is a vault."
    why = "The roll-out would stop in the middle, at the first task that needs the secret."
    mend = "Make it: ansible-vault create group_vars/all/vault.yml."

    def check(self, facts: Facts) -> Iterator[Fault]:
        files = self.files(facts)
        if any(text.startswith(VAULT) for text in files.texts.values()):
            return
        defined = {key for path in files.texts for key, _ in files.scalars(path)}
        for path in files.texts:
            for key, node in files.scalars(path):
                for name in REFERENCE.findall(node.value) if "{{" in node.value else ():
                    if name not in defined:
                        mark = Mark(path, node.start_mark.line + 1, node.start_mark.column + 1)
                        message = f"'{key}' refers to {name}, but the site has no encrypted file"
                        hint = "make it: ansible-vault create group_vars/all/vault.yml beside the site"
                        yield Fault((), message, hint, mark=mark)


RULES: tuple[type[Rule], ...] = (SecretInClear, SecretFileInClear, PrivateKeyInClear, SecretMissing)
