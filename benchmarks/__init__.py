"""Measurements of the project beside others; README.md has the results and the commands."""
