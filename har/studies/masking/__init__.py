"""The masking study: trained models on images in which part of what they go by is hidden."""
