"""Class-specific noise: bounded patterns, added to images, that should make a frozen classifier hold on to a class."""
