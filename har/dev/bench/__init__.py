"""How fast, against what else one would take: `python -m har.dev.bench`, or `make bench`; and how time and memory
grow with the images: `python -m har.dev.bench.scaling`, or `make scaling`.

measure    seconds and memory of a command and all its children
work       the photographs, checkpoint and recipe that both sides are given, and what this project does with them
theirs     the same by transformers' Trainer and by a plain loop
"""
