"""The staged connection probe behind `check`, and the catalogue that names a failure."""
