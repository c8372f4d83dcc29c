"""The trainer: one process for one job, and the only package that imports torch, transformers and optimum.

Started as `python -m services.train.trainer <job folder>`. Nobody imports it: engines start it as a process.
"""
