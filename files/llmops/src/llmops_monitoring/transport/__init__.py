"""How calls are delivered, in the background, to where they are kept."""
