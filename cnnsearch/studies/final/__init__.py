"""Final training: winners in full, several seeds, evaluated once on the untouched test split."""
