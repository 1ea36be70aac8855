"""Tests of postergenre/serving/."""
