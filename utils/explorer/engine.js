// The translators of utils/models.py and utils/transformer.py in plain JavaScript: greedy or sampled decoding,
// one step at a time, with attention weights that can be replaced. A sentence is an array of token ids, a
// vector is a Float32Array, and a matrix is { rows, columns, data }.

const [PAD, BOS, EOS, UNK] = [0, 1, 2, 3];

// The bytes that a text stands for. Base64 is for UTF-8 pages. Files in UTF-16 have two letters for 31 bits,
// each a digit to the base 46341 (the first whose square exceeds 2^31), counted from the letter U+0100.
const fromBase64 = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const fromLetters = (text, length) => {
  const bytes = new Uint8Array(length + 8);
  let [bits, count, at] = [0, 0, 0];
  for (let i = 0; i < text.length; i += 2) {
    let value = (text.charCodeAt(i) - 256) * 46341 + text.charCodeAt(i + 1) - 256; // 31 bits
    for (let left = 31; left > 0; ) {
      const take = Math.min(8 - count, left);
      left -= take;
      bits = (bits << take) | ((value >>> left) & ((1 << take) - 1));
      if ((count += take) === 8) [bytes[at++], bits, count] = [bits & 255, 0, 0];
    }
  }
  return bytes.subarray(0, length);
};

const inflated = async (bytes) =>
  new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer());

const half = (bits) => {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction);
};

// Read a model that utils.explorer.export.pack wrote: a header, then for each matrix its 8-bit numbers and the
// scale of each row, and for each vector its 16-bit floats. The vocabularies are { src, tgt }.
const readModel = async (compressed, vocabularies) => {
  const bytes = await inflated(compressed);
  const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + size)));
  let at = 4 + size;
  const take = (kind, count) => {
    const part = bytes.slice(at, (at += count * kind.BYTES_PER_ELEMENT)); // a copy, which is aligned
    return new kind(part.buffer);
  };
  const weights = {};
  for (const [name, rows, columns] of header.shapes) {
    if (!columns) {
      weights[name] = Float32Array.from(take(Uint16Array, rows), half);
      continue;
    }
    const [levels, scale] = [take(Int8Array, rows * columns), take(Float32Array, rows)];
    weights[name] = { rows, columns, data: Float32Array.from(levels, (q, i) => q * scale[(i / columns) | 0]) };
  }
  return new (header.config.heads ? Transformer : Recurrent)(header.config, vocabularies, weights);
};

// ---- Arithmetic ----

const rowOf = ({ columns, data }, row) => data.subarray(row * columns, (row + 1) * columns);
const plus = (a, b) => a.map((number, i) => number + b[i]);
const joined = (...parts) => Float32Array.from(parts.flatMap((part) => [...part]));
const tanh = (vector) => vector.map(Math.tanh);
const sigmoid = (number) => 1 / (1 + Math.exp(-number));

const dot = (a, b, from = 0, to = a.length) => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += a[i] * b[i];
  return sum;
};

const linear = ({ rows, columns, data }, vector, bias) => {
  const result = new Float32Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let sum = bias ? bias[row] : 0;
    for (let i = 0; i < columns; i++) sum += data[at++] * vector[i];
    result[row] = sum;
  }
  return result;
};

const softmax = (scores, temperature = 1) => {
  const top = Math.max(...scores);
  const powers = Array.from(scores, (score) => Math.exp((score - top) / temperature));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
};

const average = (weights, values, from = 0, to = values[0].length) => {
  const result = new Float32Array(to - from);
  values.forEach((value, i) => {
    for (let k = from; k < to; k++) result[k - from] += weights[i] * value[k];
  });
  return result;
};

const layerNorm = (vector, gain, bias) => {
  const mean = vector.reduce((sum, number) => sum + number, 0) / vector.length;
  const variance = vector.reduce((sum, number) => sum + (number - mean) ** 2, 0) / vector.length;
  return vector.map((number, i) => ((number - mean) / Math.sqrt(variance + 1e-5)) * gain[i] + bias[i]);
};

