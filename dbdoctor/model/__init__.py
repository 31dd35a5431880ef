"""The nouns that every room shares: frozen values, standard library only."""
