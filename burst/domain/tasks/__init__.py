"""What runs: tasks, one-shots and services, the lease that holds them, and what ECS says of them."""
