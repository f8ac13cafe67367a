"""Words, small pieces of HTML and colours. Everything a visitor wrote is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from film import Model

STYLE = Path(__file__).with_name("theme.css")
ICON = Path(__file__).with_name("icon.svg")

TITLE = "Photos become a film"
HEADER = f"""
<div class="title"><div class="strip" aria-hidden="true">{"<i></i>" * 5}</div><h1>{TITLE}</h1></div>
<p>Choose almost identical photos, taken a moment apart, or a video to be slowed down. FILM, Google’s network for frame
interpolation, imagines every moment in between, and the film starts to play while the rest is still being made.</p>
"""
COMPARED = "<p><span>A plain cross-fade</span><span>The frame that was made</span></p>"
KINDS = {"two": "Two photos", "many": "Many photos", "video": "Video"}
ASK = {
    "two": "Choose two photos, then press Create.",
    "many": "Choose photos in their order, then press Create.",
    "video": "Choose a video, then press Create.",
}
FOOTER = """
**How it works.** FILM looks at both photos at seven scales, finds how everything moves, carries both half-way to each
other and paints one frame from the two. Then it does the same between each pair of neighbours: every step of the depth
doubles the moments. The network runs with [OpenVINO](https://docs.openvino.ai) on the machine that serves this page.
It shines when the photos differ by what can happen in about a second; between unrelated pictures it can only dissolve.
[The paper](https://film-net.github.io): Reda et al., *FILM: Frame Interpolation for Large Motion*, 2022.
"""
# What the machine is doing, asked of `/health` while somebody looks at the page.
MACHINE = """
const told = (running, waiting) =>
  running ? `${running} ${running > 1 ? "films" : "film"} in the making, ${waiting || "nobody"} waiting` : "idle";
const show = async () => {
  if (document.hidden) return;
  const root = window.gradio_config?.root ?? "";
  const health = await fetch(`${root}/health`).then((answer) => answer.json()).catch(() => null);
  const text = health ? told(health.running, health.waiting) : "does not answer";
  const line = element.querySelector("#machine-line");
  if (line) line.textContent = `This machine: ${text}`;
};
show();
setInterval(show, 5000);
document.addEventListener("visibilitychange", show);
"""
DROP = "Drop a photo\nor click to choose"
TERRACOTTA = gr.themes.Color(
    "#fdf5f1",
    "#fae6dc",
    "#f4ccbb",
    "#eba98e",
    "#e07f5e",
    "#cf6140",
    "#b24a2c",
    "#933a22",
    "#77301f",
    "#602a1d",
    "#34140c",
)


def time_text(seconds: float) -> str:
    """2.2 s, 48 s, 3 min 20 s."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def state_html(text: str, detail: str = "", done: float | None = None, notes: Sequence[str] = ()) -> str:
    """What happens now, what is left to wait, and how much is `done` (0 to 1; None hides the bar)."""
    bar = "" if done is None else f"<progress value='{done:.4f}' aria-label='Progress'></progress>"
    more = "".join(f"<p class='note'>{escape(note)}</p>" for note in notes)
    line = f"<p><b>{escape(text)}</b><span>{escape(detail)}</span></p>"
    return f"<div class='state' role='status'>{line}{bar}{more}</div>"


def idle_html() -> str:
    """What to do first, for each kind of film; the style sheet shows the one that is chosen."""
    lines = "".join(f"<p class='for-{kind}'><b>{text}</b></p>" for kind, text in ASK.items())
    return f"<div class='state idle' role='status'>{lines}</div>"


def strip_html(cells: Sequence[str | None], kind: str = "") -> str:
    """Small pictures side by side, or their empty places; `kind` is a class of the style sheet."""
    pictures = "".join(f"<span><img src='{cell}' alt=''></span>" if cell else "<span></span>" for cell in cells)
    return f"<div class='cells {kind}' aria-hidden='true'>{pictures}</div>"


def contact_html(pictures: Sequence[str | None], places: Sequence[int], cells: int) -> str:
    """Small pictures of the photos that are chosen, with their places in the film; `cells` empty ones elsewhere."""
    photos = "".join(
        f"<span><img src='{picture or ''}' alt=''><em>{place}</em></span>"
        for picture, place in zip(pictures, places, strict=True)
    )
    return f"<div class='cells for-many' aria-hidden='true'>{photos}</div>{strip_html([None] * cells, 'but-many')}"


def error_html(text: str) -> str:
    return f"<div class='state error' role='alert'><p><b>{escape(text)}</b></p></div>"


def is_error(html: object) -> bool:
    """Whether that, which a stranger's page sent back, is `error_html`'s."""
    return str(html).startswith("<div class='state error'")


def plan_html(text: str, cost: str) -> str:
    return f"<p class='plan'><b>{escape(text)}</b><span>{escape(cost)}</span></p>"


def models_text(models: Sequence[Model]) -> str:
    """Each model with its price, to be read before it is chosen."""
    prices = [f"; {model.megabytes:g} MB, downloaded once" if model.megabytes else "" for model in models]
    return "\n".join(f"- **{model.name}**: {model.summary}{price}" for model, price in zip(models, prices, strict=True))


def theme() -> gr.themes.Base:
    """Paper, ink and one colour. Gradio serves the font itself: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue=TERRACOTTA,
        neutral_hue="stone",
        font=[gr.themes.LocalFont("IBM Plex Sans", (400, 700)), "system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
        radius_size="lg",
    ).set(
        body_background_fill="#f6f2eb",
        body_background_fill_dark="#161411",
        body_text_color_subdued="#6b6258",
        body_text_color_subdued_dark="#a89e92",
        block_background_fill="#fffdfa",
        block_background_fill_dark="#201d19",
        block_border_color="#e2d9cb",
        block_border_color_dark="#38332c",
        block_label_text_color="#6b6258",
        block_title_text_color="#6b6258",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        button_secondary_background_fill="*block_background_fill",
        button_secondary_border_color="*block_border_color",
        button_border_width="1px",
        button_large_text_weight="700",
        link_text_color="*primary_700",
        link_text_color_dark="*primary_300",
        slider_color="*primary_500",
    )
