"""Clips in place of photographs: their frames, and UCF-101's lists of train and test."""
