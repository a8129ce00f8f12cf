"""What people do: motion capture and scripts of joint angles."""
