"""Calibrations of cameras: files of Pose2Sim, Qualisys and OpenCV become a Rig."""
