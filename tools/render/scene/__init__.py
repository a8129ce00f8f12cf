"""Where people are: cameras, light, rooms and the places of people in them."""
