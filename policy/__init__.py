"""Which tools wait for whom: the policy file, its rules, and what they say of a call."""
