"""The data's way in its order: one shot, the chain of shots, a loop around nodes of the user's own."""
