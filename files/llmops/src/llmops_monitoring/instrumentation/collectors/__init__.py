"""What is read from a result: text, images, tokens and what they cost."""
