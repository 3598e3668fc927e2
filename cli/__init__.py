"""The clearance command."""
