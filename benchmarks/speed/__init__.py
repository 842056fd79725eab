"""How long it takes: a process, a picture, many pictures, an enrollment, the page in a browser."""
