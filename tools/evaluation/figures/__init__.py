"""What is computed of labels and predictions. Pure: arrays in, figures out."""
