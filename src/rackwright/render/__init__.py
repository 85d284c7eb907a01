"""Rendering: the typed model and a role's options become the files that a machine gets."""

from rackwright.render.engine import RenderError, render
from rackwright.render.registry import Artefact, RenderedFile, Scope, artefact, artefacts_of

__all__ = ["Artefact", "RenderError", "RenderedFile", "Scope", "artefact", "artefacts_of", "render"]
