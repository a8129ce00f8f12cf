"""What a network would take on a Jetson: a roofline of its layers, fitted to published times.

boards.py says what the boards can do, graph.py what a network asks of them, roofline.py how long
that takes, published.py what others measured and fit.py how far off the roofline is from it.
Everything that comes out of here is a prediction, not a measurement.
"""
