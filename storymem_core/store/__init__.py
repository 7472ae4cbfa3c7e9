"""A story's folder: the one place of state on disk."""
