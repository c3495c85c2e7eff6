"""Asking the HTTP services that an exporter tells about, none of which is trusted."""
