"""The paper's other systems, labels and readouts, and the reproduction of its tables."""
