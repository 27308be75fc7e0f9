"""burst: a cloud load-burst controller that holds a burst to its budget and proves what it achieved."""

__version__ = "0.2.0"
