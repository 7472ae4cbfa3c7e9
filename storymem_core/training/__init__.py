"""One trainer for the small world and for Wan2.2-A14B: the VAE, the base pair, the memory LoRA."""
