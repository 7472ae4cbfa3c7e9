"""Shapes of Wan's checkpoints, the small models' files, and what a film takes of a card."""
