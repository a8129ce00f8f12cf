"""What a software bill of materials is made of: parts, and the document of CycloneDX."""
