"""Runs in MLflow. MLflow is imported in this package alone."""
