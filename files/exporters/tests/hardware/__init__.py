"""A check of the GPU exporter on a machine with real GPUs: `make test-gpu`."""
