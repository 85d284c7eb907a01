"""From the intent to the site model: pure, deterministic, independent of the order of the file."""
