#!/usr/bin/python
"""Have Ironic's database there, in the shape that the installed Ironic wants."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_ironic_database
short_description: Ironic's database, made or brought up to date
description:
  - Compares the revision that the database says it has with the one that the installed Ironic wants. A new database
    is made whole; a standing one is brought from the one to the other, of an SQLite file a copy is kept beside it.
  - With I(kind=mariadb), makes the database and a user who is known by the system's user of the same name, so that
    there is no password.
options:
  kind:
    description: A file, MariaDB on this machine, or what I(configuration) names as it is.
    type: str
    choices: [sqlite, mariadb, elsewhere]
    required: true
  file: {description: SQLite's file., type: path, required: true}
  configuration: {description: Ironic's configuration files., type: list, elements: path, required: true}
  mark: {description: File that is written whenever the database took another shape., type: path, required: true}
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
author: Rackwright
"""

RETURN = """
before: {description: The revision found; empty for a new database., type: str, returned: always}
after: {description: The revision wanted; empty while Ironic is not installed., type: str, returned: always}
"""

SOCKET = "/run/mysqld/mysqld.sock"
# The user that Debian's package makes.
USER = "ironic"
# What there has to be in MariaDB: its name, a question that finds it, the statement that makes it.
STEPS = (
    (
        "make the database ironic",
        "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'ironic'",
        "CREATE DATABASE ironic CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    ),
    (
        "make the user ironic",
        "SELECT 1 FROM mysql.global_priv WHERE User = 'ironic' AND Host = 'localhost' "
        "AND JSON_VALUE(Priv, '$.plugin') = 'unix_socket'",
        "CREATE OR REPLACE USER ironic@localhost IDENTIFIED VIA unix_socket",
    ),
    (
        "give the user ironic its database",
        "SELECT 1 FROM mysql.db WHERE User = 'ironic' AND Host = 'localhost' AND Db = 'ironic'",
        "GRANT ALL PRIVILEGES ON ironic.* TO ironic@localhost",
    ),
)


class Database:
    """Ironic's own tool for its database, and MariaDB's administrator."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.options = [f"--config-file={path}" for path in module.params["configuration"]]

    def sync(self, verb: str) -> tuple[int, str, str]:
        """Run ``ironic-dbsync verb`` as Ironic's user."""
        command = ["runuser", "-u", USER, "--", "ironic-dbsync", *self.options, verb]
        code, out, err = self.module.run_command(command, cwd="/")
        return int(code), str(out), str(err)

    def fail(self, what: str, evidence: str, cause: str) -> NoReturn:
        """End the module: what was done, what was seen, why probably, what next."""
        lines = [line for line in evidence.strip().splitlines() if line.strip()]
        self.module.fail_json(
            msg=f"{what} failed. Evidence: {' | '.join(lines[-3:])}. Cause: {cause}. Next: "
            f"'runuser -u {USER} -- ironic-dbsync {' '.join(self.options)} version' on the head node, "
            "then the same playbook again."
        )
        raise AssertionError("not reached")

    def revision(self) -> str:
        """The revision that the database says it has; empty for a new one."""
        code, out, err = self.sync("version")
        if code:
            self.fail(
                "asking for the database's revision", err or out, "the database cannot be reached or read"
            )
        words = out.split()
        return words[-1] if words and words[-1] != "None" else ""

    def wanted(self) -> str:
        """The revision that the installed Ironic wants."""
        spec = importlib.util.find_spec("ironic")
        if spec is None or spec.origin is None:
            return ""
        from alembic.script import ScriptDirectory

        folder = Path(spec.origin).parent / "db" / "sqlalchemy" / "alembic"
        return str(ScriptDirectory(str(folder)).get_current_head())

    def prepare_mariadb(self) -> list[str]:
        """Make the database and its user; gives what was, or would be, done."""
        try:
            import pymysql
        except ImportError:
            if self.module.check_mode:
                return [STEPS[0][0]]
            self.module.fail_json(msg="python3-pymysql is missing on this machine")
        try:
            connection = pymysql.connect(unix_socket=SOCKET, user="root", autocommit=True)
        except pymysql.Error as error:
            if self.module.check_mode:
                return [STEPS[0][0]]
            self.fail("asking MariaDB", str(error), "it does not run: see 'systemctl status mariadb'")
        done = []
        with contextlib.closing(connection), connection.cursor() as cursor:
            for name, question, statement in STEPS:
                if not cursor.execute(question):
                    done.append(name)
                    if not self.module.check_mode:
                        cursor.execute(statement)
        return done

    def migrate(self, before: str, after: str) -> None:
        """Make the tables, or bring them up to date."""
        if not before:
            code, out, err = self.sync("create_schema")
            if code:
                self.fail("making the database", err or out, "see the evidence")
            return
        kept = self._keep_copy(before)
        for verb in ("upgrade", "online_data_migrations"):
            code, out, err = self.sync(verb)
            if code:
                if kept:
                    shutil.copy2(kept, self.module.params["file"])
                    shutil.chown(self.module.params["file"], USER, USER)
                self.fail(
                    f"bringing the database from revision {before} to {after}",
                    err or out,
                    "SQLite cannot make every change: the file is as it was; remove it to begin with an empty one, "
                    "or set ironic_database: mariadb"
                    if kept
                    else "see the evidence",
                )

    def _keep_copy(self, before: str) -> str:
        """Copy an SQLite file beside itself as one whole; gives the copy's path."""
        file = str(self.module.params["file"])
        if self.module.params["kind"] != "sqlite":
            return ""
        copy = f"{file}.{before}"
        descriptor = os.open(copy, os.O_CREAT | os.O_WRONLY, 0o600)
        os.close(descriptor)
        with (
            contextlib.closing(sqlite3.connect(file)) as old,
            contextlib.closing(sqlite3.connect(copy)) as new,
        ):
            old.backup(new)
        return copy


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["sqlite", "mariadb", "elsewhere"], "required": True},
            "file": {"type": "path", "required": True},
            "configuration": {"type": "list", "elements": "path", "required": True},
            "mark": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params: dict[str, Any] = module.params
    database = Database(module)
    done = database.prepare_mariadb() if params["kind"] == "mariadb" else []
    after = database.wanted()
    fresh = bool(done) or not after or (params["kind"] == "sqlite" and not os.path.exists(params["file"]))
    before = "" if module.check_mode and fresh else database.revision()
    if before != after or not after:
        done.append(f"bring the tables from {before or 'nothing'} to {after or 'what Ironic wants'}")
        if not module.check_mode:
            database.migrate(before, after)
            Path(params["mark"]).write_text(f"{after}\n", encoding="utf-8")
    module.exit_json(
        changed=bool(done),
        before=before,
        after=after,
        changed_paths=[params["mark"]] if before != after else [],
        diff={"before": "", "after": "".join(f"{line}\n" for line in done)},
    )


if __name__ == "__main__":
    main()
