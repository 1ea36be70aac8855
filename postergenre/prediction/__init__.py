"""Genres for posters, and what a network looks at."""
