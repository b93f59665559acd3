"""``oxcart demo``: the main job, end to end, on the embedded defaults."""

from oxcart.cli.demo.run import run_demo

__all__ = ["run_demo"]
