"""Words, small pieces of HTML and colours. Everything a visitor wrote is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import gradio as gr

from film import Model

STYLE = Path(__file__).with_name("theme.css")
ICON = Path(__file__).with_name("icon.svg")
STAGE, SHEET = (Path(__file__).with_name(f"{name}.js").read_text(encoding="utf-8") for name in ("stage", "sheet"))

TITLE = "Photos become a film"
HEADER = f"""
<div class="title"><div class="ball" aria-hidden="true">{"<i></i>" * 5}</div><h1>{TITLE}</h1></div>
<p>Two almost identical photos, or more, or a video to slow down: a network imagines every moment in between.</p>
"""
KINDS = {"two": "Two photos", "many": "Many photos", "video": "Video"}
ASK = {
    "two": "Choose two photos, then press Create.",
    "many": "Choose photos in their order, then press Create.",
    "video": "Choose a video, then press Create.",
}
READY = "Press Create to make the film."
PREVIEW = """
<canvas aria-hidden="true"></canvas><video muted loop playsinline hidden aria-hidden="true"></video>
<img hidden alt="The finished film"><p class="empty">Your film plays here</p><p class="chip" role="status"></p>
<div id="views" role="group" aria-label="Compare" hidden>
<button type="button" value="film" aria-pressed="true">Film</button>
<button type="button" value="fade" aria-pressed="false"><span class="for-photos">Cross-fade</span>
<span class="for-video">Original</span></button>
<button type="button" value="sides" aria-pressed="false">Side by side</button>
</div>
"""
STRIP = """<div id="strip"><div class="cells" role="group" aria-label="Frames of the film"></div></div>"""
# The models in people's terms: (name, what for). Others are shown by their own name.
CARDS = {
    "film-lite": ("Quick", "works offline"),
    "rife": ("Sharp", "crisp detail"),
    "film": ("Best", "Google FILM"),
}
FOOTER = """
**How it works.** A network looks at both photos at several scales, finds how everything moves, and carries both to the
moment that is made. Quick and Sharp do so for any moment at once; Best, Google's FILM, makes the middle, then those of
both halves, and so on. All run with [OpenVINO](https://docs.openvino.ai) on the machine that serves this page. They
shine when the photos differ by what can happen in about a second; between unrelated pictures they can only dissolve.
Reda et al., *[FILM: Frame Interpolation for Large Motion](https://film-net.github.io)*, 2022; Huang et al.,
*[RIFE](https://arxiv.org/abs/2011.06294)*, 2022 (MIT licence).
"""
DROP = "Drop a photo\nor click"
# From lightest to darkest.
TERRACOTTA = "#fdf5f1 #fae6dc #f4ccbb #eba98e #e07f5e #cf6140 #b24a2c #933a22 #77301f #602a1d #34140c".split()


def time_text(seconds: float) -> str:
    """2.2 s, 48 s, 3 min 20 s, 21 min, 2 h 05 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 10:
        return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 100 else f"{minutes} min"


def state_html(text: str, detail: str = "", done: float | None = None, notes: Sequence[str] = ()) -> str:
    """What happens now, what is left to wait, and how much is `done` (0 to 1; None hides the bar)."""
    bar = "" if done is None else f"<progress value='{done:.4f}' aria-label='Progress'></progress>"
    more = "".join(f"<p class='note'>{escape(note)}</p>" for note in notes)
    line = f"<p><b>{escape(text)}</b><span>{escape(detail)}</span></p>"
    return f"<div class='state' role='status'>{line}{bar}{more}</div>"


def idle_html(ready: bool = False) -> str:
    """What to do next; of what is not there yet for each kind of film: the style sheet shows the one that is chosen."""
    if ready:
        return f"<div class='state idle' role='status'><p><b>{READY}</b></p></div>"
    lines = "".join(f"<p class='for-{kind}'><b>{text}</b></p>" for kind, text in ASK.items())
    return f"<div class='state idle' role='status'>{lines}</div>"


def is_idle(html: object) -> bool:
    """Whether that, which a stranger's page sent back, is `idle_html`'s or `error_html`'s."""
    return str(html).startswith(("<div class='state idle'", "<div class='state error'"))


def sheet_html(pictures: Sequence[str | None]) -> str:
    """The photos of a film in their order, each with its place and buttons; `html.SHEET` tells what was clicked."""
    cells = "".join(
        f"<li draggable='true' data-place='{place}'><img src='{picture or ''}' alt='Photo {place + 1}'>"
        f"<em>{place + 1}</em><button type='button' aria-label='Remove photo {place + 1}'>×</button></li>"
        for place, picture in enumerate(pictures)
    )
    add = button_html("Add photos", "#many input[type=file]")
    return f"<ol class='sheet'>{cells}{f'<li class=add>{add}</li>' if cells else ''}</ol>"


def button_html(label: str, *press: str, fill: tuple[str, str] | None = None) -> str:
    """A button for what a visitor would do: click `press` one after the other, then type in `fill`: (selector, value).

    `stage.js` does it.
    """
    box = f" data-fill='{escape(fill[0])}' data-value='{escape(fill[1])}'" if fill else ""
    return f"<button type='button' class='remedy' data-press='{escape('|'.join(press))}'{box}>{escape(label)}</button>"


def error_html(text: str, button: str = "") -> str:
    """What is wrong, and the button that solves it."""
    return f"<div class='state error' role='alert'><p><b>{escape(text)}</b>{button}</p></div>"


def plan_html(length: str, cost: str = "", notes: Sequence[str] = (), button: str = "") -> str:
    """The film that is set up, what it costs, and a line, whose room is kept, for what to know of it and a button."""
    told = escape(" ".join(notes))
    line = f"<em><i title='{told}'>{told}</i>{button}</em>" if notes else ""
    return f"<p class='plan'><b>{escape(length)}</b><span>{escape(cost)}</span>{line}</p>"


def card_text(model: Model, facts: Sequence[str]) -> str:
    """One model as a card: its name in people's terms, and a line of facts; lines are shown as such."""
    title, use = CARDS.get(model.name, (model.name, ""))
    return "\n".join([title, *filter(None, [*facts, use])])


def size_text(size: float) -> str:
    """820 kB, 1.4 MB."""
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{max(1, round(size / 1e3))} kB"


def models_text(models: Sequence[Model]) -> str:
    """Each model with its price, to be read before it is chosen."""
    prices = [f"; {model.megabytes:g} MB, downloaded once" if model.megabytes else "" for model in models]
    return "\n".join(f"- **{model.name}**: {model.summary}{price}" for model, price in zip(models, prices, strict=True))


def theme() -> gr.themes.Base:
    """Paper, ink and one colour. Gradio serves the font itself: nothing is fetched from elsewhere."""
    return gr.themes.Base(
        primary_hue=gr.themes.Color(*TERRACOTTA),
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
