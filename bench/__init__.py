"""Every claim with a number, measured: `scripts/bench` runs these and writes bench/results/."""
