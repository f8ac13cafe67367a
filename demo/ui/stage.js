// The stage: it always moves. Before Create the photos fade into each other; while a film is made, the frames that are
// there play back and forth over its whole length; beside a finished film it draws what a plain cross-fade would be.
// With no photos yet an example shows what comes of them. `told` is what the server says (see stage.py); the rest is read from the page.

const find = (selector) => document.querySelector(selector);
const canvas = element.querySelector("canvas");
const context = canvas.getContext("2d");
const [slow, still] = [element.querySelector("video"), element.querySelector("img")];
const chip = element.querySelector(".chip");
const screen = element.closest("#screen");
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const IDLE_SECONDS = 2.2; // of a cross-fade, one way
const LONGEST = 1280; // pixels of the canvas
const MOST_WHOLE = 12; // photos that are shown in full size before a film is made; of more their thumbnails
const SHOWN = /\.(jpe?g|png|webp|gif|avif)$/i; // by every browser
const CELL = 56; // pixels: the height of the strip's cells
let told = { state: "idle" };
let view = "film";
let played = null; // the film that the player has shown, by its id
let sources = []; // of the film that is set up: addresses of its photos
let madeFrom = ""; // what the film on the stage was made from
let earlier = ""; // what the player still holds of the film before
let begun = performance.now();
let loaded = new Map();

const picture = (address) => {
  if (!loaded.has(address)) {
    const image = new Image();
    image.src = address;
    loaded.set(address, image);
  }
  const image = loaded.get(address);
  return image.complete && image.naturalWidth ? image : null;
};

const samples = () =>
  [...document.querySelectorAll("#examples img")].slice(0, 1).flatMap(({ src }) => [src, src.replace("/first.", "/last.")]);
const kind = () => find("#kind input:checked")?.value ?? "two";
const chosen = () => {
  if (kind() === "video") return [find("#clip video")?.currentSrc].filter(Boolean);
  const images = [...document.querySelectorAll(kind() === "two" ? "#first img, #last img" : "#sheet img")];
  const files = kind() === "many" && images.length <= MOST_WHOLE ? [...document.querySelectorAll("#many a.download-link")] : [];
  return images
    .map((image, number) => (SHOWN.test(files[number]?.href) ? files[number].href : image.currentSrc || image.src))
    .filter(Boolean);
};

const setUp = () => [kind(), ...chosen()].join();

// [place, image] of all frames that are there, in order
const frames = () =>
  Object.entries(told.frames ?? {})
    .map(([place, name]) => [Number(place), picture(told.root + name)])
    .filter(([, image]) => image)
    .sort((a, b) => a[0] - b[0]);
const photos = () => frames().filter(([place]) => told.photos?.includes(place));

const swing = (seconds, length) => {
  const phase = (seconds / length) % 2;
  return phase < 1 ? phase : 2 - phase;
};

// As the film will hold it: what is of another shape is cropped around its centre.
const paint = (image, share = 1) => {
  const scale = Math.max(canvas.width / image.naturalWidth, canvas.height / image.naturalHeight);
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  context.globalAlpha = share;
  context.drawImage(image, (canvas.width - width) / 2, (canvas.height - height) / 2, width, height);
};

// What `list` shows at a place between 0 and total - 1: a frame, or two neighbours blended where others are to come.
const show = (list, place) => {
  const after = Math.max(1, list.findIndex(([each]) => each > place));
  const [from, left] = list[after - 1] ?? [];
  const [to, right] = list[after] ?? [];
  if (!left) return;
  fit(list[0][1]);
  paint(left);
  if (right && place > from && to - from > 1) paint(right, Math.min(1, (place - from) / (to - from)));
};

const fit = (image) => {
  const scale = Math.min(1, LONGEST / Math.max(image.naturalWidth, image.naturalHeight));
  const [width, height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.round(side * scale));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
};

const shape = (width, height) => {
  if (width && height) find("#stage").style.setProperty("--aspect", (width / height).toFixed(4));
};

const player = () => find("#film video");
const plays = () => {
  const video = player();
  return Boolean(video?.currentSrc && video.currentSrc !== earlier && video.readyState > 1 && (video.currentTime > 0 || told.state === "done"));
};

// The frame of the film that its player shows: on the way back of a film that is played back and forth, too.
const placeShown = () => {
  const place = (player()?.currentTime ?? 0) * told.fps;
  return told.play === "pingpong" && place > told.total - 1 ? Math.max(0, 2 * told.total - 2 - place) : place;
};

