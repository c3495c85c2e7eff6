"""The GPUs, as the driver sees them through NVML."""
