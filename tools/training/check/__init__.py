"""What is wrong with labels, found before time is spent on them."""