const draw = (now) => {
  requestAnimationFrame(draw);
  if (document.hidden) return;
  const seconds = (now - begun) / 1000;
  const current = told.state !== "idle" && !stale();
  const video = current && plays();
  const comparing = video && view !== "film" && told.state === "done";
  const source = kind() === "video" && sources.length > 0 && (!current || !frames().length || comparing) && (!video || comparing);
  screen.dataset.mode = comparing ? view : video ? "film" : current ? told.state : sources.length ? "waiting" : "empty";
  canvas.hidden = (video && !comparing) || source;
  slow.hidden = !source || !slow.currentSrc;
  still.hidden = !(current && told.image);
  if (source) follow(comparing);
  else if (!slow.paused) slow.pause();
  if (!canvas.hidden) {
    if (comparing) show(photos(), placeShown());
    else if (current && frames().length > 2) {
      const list = frames();
      const end = list.at(-1)[0]; // made in order, the rest is yet to come
      show(list, swing(seconds, Math.max(0.4, end / told.fps)) * end);
    } else fade(seconds);
  }
  chip.textContent = words(current, video);
};

// Before there is a frame: the photos, each fading into the next.
const fade = (seconds) => {
  const list = (sources.length ? sources : samples()).map((address, number) => [2 * number, picture(address)]).filter(([, image]) => image);
  if (!list.length) return context.clearRect(0, 0, canvas.width, canvas.height);
  const end = 2 * (list.length - 1);
  const way = calm.matches ? 0 : swing(seconds, IDLE_SECONDS * Math.max(1, list.length - 1));
  show(list.map(([, image], number) => [2 * number, image]), way * end);
};

// The video as it is, at the pace of the film: what slow motion is without new frames.
const follow = (comparing) => {
  const clip = find("#clip video")?.currentSrc;
  if (!clip) return;
  if (slow.src !== clip) slow.src = clip;
  const slowdown = Number(told.state === "done" && comparing ? told.slowdown : find("#slowdown input:checked")?.value) || 1;
  slow.playbackRate = Math.max(0.0625, 1 / slowdown);
  if (comparing) {
    const time = (told.start ?? 0) + player().currentTime / slowdown;
    if (Math.abs(slow.currentTime - time) > 0.1 || player().paused) slow.currentTime = time;
  }
  const [from, to] = ["start", "end"].map((id) => Number(find(`#${id} input`)?.value) || 0);
  if (!comparing && to > from && (slow.currentTime < from || slow.currentTime > to)) slow.currentTime = from;
  if (slow.paused && !(comparing && player().paused)) slow.play().catch(() => {});
};

const words = (current, video) => {
  if (told.lost) return "The page was loaded anew, which stops a film in the making. Press Create to make it again.";
  if (told.state === "making" && setUp() !== madeFrom) return "A film of something else is being made.";
  if (!current || video || told.state !== "making") return "";
  const there = frames().length;
  if (there > 2 && told.byLevel) return `Playing ${there} of ${told.total} frames, getting smoother`;
  return "";
};

// Whether the film that is shown was made of something else than what is set up now.
const stale = () => {
  if (!["done", "stopped"].includes(told.state) || !madeFrom || setUp() === madeFrom) return false;
  return chosen().length > 0 || !madeFrom.startsWith(`${kind()},`);
};

// --- the strip: as many cells as fill the row, each a frame to go to
let drawn = "";
const fill = () => {
  const strip = find("#strip .cells");
  if (!strip) return;
  const list = frames();
  const aspect = Number(find("#stage").style.getPropertyValue("--aspect")) || 16 / 9;
  const cells = told.total && list.length ? Math.min(told.total, Math.max(3, Math.floor(strip.clientWidth / (CELL * aspect)))) : 0;
  const key = [cells, told.id, list.map(([place]) => place)].join();
  if (key === drawn) return;
  drawn = key;
  strip.replaceChildren(
    ...Array.from({ length: cells }, (_, number) => {
      const wanted = Math.round((number * (told.total - 1)) / Math.max(1, cells - 1));
      const [place, image] = list.reduce((best, each) => (Math.abs(each[0] - wanted) < Math.abs(best[0] - wanted) ? each : best));
      const cell = document.createElement("button");
      cell.type = "button";
      cell.setAttribute("aria-label", `Go to frame ${wanted + 1} of ${told.total}`);
      const copy = document.createElement("img");
      copy.src = image.src;
      copy.alt = "";
      cell.append(copy);
      cell.classList.toggle("coming", told.state === "making" && Math.abs(place - wanted) > told.step);
      cell.addEventListener("click", () => go(wanted));
      return cell;
    }),
  );
};
const go = (place) => {
  const video = player();
  if (plays() && told.fps) video.currentTime = (place + 0.5) / told.fps;
  else begun = performance.now() - (place / Math.max(1, told.total - 1)) * Math.max(0.4, (told.total - 1) / told.fps) * 1000;
};

// --- what is told, chosen and clicked
const taken = () => {
  try {
    const next = JSON.parse(props.value || "{}");
    if (next.id !== told.id) {
      loaded = new Map([...loaded].filter(([address]) => sources.includes(address)));
      if (next.state === "making") {
        [madeFrom, begun, earlier] = [setUp(), performance.now(), player()?.currentSrc ?? ""];
        player()?.pause();
      }
    }
    told = next.state ? next : { state: "idle" };
  } catch {
    told = { state: "idle" };
  }
  if (told.image && still.src !== new URL(told.root + told.image, location.href).href) still.src = told.root + told.image;
  if (told.size) shape(...told.size);
  remember();
};
const remember = () => {
  try {
    sessionStorage.setItem("film", told.state === "making" ? "making" : "");
  } catch {} // a browser that keeps nothing for this page
};
try {
  if (sessionStorage.getItem("film") === "making") told = { state: "idle", lost: true };
} catch {}
watch("value", taken);

