"""What `scripts/soak` is made of: processes that are killed, devices that write and sync, and the judgement in the end."""
