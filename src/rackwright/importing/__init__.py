"""Taking over what is written down elsewhere: factory lists of service tags and MACs, NetBox."""
