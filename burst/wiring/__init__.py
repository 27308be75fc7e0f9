"""Wiring: the one place that knows both the controller and the outside world, and joins them for a plan.

A run goes through it in this order: `preparing` (a request to a resolved plan), `preflight`, `sessions` (adapters
behind ports, and a controller), `driving` (to the verdict). Beside them stand `standings` (the state of a run),
`stopping` (the end of its tasks), `announcements` and `takeover` (a run of another machine). `targets` holds everything
that depends on where tasks run, `inputs` reads the documents that a run starts from.
"""
