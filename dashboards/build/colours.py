"""What colours mean, everywhere. They are names of Grafana's palette, so that they suit light and dark themes.

A colour that is named here stands for nothing else. Series that are told apart by a name alone (containers, GPUs,
models) take a colour by that name, so that a model has the same one in every panel.
"""

from __future__ import annotations

# States.
OK = "green"
WARNING = "orange"
CRITICAL = "red"
INFO = "blue"
# Neither good nor bad: stopped on purpose, idle, not measured.
OFF = "#8e8e8e"
# A number that has no limit.
PLAIN = "text"
# A configured limit or target, drawn as a line.
LIMIT = "dark-red"

# Directions: into the machine, the disk's platter to memory, prompt; and out of it.
IN = "light-blue"
OUT = "purple"

# Quantiles of one thing.
P50 = "super-light-blue"
P95 = "semi-dark-blue"
P99 = "dark-blue"

# What holds memory or space.
USED = "semi-dark-purple"
CACHED = "super-light-purple"
FREE = "light-green"

# What processors do.
USER = "light-purple"
SYSTEM = "dark-purple"
IO_WAIT = "yellow"
STOLEN = "light-red"

# What one thing was a week ago, beside what it is.
LAST_WEEK = "super-light-orange"
