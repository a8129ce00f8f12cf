"""Joint angles from inertial sensors on a limb and from the camera together.

`edge.people.fusion.joint.JointFusion` is the way in. Pure: times are arguments.
"""
