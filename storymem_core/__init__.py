"""StoryMem's thinking: script -> memory -> conditioning -> sampling -> frames -> keyframes -> memory ... -> film."""
