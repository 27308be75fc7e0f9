"""Wiring: the one place that knows both the controller and what is outside, and joins them for a plan.

A command goes through it in this order: `preparing` (words to a resolved plan), `checks` (preflight; `ecschecks` on
ECS), `sessions` (a run to be driven). Beside them stand `standings` (how a run stands), `stopping` (its end without a
session) and `takeover` (a run of another machine). What a target is made of lies in `local`, `cloud` and `program`;
what a run reads, in `inputs` and `counting`; `doctor` looks at the machine.
"""
