"""The result as one HTML file without anything to load: plots as SVG, pictures embedded."""
