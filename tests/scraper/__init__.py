"""Tests of scraper/."""
