"""People drawn with exact truth: bodies, motions, scenes, pictures and clips for `synth`."""
