"""How good a network is, and the files that say so."""
