// What `explore` shows: one custom element, which draws what its data attribute says. No network, no library.

const el = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const HELP = `"now" are the weights of this step. "so far" adds up the rows from the first to this step, and its
  outlines are the whole translation: the coverage. Entropy says how widely a row spreads its weight: 0 nats for
  one token, at most ln(n) for n tokens evenly. A temperature T makes w^(1/T) of each weight w, scaled so that
  the row keeps its sum, as if all scores had been divided by T: below 1 a look is sharper, above 1 flatter.`;
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const entropy = (row) => 0 - sum(row.map((weight) => (weight > 0 ? weight * Math.log(weight) : 0)));
const largest = (row) => row.indexOf(Math.max(...row));

// w^(1/T), scaled to the sum that the row had: what the softmax gives when all scores are divided by T.
const sharpen = (row, temperature) => {
  const top = Math.max(...row);
  if (temperature === 1 || !top) return row;
  const powers = row.map((weight) => (weight / top) ** (1 / temperature));
  const scale = sum(row) / sum(powers);
  return powers.map((power) => power * scale);
};

class AttentionExplorer extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    const follow = () => this.followInk();
    this.observer = new MutationObserver(follow);
    for (const node of [document.documentElement, document.body])
      this.observer.observe(node, { attributes: true });
    this.gone = new AbortController();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow, { signal: this.gone.signal });
    follow();
  }

  disconnectedCallback() {
    this.observer.disconnect();
    this.gone.abort();
  }

  // Dark where the page writes in a light ink, whatever made it do so.
  followInk() {
    const ink = getComputedStyle(this.parentElement || document.body).color;
    const [red, green, blue] = ink.match(/[\d.]+/g).map(Number);
    this.toggleAttribute("dark", 0.3 * red + 0.6 * green + 0.1 * blue > 128);
  }

  build() {
    const data = JSON.parse(this.dataset.explorer);
    this.palette = bytes(data.palette);
    [this.step, this.epoch, this.temperature] = [0, data.epochs.length - 1, 1];
    this.panels = data.panels.map((panel) => this.panel(panel, panel.name));
    const framed = this.panels.some((panel) => panel.links.length);
    this.steps = Math.max(...this.panels.map((panel) => panel.tgt.length));
    this.status = el("p", { role: "status", class: "unseen" });
    this.numbers = el("details", {}, el("summary", {}, "Numbers"), el("div"));
    this.numbers.addEventListener("toggle", () => this.table());
    const root = this.attachShadow({ mode: "open" });
    root.append(
      el("style"),
      el("div", { class: "controls" }, this.legend(), ...this.controls(data)),
      el("div", { class: "panels" }, ...this.panels.map((panel) => panel.node)),
      el("p", { class: "help" }, "Rows are target tokens, columns source tokens. Move over the rows, or step with ",
        "the arrow keys, Home and End.", framed ? " Frames are gold links." : ""),
      el("details", {}, el("summary", {}, "How to read this"), el("p", {}, HELP)),
      this.numbers,
      this.status,
    );
    root.firstChild.textContent = STYLE;
    this.draw();
    clearTimeout(this.waiting); // nothing is spoken before somebody moves
  }

  legend() {
    const scale = el("canvas", { width: 256, height: 1, "aria-hidden": true });
    const pixels = new ImageData(256, 1);
    for (let i = 0; i < 256; i++) this.paint(pixels, i, i / 255);
    scale.getContext("2d").putImageData(pixels, 0, 0);
    return el("span", { class: "legend" }, "weight 0", scale, "1");
  }

  controls(data) {
    const slider = (name, range, value, show, change) => {
      const input = el("input", { type: "range", ...range, value });
      const shown = el("span", { class: "value", "aria-hidden": true });
      const update = () => {
        shown.textContent = show(Number(input.value));
        input.setAttribute("aria-valuetext", shown.textContent);
      };
      input.addEventListener("input", () => {
        change(Number(input.value));
        update();
        this.draw();
      });
      update();
      return el("label", {}, el("span", {}, name), input, shown);
    };
    const last = data.epochs.length - 1;
    return [
      ...(last > 0
        ? [slider(data.unit, { min: 0, max: last }, last, (i) => data.epochs[i], (i) => (this.epoch = i))]
        : []),
      slider("temperature", { min: -2, max: 2, step: 0.25 }, 0,
        (x) => (2 ** x).toFixed(2) + (x ? "" : " (as it is)"), (x) => (this.temperature = 2 ** x)),
    ];
  }

  // The fixed parts of a panel; `draw` and `move` fill them.
  panel({ name, src, tgt, maps, links }, titled) {
    const panel = { name, src, tgt, links };
    const [rows, columns] = [tgt.length, src.length];
    panel.node = el("section", { "aria-label": name || "attention" });
    if (titled) panel.node.append(el("p", { class: "name" }, name));
    panel.steps = tgt.map((token) => el("div", { role: "option" }, token));
    const label = `written by ${name || "the model"}`;
    const steps = el("div", { role: "listbox", class: "tgt", "aria-label": label }, ...panel.steps);
    steps.addEventListener("keydown", (event) => this.key(event, panel));
    steps.addEventListener("click", (event) => this.pick(panel.steps.indexOf(event.target), panel));
    if (!maps.length) {
      panel.reading = el("p", { class: "reading" });
      panel.node.append(steps, panel.reading);
      panel.node.classList.add("blind");
      return panel;
    }
    panel.maps = maps.map((text) => {
      const all = [...new Float32Array(bytes(text).buffer)];
      return tgt.map((_, row) => all.slice(row * columns, (row + 1) * columns));
    });
    const longest = Math.min(16, Math.max(...src.map((token) => token.length)));
    panel.node.style.cssText = `--rows: ${rows}; --columns: ${columns}; --longest: ${longest}`;
    panel.node.classList.toggle("long", Math.max(rows, columns) > 25);
    panel.canvas = el("canvas", { width: columns, height: rows, role: "img",
      "aria-label": `map of ${rows} target by ${columns} source tokens: the table below has its numbers` });
    panel.frame = el("div", { class: "frame" });
    panel.map = el("div", { class: "map" }, panel.canvas, panel.frame);
    for (const [source, target] of links)
      panel.map.append(el("div", { class: "link", style: `--row: ${target}; --column: ${source}` }));
    panel.map.addEventListener("pointermove", (event) => this.hover(event, panel));
    panel.map.addEventListener("click", (event) => this.pick(this.cell(event, panel).row, panel));
    panel.labels = src.map((token, i) => el("span", { style: `--column: ${i}` }, token));
    const strip = (kind, count) => {
      const bars = Array.from({ length: count }, () => el("i"));
      return [bars, el("div", { class: kind, "aria-hidden": true }, ...bars)];
    };
    let entropies, now, sofar;
    [panel.entropies, entropies] = strip("entropies", rows);
    [panel.now, now] = strip("strip now", columns);
    [panel.sofar, sofar] = strip("strip sofar", columns);
    const side = (text, kind = "side") => el("div", { class: kind, "aria-hidden": true }, text);
    panel.scroll = el("div", { class: "scroll" },
      el("div", { class: "grid" },
        el("div", { class: "corner" }), el("div", { class: "src", "aria-hidden": true }, ...panel.labels),
        side("entropy", "last"),
        steps, panel.map, entropies,
        side("now"), now, el("div"),
        side("so far"), sofar, el("div")));
    panel.reading = el("div", { class: "reading" });
    panel.node.append(el("div", { class: "body" }, panel.scroll, panel.reading));
    return panel;
  }

  paint(pixels, place, weight) {
    const colour = 3 * Math.round(255 * Math.min(1, Math.max(0, weight)));
    pixels.data.set([...this.palette.slice(colour, colour + 3), 255], 4 * place);
  }

  // All maps anew, for another epoch or temperature.
  draw() {
    for (const panel of this.panels) {
      if (!panel.maps) continue;
      const map = panel.maps[Math.min(this.epoch, panel.maps.length - 1)];
      panel.weights = map.map((row) => sharpen(row, this.temperature));
      const pixels = new ImageData(panel.src.length, panel.tgt.length);
      panel.weights.flat().forEach((weight, place) => this.paint(pixels, place, weight));
      panel.canvas.getContext("2d").putImageData(pixels, 0, 0);
      panel.most = Math.log(panel.src.length);
      panel.weights.forEach((row, i) => {
        panel.entropies[i].style.setProperty("--size", panel.most ? entropy(row) / panel.most : 0);
      });
      panel.total = panel.src.map((_, i) => sum(panel.weights.map((row) => row[i])));
    }
    this.move(this.step);
    this.table();
  }

  // Make a step the one that is looked at, in all panels.
  move(step, held) {
    this.step = Math.max(0, Math.min(this.steps - 1, step));
    const said = this.panels.map((panel) => {
      const at = Math.min(this.step, panel.tgt.length - 1);
      const ended = at < this.step;
      panel.steps.forEach((option, i) => {
        option.tabIndex = i === at ? 0 : -1;
        option.ariaSelected = !ended && i === at;
      });
      panel.node.classList.toggle("ended", ended);
      if (ended) return this.read(panel, [["", `ended after ${panel.tgt.length} tokens`]]);
      const heading = ["", `${panel.tgt[at]} · step ${at + 1} of ${panel.tgt.length}`];
      if (!panel.maps) return this.read(panel, [heading, ["no attention:", "it has no weights to show"]]);
      const row = panel.weights[at];
      const far = panel.src.map((_, i) => sum(panel.weights.slice(0, at + 1).map((each) => each[i])));
      const height = Math.max(1, ...panel.total);
      const top = largest(row);
      panel.labels.forEach((label, i) => label.classList.toggle("top", i === top));
      panel.now.forEach((bar, i) => bar.style.setProperty("--size", row[i]));
      panel.sofar.forEach((bar, i) => {
        bar.style.setProperty("--size", far[i] / height);
        bar.style.setProperty("--total", panel.total[i] / height);
      });
      panel.frame.style.setProperty("--row", at);
      if (panel !== held) this.follow(panel, at, top);
      const best = (numbers) => numbers.map((number, i) => [number, panel.src[i]])
        .sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([number]) => number >= 0.005)
        .map(([number, token]) => `${token} ${number.toFixed(2)}`).join(", ") || "nothing";
      return this.read(panel, [heading, ["now:", best(row)], ["so far:", best(far)],
        ["entropy:", `${entropy(row).toFixed(2)} of at most ${panel.most.toFixed(2)} nats`]]);
    });
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => (this.status.textContent = said.join(". ")), 200);
  }

  read(panel, lines) {
    const line = ([what, text]) => (what ? [el("em", {}, what), ` ${text}`] : [el("b", {}, text)]);
    panel.reading.replaceChildren(...lines.map((each) => el("span", {}, ...line(each))));
    return [panel.name, ...lines.map((line) => line.join(" ").trim())].filter(Boolean).join(", ");
  }

  // Keep the step and its largest weight in sight, inside the panel: the page does not move.
  follow({ scroll, map, tgt, src }, row, column) {
    const middle = (part, size, view, whole) => part * size - (view - (whole - size)) / 2;
    scroll.scrollTo({
      top: middle((row + 0.5) / tgt.length, map.clientHeight, scroll.clientHeight, scroll.scrollHeight),
      left: middle((column + 0.5) / src.length, map.clientWidth, scroll.clientWidth, scroll.scrollWidth),
    });
  }

  key(event, panel) {
    const last = panel.tgt.length - 1;
    const at = Math.min(this.step, last);
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10,
      Home: -last, End: last }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.pick(Math.max(0, Math.min(last, at + by)), panel);
  }

  pick(step, panel) {
    if (step < 0) return;
    panel.steps[step].focus();
    this.move(step);
  }

  cell(event, panel) {
    const box = panel.map.getBoundingClientRect();
    const place = (at, size, count) => Math.max(0, Math.min(count - 1, Math.floor((at / size) * count)));
    return { row: place(event.clientY - box.top, box.height, panel.tgt.length),
      column: place(event.clientX - box.left, box.width, panel.src.length) };
  }

  // A pointer at rest, under which the page scrolls, is not a wish to go elsewhere.
  hover(event, panel) {
    const [x, y] = this.pointer || [event.screenX, event.screenY];
    this.pointer = [event.screenX, event.screenY];
    if (event.screenX === x && event.screenY === y) return;
    const { row, column } = this.cell(event, panel);
    panel.map.title = `${panel.tgt[row]} → ${panel.src[column]}: ${panel.weights[row][column].toFixed(3)}`;
    if (row !== this.step) this.move(row, panel);
  }

  // The numbers of all panels as text, while they are unfolded.
  table() {
    if (!this.numbers.open) return;
    const line = (head, cells, kind = "td") =>
      el("tr", {}, el("th", { scope: "row" }, head), ...cells.map((cell) => el(kind, {}, cell)));
    const digits = (numbers) => numbers.map((number) => number.toFixed(3));
    const table = (panel) => el("table", {},
      el("caption", {}, `${panel.name} weights at temperature ${this.temperature.toFixed(2)}, entropy in nats`),
      line("target", [...panel.src, "entropy"], "th"),
      ...panel.weights.map((row, i) => line(panel.tgt[i], digits([...row, entropy(row)]))),
      line("coverage", [...digits(panel.total), ""]));
    const name = (panel) => `numbers of ${panel.name || "the map"}`;
    this.numbers.lastChild.replaceChildren(...this.panels.filter((panel) => panel.maps).map((panel) =>
      el("div", { class: "wide", role: "region", tabindex: 0, "aria-label": name(panel) }, table(panel))));
  }
}
