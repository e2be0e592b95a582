"""flexp: split-point planner, resource optimizer and runtime for FlexP-SFL."""

__version__ = "0.1.0"
