// What `explore` and `playground` show: one custom element. Its panels show either maps that were computed before,
// or models of engine.js, which translate what the reader types. No network, no library.

const [MAX_PANELS, MAX_WORDS, PACE, COPY] = [3, 80, 900, "Copy a link to this"];
const el = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== false && value !== undefined) node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
};
const draw = (name, attributes, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};
const HELP = `Lines are as thick as the attention weights of one step, and the map has a row for each step. "attention so
  far" adds up the rows from the first to this step: the coverage. Entropy says how widely a row spreads its weight: 0 nats for
  one word, ln(n) for n words evenly. A temperature T divides the scores by T before the softmax: below 1 the weights are
  sharper, above 1 flatter. A dashed frame marks the words that the gold alignment links. Only sentences that
  the page offers have gold links, not those that you type.`;
const TOUR = [
  ["One vector for a whole sentence", `This decoder sees the same summary of the review at every step. With five clauses it
    loses the thread: see how many words come out right, and shorten the review with "− clause".`, { shown: ["fixed"], clauses: 4, step: 0 }],
  ["Now switch attention on", `This decoder looks at every word again before it writes the next one. The same review comes
    out right.`, { shown: ["fixed", "additive"], clauses: 4, step: 0 }],
  ["Follow the lines", `Each French word looks at the English words that it translates. Step through with the arrow keys. At
    "et de plus", look where the lines go.`, { shown: ["additive"], clauses: 3, step: 9 }],
  ["Move the spotlight", `Here all weight is on one wrong word. The likeliest next words are those that the decoder would
    write now. Press Continue to let it go on, or Reset to give the spotlight back.`, { shown: ["additive"], clauses: 1, step: 3, wrong: 5 }],
  ["A blurred look", `The temperature is 4, so the softmax is flat and every word gets a little weight. Does the translation
    survive?`, { shown: ["additive"], clauses: 1, step: 3, temperature: 4 }],
  ["Which score?", `Dot, additive, and a Transformer solve the same task with different maps. Agreement on the words doesn't
    mean agreement on where to look.`, { shown: ["dot", "additive", "transformer"], clauses: 1, step: 3, view: "map" }],
];

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
const largest = (numbers) => numbers.indexOf(Math.max(...numbers));
const clamp = (number, low, high) => Math.max(low, Math.min(high, number));
const entropy = (row) => sum(row.map((weight) => (weight > 0 ? -weight * Math.log(weight) : 0)));
const best = (numbers, tokens) => numbers.map((number, i) => [number, tokens[i]])
  .sort((a, b) => b[0] - a[0]).slice(0, 3).filter(([number]) => number >= 0.005)
  .map(([number, token]) => `${token} ${number.toFixed(2)}`).join(", ") || "nothing";

// w^(1/T), scaled to the sum that the row had: what the softmax gives when all scores are divided by T.
const sharpen = (row, temperature) => {
  const top = Math.max(...row);
  if (temperature === 1 || !top) return row;
  const powers = row.map((weight) => (weight / top) ** (1 / temperature));
  const scale = sum(row) / sum(powers);
  return powers.map((power) => power * scale);
};

// How many words of one sentence are in the other, in the same order.
const inOrder = (written, wanted) => {
  let line = new Array(wanted.length + 1).fill(0);
  for (const word of written)
    line = wanted.reduce((next, other, i) => [...next, other === word ? line[i] + 1 : Math.max(line[i + 1], next[i])], [0]);
  return line.at(-1);
};

const distance = (a, b) => {
  let line = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(line[j] + 1, next[j - 1] + 1, line[j - 1] + (a[i - 1] !== b[j - 1])));
    line = next;
  }
  return line.at(-1);
};

const random = (seed) => () => { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
};

// Scripts bring the bytes of a model once for all elements of a page.
const library = (globalThis.translators ||= { loading: {}, arrive: {} });
globalThis.translatorArrived = (name, text, length) => library.arrive[name](fromLetters(text, length));
const fetchBytes = (files, name) =>
  (library.loading[files + name] ||= new Promise((arrive, fail) => {
    library.arrive[name] = arrive;
    document.head.append(el("script", { src: `${files}${name}.js`, onerror: () => fail(Error(`${name}.js is missing`)) }));
  }));

