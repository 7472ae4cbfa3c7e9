"""A story, a memory or the takes of a story on one picture."""
