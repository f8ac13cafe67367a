"""What Create would make, and what that costs: told before it is pressed, for every model that can be chosen."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

import film
from demo.server import thumbnails
from demo.server.job_requests import FPS, JobRequest, PhotoRequest, VideoRequest
from demo.server.job_service import JobService
from demo.server.messages import message
from demo.ui.html import button_html, card_text, plan_html, size_text, time_text
from film.hub import registry, tensorflow_process
from film.media import scene_detection
from film.rendering import planning

# Bytes of an MP4 of quality 80 per pixel of its frames: what the example pairs take. A step of quality is 0.4 of x264's
# rate factor, and a factor less is 12 % more.
MP4_BYTES = 0.045
UPLOADED = re.compile(r"[0-9a-f]{64}")  # the folder of an upload
LEAST_SECONDS = 0.5  # of a video that is cut to fit
LARGE_MOVEMENT = 0.12  # of the longer side; the examples, which do well, have up to 0.1
QUICK = "film-lite"
# Times its seconds per frame, as measured; for models that were not run here yet.
AGAINST_QUICK = {"film": 12, "rife": 0.7}


def planned(asked: JobRequest, handler: JobService) -> tuple[JobRequest, planning.Plan | None, str]:
    """A checked request that fits this server, what would be made of it, and in words how it was made to fit.

    ValueError, RuntimeError, OSError where nothing can be made of it.
    """
    job_request = in_halves(asked, handler.limits.depths).checked(handler.limits)
    if job_request.files:
        options = dataclasses.replace(job_request.options, name=film_name(job_request.files[0]))
        job_request = dataclasses.replace(job_request, options=options)
    plan = handler.plan(job_request)
    if plan is None or plan.size is None:
        return job_request, plan, ""
    return fitted(job_request, plan, handler)


def film_name(source: str) -> str:
    """What a film is called that is saved: boats-film. An example's photos are named by their folder."""
    path = Path(source)
    is_example = path.stem == "first" and not UPLOADED.fullmatch(path.parent.name)
    plain = re.sub(r"[^\w.-]+", "-", path.parent.name if is_example else path.stem).strip("-.")[:60]
    return f"{plain}-film" if plain else "film"


def in_halves(job_request: JobRequest, depths: Sequence[int]) -> JobRequest:
    """A length in seconds as the depth and frame rate that show every frame that is made.

    The rate is one that a visitor can choose; shorter films are made of fewer frames.
    """
    if not isinstance(job_request, PhotoRequest) or job_request.seconds is None:
        return job_request
    options, photos = job_request.options, max(2, len(job_request.files))
    try:
        while depths:
            depth, fps = planning.by_halving(
                job_request.seconds, job_request.fps, options.file, photos, options.play, depths
            )
            depths = [less for less in depths if less < depth] if fps > FPS[1] >= job_request.fps else []
    except (ValueError, TypeError):
        return job_request  # what is no length, the handler refuses
    return dataclasses.replace(job_request, seconds=None, depth=depth, fps=float(fps))


def fitted(job_request: JobRequest, plan: planning.Plan, handler: JobService) -> tuple[JobRequest, planning.Plan, str]:
    """The request itself, or one of which this server makes the whole film: at the largest size that it makes, or of
    a video as much from its beginning as it makes at its smallest size. ValueError if there is none.
    """
    for asked, note in attempts(job_request, plan, handler):
        found = plan if asked is job_request else handler.plan(asked)
        assert found and found.size
        if handler.limits.fits(found.frames, found.size):
            return asked, found, note
    assert plan.size
    handler.check_budget(job_request, plan.frames, plan.size)  # says why
    return job_request, plan, ""


def attempts(job_request: JobRequest, plan: planning.Plan, handler: JobService) -> Iterator[tuple[JobRequest, str]]:
    """What may fit, best first, and what to tell of it; nothing shorter than half a second."""
    assert plan.size
    yield job_request, ""
    smaller, side = job_request, 0
    for side in sorted((side for side in handler.limits.sides if 0 < side < max(plan.size)), reverse=True):
        smaller = dataclasses.replace(job_request, options=dataclasses.replace(job_request.options, longest_side=side))
        yield smaller, f"Made at {side} pixels to fit this server."
    if isinstance(smaller, VideoRequest) and (least := handler.plan(smaller)) and least.size and least.length_known:
        film_seconds = 0.98 * handler.limits.megapixels * 1e6 / (math.prod(least.size) * float(least.fps))
        seconds = math.floor(10 * film_seconds / smaller.slowdown) / 10
        if seconds >= LEAST_SECONDS:
            end = float(smaller.film.part[0]) + seconds
            size = f", at {side} pixels," if side else ""
            yield dataclasses.replace(smaller, end=end), f"{seconds:g} s of the video{size} to fit this server."


