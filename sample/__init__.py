"""The embedded sample: films that nobody made, posters that this package draws, and a site that serves them."""
