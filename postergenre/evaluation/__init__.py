"""Evaluate a model on the test posters, and write the reports."""
