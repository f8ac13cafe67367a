"""The compact network in PyTorch and in TensorFlow, what it learns from, and a run that goes on after a kill."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
cv2 = pytest.importorskip("cv2", reason="needs training/requirements.txt")

from training import clips, lessons, losses, network, scenes  # noqa: E402

pytestmark = pytest.mark.training
ROOT = Path(__file__).resolve().parents[2]


def moving(frames: int = 9, side: int = 96, speed: int = 3) -> np.ndarray:
    """A clip, (frames, side, side, 3) uint8: a smooth random texture moving to the left."""
    noise = np.random.default_rng(0).random((side, side + speed * frames, 3), np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 3), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    return np.stack([texture[:, speed * n : speed * n + side] for n in range(frames)])


@pytest.mark.parametrize("neighbours", [network.CROSS, network.SQUARE], ids=["cross", "square"])
def test_a_wrong_flow_is_replaced_by_a_neighbours(neighbours: list[tuple[int, int]]) -> None:
    middle = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 16, 24, 32)).astype(np.float32))
    first, last = (network.unit(torch.roll(middle, shift, 3)) for shift in (-1, 1))
    true = torch.tensor([-1.0, 0, 1, 0])[None, :, None, None].expand(1, 4, 24, 32)
    wrong = true.clone()
    wrong[..., 15:17] = torch.tensor([5.0, 0, -5, 0])[None, :, None, None]  # as narrow as a neighbour 2 pixels away is
    chosen = network.chosen(first, last, wrong, 2, neighbours)[..., 2:-2, 4:-4]
    assert float((chosen - true[..., 2:-2, 4:-4]).abs().max()) < 0.05
    assert torch.allclose(network.chosen(first, last, true, 2, neighbours), true, atol=1e-6)


@pytest.mark.parametrize("time", [0.5, 0.3, 0.9])
def test_the_proposal_finds_a_shift_at_any_time(time: float) -> None:
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 16, 32, 48)).astype(np.float32))
    first, last = features[..., 2:-2], features[..., :-4]  # what is at x in the first is at x + 2 in the last: d = 1
    _, motion = network.proposal(network.unit(first), network.unit(last), time)
    inside = motion[0, :, 8:-8, 8:-8]
    assert abs(float(inside[0].mean()) - 1) < 0.2 and abs(float(inside[1].mean())) < 0.1


def test_the_gradient_of_the_correlation_is_the_derivative() -> None:
    ends = [torch.rand(2, 3, 7, 8, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert torch.autograd.gradcheck(network.Correlation.apply, ends)


def test_equal_photos_stay_exactly() -> None:
    torch.manual_seed(0)
    photo = np.random.default_rng(0).random((64, 96, 3), np.float32)
    made = network.padded_middle(network.CompactNetwork().eval(), photo, photo, 0.3)
    np.testing.assert_allclose(made, photo, atol=1e-4)


def test_the_exported_network_is_the_trained_one(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    from training import export

    torch.manual_seed(0)
    trained = network.CompactNetwork().eval()
    weights = {name: value.numpy() for name, value in trained.state_dict().items()}
    export.export(weights, tmp_path / "model")
    call = tf.saved_model.load(str(tmp_path / "model")).signatures["serving_default"]
    first, last = (frame.astype(np.float32) / 255 for frame in moving(4, 128)[[0, 3]])
    for time in (0.5, 0.2):
        made = call(x0=first[None], x1=last[None], time=tf.constant([[time]]))["image"][0].numpy()
        np.testing.assert_allclose(made.clip(0, 1), network.padded_middle(trained, first, last, time), atol=1e-4)


def test_a_scene_moves_along_its_flows() -> None:
    videos = {"one": moving()}
    images, flows = scenes.sample(videos, (64, 96), 0.3, np.random.default_rng(3))
    first, target, last = (torch.from_numpy(i.transpose(2, 0, 1).copy())[None].float() for i in images)
    flow = torch.from_numpy(flows)[None]
    for end, part in ((first, flow[:, :2]), (last, flow[:, 2:])):
        errors = (network.warp(end, part) - target).abs().mean(1)
        assert float(errors.median()) < 0.02  # but for what one end does not show


def write_lessons(folder: Path, name: str, frames: np.ndarray) -> None:
    """As the teacher writes them, of a clip that moves by 3 pixels a frame to the left."""
    folder.mkdir()
    half = frames.shape[1] // 2
    for first in range(3):
        flow = np.zeros((4, half, half), np.float16)
        flow[0], flow[2] = 6, -6
        path = folder / f"{name}.{first}.{first + 4}.0.500.npz"
        np.savez(path, flow=flow, truth=first + 2, time=0.5, psnr=40.0)


def test_lessons_become_batches(tmp_path: Path) -> None:
    videos = {"one": moving()}
    write_lessons(tmp_path / "lessons", "one", videos["one"])
    known = lessons.find(tmp_path / "lessons", videos, (64, 64))
    assert len(known) == 3
    batch = lessons.draw(known, videos, 2, (64, 64), 12.0, np.random.default_rng(0))
    assert batch.first.shape == batch.target.shape == (2, 3, 64, 64) and batch.flow.shape == (2, 4, 32, 32)
    assert batch.time == 0.5 and 6 <= float(batch.flow.abs().max()) <= 6 * lessons.ENLARGED[1]
    with pytest.raises(ValueError, match="no lessons of 100 x 64"):
        lessons.find(tmp_path / "lessons", videos, (100, 64))


def test_the_teachers_flow_at_every_level() -> None:
    flow = torch.full((1, 4, 32, 32), 8.0)  # pixels of the full size
    assert [float(level.mean()) for level in losses.pyramid(flow, 3)] == [2.0, 1.0, 0.5]
    assert float(losses.census(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16))) > 0.1


def test_a_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "clips/one.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 24, (96, 96))
    for frame in moving():
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()
    videos = clips.read(tmp_path / "clips", tmp_path / "frames")
    write_lessons(tmp_path / "lessons", "one", videos["one"])

    def train(run: str, steps: int) -> dict[str, np.ndarray]:
        command = [sys.executable, "-m", "training.train", "--clips", tmp_path / "clips", "--run", tmp_path / run]
        command += ["--cache", tmp_path / "frames", "--lessons", tmp_path / "lessons", "--steps", str(steps)]
        command += "--side 64 64 --batch 2 --processes 1 --levels 2 --float32".split()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / run / "weights.npz") as file:
            return {name: file[name] for name in file.files}

    train("first", 2)
    assert torch.load(tmp_path / "first/checkpoint.pt", weights_only=True)["step"] == 2
    again = train("first", 4)  # two more
    assert torch.load(tmp_path / "first/checkpoint.pt", weights_only=True)["step"] == 4
    assert not np.array_equal(again["update.enter.weight"], train("second", 2)["update.enter.weight"])
