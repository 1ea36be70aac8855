"""Tests of postergenre/networks/."""
