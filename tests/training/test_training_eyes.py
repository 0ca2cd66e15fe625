"""The eyes' training on the smallest networks: it learns, stops where it must, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from random_batches import endless, random_batch

from irl_vla.perception.preset import load_preset
from irl_vla.perception.tokens import encode_ego
from irl_vla.types import InputError
from irl_vla_training.checkpoint import load_checkpoint
from irl_vla_training.optimiser import adamw, rate_at
from irl_vla_training.perception.dropout import INTENT, ROUTE, STATUS, dropped, kept
from irl_vla_training.perception.eyes import Eyes
from irl_vla_training.perception.perceive import perceive
from irl_vla_training.perception.trainer import EyesTrainer, TrainingStopped
from irl_vla_training.recipe import (
    AugmentRecipe,
    LossRecipe,
    OptimiserRecipe,
    PerceiveRecipe,
    Recipe,
)
from irl_vla_training.run import RunFolder
from irl_vla_training.samples.batch import Batch

NANO = load_preset("nano")
STEPS = 6
PLAIN = AugmentRecipe(drop_memory=0.0, drop_status=0.0, drop_intent=0.0, drop_route=0.0)
HERE = Path(__file__).parent


def recipe(**changed: object) -> Recipe:
    settings = PerceiveRecipe(
        steps=STEPS, batch=2, checkpoint_every=3, log_every=1, memory_from=0.5,
        precision="fp32", optimiser=OptimiserRecipe(warm_up=2),
    )  # fmt: skip
    return Recipe(name="test", preset="nano", perceive=replace(settings, **changed))


def trained(folder: Path, what: Recipe) -> list[dict[str, float]]:
    run = RunFolder.begin(folder, what, "data")
    fabric = Fabric(accelerator="cpu", devices=1)
    perceive(what, endless(NANO, 2), run, lambda _: None, fabric)
    return [entry for entry in run.entries() if entry["step"]]


def losses_of(entries: list[dict[str, float]]) -> list[float]:
    return [entry["loss"] for entry in entries]


def test_every_weight_of_eyes_and_lab_heads_learns() -> None:
    eyes, batch = Eyes(NANO, 0).train(), random_batch(NANO, 2, 0)
    losses = eyes(batch, batch.ego_vector, batch.memory.valid, LossRecipe())
    assert set(losses) == set(vars(LossRecipe()))
    torch.stack(list(losses.values())).sum().backward()
    for name, weight in eyes.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name
        assert name.endswith("to_key.bias") or weight.grad.any(), f"{name} never learns"


def test_a_scene_is_learnt_by_heart() -> None:
    eyes, batch = Eyes(NANO, 0).train(), random_batch(NANO, 2, 0)
    optimiser = adamw(eyes, OptimiserRecipe())
    totals = []
    for _ in range(60):
        losses = eyes(batch, batch.ego_vector, batch.memory.valid, LossRecipe())
        totals.append(torch.stack(list(losses.values())).sum())
        optimiser.zero_grad()
        totals[-1].backward()
        optimiser.step()
    assert totals[-1] < 0.7 * totals[0]


def test_what_is_withheld_is_withheld_whole() -> None:
    vector = torch.from_numpy(encode_ego(None, None)).expand(64, -1).clone()
    vector[:, STATUS], vector[:, ROUTE] = 1.0, 1.0
    vector[:, INTENT] = torch.tensor([1.0, 0.0, 0.0, 0.0])
    chance = torch.Generator().manual_seed(0)
    all_gone = AugmentRecipe(drop_status=1.0, drop_intent=1.0)
    assert torch.equal(
        dropped(vector, all_gone, chance), torch.from_numpy(encode_ego(None, None)).expand(64, -1)
    )
    assert torch.equal(dropped(vector, PLAIN, chance), vector)
    valid = torch.ones(1000, 1, dtype=torch.bool)
    assert 0.7 < kept(valid, 0.25, chance).float().mean() < 0.8
    assert not kept(~valid, 0.0, chance).any()


def test_empty_camera_slots_change_nothing() -> None:
    """Training leaves them away, the car fills them with zeros."""
    eyes, batch = Eyes(NANO, 0).eval(), random_batch(NANO, 1, 0)
    wider = replace(
        batch.views, images=torch.cat([batch.views.images, batch.views.images[:, :2] * 0], dim=1)
    )
    with torch.no_grad():
        few = eyes.see(batch, batch.ego_vector, batch.memory.valid)
        many = eyes.see(replace(batch, views=wider), batch.ego_vector, batch.memory.valid)
    torch.testing.assert_close(few.outputs.bev, many.outputs.bev, atol=1e-5, rtol=1e-5)


def test_the_rate_warms_up_and_then_falls_along_a_cosine() -> None:
    settings = OptimiserRecipe(peak_rate=1e-3, last_share=0.02, warm_up=10)
    rates = [rate_at(step, 110, settings) for step in range(111)]
    assert rates[9] == pytest.approx(1e-3) and rates[4] == pytest.approx(5e-4)
    assert rates[60] == pytest.approx(0.51e-3) and rates[110] == pytest.approx(2e-5)
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """Losses of a run that nobody disturbed."""
    losses = losses_of(trained(tmp_path_factory.mktemp("whole"), recipe()))
    assert len(losses) == STEPS
    return losses


def test_a_run_that_is_stopped_and_goes_on_gives_the_same_losses(
    tmp_path: Path, whole: list[float]
) -> None:
    run = RunFolder.begin(tmp_path / "cut", recipe(), "data")
    fabric = Fabric(accelerator="cpu", devices=1)

    def read(first: int, process: int, count: int) -> Iterator[Batch]:
        for k, batch in enumerate(endless(NANO, 2)(first, process, count), first):
            if k == 5:  # after the checkpoint of step 3: what came after it is lost
                raise KeyboardInterrupt
            yield batch

    with pytest.raises(KeyboardInterrupt):
        perceive(recipe(), read, run, lambda _: None, fabric)
    assert load_checkpoint(run.newest).step == 3 and len(list(run.entries())) == 5
    again = losses_of(trained(tmp_path / "cut", recipe()))
    assert again == whole


def test_a_run_that_is_killed_goes_on_with_the_same_losses(
    tmp_path: Path, whole: list[float]
) -> None:
    """kill -9, by the operating system, in the middle of a step."""
    script = f"""
