"""Tests of sample/."""
