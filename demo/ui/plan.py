"""What Create would make of an order, and what that costs: told before it is pressed."""

from __future__ import annotations

from collections.abc import Callable

import film
from demo.server.job_requests import JobRequest, RequestHandler
from demo.server.messages import message
from demo.ui import html
from demo.ui.html import time_text
from film.engine import openvino_backend
from film.hub import registry
from film.rendering import planning


def plan_html(ask: Callable[[], JobRequest], handler: RequestHandler) -> str:
    """The film's length and its cost on this machine, or why there would be none."""
    try:
        job_request = handler.checked(ask())
        plan = handler.plan(job_request, job_request.files)
        if plan is None:
            return html.plan_html("As long as the video, times the slow motion", "")
        if plan.size:
            handler.check_budget(job_request, plan.frames, plan.size)
    except (ValueError, RuntimeError, OSError) as error:
        return html.plan_html(message(error), "")
    length = f"{plan.shown} frames, {time_text(plan.duration)} of film"
    if not plan.length_known:
        length = "Length unknown: the video does not tell its own"
    return html.plan_html(length, cost(job_request, plan))


def cost(job_request: JobRequest, plan: planning.Plan) -> str:
    """What is known of it by now."""
    model = registry.find(job_request.options.model)
    parts = [f"{model.megabytes:g} MB to download first"] if openvino_backend.must_download(model) else []
    each = plan.size and film.estimate(job_request.options.model, job_request.options.device, *plan.size)
    if each:
        in_all = f", about {time_text(each * plan.calls)} in all" if plan.calls else ""
        parts.append(f"{time_text(each)} per frame{in_all}")
    elif plan.size:
        parts.append("its speed here is known after its first film")
    return "; ".join(parts)
