"""Four rendered sites that learn without sharing pictures: `edge-tools federated-trial`."""
