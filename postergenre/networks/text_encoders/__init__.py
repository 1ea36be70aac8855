"""Text encoders: sentence encoders of BERT's and MPNet's families, which turn a text into a vector."""
