"""The memory bank, an immutable value: what moves it on, what a person does to it, and its folder on disk."""
