"""The stage that asks whether it holds: claims times checks, from a declared error budget to run record and report."""
