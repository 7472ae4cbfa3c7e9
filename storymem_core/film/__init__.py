"""Stored shots -> the film, its clips, and an export for other programs."""
