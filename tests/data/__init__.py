"""Tests of postergenre/data/."""
