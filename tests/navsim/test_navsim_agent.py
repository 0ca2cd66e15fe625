"""The official devkit's agent: lazily imported, and told apart from a missing devkit."""

from __future__ import annotations

import abc
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from irl_vla.types import InputError, IntentDirection

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))

from irl_vla_training import navsim_agent  # noqa: E402


class Trajectory:
    """The devkit's class, as far as it is used: poses of float32."""

    def __init__(self, poses: np.ndarray) -> None:
        self.poses = poses


@pytest.fixture
def fake_devkit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the names that the agent needs, with the devkit's signatures."""

    class AbstractAgent(abc.ABC):
        def __init__(self, requires_scene: bool = False) -> None:
            self.requires_scene = requires_scene

        @abc.abstractmethod
        def name(self) -> str: ...

        @abc.abstractmethod
        def get_sensor_config(self) -> object: ...

        @abc.abstractmethod
        def initialize(self) -> None: ...

    agent, data = (
        ModuleType("navsim.agents.abstract_agent"),
        ModuleType("navsim.common.dataclasses"),
    )
    agent.AbstractAgent = AbstractAgent  # type: ignore[attr-defined]
    data.Trajectory = Trajectory  # type: ignore[attr-defined]
    data.SensorConfig = lambda **config: config  # type: ignore[attr-defined]
    for module in (ModuleType("navsim"), ModuleType("navsim.agents"), ModuleType("navsim.common"),
                   agent, data):  # fmt: skip
        monkeypatch.setitem(sys.modules, module.__name__, module)


def agent_input() -> SimpleNamespace:
    """Four frames; the back camera is empty, as in follow-ups."""

    def camera(name: str) -> SimpleNamespace:
        image = None if name == "cam_b0" else np.zeros((2, 3, 3), np.uint8)
        return SimpleNamespace(
            image=image, sensor2lidar_rotation=np.eye(3), sensor2lidar_translation=np.ones(3),
            intrinsics=np.eye(3), distortion=np.zeros(5),
        )  # fmt: skip

    cameras = SimpleNamespace(**{name: camera(name) for name in navsim_agent.CAMERAS})
    statuses = [
        SimpleNamespace(
            ego_pose=np.array([x, 0.0, x / 100.0]), ego_velocity=np.array([5.0, 0.0]),
            ego_acceleration=np.zeros(2), driving_command=np.array([1, 0, 0, 0]),
        )
        for x in (-7.5, -5.0, -2.5, 0.0)
    ]  # fmt: skip
    return SimpleNamespace(ego_statuses=statuses, cameras=[cameras] * 4, lidars=[])


def test_without_the_devkit_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "navsim.agents.abstract_agent", None)
    with pytest.raises(InputError, match=r"irl-vla score --navsim"):
        navsim_agent.make_agent(lambda given: np.zeros((8, 3)))


def test_importing_the_module_imports_neither_navsim_nor_torch() -> None:
    code = (
        "import sys, irl_vla_training.navsim_agent as m; "
        "assert not {'navsim', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT,
                   env={"PYTHONPATH": f"{ROOT / 'training'}:{ROOT}"})  # fmt: skip


@pytest.mark.usefixtures("fake_devkit")
def test_the_planner_sees_what_the_devkit_saw_and_its_poses_come_back() -> None:
    asked = []

    def planner(given: navsim_agent.PlannerInput) -> np.ndarray:
        asked.append(given)
        return np.arange(24.0).reshape(8, 3)

    agent = navsim_agent.make_agent(planner, "ours", cameras=("cam_f0",))
    agent.initialize()
    config = agent.get_sensor_config()
    assert config["cam_f0"] and not config["cam_b0"] and not config["lidar_pc"]
    assert agent.name() == "ours" and not agent.requires_scene
    trajectory = agent.compute_trajectory(agent_input())
    assert trajectory.poses.dtype == np.float32 and trajectory.poses[7, 2] == 23.0
    (given,) = asked
    assert given.intent.direction is IntentDirection.LEFT
    assert given.ego.yaw_rate == pytest.approx(0.05) and given.ego.velocity[0] == 5.0
    assert "cam_b0" not in given.images[0] and "cam_b0" not in given.calibration


@pytest.mark.usefixtures("fake_devkit")
def test_a_plan_with_nan_is_an_error_and_never_a_score() -> None:
    agent = navsim_agent.make_agent(lambda given: np.full((8, 3), np.nan))
    with pytest.raises(InputError, match="8 finite poses"):
        agent.compute_trajectory(agent_input())


@pytest.mark.usefixtures("fake_devkit")
def test_a_submission_has_the_leaderboards_keys(tmp_path: Path) -> None:
    author = navsim_agent.Author(
        team_name="t", authors="a", email="e", institution="i", country="c"
    )
    plans, path = {"a" * 16: np.zeros((8, 3))}, tmp_path / "submission.pkl"
    navsim_agent.write_submission(plans, author, path)
    written = pickle.loads(path.read_bytes())
    assert written["country / region"] == "c" and list(written["predictions"][0]) == ["a" * 16]
    navsim_agent.write_submission(plans, author, path, {"b" * 17: np.ones((8, 3))})
    written = pickle.loads(path.read_bytes())
    assert "predictions" not in written
    assert written["second_stage_predictions"][0]["b" * 17].poses[0, 0] == 1.0


def test_an_author_without_email_is_refused() -> None:
    with pytest.raises(InputError, match="'email' is required"):
        navsim_agent.Author(team_name="t", authors="a", email=" ", institution="i", country="c")
