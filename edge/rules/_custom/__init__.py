"""The language of the rule `custom`: grammar, units, measures."""
