"""The page that a profile's results end in: one static folder that opens from disk, without a server or network."""
