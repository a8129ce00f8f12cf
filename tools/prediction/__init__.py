"""Predict the time of a network on a Jetson: a roofline of its layers, fitted to published times.

`boards.py` holds the peak rates of the boards, `graph.py` counts the work of a network and
`roofline.py` computes its time. `published.py` holds times that others measured; `fit.py` fits the
roofline to them and computes its error. All results are predictions, not measurements.
"""
