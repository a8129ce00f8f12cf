"""Parts of v4l2://: the kernel's video capture interface."""
