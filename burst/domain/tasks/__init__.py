"""Tasks, one-shots and services of a burst, their lease and cost, and the answers of ECS about them."""
