"""Tests of postergenre/tracking/."""
