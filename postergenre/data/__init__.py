"""Films, genres, posters and splits: what goes into a network."""
