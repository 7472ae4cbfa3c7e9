"""What a shot is told: its own first and last frames, the memory slots, positions in time."""
