"""Quotas of processors, in control groups that are made up: /proc/self and the mounted hierarchies, below a folder."""

import pytest

from cgmm import _kernels, config
from cgmm.quotas import quota

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"


@pytest.fixture
def system(tmp_path):
    """Makes a system of lines of /proc/self/cgroup and mountinfo, and of files with what is in each."""

    def made(groups, mounts, files):
        written = {"proc/self/cgroup": "\n".join(groups), "proc/self/mountinfo": "\n".join(mounts), **files}
        for name, content in written.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content + "\n")
        return tmp_path

    return made


@pytest.mark.parametrize(
    "value, processors",
    [
        ("200000 100000", 2),
        ("150000 100000", 2),  # what is left of a processor is used
        ("50000 100000", 1),
        ("1000 1000000", 1),
        ("30000 10000", 3),
        ("max 100000", None),
        ("", None),
        ("what it may be in a kernel to come", None),
        ("100000 0", None),
    ],
)
def test_a_group_of_version_2(system, value, processors):
    assert quota(system(["0::/"], [V2], {"sys/fs/cgroup/cpu.max": value})) == processors


@pytest.mark.parametrize(
    "amount, period, processors", [("200000", "100000", 2), ("250000", "100000", 3), ("-1", "1", None)]
)
def test_a_group_of_version_1(system, amount, period, processors):
    folder = "sys/fs/cgroup/cpu,cpuacct"
    files = {f"{folder}/cpu.cfs_quota_us": amount, f"{folder}/cpu.cfs_period_us": period}
    assert quota(system(["9:cpu,cpuacct:/", "0::/"], [V1], files)) == processors


@pytest.mark.parametrize("own, outer, top, processors", [(8, 2, 4, 2), (1, 8, 8, 1), (8, 8, 3, 3), (None, 5, None, 5)])
def test_the_smallest_quota_of_nested_groups_binds(system, own, outer, top, processors):
    folders = {"sys/fs/cgroup/pod.slice/box": own, "sys/fs/cgroup/pod.slice": outer, "sys/fs/cgroup": top}
    files = {f"{folder}/cpu.max": f"{value * 100000 if value else 'max'} 100000" for folder, value in folders.items()}
    assert quota(system(["0::/pod.slice/box"], [V2], files)) == processors


def test_groups_beside_and_below_do_not_bind(system):
    files = {f"sys/fs/cgroup/{name}/cpu.max": "100000 100000" for name in ("a/b/c", "a/other", "b")}
    assert quota(system(["0::/a/b"], [V2], files)) is None


def test_a_mount_of_an_inner_group(system):
    """As containers see theirs without a namespace: the group is /docker/box, and that is what is mounted."""
    mount = "33 25 0:29 /docker/box /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu"
    files = {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}
    assert quota(system(["4:cpu:/docker/box"], [mount], files)) == 3
    inner = {"sys/fs/cgroup/cpu/sub/cpu.cfs_quota_us": "1", "sys/fs/cgroup/cpu/sub/cpu.cfs_period_us": "100000"}
    assert quota(system(["4:cpu:/docker/box/sub"], [mount], inner)) == 1


@pytest.mark.parametrize("path", ["/../../host.slice", "/elsewhere"])
def test_a_group_out_of_sight_is_bound_by_what_is_mounted(system, path):
    mount = "30 23 0:26 /box /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
    assert quota(system([f"0::{path}"], [mount], {"sys/fs/cgroup/cpu.max": "200000 100000"})) == 2


def test_both_versions_at_once(system):
    """A system between the two accounts for processors in one of them."""
    mounts = [V1, "40 25 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw", "1 2 0:3 / / rw - ext4 /dev/sda rw"]
    folder = "sys/fs/cgroup/cpu,cpuacct/job"
    files = {f"{folder}/cpu.cfs_quota_us": "400000", f"{folder}/cpu.cfs_period_us": "100000"}
    assert quota(system(["3:memory:/job", "9:cpu,cpuacct:/job", "0::/job"], mounts, files)) == 4


def test_a_path_with_a_space_and_a_colon(system):
    mount = r"30 23 0:26 / /my\040groups rw - cgroup2 cgroup2 rw"
    assert quota(system(["0::/a b:c"], [mount], {"my groups/a b:c/cpu.max": "100000 100000"})) == 1


@pytest.mark.parametrize("lines", [[], ["", "::", "nonsense", "30 23 - ", "1 2 3 4 - cgroup2"]])
def test_what_cannot_be_read_does_not_bind(system, tmp_path, lines):
    assert quota(tmp_path) is None
    assert quota(system(lines, lines, {})) is None


def test_the_quota_bounds_the_default(monkeypatch):
    monkeypatch.setattr(_kernels, "usable_threads", lambda: 64)
    for bound, expected in [(None, 64), (3, 3), (100, 64)]:
        monkeypatch.setattr(config, "quota", lambda bound=bound: bound)
        config._quota.cache_clear()
        assert config.threads() == expected
        assert config.threads(7) == 7
    config._quota.cache_clear()
