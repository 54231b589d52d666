// transformers.js under test: its own tokenizer, sessions and generate, on models exported to a folder of its own.
//
// Where `npm install @huggingface/transformers` was run is named by TRANSFORMERS_JS, and CONFORMANCE_PYTHON is an
// interpreter with torch, transformers, onnx and onnxscript, which converts and exports presets when they are loaded.
// With CONFORMANCE_EXPORTED they are kept in that folder for the next time.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const found = createRequire(join(process.env.TRANSFORMERS_JS ?? process.cwd(), "x.js")).resolve("@huggingface/transformers");
const hub = await import(pathToFileURL(found));
const version = JSON.parse(readFileSync(join(found.split("/dist/")[0], "package.json"), "utf8")).version;
const kept = process.env.CONFORMANCE_EXPORTED, scratch = kept ?? mkdtempSync(join(tmpdir(), "conformance-"));
Object.assign(hub.env, { allowRemoteModels: false, localModelPath: scratch });

class Unsupported extends Error {}
const NO_LENGTH = "has no preprocessor whose length could be the default";
const PAIRS = "takes token ids; pairs of texts are taken apart by the caller";
const NAMES = "samplers have no names: settings of the call choose them";
const LACKS = {
  "presets.": "reads no preset folders of KerasHub: they are converted first",
  "preprocessing.": "has no preprocessor: batches are packed by the caller",
  "training.": "does not train",
  "invariance.": "promises no equal bits for a row in other batches",
  "models.backbone": "shows neither the decoder's states nor a count of parameters",
  "models.inputs.keys": "the exported graphs take other inputs",
  "generate.input.dictionary": PAIRS, "generate.input.unchanged": PAIRS,
  "generate.max-length.default": NO_LENGTH, "generate.max-length.zero": NO_LENGTH,
  "generate.max-length.no-preprocessor": "the length is always an argument of the call",
  "generate.stop.auto#no-preprocessor": "knows its end token without a tokenizer",
  "samplers.get": NAMES, "samplers.config": NAMES,
};
const loaded = new Map();
let now;

async function load({ preset, keep = true, load_weights = true, dtype = "float32", ...rest }) {
  if (!load_weights || dtype !== "float32") throw new Unsupported("loads float32 weights as they are in the file");
  if (!keep) throw new Unsupported("a changed copy of a preset is not exported again");
  if (!loaded.has(preset)) {
    const name = basename(preset), words = ["-m", "conformance.adapters.onnx_export", preset, join(scratch, name)];
    if (!existsSync(join(scratch, name, "onnx", "decoder_model_merged.onnx"))) {
      const made = spawnSync(process.env.CONFORMANCE_PYTHON ?? "python", words, { encoding: "utf8" });
      if (made.status !== 0) throw new Error(made.stderr.trim().split("\n").at(-1));
    }
    const settings = JSON.parse(readFileSync(join(scratch, name, "config.json"), "utf8"));
    loaded.set(preset, {
      settings,
      tokenizer: await hub.AutoTokenizer.from_pretrained(name),
      model: await hub.AutoModelForSeq2SeqLM.from_pretrained(name, { dtype: "fp32", device: "cpu", session_options: { intraOpNumThreads: 1, logSeverityLevel: 4 } }),
    });
  }
  now = { ...loaded.get(preset), encoder_length: rest.encoder_sequence_length ?? 1024, decoder_length: rest.decoder_sequence_length ?? 1024 };
  return {};
}

const tensor = (rows) => new hub.Tensor("int64", BigInt64Array.from(rows.flat(), (x) => BigInt(x)), [rows.length, rows[0].length]);
const floats = (t) => ({ dtype: "float32", shape: t.dims, data: Array.from(t.data) });
const encode = (text) => now.tokenizer.encode(text, { add_special_tokens: false });
const decode = (ids, skip_special_tokens) => ids.length ? now.tokenizer.decode(ids, { skip_special_tokens, clean_up_tokenization_spaces: false }) : "";

async function logits({ inputs, chunks }) {
  const real = (mask) => mask.flat().every(Boolean);
  if (inputs.decoder_padding_mask && !real(inputs.decoder_padding_mask)) throw new Unsupported("the exported decoder has no mask over its own tokens");
  const source = { input_ids: tensor(inputs.encoder_token_ids), attention_mask: tensor(inputs.encoder_padding_mask) };
  const ids = inputs.decoder_token_ids;
  let past = null, first = 0;
  const parts = [];
  for (const size of chunks ?? [ids[0].length]) {
    const out = await now.model({ ...source, decoder_input_ids: tensor(ids.map((row) => row.slice(first, first + size))), past_key_values: past });
    past = Object.fromEntries(Object.entries(out).filter(([k]) => k.startsWith("present")).map(([k, v]) => [k.replace("present", "past_key_values"), v]));
    parts.push(out.logits);
    first += size;
  }
  return { logits: floats(hub.cat(parts, 1)) };
}

