"""The report of a rollout or a rehearsal: what was asked, done, measured."""
