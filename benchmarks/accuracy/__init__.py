"""How often it is right: the scoreboard and its protocols, other pictures, the camera."""
