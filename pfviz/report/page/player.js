// Plays a film in its page: moves the pieces of the picture, the seek bar and the caption.
"use strict";
(() => {
  const film = JSON.parse(document.getElementById("film").textContent);
  const by = (id) => document.getElementById(id);
  const play = by("play"), seek = by("seek"), clock = by("clock"), caption = by("caption");
  const rate = by("rate");
  const steps = [...document.querySelectorAll("#cues button")];
  const strips = film.strips.map(([times, contents], index) => ({
    place: by("s" + index), times, contents, shown: contents[0],
  }));
  const SVG = "http://www.w3.org/2000/svg", WIDTH = film.cell[0], HEIGHT = film.cell[1];
  const BASE = film.cell[2];
  // Runs of one character that is drawn, and what is between them.
  const PARTS = film.drawn
    ? new RegExp(`([${film.drawn}])\\1*|[^${film.drawn}]+`, "gu") : /.+/gu;
  const widthOf = (text) => [...text].reduce((cells, char) => cells + (film.wide[char] ?? 1), 0);
  const element = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  };

  // One row as report/drawing.py draws it: [style, text, style, text, ...] from column 0 on.
  function draw(place, row) {
    const paths = new Map(), lines = [], texts = [];
    const box = (fill, opacity, crisp, [x, y, width, height], column, count) => {
      const key = [fill, opacity, crisp ? "crispEdges" : "auto"].join(" "), left = column * WIDTH + x;
      const whole = x === 0 && width === WIDTH;
      let path = paths.get(key) ?? "";
      for (let step = 0; step < (whole ? 1 : count); step++) {
        path += `M${left + step * WIDTH} ${y - BASE}h${whole ? width * count : width}v${height}` +
          `h${whole ? -width * count : -width}z`;
      }
      paths.set(key, path);
    };
    let column = 0;
    for (let at = 0; at < row.length; at += 2) {
      const [color, ground, more] = film.styles[row[at]], text = row[at + 1];
      if (ground) box(ground, 1, true, [0, 0, WIDTH, HEIGHT], column, widthOf(text));
      for (const [part] of text.matchAll(PARTS)) {
        const char = [...part][0], count = [...part].length;
        if (film.drawn.includes(char)) {
          const corner = film.corners[char];
          for (let step = 0; corner && step < count; step++) {
            lines.push(element("path", {
              fill: "none", stroke: color, "stroke-width": film.thin,
              d: `M${(column + step) * WIDTH + corner[0]} ${corner[1] - BASE}${corner[2]}`,
            }));
          }
          const shade = film.shades[char] ?? 1;
          for (const shape of corner ? [] : film.shapes[char] ?? [[0, 0, WIDTH, HEIGHT]]) {
            box(color, shade, film.blocks.includes(char), shape, column, count);
          }
          column += count;
          continue;
        }
        for (const found of part.matchAll(/\S+(?: \S+)*/gu)) {
          const words = found[0];
          texts.push(element("text", {
            x: (column + widthOf(part.slice(0, found.index))) * WIDTH, fill: color, ...more,
            ...(words.length > 1 ? {textLength: widthOf(words) * WIDTH} : {}),
          }, words));
        }
        column += widthOf(part);
      }
    }
    const shapes = [...paths].map(([key, d]) => {
      const [fill, opacity, crisp] = key.split(" ");
      return element("path", {fill, opacity, "shape-rendering": crisp, d});
    });
    place.replaceChildren(...shapes, ...lines, ...texts);
  }
  let now = 0, playing = false, before = 0, spoken = -1;

  // How many of some times (in order) are not after a moment.
  const past = (times, at) => {
    let low = 0, high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= at) low = middle + 1; else high = middle;
    }
    return low;
  };
  const words = (ms) => {
    const seconds = Math.floor(ms / 1000);
    return Math.floor(seconds / 60) + ":" + String(seconds % 60).padStart(2, "0");
  };

  function show(at) {
    now = Math.min(Math.max(at, 0), film.lasts);
    for (const strip of strips) {
      const content = strip.contents[past(strip.times, now) - 1];
      if (content !== strip.shown) {
        strip.shown = content;
        draw(strip.place, film.contents[content]);
      }
    }
    seek.value = now;
    seek.setAttribute("aria-valuetext", words(now) + " of " + words(film.lasts));
    clock.textContent = words(now) + " / " + words(film.lasts);
    const mark = past(film.marks, now) - 1;
    if (mark !== spoken) {
      spoken = mark;
      caption.textContent = mark < 0 ? film.story : film.captions[mark];
      steps.forEach((step, index) => {
        if (index === mark) step.setAttribute("aria-current", "step");
        else step.removeAttribute("aria-current");
      });
    }
  }
  function set(wanted) {
    playing = wanted && (now < film.lasts || (show(0), true));
    play.textContent = playing ? "Pause" : "Play";
    if (playing) {
      before = performance.now();
      requestAnimationFrame(tick);
    }
  }
  function tick(at) {
    if (!playing) return;
    show(now + Math.max(at - before, 0) * Number(rate.value));
    before = at;
    if (now >= film.lasts) set(false);
    else requestAnimationFrame(tick);
  }
  function cue(direction) {
    const mark = direction > 0
      ? film.marks.findIndex((at) => at > now)
      : film.marks.findLastIndex((at) => at < now - 700);
    if (mark >= 0) show(film.marks[mark]);
    else if (direction < 0) show(0);
  }

  play.addEventListener("click", () => set(!playing));
  seek.addEventListener("input", () => show(Number(seek.value)));
  steps.forEach((step, index) => step.addEventListener("click", () => show(film.marks[index])));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      " ": () => set(!playing), ArrowLeft: () => show(now - 2000), ArrowRight: () => show(now + 2000),
      "[": () => cue(-1), "]": () => cue(1), Home: () => show(0), End: () => show(film.lasts),
    };
    const act = keys[event.key];
    // A button that has the focus is pressed by the space bar, as everywhere.
    if (!act || (event.key === " " && event.target.closest("button")) ||
        event.target.closest("select")) return;
    event.preventDefault();
    act();
  });
  document.body.classList.add("plays");
  show(0);
})();
