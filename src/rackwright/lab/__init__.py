"""The lab: a site's nodes as containers on one machine, at the site's own addresses.

It imitates hardware only. It knows nothing of playbooks or roles, except for the role options that this
machine's kernel forces (``overlay``).
"""