def show_plan(ask: Callable[[], JobRequest], handler: JobService) -> tuple[str, Any]:
    """The line under the choices, and the models' cards with what each would take."""
    try:
        asked = ask()
        job_request, plan, note = planned(asked, handler)
        if plan is None:
            line = plan_html("As long as the video, times the slow motion")
        else:
            notes = [*filter(None, [note]), *hard(job_request, handler)]
            line = plan_html(
                length_text(plan), cost(job_request, plan), notes, full_size(asked, handler) if note else ""
            )
    except (ValueError, RuntimeError, OSError) as error:
        return plan_html(message(error)), cards(None, None)
    return line, cards(job_request, plan)


def hard(job_request: JobRequest, handler: JobService) -> list[str]:
    """Where the film will be hard to make: neighbouring photos with a large movement, or with little in common."""
    if not isinstance(job_request, PhotoRequest):
        return []
    copies = [thumbnails.pixels(copy) if (copy := handler.thumbnail(photo)) else None for photo in job_request.files]
    found: dict[str, list[str]] = {}  # pairs of photos by what is told of them
    for number, (left, right) in enumerate(itertools.pairwise(copies), 1):
        if left is None or right is None or left.shape != right.shape:
            continue
        if thumbnails.movement(left, right) > LARGE_MOVEMENT:
            told = "Large movement{}: it may blur. Closer photos do better."
        elif scene_detection.likeness(left, right) < scene_detection.UNRELATED:
            told = "Little in common{}: the film can only dissolve there."
        else:
            continue
        found.setdefault(told, []).append(f"{number} and {number + 1}")
    several = len(copies) > 2
    return [told.format(" between photos " + ", ".join(pairs) if several else "") for told, pairs in found.items()]


def full_size(asked: JobRequest, handler: JobService) -> str:
    """For a film of photos that is made smaller to fit: a button for the depth that fits at the size asked for."""
    if not isinstance(asked, PhotoRequest) or asked.count is not None or asked.seconds is not None:
        return ""
    full = handler.plan(asked.checked(handler.limits))
    assert full and full.size
    room = handler.limits.megapixels * 1e6 / math.prod(full.size) - 1
    depth = math.floor(math.log2(max(1.0, room / max(1, len(asked.files) - 1))))
    label, fill = f"At {max(full.size)} pixels with fewer frames", ("#depth input[type=number]", str(depth))
    return button_html(label, "#measure input[value='depth']", fill=fill) if depth >= 1 else ""


def length_text(plan: planning.Plan) -> str:
    if not plan.length_known:
        return "Length unknown: the video does not tell its own"
    return f"{frames_text(plan.frames, plan.play)}, {time_text(plan.duration)} at {float(plan.fps):.4g} frames a second"


def frames_text(made: int, play: str) -> str:
    """How many frames a film has that differ; forth and back it shows them once each way."""
    return f"{made} frames each way, forth and back" if play == "pingpong" else f"{made} frames"


def cost(job_request: JobRequest, plan: planning.Plan) -> str:
    """Calls of the model, time and size, as far as they are known by now."""
    if plan.calls is None:
        return ""
    parts = [f"{plan.calls} calls of the model"]
    if seconds := film_seconds(job_request.options.model, job_request, plan):
        parts.append(f"about {time_text(seconds)}")
    if plan.size and job_request.options.format == "mp4":
        per_pixel = MP4_BYTES * 1.12 ** (0.4 * (job_request.options.quality - 80))
        parts.append(f"about {size_text(plan.shown * math.prod(plan.size) * per_pixel)}")
    return ", ".join(parts)


def film_seconds(model: str, job_request: JobRequest, plan: planning.Plan) -> float | None:
    """What the film takes with that model, if its speed here is known, or film-lite's."""
    if not plan.size or plan.calls is None:
        return None
    each = film.estimate(model, job_request.options.device, *plan.size)
    if each is None and model in AGAINST_QUICK:
        quick = film.estimate(QUICK, job_request.options.device, *plan.size)
        each = quick and quick * AGAINST_QUICK[model]
    return each and each * plan.calls


def cards(job_request: JobRequest | None, plan: planning.Plan | None) -> Any:
    """Every model with its estimate for the film that is set up."""
    choices = []
    for model in registry.models():
        facts = []
        seconds = film_seconds(model.name, job_request, plan) if job_request and plan else None
        if seconds:
            facts.append(f"about {time_text(seconds)}")
        elif (times := AGAINST_QUICK.get(model.name, 0)) > 1:
            facts.append(f"{times} × slower")
        if tensorflow_process.must_download(model):
            facts.append(f"{model.megabytes:g} MB once")
        choices.append((card_text(model, facts), model.name))
    return gr.update(choices=choices)
