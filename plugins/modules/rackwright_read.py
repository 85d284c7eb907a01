#!/usr/bin/python
"""Read a few public files of a machine."""

from __future__ import annotations

import base64
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: rackwright_read
short_description: Read a few public files at once
description:
  - Gives the files' bytes in base64, in the order asked for. Changes nothing.
  - In check mode a file that is not there yet is given as empty, so that the first check of a bare site
    can go on.
options:
  paths: {description: The files., type: list, elements: path, required: true}
  hint: {description: What to do when one is missing., type: str, default: ''}
attributes:
  check_mode: {support: full}
author: Rackwright
"""

RETURN = """
contents:
  description: The files' bytes in base64.
  type: list
  elements: str
  returned: always
"""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "paths": {"type": "list", "elements": "path", "required": True},
            "hint": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    contents = []
    for path in module.params["paths"]:
        try:
            contents.append(base64.b64encode(Path(path).read_bytes()).decode())
        except FileNotFoundError:
            if not module.check_mode:
                module.fail_json(msg=f"{path} is not on this machine. {module.params['hint']}".strip())
            contents.append("")
    module.exit_json(changed=False, contents=contents)


if __name__ == "__main__":
    main()
