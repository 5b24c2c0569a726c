"""Typed parameters: params.yaml as frozen objects, with one-line errors that name the key."""
