"""The node exporter: CPU, memory, disks, network and health of the host itself."""
