"""What the Docker engine tells about containers, and which GPUs they use."""
