"""What run.py starts: the environment, the real ComfyUI's server, and the commands on top of them."""