class AttentionExplorer extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    const follow = () => this.followInk();
    this.observer = new MutationObserver(follow);
    for (const node of [document.documentElement, document.body])
      this.observer.observe(node, { attributes: true });
    this.gone = new AbortController();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", follow, { signal: this.gone.signal });
    addEventListener("hashchange", () => this.open() && this.translate(), { signal: this.gone.signal });
    this.sizes = new ResizeObserver(() => this.connect());
    this.sizes.observe(this);
    follow();
  }

  disconnectedCallback() {
    this.observer.disconnect();
    this.sizes.disconnect();
    this.gone.abort();
    this.play(false);
  }

  // Dark where the page writes in a light ink, whatever made it do so.
  followInk() {
    const ink = getComputedStyle(this.parentElement || document.body).color;
    const [red, green, blue] = ink.match(/[\d.]+/g).map(Number);
    this.toggleAttribute("dark", 0.3 * red + 0.6 * green + 0.1 * blue > 128);
  }

  build() {
    const data = (this.data = JSON.parse(this.dataset.explorer));
    this.palette = fromBase64(data.palette);
    this.models = data.models || {};
    this.vocabulary = new Set(data.vocabularies?.src);
    this.ready = {};
    this.live = Object.keys(this.models).length > 0;
    Object.assign(this, { step: 0, peek: null, epoch: data.epochs.length - 1, temperature: 1, output: 1, seed: 0, head: "",
      view: data.view, shown: data.shown || [], words: data.sentence || [], edits: {}, forced: {}, marked: null });
    this.status = el("p", { role: "status", class: "unseen" });
    this.message = el("p", { class: "message", "aria-live": "polite" });
    this.panelBox = el("div", { class: "panels" });
    this.tabs = el("div", { class: "tabs" });
    this.numbers = el("details", {}, el("summary", {}, "Numbers"), el("div"));
    this.numbers.addEventListener("toggle", () => this.table());
    this.tourBox = el("div", { class: "tour", hidden: true, role: "region", "aria-label": "Guided tour" });
    const root = this.attachShadow({ mode: "open" });
    root.append(el("style"), ...(this.live ? this.entry() : []), this.tourBox, this.bar(), this.tabs, this.panelBox,
      this.settings(), el("details", {}, el("summary", {}, "How to read this"), el("p", {}, HELP)), this.numbers, this.status);
    root.firstChild.textContent = STYLE;
    root.addEventListener("pointerdown", (event) => event.target !== this.player && this.play(false), true);
    if (!this.live) {
      this.panels = data.panels.map((panel) => this.fixedPanel(panel));
      return this.layOut();
    }
    this.panels = [];
    const opened = this.open(); // a shared step stays
    this.translate().then(() => this.play(data.play && !opened && !matchMedia("(prefers-reduced-motion: reduce)").matches));
  }

  // ---- Controls ----

  button(text, click, attributes = {}) {
    return el("button", { type: "button", onclick: click, ...attributes }, text);
  }

  entry() {
    this.input = el("input", { type: "text", spellcheck: "false", autocomplete: "off", autocapitalize: "off",
      "aria-label": "Sentence", maxlength: 600, value: this.words.join(" ") });
    this.input.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.read(), 250);
    });
    const form = el("form", { class: "entry" }, this.input);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.read();
    });
    const { reviews = [], clauses = [] } = this.data;
    this.pick = 0;
    if (reviews.length) form.append(this.button("Another review", () => {
      this.say(reviews[this.pick++ % reviews.length][0].split(" "));
    }));
    if (clauses.length) form.append(
      this.button("+ clause", () => this.addClause(1), { title: "make the review longer" }),
      this.button("− clause", () => this.addClause(-1), { title: "make the review shorter" }));
    if (Object.keys(this.models).length < 2) return [form, this.message];
    this.chips = Object.entries(this.models).map(([key, { title, about }]) =>
      this.button(title, () => this.toggle(key), { "data-key": key, title: about, "aria-pressed": "false" }));
    return [form, this.message, el("div", { class: "chips", role: "group", "aria-label": "Models, up to three" },
      el("span", { "aria-hidden": true }, "Compare up to three"), ...this.chips)];
  }

  bar() {
    this.player = this.button("▶", () => this.play(!this.timer), { class: "round", "aria-label": "Play" });
    this.slide = el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step" });
    this.slide.addEventListener("input", () => this.move(Number(this.slide.value)));
    this.where = el("span", { class: "value", "aria-hidden": true });
    this.views = ["lines", "map"].map((view) => this.button(view === "map" ? "Heat map" : "Lines", () => this.look(view)));
    this.stops = TOUR.filter(([, , { shown }]) => shown.every((key) => this.models[key]));
    const tour = this.data.tour && this.stops.length ? [this.button("Take the tour", () => this.tour(0), { class: "plain" })] : [];
    return el("div", { class: "bar" }, this.player, this.slide, this.where,
      el("span", { class: "joined", role: "group", "aria-label": "View" }, ...this.views), this.legend(), ...tour);
  }

  legend() {
    const stops = [0, 0.2, 0.4, 0.6, 0.8, 1].map((weight) => `rgb(${this.color(weight)})`);
    return el("span", { class: "legend", "aria-hidden": true }, "weight 0",
      el("i", { style: `background: linear-gradient(to right, ${stops})` }), "1");
  }

  slider(name, range, value, show, change) {
    const input = el("input", { type: "range", ...range, value, "aria-label": name });
    const shown = el("span", { class: "value", "aria-hidden": true });
    const update = () => {
      shown.textContent = show(Number(input.value));
      input.setAttribute("aria-valuetext", shown.textContent);
    };
    input.addEventListener("input", () => {
      change(Number(input.value));
      update();
      this.live ? this.translate(true) : this.refresh();
    });
    input.update = (number) => {
      input.value = number;
      update();
    };
    update();
    return [input, el("label", {}, el("span", {}, name), input, shown)];
  }

  settings() {
    const power = (x) => (2 ** x).toFixed(2);
    const { epochs, unit, snapshots = [] } = this.data;
    const sliders = [];
    if (epochs.length > 1) sliders.push(this.slider(unit, { min: 0, max: epochs.length - 1 }, this.epoch, (i) => epochs[i],
      (i) => (this.epoch = i)));
    const heat = this.slider("temperature", { min: -2, max: 2, step: 0.25 }, 0, power, (x) => (this.temperature = 2 ** x));
    this.heat = heat[0];
    if (!this.live) return el("div", { class: "controls" }, ...[...sliders, heat].map(([, label]) => label));
    const output = this.slider("temperature of the output", { min: -2, max: 2, step: 0.25 }, 0, power,
      (x) => (this.output = 2 ** x));
    this.outputHeat = output[0];
    sliders.push(heat, output);
    const sample = (this.sample = el("input", { type: "checkbox" }));
    sample.addEventListener("change", () => {
      this.seed = sample.checked ? 1 + Math.floor(Math.random() * 1e6) : 0;
      this.translate(true);
    });
    const rows = [el("label", { class: "check" }, sample, "draw words at random, instead of the likeliest")];
    if (this.models.transformer) {
      const heads = (this.heads = el("select", {}, el("option", { value: "" }, "mean of all"),
        ...[0, 1, 2, 3].map((head) => el("option", { value: head }, `${head + 1}`))));
      heads.addEventListener("change", () => {
        this.head = heads.value;
        if (!this.shown.includes("transformer")) this.shown = ["transformer"];
        this.translate(true);
      });
      rows.push(el("label", {}, "head of the Transformer", heads));
    }
    const parts = [el("div", { class: "controls" }, ...sliders.map(([, label]) => label), ...rows)];
    if (snapshots.length) parts.push(this.training(snapshots));
    const words = el("details", {}, el("summary", {}, "The words it knows"), el("p", {}));
    words.addEventListener("toggle", () => {
      words.lastChild.textContent = [...this.vocabulary].slice(UNK + 1).sort().join(" · ");
    });
    const save = (kind) => this.button(kind.toUpperCase(), () => this.export(kind));
    parts.push(el("div", { class: "controls" }, el("span", {}, "Save the picture as"), save("png"), save("svg"),
      el("span", {}, "and the numbers as"), save("csv"),
      ...(this.data.share ? [this.button(COPY, (event) => this.share(event.target))] : [])));
    const more = el("details", { class: "more" }, el("summary", {}, "Settings and saving"), ...parts);
    return el("div", {}, words, more);
  }

  // A slider over snapshots of the training, above its two curves. The last one is the finished model.
  training(snapshots) {
    const last = snapshots.length - 1;
    const curve = (name, top) => {
      const points = snapshots.map((row, i) => `${(i / last) * 100},${30 - (28 * row[name]) / top}`);
      return draw("polyline", { points: points.join(" "), class: name, "vector-effect": "non-scaling-stroke" });
    };
    this.mark = draw("line", { y1: 0, y2: 30, class: "mark", "vector-effect": "non-scaling-stroke" });
    const losses = snapshots.map((row) => row.loss);
    const chart = draw("svg", { viewBox: "0 0 100 30", preserveAspectRatio: "none", "aria-hidden": true },
      curve("loss", Math.max(...losses)), curve("error", 1), this.mark);
    const facts = el("p", { class: "facts" });
    const show = (i) => (i === last ? "finished" : `${snapshots[i].update} updates`);
    const [input, label] = this.slider("training of the additive model", { min: 0, max: last }, last, show, (i) => {
      this.snapshot = i === last ? null : i;
      if (!this.shown.includes("additive")) this.shown = ["additive"];
    });
    this.learned = () => {
      const i = this.snapshot ?? last;
      if (Number(input.value) !== i) input.update(i);
      for (const end of ["x1", "x2"]) this.mark.setAttribute(end, (i / last) * 100);
      facts.replaceChildren(el("b", { class: "loss" }, `loss ${snapshots[i].loss.toFixed(2)} nats per token`), " · ",
        el("b", { class: "error" }, `alignment error ${snapshots[i].error.toFixed(2)}`),
        i === last ? ". Move the slider back to see how attention emerges." : "");
    };
    this.learned();
    return el("div", { class: "training" }, label, chart, facts);
  }

  toggle(key) {
    const others = this.shown.filter((each) => each !== key);
    const chosen = this.shown.includes(key) ? (others.length ? others : this.shown) : [...others.slice(-MAX_PANELS + 1), key];
    this.shown = Object.keys(this.models).filter((each) => chosen.includes(each));
    this.front = key;
    this.translate(true);
  }

  look(view = this.view) {
    this.view = view;
    this.views.forEach((button, i) => button.setAttribute("aria-pressed", String(i === (view === "map" ? 1 : 0))));
    this.toggleAttribute("map", view === "map");
    this.panels.forEach((panel) => panel.node.classList.toggle("mapped", view === "map" && panel.weights !== null));
    this.refresh();
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => {
      if (this.step + 1 >= this.steps) return this.play(false);
      this.move(this.step + 1, true);
    }, PACE) : null;
    if (on && this.step + 1 >= this.steps) this.move(0, true);
    this.player.textContent = on ? "❚❚" : "▶";
    this.player.setAttribute("aria-label", on ? "Pause" : "Play");
  }

  // ---- Sentences ----

  // The words of a text: known ones as they are, others in lower case, with punctuation apart.
  tokens(text) {
    const known = this.vocabulary;
    return text.trim().split(/\s+/).flatMap((word) => {
      if (!word || known.has(word)) return word || [];
      const parts = word.toLowerCase().replace(/[’`]/g, "'").replace(/n't\b/g, " not").replace(/([^\p{L}\p{N}'\s]+)/gu, " $1 ");
      return parts.trim().split(/\s+/).filter((part) => known.has(part) || /[\p{L}\p{N}]/u.test(part));
    }).slice(0, MAX_WORDS);
  }

  read() {
    clearTimeout(this.typing);
    const words = this.tokens(this.input.value);
    if (words.join(" ") === this.words.join(" ")) return;
    this.say(words, true);
  }

  say(words, typed = false) {
    Object.assign(this, { words, edits: {}, forced: {}, step: 0, marked: null });
    if (!typed) this.input.value = words.join(" ");
    this.play(false);
    return this.translate();
  }

  // The parts of a sentence that the grammar made: a review or the first clause, then other clauses.
  parts(text) {
    const { reviews = [], clauses = [] } = this.data;
    const whole = [...clauses.slice(0, 1), ...reviews].find(([en]) => en === text);
    if (whole) return [whole];
    const last = clauses.find(([en]) => text.endsWith(` ${en}`));
    const before = last && this.parts(text.slice(0, -last[0].length - 1));
    return before ? [...before, last] : null;
  }

  // The reference and the gold links of the sentence, or null.
  known() {
    const parts = this.parts(this.words.join(" "));
    return parts && parts.reduce(({ count, reference, links }, [en, fr, added]) => ({
      count: count + en.split(" ").length,
      reference: [...reference, ...fr.split(" ")],
      links: [...links, ...added.split(" ").map((link) => link.split("-").map(Number))
        .map(([s, t]) => [s + count, t + reference.length])],
    }), { count: 0, reference: [], links: [] });
  }

  addClause(by) {
    const text = this.words.join(" ");
    const texts = this.data.clauses.map(([en]) => en);
    const last = texts.find((en) => text.endsWith(` ${en}`));
    const next = texts.slice(1).find((en) => !text.includes(en));
    if (by > 0 && next) this.say(`${text} ${next}`.trim().split(" "));
    if (by < 0 && last) this.say(text.slice(0, -last.length - 1).split(" "));
  }

  // Say which words no model knows, and offer the nearest one that they know.
  explain() {
    const unknown = [...new Set(this.words.filter((word) => !this.vocabulary.has(word)))];
    const parts = unknown.slice(0, 4).map((word) => {
      const near = [...this.vocabulary].slice(UNK + 1).map((each) => [distance(word, each), each]).sort((a, b) => a[0] - b[0])[0];
      const offer = near && near[0] <= Math.max(1, word.length / 3);
      return el("span", {}, el("b", {}, word), " is not in the vocabulary", ...(offer ? [". Did you mean ",
        this.button(near[1], () => this.say(this.words.map((each) => (each === word ? near[1] : each)))), "?"] : ["."]));
    });
    if (!this.words.length) parts.push("Type an English review, such as “the soup was cold”.");
    this.message.replaceChildren(...parts);
  }

  // ---- Panels ----

  model(key) {
    const name = key === "additive" && this.snapshot != null ? `additive-${this.data.snapshots[this.snapshot].update}` : key;
    const load = async () => {
      const { weights } = this.models[key];
      const bytes = weights ? fromBase64(weights) : await fetchBytes(this.data.files, name);
      return readModel(bytes, this.data.vocabularies);
    };
    return (this.ready[name] ||= load());
  }

  async translate(keep = false) {
    const turn = (this.turn = {});
    let models;
    try {
      models = await Promise.all(this.shown.map((key) => this.model(key)));
    } catch (error) {
      return this.message.replaceChildren(`This model could not be loaded: ${error.message}.`);
    }
    if (turn !== this.turn) return; // the reader was faster
    this.explain();
    if (!this.words.length) return;
    const gold = this.known();
    this.panels = this.shown.map((key, i) => {
      const panel = { key, name: this.models[key].title, model: models[i], gold, src: [...this.words, "(end)"] };
      panel.ids = panel.model.encode(this.words);
      this.adopt(panel, this.decode(panel));
      return panel;
    });
    if (!keep) this.marked = null;
    this.layOut();
  }

  decode(panel) {
    const edits = this.edits[panel.key] || {};
    const head = this.head !== "" && panel.model.config.heads ? Number(this.head) : undefined;
    return decode(panel.model, panel.ids, { edits, forced: this.forced[panel.key] || {}, temperature: this.temperature,
      output: this.output, draw: this.seed ? random(this.seed) : undefined, head });
  }

  // Show decoded steps in a panel.
  adopt(panel, steps) {
    panel.decoded = steps;
    panel.pending = {}; // edited steps, by number, until the reader continues
    panel.tgt = steps.map(({ token }) => (token === EOS ? "(end)" : panel.model.tgt[token]));
    panel.maps = null;
    panel.weights = steps[0].weights ? steps.map((step) => this.own(step)) : null;
    const written = panel.tgt.filter((token) => token !== "(end)");
    panel.links = [];
    if (!panel.gold) return;
    panel.right = [inOrder(written, panel.gold.reference), panel.gold.reference.length];
    panel.links = panel.gold.links.filter(([, t]) => written[t] === panel.gold.reference[t]);
  }

  // The weights that a model computed at a step: of the chosen head, if there is one.
  own({ heads, weights }) {
    return [...(heads && this.head !== "" ? heads[this.head] : weights)];
  }

  fixedPanel({ name, src, tgt, maps, links }) {
    const columns = src.length;
    const rows = maps.map((text) => {
      const all = [...new Float32Array(fromBase64(text).buffer)];
      return tgt.map((_, row) => all.slice(row * columns, (row + 1) * columns));
    });
    return { name, src, tgt, links, maps: rows.length ? rows : null, weights: rows.at(-1) || null };
  }

  // Build the panels' nodes; `refresh` fills them.
  layOut() {
    const focus = this.shadowRoot.activeElement?.dataset.focus;
    this.steps = Math.max(...this.panels.map((panel) => panel.tgt.length));
    this.slide.max = this.steps - 1;
    this.panelBox.replaceChildren(...this.panels.map((panel, i) => this.node(panel, i)));
    this.panelBox.classList.toggle("several", this.panels.length > 1);
    for (const chip of this.chips || []) chip.setAttribute("aria-pressed", String(this.shown.includes(chip.dataset.key)));
    const chosen = this.chips?.find((chip) => chip.dataset.key === this.shown[0]);
    if (chosen) chosen.parentNode.scrollLeft = chosen.offsetLeft - chosen.parentNode.offsetLeft - 60;
    const front = Math.max(0, this.panels.findIndex((panel) => panel.key && panel.key === this.front));
    const choose = (front) => {
      this.panels.forEach((panel, i) => panel.node.classList.toggle("front", i === front));
      [...this.tabs.children].forEach((tab, i) => tab.setAttribute("aria-pressed", String(i === front)));
      this.connect();
    };
    this.tabs.hidden = this.panels.length < 2;
    this.tabs.replaceChildren(...this.panels.map((panel, i) => this.button(panel.name, () => choose(i))));
    choose(front);
    if (this.learned) this.learned();
    if (this.heat) this.heat.update(Math.log2(this.temperature));
    if (this.outputHeat) this.outputHeat.update(Math.log2(this.output));
    if (this.sample) this.sample.checked = this.seed > 0;
    if (this.heads) this.heads.value = this.head;
    this.look();
    if (focus) this.shadowRoot.querySelector(`[data-focus="${focus}"]`)?.focus();
    clearTimeout(this.waiting); // nothing is spoken before somebody moves
  }

  node(panel, place) {
    const { src, tgt, name, weights } = panel;
    const editable = Boolean(panel.model && weights);
    panel.words = src.map((token, i) => el("div", { class: "word", style: `--i: ${i}`, tabindex: i ? -1 : 0, "data-focus": `${place}s${i}`,
      ...(editable ? { role: "slider", "aria-valuemin": 0, "aria-valuemax": 100, "aria-orientation": "vertical",
        "aria-label": `weight on ${token}` } : { role: "option", "aria-selected": "false" }) },
      ...(weights ? [el("span", { class: "track" }, el("i"))] : []), el("span", { class: "text" }, token)));
    panel.options = tgt.map((token, i) => el("div", { role: "option", "data-focus": `${place}t${i}` }, token));
    if (this.live) panel.words.forEach((word, i) => word.classList.toggle("unknown", src[i] !== "(end)" && !this.vocabulary.has(src[i])));
    panel.source = el("div", { class: "src", role: editable ? "group" : "listbox",
      "aria-label": editable ? "Source words: left and right choose one, plus and minus change its weight" : "source words" }, ...panel.words);
    panel.target = el("div", { class: "tgt", role: "listbox", "aria-label": `written by ${name || "the model"}` }, ...panel.options);
    panel.lines = draw("svg", { class: "lines", "aria-hidden": true });
    panel.canvas = el("canvas", { width: src.length, height: tgt.length, role: "img",
      "aria-label": `map of ${tgt.length} target by ${src.length} source tokens: the table below has its numbers` });
    panel.frame = el("div", { class: "frame" });
    panel.map = el("div", { class: "map" }, panel.canvas, panel.frame, ...panel.links.map(([s, t]) =>
      el("div", { class: "link", style: `--row: ${t}; --column: ${s}` })));
    panel.reading = el("div", { class: "reading" });
    panel.side = el("div", { class: "side" }, panel.reading);
    if (panel.model) panel.side.append(...this.tools(panel));
    panel.picture = el("div", { class: "picture" }, panel.lines, panel.source, panel.target, weights ? panel.map : null);
    const longest = clamp(Math.max(...src.map((token) => token.length)), 3, 16);
    panel.node = el("section", { "aria-label": name || "attention",
      style: `--rows: ${tgt.length}; --columns: ${src.length}; --longest: ${longest}` });
    panel.node.classList.toggle("long", Math.max(src.length, tgt.length) > 25);
    panel.node.classList.toggle("blind", !weights);
    if (name) panel.node.append(el("p", { class: "name" }, name, panel.right ? el("span", { class: "right" },
      `${panel.right[0]} of ${panel.right[1]} words right`) : null));
    const about = this.models[panel.key]?.about;
    if (about && about !== name) panel.node.append(el("p", { class: "about" }, about));
    panel.node.append(el("div", { class: "body" }, panel.picture, panel.side));
    this.listen(panel, editable);
    return panel.node;
  }

  tools(panel) {
    panel.next = el("div", { class: "next", role: "group", "aria-label": "The likeliest next words: choose one to go on from it" });
    panel.changed = el("p", { class: "changed", "aria-live": "polite" });
    if (!panel.weights) return [panel.next, panel.changed];
    const preset = (text, row) => this.button(text, () => this.edit(panel, row()));
    const mark = () => panel.src.map((_, i) => Number(i === (this.marked ?? largest(panel.weights[this.at(panel)]))));
    panel.only = preset("only this word", mark);
    panel.goldButton = preset("gold", () => {
      const linked = panel.gold.links.filter(([, t]) => t === this.at(panel)).map(([s]) => s);
      return panel.src.map((_, i) => (linked.includes(i) ? 1 / linked.length : 0));
    });
    panel.goOn = this.button("Continue", () => {
      this.adopt(panel, this.decode(panel));
      this.layOut();
    }, { class: "strong" });
    panel.reset = this.button("Reset", () => {
      delete this.edits[panel.key];
      delete this.forced[panel.key];
      this.translate(true);
    });
    return [panel.next, panel.changed, el("div", { class: "presets", role: "group", "aria-label": "Move the spotlight" },
      el("span", {}, "Drag the bars, or set them:"), preset("even", () => panel.src.map(() => 1 / panel.src.length)), panel.only,
      preset("shuffled", () => {
        const row = this.own(panel.decoded[this.at(panel)]);
        for (let i = row.length - 1; i > 0; i--) {
          const j = Math.floor(Math.random() * (i + 1));
          [row[i], row[j]] = [row[j], row[i]];
        }
        return row;
      }), panel.goldButton, panel.goOn, panel.reset)];
  }

  listen(panel, editable) {
    const { source, target, map, words, options } = panel;
    target.addEventListener("keydown", (event) => this.key(event, panel));
    target.addEventListener("click", (event) => this.choose(options.indexOf(event.target), panel));
    map.addEventListener("pointermove", (event) => this.moved(event) && this.peekAt(panel, this.cell(event, panel)));
    map.addEventListener("click", (event) => this.choose(this.cell(event, panel).row, panel));
    for (const box of [target, map, source]) box.addEventListener("pointerleave", () => this.peekAt(panel, {}));
    const over = (list, event) => list.findIndex((node) => node.contains(event.target));
    target.addEventListener("pointermove", (event) => this.moved(event) && this.peekAt(panel, { row: over(options, event) }));
    source.addEventListener("focusin", (event) => this.select(panel, over(words, event)));
    source.addEventListener("focusout", () => this.peekAt(panel, {}));
    source.addEventListener("keydown", (event) => this.sourceKey(event, panel, editable));
    const drag = (event) => {
      const boxes = panel.words.map((word) => word.querySelector(".track").getBoundingClientRect());
      const far = boxes.map((box) => Math.max(0, box.left - event.clientX, event.clientX - box.right)
        + 3 * Math.max(0, box.top - event.clientY - 20, event.clientY - box.bottom - 30));
      const at = far.indexOf(Math.min(...far));
      this.select(panel, at);
      this.weigh(panel, at, clamp((boxes[at].bottom - event.clientY) / boxes[at].height, 0, 1));
    };
    source.addEventListener("pointerdown", (event) => {
      if (!editable || !event.target.closest(".track")) return;
      event.preventDefault();
      source.setPointerCapture(event.pointerId);
      event.target.closest(".word").focus();
      drag(event);
    });
    source.addEventListener("pointermove", (event) => {
      if (source.hasPointerCapture(event.pointerId)) return drag(event);
      if (this.moved(event)) this.peekAt(panel, { column: over(words, event) });
    });
  }

  // ---- Drawing ----

  at(panel) {
    return Math.min(this.step, panel.tgt.length - 1);
  }

  color(weight) {
    const level = Math.round(255 * clamp(weight, 0, 1));
    return this.palette.subarray(3 * level, 3 * level + 3);
  }

  // The colors and numbers of all steps, for other weights or another temperature.
  refresh(panels = this.panels) {
    for (const panel of panels) {
      if (!panel.weights) continue;
      const map = panel.maps ? panel.maps[Math.min(this.epoch, panel.maps.length - 1)] : panel.weights;
      panel.rows = panel.maps ? map.map((row) => sharpen(row, this.temperature)) : map;
      const pixels = new ImageData(panel.src.length, panel.tgt.length);
      panel.rows.flat().forEach((weight, place) => {
        pixels.data.set([...this.color(weight), 255], 4 * place);
      });
      panel.canvas.getContext("2d").putImageData(pixels, 0, 0);
      panel.total = panel.src.map((_, i) => sum(panel.rows.map((row) => row[i])));
    }
    this.move(this.step, true);
    this.table();
  }

  // Make a step the one that is looked at, in all panels.
  move(step, quiet = false) {
    this.step = clamp(step, 0, this.steps - 1);
    this.slide.value = this.step;
    this.where.textContent = `step ${this.step + 1} of ${this.steps}`;
    this.slide.setAttribute("aria-valuetext", this.where.textContent);
    const said = this.panels.map((panel) => this.show(panel));
    clearTimeout(this.waiting);
    if (!quiet) this.waiting = setTimeout(() => (this.status.textContent = said.join(". ")), 200);
  }

  // Draw the current step of a panel, or the one under the pointer. Returns it in words.
  show(panel) {
    const { src, tgt, peek = {} } = panel;
    const [at, ended] = [this.at(panel), panel.tgt.length - 1 < this.step];
    panel.options.forEach((option, i) => {
      option.tabIndex = i === at ? 0 : -1;
      option.ariaSelected = !ended && i === at;
      option.classList.toggle("ahead", i > this.step);
      option.classList.toggle("stale", Object.keys(panel.pending || {}).some((edited) => i > edited));
      option.classList.toggle("edited", Boolean(this.edits[panel.key]?.[i] || this.forced[panel.key]?.[i] !== undefined));
    });
    panel.node.classList.toggle("ended", ended);
    const seen = peek.row >= 0 ? peek.row : at;
    if (panel.model) this.offer(panel, at, ended);
    if (ended && seen === at) {
      this.connect(panel);
      return this.describe(panel, [["", `ended after ${tgt.length} tokens`]]);
    }
    const heading = ["", `${tgt[seen]} · step ${seen + 1} of ${tgt.length}`];
    if (!panel.weights) return this.describe(panel, [heading, ["no attention:", "it has no weights to show"]]);
    const row = panel.rows[seen];
    const far = src.map((_, i) => sum(panel.rows.slice(0, seen + 1).map((each) => each[i])));
    const gold = panel.links.filter(([, t]) => t === seen).map(([s]) => s);
    const top = largest(row);
    panel.words.forEach((word, i) => {
      word.style.setProperty("--weight", row[i]);
      word.classList.toggle("top", i === top);
      word.classList.toggle("gold", gold.includes(i));
      word.classList.toggle("marked", i === this.marked);
      if (word.role === "slider") {
        word.ariaValueNow = Math.round(100 * row[i]);
        word.setAttribute("aria-valuetext", row[i].toFixed(2));
      }
    });
    panel.frame.style.setProperty("--row", seen);
    this.connect(panel);
    if (seen === at) this.follow(panel, at, top);
    return this.describe(panel, [heading, ["attention:", best(row, src)], ["attention so far:", best(far, src)],
      ["entropy:", `${entropy(row).toFixed(2)} of at most ${Math.log(src.length).toFixed(2)} nats`]]);
  }

  describe(panel, lines) {
    const line = ([what, text]) => (what ? [el("em", {}, what), ` ${text}`] : [el("b", {}, text)]);
    panel.reading.replaceChildren(...lines.map((each) => el("span", {}, ...line(each))));
    return [panel.name, ...lines.map((line) => line.join(" ").trim())].filter(Boolean).join(", ");
  }

  // The five likeliest words of the current step, and what an edit has changed.
  offer(panel, at, ended) {
    const { probabilities } = panel.pending[at] || panel.decoded[at];
    const name = (id) => (id === EOS ? "(end)" : panel.model.tgt[id]);
    const top = probabilities.map((p, id) => [p, id]).sort((a, b) => b[0] - a[0]).slice(0, 5);
    const chosen = panel.decoded[at].token;
    if (panel.next.children.length !== top.length)
      panel.next.replaceChildren(...top.map((_, i) => el("button", { type: "button", "data-focus": `n${panel.key}${i}` },
        el("span", { class: "token" }), el("span", { class: "meter" }, el("i")), el("span", { class: "value" }))));
    top.forEach(([p, id], i) => {
      const button = panel.next.children[i];
      button.children[0].textContent = name(id);
      button.children[1].firstChild.style.setProperty("--size", p);
      button.children[2].textContent = p.toFixed(2);
      button.setAttribute("aria-pressed", String(id === chosen));
      button.onclick = () => this.force(panel, at, id);
    });
    panel.next.hidden = ended;
    const own = panel.before?.[at];
    panel.changed.textContent = own && this.edits[panel.key]?.[at]
      ? `probability of “${name(own.token)}”: ${own.probability.toFixed(2)} → ${probabilities[own.token].toFixed(2)}` : "";
    if (!panel.only) return;
    panel.only.textContent = `only “${panel.src[this.marked ?? largest(panel.weights[at])]}”`;
    panel.goldButton.disabled = !panel.gold || !panel.gold.links.some(([, t]) => t === at);
    panel.goOn.disabled = !Object.keys(panel.pending).length;
    panel.reset.disabled = !this.edits[panel.key] && !this.forced[panel.key];
  }

  // Draw the lines of a panel, or of all.
  connect(only) {
    for (const panel of only ? [only] : this.panels || []) {
      if (!panel.weights || !panel.rows || this.view === "map") continue;
      const origin = panel.picture.getBoundingClientRect();
      const [left, top] = [origin.left - panel.picture.scrollLeft, origin.top - panel.picture.scrollTop];
      const spot = (node, edge) => {
        const box = node.getBoundingClientRect();
        return [box.left + box.width / 2 - left, box[edge] - top];
      };
      const above = panel.words.map((word) => spot(word, "bottom"));
      const below = panel.options.map((option) => spot(option, "top"));
      const [column, seen] = [panel.peek?.column ?? -1, panel.peek?.row >= 0 ? panel.peek.row : this.at(panel)];
      const ended = panel.node.classList.contains("ended") && !(panel.peek?.row >= 0);
      const paths = [];
      panel.rows.forEach((row, t) => row.forEach((weight, s) => {
        const lit = column >= 0 ? s === column : t === seen && !ended;
        if (weight < (lit ? 0.01 : 0.08)) return;
        const [[x1, y1], [x2, y2]] = [above[s], below[t]];
        const middle = (y1 + y2) / 2;
        paths.push([lit, draw("path", { d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`,
          class: lit ? "lit" : "", "stroke-width": (0.5 + 7.5 * weight) * (lit ? 1 : 0.6) })]);
      }));
      panel.lines.setAttribute("width", panel.picture.clientWidth);
      panel.lines.setAttribute("height", panel.target.offsetTop + panel.target.offsetHeight);
      panel.lines.replaceChildren(...paths.sort((a, b) => a[0] - b[0]).map(([, path]) => path));
    }
  }

  // Keep the step and its largest weight in sight, inside the panel: the page does not move.
  follow({ picture, options, words }, row, column) {
    const box = picture.getBoundingClientRect();
    const centered = (node, [low, high, size]) => {
      const place = node.getBoundingClientRect();
      return (place[low] + place[high]) / 2 - box[low] - box[size] / 2;
    };
    if (picture.scrollHeight > picture.clientHeight + 1 || picture.scrollWidth > picture.clientWidth + 1)
      picture.scrollBy({ top: centered(options[row], ["top", "bottom", "height"]),
        left: centered(words[column], ["left", "right", "width"]) });
  }

  // ---- What the reader does ----

  // A pointer at rest, under which the page scrolls, is not a wish to look elsewhere.
  moved(event) {
    const [x, y] = this.pointer || [event.screenX, event.screenY];
    this.pointer = [event.screenX, event.screenY];
    return event.screenX !== x || event.screenY !== y;
  }

  peekAt(panel, { row, column }) {
    if (panel.peek?.row === row && panel.peek?.column === column) return;
    panel.peek = { row, column };
    if (row >= 0 && column >= 0)
      panel.map.title = `${panel.tgt[row]} → ${panel.src[column]}: ${panel.rows[row][column].toFixed(3)}`;
    if (this.view === "map") panel.peek.column = undefined;
    this.show(panel);
  }

  select(panel, word) {
    if (word < 0) return;
    this.marked = word;
    panel.words.forEach((each, i) => (each.tabIndex = i === word ? 0 : -1));
    if (panel.model) this.show(panel);
    else this.peekAt(panel, { column: word });
  }

  cell(event, panel) {
    const box = panel.map.getBoundingClientRect();
    const place = (at, size, count) => clamp(Math.floor((at / size) * count), 0, count - 1);
    return { row: place(event.clientY - box.top, box.height, panel.tgt.length),
      column: place(event.clientX - box.left, box.width, panel.src.length) };
  }

  key(event, panel) {
    const last = panel.tgt.length - 1;
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1, PageDown: 10, PageUp: -10,
      Home: -last, End: last }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.play(false);
    this.choose(clamp(this.at(panel) + by, 0, last), panel);
  }

  choose(step, panel) {
    if (step < 0) return;
    panel.peek = {};
    panel.options[step].focus();
    this.move(step);
  }

  sourceKey(event, panel, editable) {
    const at = panel.words.findIndex((word) => word.contains(event.target));
    const by = { ArrowRight: 1, ArrowLeft: -1, Home: -at, End: panel.words.length - 1 - at }[event.key];
    const more = editable && { "+": 0.1, "=": 0.1, ArrowUp: 0.1, "-": -0.1, ArrowDown: -0.1 }[event.key];
    if ((by === undefined && !more) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.play(false);
    if (more) this.weigh(panel, at, clamp(panel.weights[this.at(panel)][at] + more, 0, 1));
    else panel.words[clamp(at + by, 0, panel.words.length - 1)].focus();
  }

  // Give one word a weight of the current step, and share the rest among the others as before.
  weigh(panel, word, weight) {
    const row = panel.weights[this.at(panel)];
    const rest = sum(row) - row[word];
    const even = (1 - weight) / (row.length - 1);
    this.edit(panel, row.map((each, i) => (i === word ? weight : rest > 1e-6 ? (each * (1 - weight)) / rest : even)));
  }

  // Replace the weights of the current step. What comes after waits for "Continue".
  edit(panel, row) {
    const at = this.at(panel);
    const before = panel.decoded[at];
    panel.before ||= {};
    panel.before[at] ||= { token: before.token, probability: before.probabilities[before.token] };
    (this.edits[panel.key] ||= {})[at] = row;
    panel.pending[at] = before.again(row);
    panel.weights[at] = row;
    this.refresh([panel]);
  }

  force(panel, at, token) {
    (this.forced[panel.key] ||= {})[at] = token;
    for (const kind of [this.edits, this.forced])
      for (const step of Object.keys(kind[panel.key] || {})) if (step > at) delete kind[panel.key][step];
    this.adopt(panel, this.decode(panel));
    this.layOut();
  }

  tour(step) {
    this.tourBox.hidden = step === null;
    if (step === null) return;
    const [title, text, { shown, clauses, wrong, ...state }] = this.stops[step];
    const last = step === this.stops.length - 1;
    this.tourBox.replaceChildren(el("b", {}, `${step + 1} of ${this.stops.length} · ${title}`), el("p", {}, text.replace(/\s+/g, " ")),
      el("div", { class: "presets" }, this.button("Back", () => this.tour(step - 1), { disabled: step === 0 }),
        this.button(last ? "Done" : "Next", () => this.tour(last ? null : step + 1), { class: "strong", "data-focus": "tour" }),
        this.button("Close", () => this.tour(null))));
    this.shadowRoot.querySelector("[data-focus=tour]").focus({ preventScroll: true });
    const texts = this.data.clauses.map(([en]) => en).slice(0, clauses + 1);
    Object.assign(this, { shown, temperature: 1, output: 1, seed: 0, head: "", snapshot: null,
      front: shown.at(-1) });
    this.say(texts.join(" ").split(" ")).then(() => {
      Object.assign(this, state);
      this.look(state.view || "lines");
      const redo = state.temperature ? this.translate(true) : Promise.resolve(this.move(state.step));
      if (wrong !== undefined) redo.then(() => this.edit(this.panels[0], this.panels[0].src.map((_, i) => Number(i === wrong))));
    });
  }

  // ---- The address, files, and numbers ----

  state() {
    const state = { s: this.words.join(" "), m: this.shown.join(","), t: this.step, v: this.view };
    if (this.temperature !== 1) state.T = this.temperature;
    if (this.output !== 1) state.O = this.output;
    if (this.seed) state.r = this.seed;
    if (this.snapshot != null) state.u = this.snapshot;
    if (this.head !== "") state.h = this.head;
    if (Object.keys(this.forced).length) state.f = JSON.stringify(this.forced);
    const rounded = (_, value) => (typeof value === "number" ? Math.round(1e3 * value) / 1e3 : value);
    if (Object.keys(this.edits).length) state.e = JSON.stringify(this.edits, rounded);
    return new URLSearchParams(state);
  }

  // Take the state from the address of the page. Returns whether there was one.
  open() {
    if (!this.data.share || !location.hash.includes("s=")) return false;
    const state = new URLSearchParams(location.hash.slice(1));
    const number = (name, otherwise) => (Number.isFinite(parseFloat(state.get(name))) ? parseFloat(state.get(name)) : otherwise);
    const shown = (state.get("m") || "").split(",").filter((key) => this.models[key]).slice(0, MAX_PANELS);
    const json = (name) => {
      try {
        return JSON.parse(state.get(name)) || {};
      } catch {
        return {};
      }
    };
    const words = (state.get("s") || "").split(/\s+/).filter(Boolean).slice(0, MAX_WORDS);
    Object.assign(this, { words, step: number("t", 0), temperature: clamp(number("T", 1), 0.25, 4), edits: {},
      output: clamp(number("O", 1), 0.25, 4), seed: number("r", 0), head: "", forced: {}, snapshot: null });
    if (shown.length) this.shown = shown;
    if (/^[0-3]$/.test(state.get("h"))) this.head = state.get("h");
    if (state.has("u")) this.snapshot = clamp(Math.floor(number("u", 0)), 0, this.data.snapshots.length - 2);
    const valid = (row) => Array.isArray(row) && row.length === words.length + 1 && row.every((w) => w >= 0 && w <= 1);
    for (const [key, rows] of Object.entries(json("e")).filter(([key]) => this.models[key]))
      for (const [step, row] of Object.entries(rows)) if (valid(row)) (this.edits[key] ||= {})[step] = row;
    for (const [key, ids] of Object.entries(json("f")).filter(([key]) => this.models[key]))
      for (const [step, id] of Object.entries(ids)) if (Number.isInteger(id) && id > 1) (this.forced[key] ||= {})[step] = id;
    this.input.value = words.join(" ");
    this.view = state.get("v") === "map" ? "map" : "lines";
    return true;
  }

  share(button) {
    history.replaceState(null, "", `#${this.state()}`);
    const done = (text) => {
      this.status.textContent = button.textContent = text;
      setTimeout(() => (button.textContent = COPY), 4000);
    };
    const failed = () => done("Copy the address of this page: it holds what you see");
    navigator.clipboard?.writeText(location.href).then(() => done("Link copied"), failed) ?? failed();
  }

  // The current view as an SVG, with a caption.
  svg() {
    const panels = this.panels.filter((panel) => panel.weights);
    const [cell, font, parts] = [20, 'font-family="system-ui, sans-serif" font-size="13"', []];
    let [x, height] = [20, 0];
    const escape = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
    const text = (x, y, words, more = "") => `<text x="${x}" y="${y}" ${more}>${escape(words)}</text>`;
    for (const panel of panels) {
      const [rows, columns] = [panel.tgt.length, panel.src.length];
      parts.push(text(x, 20, panel.name || "attention", 'font-weight="600"'));
      if (this.view === "map") {
        const [left, top] = [x + 100, 120];
        panel.src.forEach((word, i) => parts.push(text(0, 0, word, `transform="translate(${left + i * cell + 12} ${top - 6}) rotate(-55)"`)));
        panel.rows.forEach((row, t) => {
          parts.push(text(left - 6, top + t * cell + 15, panel.tgt[t], 'text-anchor="end"'));
          row.forEach((weight, s) => {
            parts.push(`<rect x="${left + s * cell}" y="${top + t * cell}" width="${cell}" height="${cell}" fill="rgb(${this.color(weight)})"/>`);
          });
        });
        for (const [s, t] of panel.links) parts.push(`<rect x="${left + s * cell + 2}" y="${top + t * cell + 2}" width="16" height="16" fill="none" stroke="#fff" stroke-width="3"/><rect x="${left + s * cell + 2}" y="${top + t * cell + 2}" width="16" height="16" fill="none" stroke="#000"/>`);
        height = Math.max(height, top + rows * cell);
        x = left + columns * cell + 30;
      } else {
        const place = (words) => words.reduce(([at, list], word) => [at + 20 + 7.5 * word.length, [...list, at + 3.75 * word.length]], [x, []]);
        const [[end1, above], [end2, below]] = [place(panel.src), place(panel.tgt)];
        panel.rows.forEach((row, t) => row.forEach((weight, s) => {
          const lit = t === this.at(panel);
          if (weight > 0.05) parts.push(`<path d="M${above[s]} 58C${above[s]} 115 ${below[t]} 115 ${below[t]} 172" fill="none" stroke="${lit ? "#b3440a" : "#9db4c0"}" stroke-opacity="${lit ? 0.9 : 0.5}" stroke-width="${0.5 + 7 * weight}"/>`);
        }));
        panel.src.forEach((word, i) => parts.push(text(above[i], 50, word, 'text-anchor="middle"')));
        panel.tgt.forEach((word, i) => parts.push(text(below[i], 188, word, `text-anchor="middle"${i === this.at(panel) ? ' fill="#b3440a" font-weight="600"' : ""}`)));
        height = 200;
        x = Math.max(end1, end2) + 30;
      }
    }
    parts.push(text(20, height + 28, this.caption(), 'fill="#57606a"'));
    const size = [Math.max(x, 40 + 6.6 * this.caption().length), height + 44];
    return [`<svg xmlns="http://www.w3.org/2000/svg" width="${size[0]}" height="${size[1]}" ${font}><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>`, size];
  }

  caption() {
    const names = this.panels.map((panel) => panel.name || "attention").join(", ");
    return `Attention weights of ${names} at temperature ${this.temperature}: ${this.panels[0].src.join(" ")}`;
  }

  async export(kind) {
    const save = (blob) => {
      const link = el("a", { download: `attention.${kind}`, href: URL.createObjectURL(blob) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    };
    const quote = (value) => (/[",]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    if (kind === "csv") {
      const lines = [`# ${this.caption()}`];
      for (const panel of this.panels.filter((panel) => panel.weights)) {
        lines.push(["model", "target", ...panel.src].map(quote).join(","));
        panel.rows.forEach((row, t) => lines.push([panel.name, panel.tgt[t], ...row.map((w) => w.toFixed(4))].map(quote).join(",")));
      }
      return save(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
    }
    const [text, [width, height]] = this.svg();
    if (kind === "svg") return save(new Blob([text], { type: "image/svg+xml" }));
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = el("canvas", { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
    return canvas.toBlob(save);
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
      ...panel.rows.map((row, i) => line(panel.tgt[i], digits([...row, entropy(row)]))),
      line("coverage", [...digits(panel.total), ""]));
    const name = (panel) => `numbers of ${panel.name || "the map"}`;
    this.numbers.lastChild.replaceChildren(...this.panels.filter((panel) => panel.weights).map((panel) =>
      el("div", { class: "wide", role: "region", tabindex: 0, "aria-label": name(panel) }, table(panel))));
  }
}
