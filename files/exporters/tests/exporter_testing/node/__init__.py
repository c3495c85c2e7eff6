"""What tests of the node exporter share: hosts on disk, and exporters that have less power."""
