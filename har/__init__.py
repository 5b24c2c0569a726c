"""Human activity recognition in still images."""
