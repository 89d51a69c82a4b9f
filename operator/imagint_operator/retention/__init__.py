"""Retention on schedule: a `Tenant`'s rules → a run of its Gateway, with the key rotated before and trimmed after."""
