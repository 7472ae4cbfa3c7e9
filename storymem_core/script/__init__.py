"""Text or JSON -> a frozen Script -> the plan of every shot, before anything is computed."""
