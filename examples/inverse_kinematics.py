"""Inverse kinematics: a mixture learns an arm, and is asked which angles reach a point. There are two answers.

An arm of two links turns at shoulder and elbow. Its angles and the point that its hand reaches are drawn at random,
and a mixture learns all four together. Forwards, from angles to points, it is a regression. Backwards the mean of the
angles is useless, for it lies between the arm with its elbow to the left and that with its elbow to the right; the
modes of the conditional mixture are both of them, and each reaches the point. It needs to be reached to a tolerance
only: noise of that size is added to what the mixture knows of points.

    python examples/inverse_kinematics.py --output FOLDER
"""

import numpy as np

from _common import BLUE, GREEN, ORANGE, RED, output_folder, panels, save
from cgmm import GMM, GMMRegressor

UPPER, LOWER = 1.0, 0.8  # lengths of the links
ROWS, COMPONENTS = 20_000, 60
TOLERANCE = 0.05
POINTS = np.array([[0.9, 0.9], [1.2, 0.3], [0.3, 1.2]])


def hand(angles):
    """The point (n,2) that the hand reaches with angles of shoulder and elbow (n,2)."""
    shoulder, both = angles[:, 0], angles.sum(axis=1)
    x = UPPER * np.cos(shoulder) + LOWER * np.cos(both)
    return np.column_stack([x, UPPER * np.sin(shoulder) + LOWER * np.sin(both)])


def rows(n, seed=0):
    """Angles and the points that they reach, (n,4)."""
    rng = np.random.default_rng(seed)
    angles = np.column_stack([rng.uniform(-0.8, 2.4, n), rng.uniform(-2.4, 2.4, n)])
    return np.column_stack([angles, hand(angles)])


def learn(X):
    """The rows lie on a surface, to which reg_covar gives a thickness: no warning is wanted that it does."""
    return GMM(COMPONENTS, reg_covar=1e-5, on_degenerate="repair", random_state=0, max_iter=300).fit(X)


def answers(model, point):
    """The mixture of angles for a point, and its highest mode with the elbow to the left, and to the right."""
    near = model.convolve([0, 0, TOLERANCE**2, TOLERANCE**2])
    angles = near.condition({2: point[0], 3: point[1]})
    modes = angles.modes().points  # the highest first
    return angles, np.array([side[0] for side in (modes[modes[:, 1] < 0], modes[modes[:, 1] > 0]) if len(side)])


def misses(angles, point):
    """How far from the point each of the angles (m,2) leads."""
    return np.linalg.norm(hand(angles) - point, axis=1)


def draw_arm(ax, angles, colour, label):
    elbow = UPPER * np.array([np.cos(angles[0]), np.sin(angles[0])])
    joints = np.vstack([[0, 0], elbow, hand(angles[None])[0]])
    ax.plot(*joints.T, "-o", color=colour, label=label, lw=2, ms=4)


def picture(model, path):
    figure, axes = panels(2, len(POINTS), (3.4, 3.2))
    grid = np.stack(np.meshgrid(np.linspace(-0.8, 2.4, 160), np.linspace(-2.4, 2.4, 160)), axis=-1)
    for above, below, point in zip(axes[0], axes[1], POINTS, strict=True):
        angles, modes = answers(model, point)
        density = angles.score_samples(grid.reshape(-1, 2)).reshape(grid.shape[:2])
        level = angles.level(0.95)
        above.contourf(grid[..., 0], grid[..., 1], density, levels=np.linspace(level, density.max(), 8), cmap="Blues")
        above.plot(*modes.T, "x", color=RED, ms=9, mew=2, label="modes")
        above.plot(*angles.mean(), "+", color=ORANGE, ms=11, mew=2, label="mean")
        above.set(title=f"hand at ({point[0]:g}, {point[1]:g})", xlabel="shoulder", ylabel="elbow")
        draw_arm(below, angles.mean(), ORANGE, "mean of the angles")
        for mode in modes:
            draw_arm(below, mode, *((BLUE, "elbow left") if mode[1] < 0 else (GREEN, "elbow right")))
        below.plot(*point, "*", color="black", ms=12)
        below.set(xlim=(-0.8, 1.8), ylim=(-0.8, 1.8), aspect="equal", xlabel="x", ylabel="y")
    axes[0][0].legend(loc="upper right")
    axes[1][0].legend(loc="lower right", fontsize="small")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    model = learn(rows(ROWS))
    fresh = rows(2000, seed=1)
    forwards = GMMRegressor.from_mixture(model, [2, 3])
    error = np.linalg.norm(forwards.predict(fresh[:, :2]) - fresh[:, 2:], axis=1)
    print(f"forwards: R² {forwards.score(fresh[:, :2], fresh[:, 2:]):.4f}, median error {np.median(error):.3f}\n")
    print("backwards: how far from the point the angles lead")
    print("      point        mean   modes")
    for point in POINTS:
        angles, modes = answers(model, point)
        told = "  ".join(f"{miss:.3f}" for miss in misses(modes, point))
        print(f"  ({point[0]:g}, {point[1]:g})    {misses(angles.mean()[None], point)[0]:6.3f}   {told}")
    picture(model, folder / "inverse_kinematics.png")


if __name__ == "__main__":
    main()
