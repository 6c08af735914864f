"""Cards: everything that is declared as data, with the catalogue that finds it."""
