"""Predictions with known truth: do intervals cover, and do tests reject, as often as they say?"""
