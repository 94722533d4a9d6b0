"""All benchmarks: `speed` measures how fast the course runs, `quality` how well its models do."""