// ---- Models ----
// read(ids) returns what every step needs of the source, start(source) the first state, and
// step(source, state, token, options) the next state, logits, weights (or null) and the weights of each head.
// Options: `weights` replace the model's own, `temperature` divides the scores of the attention, and `head` is
// the one head that `weights` replace, if not all.

class Model {
  constructor(config, { src, tgt }, weights) {
    Object.assign(this, { config, src, tgt, weights });
    this.ids = new Map(src.map((token, id) => [token, id]));
  }

  encode(tokens) {
    return [...tokens.map((token) => this.ids.get(token) ?? UNK), EOS];
  }

  linear(name, vector) {
    return linear(this.weights[`${name}.weight`], vector, this.weights[`${name}.bias`]);
  }

  embed(name, id) {
    return rowOf(this.weights[`${name}.weight`], id);
  }
}

class Recurrent extends Model {
  gru(name, input, state, suffix = "") {
    const part = (kind) => this.weights[`${name}.${kind}${suffix}`];
    const [x, h] = [linear(part("weight_ih"), input, part("bias_ih")), linear(part("weight_hh"), state, part("bias_hh"))];
    const size = state.length;
    return state.map((old, i) => {
      const [reset, update] = [sigmoid(x[i] + h[i]), sigmoid(x[size + i] + h[size + i])];
      const candidate = Math.tanh(x[2 * size + i] + reset * h[2 * size + i]);
      return candidate + update * (old - candidate);
    });
  }

  read(ids) {
    const words = ids.map((id) => this.embed("encoder.embedding", id));
    const walk = (order, suffix) => {
      let state = new Float32Array(this.config.hidden_dim / 2);
      return order.map((word) => (state = this.gru("encoder.rnn", word, state, suffix)));
    };
    const forward = walk(words, "_l0");
    const backward = walk([...words].reverse(), "_l0_reverse").reverse();
    const values = forward.map((state, i) => joined(state, backward[i]));
    const last = joined(forward.at(-1), backward[0]);
    const projection = this.weights["decoder.score.key_proj.weight"];
    const keys = projection ? values.map((value) => linear(projection, value)) : values;
    return { values, keys, last, first: tanh(this.linear("encoder.to_decoder", last)) };
  }

  start(source) {
    return source.first;
  }

  look(query, { values, keys, last }, options) {
    const { context } = this.config;
    if (context === "initial") return [new Float32Array(query.length), null];
    if (context === "fixed") return [last, null];
    let scores;
    if (this.weights["decoder.score.v.weight"]) {
      const [projected, { data }] = [this.linear("decoder.score.query_proj", query), this.weights["decoder.score.v.weight"]];
      scores = keys.map((key) => dot(data, tanh(plus(projected, key))));
    } else {
      scores = keys.map((key) => dot(query, key) / (context === "scaled" ? Math.sqrt(query.length) : 1));
    }
    const weights = options.weights || softmax(scores, options.temperature);
    return [average(weights, values), weights];
  }

  step(source, state, token, options = {}) {
    const word = this.embed("decoder.embedding", token);
    if (this.config.context === "bahdanau") {
      const [context, weights] = this.look(state, source, options);
      const next = this.gru("decoder.cell", joined(word, context), state);
      return { state: next, logits: this.predict(joined(word, next, context)), weights };
    }
    const next = this.gru("decoder.rnn", word, state, "_l0");
    const [context, weights] = this.look(next, source, options);
    return { state: next, logits: this.predict(joined(context, next)), weights };
  }

  predict(inputs) {
    return this.linear("decoder.out", tanh(this.linear("decoder.combine", inputs)));
  }
}

class Transformer extends Model {
  embedAt(name, id, position) {
    const size = this.config.hidden_dim;
    return this.embed(name, id).map((number, i) => {
      const angle = position / 10_000 ** ((i - (i % 2)) / size);
      return number + (i % 2 ? Math.cos(angle) : Math.sin(angle));
    });
  }

  norm(name, vector) {
    return layerNorm(vector, this.weights[`${name}.weight`], this.weights[`${name}.bias`]);
  }

  project(name, vectors) {
    return ["key", "value"].map((kind) => vectors.map((vector) => this.linear(`${name}.${kind}_proj`, vector)));
  }

