"""Cold metal: from power-off to an operating system, through the BMC and Ironic."""
