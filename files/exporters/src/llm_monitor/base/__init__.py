"""What every exporter shares: metric families, collection, web server, settings, logs."""
