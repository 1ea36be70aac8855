"""Networks: built from params.yaml, trained, calibrated and kept."""
