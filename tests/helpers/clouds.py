"""Rows of three classes, and what is known of their labels."""

import numpy as np


def clouds(n=300, seed=0, d=3):
    """Three classes, the last of two clusters, and their labels."""
    rng = np.random.default_rng(seed)
    which = rng.choice(4, size=n, p=[0.3, 0.3, 0.2, 0.2])
    centres = np.zeros((4, d))
    centres[:, 0], centres[:, 1] = [0, 4, 2, 2], [0, 0, 4, -4]
    return centres[which] + rng.normal(size=(n, d)) * (1 + 0.3 * which[:, None]), np.array(list("abcc"))[which]


def split(X, y, share=0.3, seed=7):
    """Labels of which only that share is known."""
    known = np.random.default_rng(seed).random(len(y)) < share
    return np.where(known, y, "?")
