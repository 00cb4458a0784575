"""Final training: winners in full, several seeds, judged once on the untouched test split."""
