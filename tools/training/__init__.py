"""Training on labelled people: from labels to a model that the daemon serves.

    data/       labels -> one sample a person, split by recording; crops of them on disk
    check/      what is wrong with labels, before time is spent on them
    networks/   networks that can be trained, and how each reads a crop and is judged
    fit/        recipes, augmentation, the loop and its state
    judging/    before and after: the daemon's own code on held-out recordings and reference clips
    labels/     labels out of our own poses, and frames that are worth labelling

PyTorch is imported in networks/ and fit/ only. Letters: N samples, B of a batch, T points of the
network.
"""
