"""How fast, against what else one would take: `python -m har.dev.bench`, or `make bench`; and how time and memory
grow with the images: `python -m har.dev.bench.scaling`, or `make scaling`.

work       the photographs, checkpoint and recipe that both sides are given
ours       five seeds by this project, as a command
trainer    one seed by transformers' Trainer, as a command
encoder    the network that embeds
embedding  embeddings by this project, by plain loops, and the bare forward pass, each as a command
graph      DVC's own time for this graph and for an empty one of as many stages
nodes      seeds on one and on two local nodes of Ray
sections   what is compared with what
scaling    four stages on ever more images
scaled     what they do, as a command
measure    seconds and memory of a command and all its children
report     ratios with their spread, in a table named by the hardware
"""
