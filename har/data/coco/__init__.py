"""COCO: its files fetched, its annotations read, and a labelled subset drawn by its captions."""
