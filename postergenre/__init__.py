"""Tell a film's genres from its poster."""
