"""Keeps an event store in PostgreSQL in order: its form, who may do what, and its days.

`python -m llmops_monitoring.storage.keeper` runs until it is told to end. It needs nothing of this
package but this folder and that of the migrations, and psycopg.
"""
