"""Parts of csi://: Argus and the Jetson's video surfaces (NVMM)."""
