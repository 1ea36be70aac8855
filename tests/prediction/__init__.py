"""Tests of postergenre/prediction/."""
