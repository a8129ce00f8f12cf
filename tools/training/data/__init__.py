"""Labels as samples of one person each, and their crops."""
