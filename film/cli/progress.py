"""Show events: a progress bar with the time left on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import NoReturn

from tqdm import tqdm

from film.batch import runner
from film.batch.jobs import Job
from film.batch.runner import Failed, There, Told
from film.media import video_writer
from film.rendering.events import Done, Event, Notice, Progress, Stage
from film.rendering.planning import Plan

LINES = 20  # at most, of a film's progress in a log
STAGE = "{desc} … {elapsed}"  # how a terminal shows what has no frames yet
FRAMES = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} frames, {elapsed}{postfix}"


def show_plans(plans: Iterable[tuple[Job, Plan | Failed]]) -> dict[Job, Plan | Failed]:
    """Show what each film will be; returns the plans by job."""
    shown = {}
    for job, plan in plans:
        shown[job] = plan
        if isinstance(plan, Failed):
            print(f"{job.name} cannot be made: {plan.reason}", file=sys.stderr)
        else:
            assert plan.size
            height, width = video_writer.shown_size(job.output, plan.size)
            size = f"{width}x{height}"
            frames = f"{plan.shown} frames of {size}, {plan.duration:.1f} s"
            if not plan.length_known:
                frames = f"frames of {size}, length unknown"
            print(f"{job.name}: {frames}, from {job.told}", file=sys.stderr)
    return shown


def show(told: Iterable[Told | tuple[None, Event]], plans: Mapping[Job, Plan] | None = None) -> list[Job]:
    """Show the events of a batch's films, or of a single one, which has no job; returns the jobs that failed."""
    plans = plans or {}
    terminal = sys.stderr.isatty()
    made: dict[Job | None, int] = dict.fromkeys((None, *plans), 0)  # frames of each film
    lines = dict(made)  # the last frame of each that has a line
    failed: list[Job] = []
    ended = 0
    with _bar(terminal, sum(plan.frames for plan in plans.values()) or None) as bar:
        for job, event in told:
            name = f"{job.name}: " if job else ""
            match event:
                case Stage():
                    bar.set_description_str(name + event.text)
                    if not (terminal or job):
                        print(f"{event.text} …", file=sys.stderr)
                case Notice():
                    bar.write(name + event.text, file=sys.stderr)
                case Progress():
                    left = ""
                    if not job:
                        bar.total, bar.bar_format = event.total, FRAMES
                        if event.seconds_left is not None:
                            left = f", {event.seconds_left:.0f} s left"
                            bar.set_postfix_str(f"{tqdm.format_interval(event.seconds_left)} left", refresh=False)
                    if not terminal and (event.done - lines[job]) * LINES >= event.total:
                        lines[job] = event.done
                        print(f"{name}frame {event.done} of {event.total}{left}", file=sys.stderr)
                    bar.update(event.done - made[job])
                    made[job] = event.done
                case Done():
                    bar.write(_result(event), file=sys.stdout)
                case There() if job:
                    bar.write(f"{job.output} is there from an earlier run", file=sys.stdout)
                case Failed() if job:
                    bar.write(f"film: {name}{event.reason}", file=sys.stderr)
                    failed.append(job)
            if job and isinstance(event, runner.LAST):
                ended += 1
                bar.total -= plans[job].frames - made[job]
                bar.set_postfix_str(f"{ended} of {len(plans)} films")
    return failed


def _bar(terminal: bool, total: int | None = None) -> tqdm[NoReturn]:
    """A line of a terminal that shows the stage and then the frames; else nothing. It is gone when it is closed."""
    columns = None if not terminal or os.get_terminal_size(sys.stderr.fileno()).columns else 80  # of unknown size
    form = STAGE if total is None else FRAMES
    return tqdm(
        desc="Starting", total=total, disable=not terminal, bar_format=form, ncols=columns, nrows=20, leave=False
    )


def _result(done: Done) -> str:
    return (
        f"{done.path}: {done.frames} frames of {done.width}x{done.height}, {done.duration:.1f} s,"
        f" made in {done.seconds:.1f} s by {done.model} on {done.device_text}"
    )
