"""What is odd about a picture, a gallery or an answer, and why."""
