"""Models: builders of small networks, classifiers on pretrained checkpoints, frozen encoders."""
