"""Where a fine-tuned transformer looks, and whether that is where the people are."""
