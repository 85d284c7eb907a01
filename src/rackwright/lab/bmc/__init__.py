"""A virtual BMC: the Redfish surface of an iDRAC9 with state of its own, over TLS, in front of an imitated machine.

One process serves any number of BMCs, each with its own address and port, certificate, accounts and state
folder. What is real in it and what is imitated stands in docs/reference/virtual-bmc.md.
"""

from rackwright.lab.bmc.bmc import Bmc
from rackwright.lab.bmc.config import BmcConfig, read_configs
from rackwright.lab.bmc.server import BmcServer

__all__ = ["Bmc", "BmcConfig", "BmcServer", "read_configs"]