import sys
sys.path[:0] = [{str(HERE)!r}]
from pathlib import Path
from test_training_eyes import recipe, trained
trained(Path({str(tmp_path / "cut")!r}), recipe())
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", script], env=environment)
    first, log = tmp_path / "cut" / "checkpoints" / "step-00000003.json", tmp_path / "cut"
    deadline = time.monotonic() + 120.0
    while not first.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert first.exists() and (log / "log.jsonl").exists()
    assert losses_of(trained(tmp_path / "cut", recipe())) == whole


def test_ctrl_c_ends_after_the_step_and_keeps_it(tmp_path: Path) -> None:
    run = RunFolder.begin(tmp_path / "run", recipe(), "data")

    def read(first: int, process: int, count: int) -> Iterator[Batch]:
        for k, batch in enumerate(endless(NANO, 2)(first, process, count), first):
            if k == 4:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    ended = perceive(recipe(), read, run, lambda _: None, Fabric(accelerator="cpu", devices=1))
    assert (ended.step, ended.whole) == (5, False)
    assert load_checkpoint(run.newest).step == 5
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_gradient_that_explodes_stops_the_run(tmp_path: Path) -> None:
    settings = OptimiserRecipe(explodes_at=1e-3)
    with pytest.raises(TrainingStopped, match=r"step 1: gradient norm .*no checkpoint yet"):
        trained(tmp_path / "run", recipe(optimiser=settings))


def test_what_is_not_a_number_stops_and_leaves_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = RunFolder.begin(tmp_path / "run", recipe(), "data")

    def read(first: int, process: int, count: int) -> Iterator[Batch]:
        for k, batch in enumerate(endless(NANO, 2)(first, process, count), first):
            yield replace(batch, boxes=batch.boxes * float("nan")) if k == 4 else batch

    broken = "step 5: loss 'box' is not a number.*step-00000003"
    with pytest.raises(TrainingStopped, match=broken):
        perceive(recipe(), read, run, lambda _: None, Fabric(accelerator="cpu", devices=1))
    kept_one = load_checkpoint(run.newest)
    assert kept_one.step == 3
    assert all(value.isfinite().all() for value in kept_one.tensors.values())


def test_a_checkpoint_of_another_preset_is_refused(tmp_path: Path) -> None:
    trained(tmp_path / "run", recipe(steps=3))
    other = replace(recipe(), preset="tiny")
    trainer = EyesTrainer(other, Fabric(accelerator="cpu", devices=1), RunFolder(tmp_path / "run"))
    with pytest.raises(InputError, match=r"expected a checkpoint of .*tiny.*nano"):
        trainer.resume()


def test_a_run_leaves_its_log_events_and_curves(tmp_path: Path) -> None:
    entries = trained(tmp_path / "run", recipe(precision="measured"))
    assert [entry["step"] for entry in entries] == list(range(1, STEPS + 1))
    assert entries[0]["velocity"] > 0.0 and entries[-1]["rate"] > 0.0
    assert (tmp_path / "run" / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "run" / "events").glob("events.out.*"))
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert set(first["precision_s"]) == {"fp32", "channels_last", "bf16", "bf16+channels_last"}
