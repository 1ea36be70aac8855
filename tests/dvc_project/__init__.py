"""Tests of postergenre/dvc_project/."""
