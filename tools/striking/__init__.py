"""How the network of edge/rules/_strikes is trained: scenes, windows of limbs, and the fit."""
