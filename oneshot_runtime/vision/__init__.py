"""From the bytes of a picture to the model's canvas."""
