"""What is written: truth, COCO-WholeBody folders, clips and contact sheets."""
