"""Rolling a site out: the playbooks in their order, watched, timed, diagnosed, and resumed."""
