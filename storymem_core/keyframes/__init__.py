"""Which frames of a shot are worth remembering, and the memory after it."""
