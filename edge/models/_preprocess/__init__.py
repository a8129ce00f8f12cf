"""The one preprocessing: crops and letterboxes of frames, for daemon and tools alike."""
