"""A model with one setting at a time replaced, on the same images: what each setting is worth."""
