"""What is known of NVML: how it is opened, asked, and what its answers mean."""
