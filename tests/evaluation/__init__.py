"""Tests of postergenre/evaluation/."""
