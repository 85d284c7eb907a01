"""The bundle: everything a site installs, built or fetched once, locked by checksum, signed."""
