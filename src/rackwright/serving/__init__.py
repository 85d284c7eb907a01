"""How a site's served models become objects of its cluster."""
