"""Parts of the plug `mpu6050`."""
