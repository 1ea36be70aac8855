"""The DVC stages, one file each: `python -m stages.NAME` runs one by hand."""
