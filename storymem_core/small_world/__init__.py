"""A picture book that draws itself: clips with known heroes, places and actions, in numpy alone.

Small models are trained and measured on it. The same seed gives the same clip.
"""
