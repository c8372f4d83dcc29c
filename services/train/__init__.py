"""The training service: takes datasets and jobs, runs trainers, keeps the registry. Never imports torch."""
