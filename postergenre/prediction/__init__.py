"""Predict genres for posters, and show which places of a poster a prediction comes from."""
