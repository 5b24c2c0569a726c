"""The data door: fetching COCO, reading its annotations and curating a labelled subset from captions."""
