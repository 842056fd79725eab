"""Galleries in and out: folders of pictures, archives, another model."""
