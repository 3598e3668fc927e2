"""What agents are given: the confirmation tool, the gate around tools, the sample agents."""
