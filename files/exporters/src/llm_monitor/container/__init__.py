"""The containers, as the engine's API and the kernel's control groups see them."""
