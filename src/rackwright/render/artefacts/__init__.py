"""The declarations of all artefacts, one module per consumer; each exports ``ARTEFACTS``."""
