"""What a team does with the project: remotes, what they are sent, and experiments."""
