"""Shots of a hero whose looks only memory can know: what is asked for, and how it is made by the real host."""
