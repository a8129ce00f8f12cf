"""Parts of the rule `fall`."""
