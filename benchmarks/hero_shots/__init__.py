"""Shots of a hero whose looks only memory can know: what is asked for, and how the real host makes it."""
