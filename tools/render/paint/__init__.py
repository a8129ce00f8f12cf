"""From triangles to pictures: z-buffer, shading, and the look of a real camera."""