// A sampler of KerasHub in the words of generate.
function sampling(sampler) {
  const [name, given] = typeof sampler === "string" ? [sampler, {}] : [sampler.class_name.split(">")[1].replace("Sampler", ""), sampler.config];
  if (/^greedy$/i.test(name)) return { do_sample: false };
  if (/^beam$/i.test(name)) return { do_sample: false, num_beams: given.num_beams ?? 5, length_penalty: 0 };
  throw new Unsupported(`has no sampler ${name}`);
}

// Rows whose prompts are of one length go to the engine together.
async function rows(sources, prompts, length, stops, sampler) {
  const { pad_token_id, bos_token_id, decoder_start_token_id } = now.settings;
  const settings = { ...now.settings, max_length: length, eos_token_id: stops, ...sampling(sampler) };
  const found = [], widest = Math.max(...sources.map((row) => row.length));
  const filled = (row, value) => [...row, ...Array(widest - row.length).fill(value)];
  for (const size of new Set(prompts.map((row) => row.length))) {
    const members = prompts.flatMap((row, n) => (row.length === size ? [n] : []));
    const start = bos_token_id == null ? [prompts[members[0]][0]] : [decoder_start_token_id, bos_token_id];
    const plain = members.every((n) => prompts[n].join() === start.join());
    const said = await now.model.generate({
      inputs: tensor(members.map((n) => filled(sources[n], pad_token_id))),
      attention_mask: tensor(members.map((n) => filled(sources[n].map(() => 1), 0))),
      ...(plain ? {} : { decoder_input_ids: tensor(members.map((n) => prompts[n])) }), // version 4.3.2 does not look at it
      generation_config: new hub.GenerationConfig({ ...settings, decoder_start_token_id: start[0], ...(plain && start[1] != null ? { forced_bos_token_id: start[1] } : {}) }),
    });
    said.tolist().forEach((row, m) => {
      const end = row.findIndex((token, n) => n >= size && stops?.includes(Number(token)));
      found[members[m]] = row.slice(0, end < 0 ? undefined : end + 1).map(Number);
    });
  }
  return found;
}

async function generate({ inputs, max_length, stop_token_ids = "auto", sampler = "greedy" }) {
  const { bos_token_id, eos_token_id, pad_token_id, decoder_start_token_id } = now.settings;
  const stops = stop_token_ids === "auto" ? [eos_token_id] : stop_token_ids;
  const under = (side) => inputs[`${side}_token_ids`].map((row, n) => row.filter((_, t) => inputs[`${side}_padding_mask`][n][t]));
  if (inputs.encoder_token_ids) {
    const prompts = under("decoder"), width = inputs.decoder_token_ids[0].length, sources = under("encoder");
    const going = prompts.flatMap((row, n) => (row.length < width ? [n] : []));
    const said = await rows(going.map((n) => sources[n]), going.map((n) => prompts[n]), width, stops, sampler);
    going.forEach((n, m) => { prompts[n] = said[m]; });
    return {
      decoder_token_ids: prompts.map((row) => [...row, ...Array(width - row.length).fill(pad_token_id)]),
      decoder_padding_mask: prompts.map((row) => Array.from({ length: width }, (_, n) => n < row.length)),
    };
  }
  const pair = typeof inputs === "string" || Array.isArray(inputs) ? { encoder_text: inputs } : inputs;
  const one = typeof pair.encoder_text === "string", texts = [pair.encoder_text].flat();
  const spoken = [pair.decoder_text ?? texts.map(() => "")].flat();
  const begin = bos_token_id == null ? [] : [bos_token_id]; // T5 has no such token
  const sources = texts.map((text) => [...begin, ...encode(text).slice(0, now.encoder_length - begin.length - 1), eos_token_id]);
  const prompts = spoken.map((text) => [decoder_start_token_id, ...begin, ...encode(text)]);
  const said = (await rows(sources, prompts, max_length ?? now.decoder_length, stops, sampler)).map((row) => decode(row, true));
  return { text: one ? said[0] : said, inputs };
}

const operations = {
  start: () => ({ implementation: "transformers.js", version, backend: `onnxruntime-node, Node ${process.versions.node}`, capabilities: ["engine", "probe"], lacks: LACKS }),
  echo: (args) => args,
  load,
  tokenize: ({ text }) => ({ ids: Array.isArray(text) ? text.map(encode) : encode(text) }),
  detokenize: ({ ids }) => ({ text: Array.isArray(ids[0]) ? ids.map((row) => decode(row, false)) : decode(ids, false) }),
  logits,
  cached_logits: logits,
  generate,
};

const KINDS = { TypeError: "type", RangeError: "index", SyntaxError: "json" };
for await (const line of createInterface({ input: process.stdin })) {
  const { seq, op, args } = JSON.parse(line);
  let answer;
  try {
    if (!operations[op]) throw new Unsupported(`no operation ${op}`);
    answer = { result: await operations[op](args ?? {}) };
  } catch (error) {
    const message = String(error?.message ?? error);
    answer = error instanceof Unsupported ? { unsupported: message } : { error: { kinds: [KINDS[error?.name] ?? "runtime"], message } };
  }
  process.stdout.write(JSON.stringify({ seq, ...answer }) + "\n");
}
if (!kept) rmSync(scratch, { recursive: true });
