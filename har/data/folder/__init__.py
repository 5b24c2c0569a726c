"""Own images with their own labels, in place of COCO: a folder of images by class, or a table of paths and labels."""
