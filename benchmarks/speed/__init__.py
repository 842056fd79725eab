"""How long it takes: a process, a picture, many pictures, an enrolment, the page in a browser."""
