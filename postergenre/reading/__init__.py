"""Reads the lettering on posters: the engine, what it has read before, and its processes."""
