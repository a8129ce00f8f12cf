"""Truth of pictures, and the files of a set: COCO-WholeBody folders, clips, contact sheets."""
