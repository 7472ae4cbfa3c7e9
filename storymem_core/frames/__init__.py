"""How many frames a shot has and shares with others; frames on disk."""