  attend(name, vector, [keys, values], { weights, temperature, head } = {}) {
    const { heads, hidden_dim: size } = this.config;
    const query = this.linear(`${name}.query_proj`, vector);
    const maps = [];
    const contexts = Array.from({ length: heads }, (_, h) => {
      const [from, to] = [(h * size) / heads, ((h + 1) * size) / heads];
      const scores = keys.map((key) => dot(query, key, from, to) / Math.sqrt(size / heads));
      maps.push(weights && (head ?? h) === h ? weights : softmax(scores, temperature));
      return average(maps[h], values, from, to);
    });
    return [this.linear(`${name}.out_proj`, joined(...contexts)), maps];
  }

  feedForward(name, x) {
    const hidden = this.linear(`${name}.ff_in`, this.norm(`${name}.ff_norm`, x)).map((number) => Math.max(0, number));
    return plus(x, this.linear(`${name}.ff_out`, hidden));
  }

  read(ids) {
    let words = ids.map((id, position) => this.embedAt("src_embedding", id, position));
    for (let layer = 0; layer < this.config.layers; layer++) {
      const name = `encoder.${layer}`;
      const normed = words.map((word) => this.norm(`${name}.attention_norm`, word));
      const pair = this.project(`${name}.attention`, normed);
      words = words.map((word, i) => this.feedForward(name, plus(word, this.attend(`${name}.attention`, normed[i], pair)[0])));
    }
    const states = words.map((word) => this.norm("encoder_norm", word));
    const layers = Array.from({ length: this.config.layers }, (_, i) => `decoder.${i}.cross_block.attention`);
    return layers.map((name) => this.project(name, states));
  }

  start() {
    return Array.from({ length: this.config.layers }, () => [[], []]);
  }

  step(source, state, token, options = {}) {
    let [x, heads] = [this.embedAt("tgt_embedding", token, state[0][0].length)];
    const next = state.map((written, layer) => {
      const name = `decoder.${layer}`;
      const normed = this.norm(`${name}.self_norm`, x);
      const now = this.project(`${name}.self_attention`, [normed]);
      const pair = written.map((vectors, i) => [...vectors, ...now[i]]);
      x = plus(x, this.attend(`${name}.self_attention`, normed, pair)[0]);
      const [block, last] = [`${name}.cross_block`, layer === state.length - 1];
      const [context, maps] = this.attend(`${block}.attention`, this.norm(`${block}.attention_norm`, x), source[layer],
        { ...options, weights: last ? options.weights : null });
      [x, heads] = [this.feedForward(block, plus(x, context)), maps];
      return pair;
    });
    const weights = heads[0].map((_, i) => heads.reduce((sum, map) => sum + map[i], 0) / heads.length);
    return { state: next, logits: this.linear("out", this.norm("decoder_norm", x)), weights, heads };
  }
}

// Translate ids. Options: `edits` are weights by step, `forced` token ids by step, `temperature` and `head` as
// above, `output` divides the logits, and `draw`, a function that returns numbers from 0 to 1, samples. Returns
// the steps up to the end token, or as many as utils.models.translate writes at most. The function `again` of a
// step computes it with other weights.
const decode = (model, ids, { edits = {}, forced = {}, output = 1, draw, ...options } = {}) => {
  const source = model.read(ids);
  const steps = [];
  let [state, token] = [model.start(source), BOS];
  while (steps.length < 2 * ids.length + 10 && (token !== EOS || !steps.length)) {
    const [before, previous] = [state, token];
    const again = (weights) => {
      const found = model.step(source, before, previous, { ...options, weights });
      found.logits[PAD] = found.logits[BOS] = -Infinity;
      return { ...found, probabilities: softmax(found.logits, output), again };
    };
    const now = again(edits[steps.length]);
    const drawn = draw && draw();
    let sum = 0;
    token = forced[steps.length] ?? (draw ? now.probabilities.findIndex((p) => (sum += p) > drawn) : -1);
    if (token < 0) token = now.logits.indexOf(Math.max(...now.logits));
    state = now.state;
    steps.push({ ...now, token });
  }
  return steps;
};
