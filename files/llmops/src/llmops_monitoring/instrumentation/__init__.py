"""What measures a call, on the thread that makes it."""
