"""The core: script -> memory -> conditioning -> sampling -> frames -> keyframes -> memory ... -> film."""
