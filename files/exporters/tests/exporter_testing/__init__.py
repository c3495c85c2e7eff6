"""What the tests share; the folder of the tests is on the path."""
