"""The pipeline under faults: killed at random moments, on a full disk, from a server that breaks (`make faults`)."""
