"""Models that learn at several sites: parameters travel as signed files, pictures stay."""
