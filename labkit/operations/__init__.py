"""What is done with machines over time: moving them to other hosts."""
