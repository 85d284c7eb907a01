"""Rackwright: from one site file to a measured inference service."""

__version__ = "0.1.0"
