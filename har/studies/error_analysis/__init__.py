"""Where models fail: on which images, on what kind of images, and whether they fail on the same ones."""
