"""The temporal network that corrects the filter: its data, its training, its file."""
