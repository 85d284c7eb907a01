"""What a person states of a site: its grammar, and the reading of its files with true positions."""
