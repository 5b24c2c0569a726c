"""LLaVA-1.5 and LLaVA-NeXT as classifiers: how likely each label is as an answer, as they come and with LoRA.

prompts   what is asked and what may be answered
model     a checkpoint and its processor
score     the log-likelihood of each answer, and probabilities from these
tune      low-rank updates of the language model, by one process or several
launch    several processes
"""
