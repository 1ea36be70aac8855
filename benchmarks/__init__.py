"""What is timed, and against what; README.md beside this says how to repeat it."""
