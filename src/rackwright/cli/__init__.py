"""The commands: a thin layer over the playbooks and the package."""
