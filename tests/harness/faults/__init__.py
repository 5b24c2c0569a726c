"""The pipeline under faults: killed at random moments, and with no room for its files (`make faults`)."""
