"""The site book: everything that people need beside the racks, in one printable page made from the model."""
