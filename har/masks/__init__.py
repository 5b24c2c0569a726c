"""Black masks on images: drawn at random with an exact share, or from annotated regions. numpy only."""
