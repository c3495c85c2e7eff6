"""The simulated server itself: one model of time, load and everything that follows from it."""
