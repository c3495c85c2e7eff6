"""What tests of the GPU exporter share: the fake NVML, and what is asked of series."""
