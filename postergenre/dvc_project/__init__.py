"""The DVC project: its cache, its lock file and what a team shares. DVC is imported in this package alone."""
