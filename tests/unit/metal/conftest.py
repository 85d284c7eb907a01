"""Makes the modules, and their shared code, importable as Ansible does it on a node."""

from __future__ import annotations

import sys
from pathlib import Path

import ansible.module_utils

CHECKOUT = Path(__file__).resolve().parents[3]

ansible.module_utils.__path__.append(str(CHECKOUT / "plugins/module_utils"))
sys.path.append(str(CHECKOUT / "plugins/modules"))
