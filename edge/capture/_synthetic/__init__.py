"""Parts of synthetic://: bodies, motions, cameras and drawing."""
