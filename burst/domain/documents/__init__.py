"""The documents that a run writes and that others read, as models that refuse what they cannot trust."""