const tick = () => {
  if (!find("#views") || !find("#stage")) return; // they are yet to come
  sources = chosen();
  const first = sources[0];
  const from = kind() === "video" ? slow : first && picture(first);
  if ((told.state === "idle" || stale()) && !sources.length) shape(16, 9);
  else if ((told.state === "idle" || stale()) && from) shape(from.naturalWidth || from.videoWidth, from.naturalHeight || from.videoHeight);
  for (const address of sources) if (kind() !== "video") picture(address);
  find("#cinema").classList.toggle("stale", stale());
  find("#cinema").dataset.state = told.state;
  const done = told.state === "done" && !stale();
  if (done && plays()) played = told.id; // and stays so while the player loads anew: a hidden button loses the focus
  find("#views").hidden = !(done && played === told.id && (kind() === "video" || (told.photos?.length ?? 0) > 1));
  if (!done) view = "film";
  for (const button of document.querySelectorAll("#views button")) button.setAttribute("aria-pressed", button.value === view);
  fill();
  name();
};
// Names for what Gradio leaves without one, for screen readers.
const name = () => {
  const places = { first: "Choose the first photo", last: "Choose the last photo", many: "Choose photos", clip: "Choose a video" };
  for (const [id, text] of Object.entries(places)) {
    for (const button of document.querySelectorAll(`#${id} [aria-label*="upload"]`)) button.setAttribute("aria-label", text);
  }
  for (const image of document.querySelectorAll("#examples img")) image.alt = "";
  document.querySelectorAll("#examples .gallery-item").forEach((button, number) => {
    button.setAttribute("aria-label", `Take example pair ${number + 1}`);
  });
};
setInterval(tick, 250);
requestAnimationFrame(draw);

// What the machine is doing, asked while somebody looks at the page.
const machine = async () => {
  if (document.hidden || !find("#machine-line")) return;
  const root = window.gradio_config?.root ?? "";
  const health = await fetch(`${root}/health`).then((answer) => answer.json()).catch(() => null);
  const { running, waiting } = health ?? {};
  const films = running ? `${running} ${running > 1 ? "films" : "film"} in the making, ${waiting || "nobody"} waiting` : "idle";
  find("#machine-line").textContent = `This machine: ${health ? films : "does not answer"}`;
};
setTimeout(machine, 500); // once its line is there
setInterval(machine, 5000);
document.addEventListener("visibilitychange", machine);

// The frame at which the part of a video begins or ends, while it is chosen.
document.addEventListener("input", (event) => {
  const clip = event.target.closest?.("#start, #end") && find("#clip video");
  if (clip) Object.assign(clip, { currentTime: Number(event.target.value) || 0 }).pause();
});

// A button that solves a refusal: it types and presses what a visitor would.
const solve = async ({ press, fill, value }) => {
  for (const selector of press.split("|").filter(Boolean)) {
    [...document.querySelectorAll(selector)].find((each) => each.type === "file" || each.type === "radio" || each.checkVisibility())?.click();
    await new Promise((resolve) => setTimeout(resolve, 200)); // what follows from it
  }
  const box = fill && find(fill);
  if (!box) return;
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(box, value);
  for (const name of ["input", "change", "blur"]) box.dispatchEvent(new Event(name, { bubbles: true }));
};

// What Gradio says of an upload that was not taken, in our words.
const WORDS = [
  [/Invalid file type/, () => (kind() === "video" ? "That is no video. Choose one, such as MP4, MOV or WebM." : "That is no photo. Choose one, such as JPEG, PNG or HEIC.")],
  [/maximum allowed size of ([\d.]+) Mb: (.*)/, (size, names) => `${names.replaceAll('"', "")}: too large. This server takes files of up to ${Number(size)} MB.`],
  [/^HTTP \d+: (\{.*\})$/, (answer) => JSON.parse(answer).detail],
  [/^Video not playable$/, () => "This browser does not show this video. A film can be made of it if it is taken here."],
  [/Connection to the server was lost/, () => "The server does not answer. The page goes on trying."],
];
new MutationObserver(() => {
  for (const part of document.querySelectorAll(".toast-body *")) {
    for (const [pattern, words] of part.children.length ? [] : WORDS) {
      const found = pattern.exec(part.textContent.trim());
      if (found) part.textContent = words(...found.slice(1));
    }
  }
}).observe(document.body, { childList: true, subtree: true });

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button");
  if (button?.classList.contains("remedy")) solve(button.dataset);
  if (button?.closest("#views")) view = button.value;
  if (button?.id === "create") {
    told = { ...told, lost: false };
    const top = find("#stage").getBoundingClientRect().top;
    if (innerWidth < 900 || top < 0) find("#stage").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
  }
});
